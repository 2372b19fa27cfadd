"""Executors that lack the package: told in one line; with the zip of `icp.jobs.bundle` they need only its libraries."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bare_python import make_bare_python
from tiny import assert_same, copied_run, data_files

from icp.errors import ConfigError
from icp.jobs.bundle import write_bundle

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    return make_bare_python(tmp_path_factory.mktemp("bare") / "env")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "icp.zip"
    assert write_bundle(path) > 100
    return path


def test_executor_without_the_package_is_one_clear_line(cluster, bare_python):
    from icp.jobs.spark import SparkExecutor

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**cluster.environment, "PYSPARK_PYTHON": str(bare_python)}.items():
            patch.setenv(name, value)
        with (
            SparkExecutor(cluster.url) as executor,
            pytest.raises(
                ConfigError, match=r"^an executor's Python \(.*/env/bin/python\) has no icp; .*docs/spark.md$"
            ),
        ):
            list(executor.map(abs, [-1, -2, -3]))


def test_code_of_another_state_is_refused():
    from icp.jobs.same_code import code_differences, code_here

    here = code_here()
    assert code_differences(here) == ""
    assert code_differences({**here, "numpy": "1.0"}) == f"numpy {here['numpy']}, not 1.0"
    assert code_differences({**here, "source": ""}) == "another state of icp's source"


def test_the_zip_holds_the_same_code(bare_python, bundle):
    program = "from icp.jobs.same_code import code_here; import json; print(json.dumps(code_here()))"
    command = [bare_python, "-P", "-c", program]
    done = subprocess.run(command, env={"PYTHONPATH": str(bundle)}, check=True, capture_output=True, text=True)
    from icp.jobs.same_code import code_here

    assert json.loads(done.stdout) == code_here()


def test_spark_submit_with_the_zip_gives_the_same_bytes(cluster, bare_python, bundle, tmp_path, cut_run, cut_files):
    config = copied_run(cut_run, tmp_path, pack={"seq_len": 64, "shard_mib": 0.002})
    for made in ("packs", "tokens"):
        shutil.rmtree(Path(config.run) / made)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(json.loads(config.model_dump_json())))
    import pyspark

    submit = [Path(pyspark.__file__).parent / "bin" / "spark-submit", "--master", cluster.url, "--py-files", bundle]
    done = subprocess.run(
        [*submit, ROOT / "jobs" / "pack.py", "-c", path, "--name", "main"],
        env={**cluster.environment, "PYSPARK_PYTHON": str(bare_python)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "windows" in done.stdout
    assert_same(data_files(Path(config.run)), cut_files)


def test_the_other_job_takes_the_options_of_its_command():
    command = [sys.executable, ROOT / "jobs" / "build_graph.py", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Documents -> dedup -> embeddings -> neighbors -> graph" in done.stdout
    assert "--until" in done.stdout
