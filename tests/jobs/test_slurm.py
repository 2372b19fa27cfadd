"""The Slurm script as independent processes that know nothing of one another, one of them killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tiny import assert_same, cut_config, data_files, tiny_config

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "slurm.sh"
SLICES = 2


@pytest.fixture
def slice_of(tmp_path):
    """Start one task of the array, in a process group of its own."""
    shim = tmp_path / "bin" / "icp"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/bash\nexec {sys.executable} -m icp.cli "$@"\n')
    shim.chmod(0o755)
    started = []

    def start(index, **settings):
        variables = {"SLURM_ARRAY_TASK_ID": str(index), "WAIT": "120", **settings}
        environment = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", **variables}
        command = ["bash", SCRIPT, tmp_path / "config.yaml"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=environment, start_new_session=True, cwd=tmp_path, **pipes))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_slices_of_which_one_is_killed_give_the_same_bytes(tmp_path, slice_of, tiny_corpus, cut_files):
    config = cut_config(tmp_path, tiny_corpus)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(json.loads(config.model_dump_json())))
    tasks = [slice_of(index, SLURM_ARRAY_TASK_COUNT=str(SLICES)) for index in range(SLICES)]
    watched = Path(config.run) / "embeddings" / ".parts" / "basis.json"
    deadline = time.monotonic() + 180
    while not watched.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(tasks[1].pid, signal.SIGKILL)
    assert tasks[1].wait() == -signal.SIGKILL
    tasks[1].communicate()
    again = slice_of(1, SLICES=str(SLICES), SLURM_ARRAY_TASK_COUNT="1")
    for task in (tasks[0], again):
        out, message = task.communicate(timeout=180)
        assert task.returncode == 0, message
        assert "Traceback" not in message
        assert out.splitlines()[-1] == "shards: done"
    assert_same(data_files(Path(config.run)), cut_files)


def test_a_slice_that_waits_in_vain_says_so(tmp_path, slice_of):
    config = tiny_config(tmp_path, corpus={"part_mib": 0.01})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(json.loads(config.model_dump_json())))
    task = slice_of(1, SLURM_ARRAY_TASK_COUNT="2", WAIT="0.1")
    _, message = task.communicate(timeout=120)
    assert task.returncode == 4
    assert "1 parts of phase list are missing" in message
