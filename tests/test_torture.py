"""A bit of each attack of ``make torture``, by a fixed seed, in a process of its own each; see docs/reliability.md."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
BITS = {
    "api": ["--most", "300"],
    "damages": ["--most", "2", "--uses", "0.03", "--part-mib", "1"],
    "json": ["--most", "25", "--uses", "0.2", "--part-mib", "1"],
    "inputs": ["--most", "40", "--part-mib", "1"],
    "faults": ["--most", "2"],
    "kills": ["--seconds", "1"],
}


@pytest.mark.parametrize("name", list(BITS))
def test_no_promise_breaks(name):
    if name == "faults" and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler")
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "torture", name, "--seconds", "300", "--seed", "5", *BITS[name]]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr[-2000:]}"
    counted = json.loads(done.stdout.splitlines()[-1])
    assert counted["attack"] == name
    assert "broken" not in counted
