"""The Spark engine on a real cluster: the same outcomes and the same bytes as the engine of one machine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import spark_faults
import yaml
from tiny import assert_same, cut_config, data_files, make_run, tiny_config

from icp.engine.executor import ATTEMPTS, Failure, ProcessExecutor
from icp.errors import InputError
from icp.run.names import BUILD_STEPS, PACK_STEPS

# a JVM's sockets are closed when Python ends
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def spark(cluster):
    """An engine on the cluster, in this process."""
    from icp.jobs.spark import SparkExecutor

    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        with SparkExecutor(cluster.url) as executor:
            yield executor


def test_every_result_comes_with_its_position(spark):
    assert dict(spark.map(abs, [-1, -2, -3, -4, -5])) == {0: 1, 1: 2, 2: 3, 3: 4, 4: 5}


def test_workers_are_as_on_one_machine(spark):
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "ICP_WORKER"]
    assert dict(spark.map(os.getenv, names)) == {0: "1", 1: "1", 2: "1", 3: "0"}
    assert set(dict(spark.map(Path.resolve, [Path(), Path()])).values()) == {Path.cwd()}


def test_spark_tries_a_failed_part_again_and_loses_no_other(spark, tmp_path):
    found = dict(spark.map(spark_faults.fail_and_count, [str(tmp_path)]))
    assert found[0].message == f"ValueError: attempt {ATTEMPTS - 1}"
    assert len(list(tmp_path.iterdir())) == ATTEMPTS
    found = dict(spark.map(int, ["1", "two", "3"]))
    assert (found[0], found[2]) == (1, 3)
    assert "invalid literal" in found[1].message


def test_errors_of_ours_come_whole_and_are_not_tried_again(spark):
    found = dict(spark.map(spark_faults.refuse, ["good", "bad"]))
    assert found[0] == "good"
    assert isinstance(found[1].error, InputError)
    assert (str(found[1].error), found[1].error.exit_code) == ("bad: not a file", 3)


def test_a_dead_worker_process_is_named(spark):
    assert "ended with code 7" in dict(spark.map(os._exit, [7]))[0].message


def test_a_part_that_takes_its_executor_along_does_not_take_the_others(spark):
    found = dict(spark.map(spark_faults.kill_executor_always, ["good", "bad", "fine"]))
    assert (found[0], found[2]) == ("good", "fine")
    assert isinstance(found[1], Failure)
    assert "its executor was lost 4 times" in found[1].message


def test_an_executor_killed_in_each_step_changes_nothing(spark, tmp_path, tiny_corpus, cut_files):
    markers = tmp_path / "killed"
    markers.mkdir()
    run = make_run(cut_config(tmp_path, tiny_corpus), spark_faults.KillingExecutor(spark, markers))
    assert {path.name for path in markers.iterdir()} == {*BUILD_STEPS, *PACK_STEPS}
    assert_same(data_files(run), cut_files)


@pytest.mark.shared
def test_a_slice_of_real_documents_gives_the_same_bytes(spark, shared_data, tmp_path):
    rows = pq.read_table(shared_data / "linked-docs.parquet").slice(0, 600)
    pq.write_table(rows, tmp_path / "slice.parquet")
    sections = {
        "corpus": {"input": str(tmp_path / "slice.parquet"), "part_mib": 0.5},
        "embed": {"model": "hybrid"},
        "graph": {"method": "cells"},
        "tokenizer": {"name": "train:2048"},
        "pack": {"seq_len": 1024, "shard_mib": 0.5},
    }
    (tmp_path / "local").mkdir()
    (tmp_path / "spark").mkdir()
    with ProcessExecutor(2) as executor:
        wanted = data_files(make_run(tiny_config(tmp_path / "local", **sections), executor))
    assert sum(name.startswith("documents/part-") for name in wanted) > 2
    assert_same(data_files(make_run(tiny_config(tmp_path / "spark", **sections), spark)), wanted)


def command(cluster, config, name="run"):
    path = Path(config.run).parent / "config.yaml"
    tree = json.loads(config.model_dump_json())
    path.write_text(yaml.safe_dump({**tree, "run": "run"}))
    return [sys.executable, "-m", "icp.cli", name, "-c", str(path), "--engine", "spark", "--master", cluster.url]


def interrupted(cluster, config, watched, end):
    """Start a command in the run's parent folder and end it when a file of the run is there; gives its exit code."""
    settings = {"cwd": Path(config.run).parent, "env": cluster.environment}
    with subprocess.Popen(command(cluster, config), stderr=subprocess.PIPE, text=True, **settings) as process:
        deadline = time.monotonic() + 120
        while not (Path(config.run) / watched).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        end(process)
        message = process.stderr.read()
        return process.wait(60), message


def test_the_same_command_goes_on_after_its_driver_was_ended_or_killed(
    cluster, spark, tmp_path, tiny_corpus, cut_files
):
    spark.__exit__()  # its cores are needed
    config = cut_config(tmp_path, tiny_corpus)
    code, message = interrupted(cluster, config, "dedup/.parts/basis.json", subprocess.Popen.terminate)
    assert (code, message.splitlines()[-1]) == (
        130,
        "icp: interrupted; what is done is kept, run the same command to go on",
    )
    code, message = interrupted(cluster, config, "neighbors/.parts/basis.json", subprocess.Popen.kill)
    assert code == -9, message
    settings = {"cwd": tmp_path, "env": cluster.environment, "capture_output": True, "text": True, "check": False}
    done = subprocess.run(command(cluster, config), **settings)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr + message
    assert_same(data_files(Path(config.run)), cut_files)
