"""`icp probe` on a whole run: what it says, that it writes nothing there, and that it says the same again."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny import data_files

from icp.cli import main
from icp.errors import ConfigError
from icp.probe import Wanted, probe_run
from icp.probe.arms import ARMS, OURS, SAME_SOURCE
from icp.probe.gains import CODERS, N_GRAM


@pytest.fixture(scope="module")
def probe(tiny_run):
    return probe_run(tiny_run, Wanted(batch=2))


def test_every_plan_holds_all_tokens_once(probe):
    assert list(probe.arms.plans) == list(ARMS)
    for name, plan in probe.arms.plans.items():
        tokens = [0] * probe.arms.lengths.size
        for doc, start, stop in zip(plan.doc.tolist(), plan.start.tolist(), plan.stop.tolist(), strict=True):
            tokens[doc] += stop - start
        assert tokens == probe.arms.lengths.tolist(), name


def test_a_small_run_is_coded_whole_but_for_what_the_coder_reads_first(probe):
    scored = sum(len(text) for row, text in probe.sample.texts.items() if row not in probe.sample.warm)
    for pieces in probe.sample.pieces.values():
        held = {doc for doc in pieces.doc.tolist() if doc not in probe.sample.warm}
        assert sum(len(probe.sample.texts[doc]) for doc in held) == scored


def test_threads_and_repetition_change_no_figure(probe, tiny_run):
    again = probe_run(tiny_run, Wanted(batch=2, threads=2))
    assert again.tree() == probe.tree()
    assert probe_run(tiny_run, Wanted(batch=2, seed=1)).tree() != probe.tree()


def test_command_writes_figures_and_leaves_the_run_alone(tiny_run, tmp_path):
    before = data_files(tiny_run)
    found = CliRunner().invoke(main, ["probe", str(tiny_run), "--batch", "2", "--json", str(tmp_path / "probe.json")])
    assert found.exit_code == 0, found.output
    assert OURS in found.output
    assert "no promise" in found.output or "not resolved" in found.output or "same source is enough" in found.output
    tree = json.loads(Path(tmp_path / "probe.json").read_text())
    assert set(tree["saved"]) == set(CODERS)
    assert tree["saved"][N_GRAM][OURS]["this_pack_saves_more"]["value"] == 0
    assert data_files(tiny_run) == before


def test_unknown_pack_is_one_line(tiny_run):
    found = CliRunner().invoke(main, ["probe", str(tiny_run), "--pack", "nope"])
    assert found.exit_code == 3
    assert "pack nope is not there" in found.stderr


def test_corpus_of_one_source_has_no_such_control(probe):
    assert SAME_SOURCE in probe.arms.plans
    assert probe.arms.sources.any()


def test_one_window_is_too_few(tiny_run, monkeypatch):
    monkeypatch.setattr("icp.probe.LEAST_WINDOWS", 10**6)
    with pytest.raises(ConfigError, match="too few to compare"):
        probe_run(tiny_run, Wanted())
