"""A Spark cluster of a master and two workers on this machine, one for all tests."""

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from icp.doctor import java_problem

LEAN = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
DEFAULTS = f"""\
spark.ui.enabled false
spark.driver.extraJavaOptions {LEAN}
spark.executor.extraJavaOptions {LEAN}
spark.executor.memory 512m
spark.executor.cores 1
spark.cores.max 2
"""


@dataclass(frozen=True)
class Cluster:
    url: str
    environment: dict


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """URL of the master, and the environment of commands that use it; skips where Spark cannot run."""
    if find_spec("pyspark") is None:
        pytest.skip('pyspark is not installed: pip install ".[spark]"')
    if java_problem():
        pytest.skip(java_problem())
    from spark_cluster import running_cluster

    folder = tmp_path_factory.mktemp("spark")
    (folder / "conf").mkdir()
    tests = Path(__file__).resolve().parents[1]
    (folder / "conf" / "spark-defaults.conf").write_text(f"{DEFAULTS}spark.executorEnv.PYTHONPATH {tests}\n")
    settings = {"SPARK_CONF_DIR": str(folder / "conf"), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    with running_cluster(folder) as url:
        yield Cluster(url, {**os.environ, **settings})
