"""A run made by earlier code with the same formats is known as done, step by step, and goes on.

Raised formats make a stored run another: it is made again then, by `icp run` in the folder of the archive.
"""

import os
import tarfile
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner
from tiny import data_files

from icp.cli import main
from icp.steps.windows.step import STEP

MADE = Path(__file__).parent / "golden" / "run-of-december-2026.tar.gz"
STAMP = 1_796_040_000_000_000_000
"""When the corpus of that run was written, in ns: part of what the step documents depends on."""


def unpacked(folder, monkeypatch):
    with tarfile.open(MADE) as archive:
        archive.extractall(folder, filter="data")
    os.utime(folder / "corpus.jsonl", ns=(STAMP, STAMP))
    monkeypatch.chdir(folder)
    return folder / "run"


def test_every_step_of_its_graph_is_known_as_done(tmp_path, monkeypatch):
    run = unpacked(tmp_path, monkeypatch)
    manifests = {path: path.stat().st_mtime_ns for path in run.rglob("manifest.json")}
    files = data_files(run)
    done = CliRunner().invoke(main, ["build-graph", "-c", "icp.yaml", "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert data_files(run) == files
    assert {path: path.stat().st_mtime_ns for path in run.rglob("manifest.json")} == manifests, "a step was redone"
    checked = CliRunner().invoke(main, ["verify", "run"])
    assert checked.exit_code == 0, checked.output


def test_a_pack_whose_windows_were_made_otherwise_is_named_and_left_alone(tmp_path, monkeypatch):
    run = unpacked(tmp_path, monkeypatch)
    files = data_files(run)
    monkeypatch.setattr("icp.steps.windows.step.STEP", replace(STEP, format=STEP.format + 1))
    done = CliRunner().invoke(main, ["run", "-c", "icp.yaml", "--workers", "1"])
    assert done.exit_code == 2
    assert f"step windows was made otherwise: its format was {STEP.format}, is {STEP.format + 1}" in done.output
    assert data_files(run) == files


def test_another_pack_is_made_of_its_graph(tmp_path, monkeypatch):
    run = unpacked(tmp_path, monkeypatch)
    command = ["pack", "-c", "icp.yaml", "--workers", "1", "--name", "short", "--set", "pack.seq_len=32"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert len(list((run / "tokens").iterdir())) == 1
    assert CliRunner().invoke(main, ["verify", "run", "--pack", "short"]).exit_code == 0
