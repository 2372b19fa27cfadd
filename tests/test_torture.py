"""A bit of each attack of ``make torture``, by a fixed seed, in a process of its own each; see docs/reliability.md."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from torture.soak import growth

TESTS = Path(__file__).resolve().parent
BITS = {
    "api": ["--most", "300"],
    "damages": ["--most", "2", "--uses", "0.03", "--part-mib", "1"],
    "json": ["--most", "25", "--uses", "0.2", "--part-mib", "1"],
    "inputs": ["--most", "40", "--part-mib", "1"],
    "faults": ["--most", "2"],
    "kills": ["--seconds", "1"],
    "anew": ["--seconds", "1"],
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


def samples(n=300, **leak):
    """What a soak sees of so many runs, with noise and what grows by so much a run, or, as a pair, at a run."""
    rng = random.Random(0)
    flat = {"in use": 120_000.0, "own": 230_000.0, "blocks": 990_000, "descriptors": 6, "threads": 12, "files": 0}
    noise = {"in use": 30, "own": 300, "blocks": 400}
    rows = [{name: value + rng.uniform(0, noise.get(name, 0)) for name, value in flat.items()} for _ in range(n)]
    for name, grown in leak.items():
        for number, row in enumerate(rows):
            name = name.replace("_", " ")
            row[name] += grown * number if not isinstance(grown, tuple) else grown[0] * (number >= grown[1])
    return rows


@pytest.mark.parametrize(
    ("leak", "named"),
    [
        ({}, []),
        ({"in_use": 6.0}, ["in use"]),
        ({"own": 20.0}, ["own"]),
        ({"blocks": 40}, ["blocks"]),
        ({"own": (20 * 1024, 200)}, []),
        ({"own": (30 * 1024, 200)}, ["own memory"]),
        ({"in_use": (2000, 200)}, []),
        ({"threads": (1, 290)}, ["threads"]),
        ({"descriptors": 1}, ["descriptors"]),
    ],
)
def test_a_soak_finds_what_grows_with_every_run_and_forgives_one_step(leak, named):
    broken = growth(samples(**leak))["broken"]
    assert len(broken) == len(named), broken
    assert all(line.startswith(name) for line, name in zip(broken, named, strict=True))


def test_slopes_of_few_runs_are_not_judged():
    found = growth(samples(80, in_use=6.0))
    assert not found["judged"]
    assert not found["broken"]
    assert found["a run"]["in use"] == pytest.approx(6, abs=0.5)
