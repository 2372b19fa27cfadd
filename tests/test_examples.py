import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_tiny_model_learns_from_the_shards(tiny_run):
    pytest.importorskip("torch")
    command = [sys.executable, EXAMPLES / "train_tiny.py", tiny_run, "12"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    losses = [float(loss) for loss in re.findall(r"loss (\S+)", done.stdout)]
    assert len(losses) == 3
    assert max(losses[1:]) < 0.7 * losses[0]


def test_examples_stay_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
