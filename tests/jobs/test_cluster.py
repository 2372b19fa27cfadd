"""What stands in the way of Spark is one line, before anything is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from spark_cluster import free_port
from tiny import data_files, quiet, tiny_config

from icp.config import dump_config
from icp.engine.executor import SerialExecutor
from icp.errors import ConfigError
from icp.jobs import cluster
from icp.jobs.cluster import check_master, local_with_retries, needs_loopback
from icp.pipeline import build_graph


@pytest.fixture
def java(monkeypatch):
    monkeypatch.setattr(cluster, "java_problem", lambda: None)


def test_master_that_does_not_answer(java):
    port = free_port()
    with pytest.raises(ConfigError, match=rf"--master spark://127.0.0.1:{port}: no master answers there \(Connection"):
        check_master(f"spark://127.0.0.1:{port}")


def test_one_master_of_two_is_enough(java):
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        check_master(f"spark://127.0.0.1:{free_port()},127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize("master", ["spark://", "spark://host", "spark://host:port", "spark://[::1"])
def test_address_without_host_and_port(java, master):
    with pytest.raises(ConfigError, match=r"expected spark://HOST:PORT|not a master"):
        check_master(master)


def test_what_is_no_master(java, monkeypatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop")
    with pytest.raises(ConfigError, match=r"--master 127.0.0.1:7077: not a master; e.g. spark://HOST:7077"):
        check_master("127.0.0.1:7077")
    with pytest.raises(ConfigError, match="Spark Connect"):
        check_master("sc://host:15002")
    for master in (None, "yarn", "local[2]", "local", "local-cluster[2,1,512]", "k8s://https://host:443"):
        check_master(master)


def test_no_java(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(
        ConfigError, match=r"--engine spark: no Java found; install a JDK 17 or newer, e.g. apt install"
    ):
        check_master("local[2]")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no Java found in JAVA_HOME=/"):
        check_master("local[2]")


def test_no_pyspark(tmp_path):
    program = "import sys; sys.modules['pyspark'] = None; from icp.cli import main; main()"
    (tmp_path / "c.yaml").write_text("run: run\ncorpus: {input: in.jsonl}\ntokenizer: {name: bytes}\n")
    command = [sys.executable, "-c", program, "run", "-c", "c.yaml", "--engine", "spark"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    line = 'icp: --engine spark needs pyspark, which is not installed: pip install ".[spark]"\n'
    assert done.stderr == line
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A run whose documents are done, and what it holds."""
    folder = tmp_path_factory.mktemp("started")
    config = tiny_config(folder)
    build_graph(config, SerialExecutor(), quiet, until="documents")
    (folder / "c.yaml").write_text(dump_config(config))
    return config, data_files(Path(config.run))


def java_of(version):
    """A program that calls itself a Java of some version."""
    return f"#!/bin/sh\necho 'openjdk version \"{version}\" 2019-01-15' >&2\n"


@pytest.mark.parametrize(
    ("options", "java", "message"),
    [
        (
            "--master spark://127.0.0.1:9",
            "17.0.1",
            "no master answers there (Connection refused); start it, or correct",
        ),
        ("--master spark://nobody.invalid:7077", "17.0.1", "no master answers there ("),
        (
            "--master yarn",
            "17.0.1",
            "--master yarn: neither HADOOP_CONF_DIR nor YARN_CONF_DIR says where its manager is",
        ),
        ("--master local[1]", "11.0.2", 'openjdk version "11.0.2" 2019-01-15 is too old; install a JDK 17 or newer'),
        ("--master local[1]", None, "no Java found in JAVA_HOME="),
    ],
)
def test_trouble_is_one_line_and_a_started_run_goes_on(started, tmp_path, options, java, message):
    config, before = started
    if java is not None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "java").write_text(java_of(java))
        (tmp_path / "bin" / "java").chmod(0o755)
    environment = {
        name: value for name, value in os.environ.items() if name not in ("HADOOP_CONF_DIR", "YARN_CONF_DIR")
    }
    path = Path(config.run).parent / "c.yaml"
    command = [sys.executable, "-P", "-m", "icp.cli", "build-graph", "-c", path, "--engine", "spark", *options.split()]
    environment["JAVA_HOME"] = str(tmp_path)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, ""), done.stderr
    assert message in done.stderr
    assert data_files(Path(config.run)) == before
    assert build_graph(config, SerialExecutor(), quiet, until="documents")


def test_loopback_is_set_only_where_all_is_here():
    assert all(map(needs_loopback, ("local", "local[4]", "spark://127.0.0.1:7077", "spark://localhost:7077")))
    assert not any(map(needs_loopback, (None, "yarn", "spark://node1:7077", "spark://127.0.0.10:7077")))


def test_a_local_master_tries_again_as_a_cluster_does():
    assert local_with_retries("local[2]") == "local[2,4]"
    assert local_with_retries("local") == "local[1,4]"
    assert local_with_retries("local[*]") == "local[*,4]"
    assert local_with_retries("local[2,1]") == "local[2,1]"
    assert local_with_retries("spark://node1:7077") == "spark://node1:7077"
