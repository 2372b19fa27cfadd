import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from icp import WindowDataset

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_tiny_model_learns_from_the_shards(tiny_run):
    pytest.importorskip("torch")
    command = [sys.executable, EXAMPLES / "train_tiny.py", tiny_run, "12"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    losses = [float(loss) for loss in re.findall(r"loss (\S+)", done.stdout)]
    assert len(losses) == 3
    assert max(losses[1:]) < 0.7 * losses[0]


def start_ranks(world_size, out, *arguments):
    """A process of `examples/pretrain.py` for each rank, as a launcher starts them; what rank 0 says goes to `out`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(world_size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, EXAMPLES / "pretrain.py", *map(str, arguments)]
    with out.open("w") as stream:
        return [
            subprocess.Popen(command, env={**os.environ, **shared, "RANK": str(rank)}, stdout=stream, stderr=stream)
            for rank in range(world_size)
        ]


def said(out):
    """Losses and validation losses by step."""
    found = re.findall(r"^step (\d+)  loss (\S+)(?:  validation (\S+))?$", out.read_text(), re.MULTILINE)
    return {int(step): (float(loss), float(held) if held else None) for step, loss, held in found}


def finish_ranks(processes, out):
    for process in processes:
        assert process.wait(200) == 0, out.read_text()[-2000:]
    return said(out)


def test_pretraining_that_was_killed_gives_the_losses_of_one_that_was_not(tiny_run, cut_run, tmp_path):
    """Two processes, over the end of an epoch; killed together, and gone on with by two, and by one; masks off."""
    pytest.importorskip("torch")
    options = [tiny_run, "--validation", cut_run, "--batch", 8, "--every", 3, "--mask", "intra", "--checkpoint"]
    steps = len(WindowDataset(tiny_run)) // 8 + 4
    whole = finish_ranks(
        start_ranks(2, tmp_path / "whole", *options, tmp_path / "whole.pt", "--steps", steps), tmp_path / "whole"
    )
    assert sorted(whole) == list(range(1, steps + 1))
    assert whole[steps][0] < 0.8 * whole[1][0]
    held = [value for _, value in whole.values() if value is not None]
    assert len(held) == steps // 3
    assert held[-1] < held[0]
    killed = start_ranks(2, tmp_path / "killed", *options, tmp_path / "killed.pt", "--steps", steps)
    while len(said(tmp_path / "killed")) < 4:
        time.sleep(0.02)
    for process in killed:
        process.kill()
        process.wait()
    shutil.copy(tmp_path / "killed.pt", tmp_path / "one.pt")
    for world_size, name in ((2, "killed"), (1, "one")):
        out = tmp_path / f"{name}-again"
        rest = finish_ranks(start_ranks(world_size, out, *options, tmp_path / f"{name}.pt", "--steps", steps), out)
        assert min(rest) % 3 == 1 < min(rest)
        for step, losses in rest.items():
            assert losses == whole[step] if world_size == 2 else losses == pytest.approx(whole[step], abs=0.01)

    out = tmp_path / "cross"
    shown = finish_ranks(start_ranks(1, out, *options, tmp_path / "cross.pt", "--mask", "cross", "--steps", 1), out)
    assert abs(shown[1][0] - whole[1][0]) > 1e-4  # the same weights and windows; tokens see their neighbours


def test_examples_stay_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= {"pretrain.py": 140}.get(path.name, 40)
