import json

import pytest

from icp.config import parse_config
from icp.engine.executor import SerialExecutor
from icp.forecast import calibration
from icp.forecast.calibration import calibrate, speed_settings, stored_rates
from icp.forecast.machine import rates_path
from icp.run.names import BUILD_STEPS, PACK_STEPS

TREE = {
    "run": "run", "corpus": {"input": "x.jsonl"}, "embed": {"model": "lexical"}, "tokenizer": {"name": "bytes"},
    "order": {"method": "algorithm1"}, "pack": {"method": "path-cut", "seq_len": 512},
}  # fmt: skip


@pytest.fixture
def small_samples(monkeypatch, tmp_path):
    """Samples of some pages, and a cache folder of one's own."""
    monkeypatch.setattr(calibration, "WARM_PAGES", 10)
    monkeypatch.setattr(calibration, "PAGES", (30, 60))
    monkeypatch.setattr(calibration, "SHORT_PIECES", 120)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_all_steps_are_measured_once_and_kept(small_samples):
    config = parse_config(TREE)
    assert stored_rates(config, 1000) is None
    rates = calibrate(config, 1000, SerialExecutor())
    assert {rate.step for rate in rates.steps} == {*BUILD_STEPS, *PACK_STEPS}
    assert rates.n_docs == 120
    assert rates.bytes_per_token == pytest.approx(1.0, rel=0.01)  # the tokenizer is bytes
    serial = {(rate.step, rate.phase): rate.serial for rate in rates.phases}
    assert serial["order", "visit"]
    assert not serial["tokens", "encode"]
    left = next(rate.left for rate in rates.steps if rate.step == "tokens")
    assert left.at(100, 100_000) == pytest.approx(2 * 100_000, rel=0.05)  # ids of two bytes
    assert stored_rates(config, 1000) == rates


def test_other_settings_have_rates_of_their_own(small_samples):
    config = parse_config(TREE)
    path = rates_path(speed_settings(config, 1000))
    assert rates_path(speed_settings(config, 10_000_000)) != path  # compared in cells, not whole
    other = parse_config({**TREE, "run": "elsewhere", "corpus": {"input": "y.parquet"}})
    assert rates_path(speed_settings(other, 2000)) == path
    assert rates_path(speed_settings(parse_config({**TREE, "dedup": {"near": False}}), 1000)) != path


def test_vectors_of_ones_own_and_fields_of_ones_own_are_not_in_the_sample():
    config = parse_config({**TREE, "embed": {"model": "files:v/*.npy"}, "dedup": {"keep": "max:score"}})
    settings = speed_settings(config, 10)
    assert (settings["embed.model"], settings["dedup.keep"]) == ("static", "longest")


@pytest.mark.parametrize("text", ["{", "[]", '{"phases": []}'])
def test_unreadable_rates_are_measured_again(small_samples, caplog, text):
    config = parse_config(TREE)
    path = rates_path(speed_settings(config, 10))
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert stored_rates(config, 10) is None
    assert "measuring again" in caplog.text


def test_rates_of_another_version_are_not_used(small_samples):
    config = parse_config(TREE)
    calibrate(config, 10, SerialExecutor())
    path = rates_path(speed_settings(config, 10))
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": "0.0.1"}))
    assert stored_rates(config, 10) is None


def test_a_slow_machine_gets_smaller_samples(small_samples, monkeypatch):
    monkeypatch.setattr(calibration, "MOST_SECONDS", 0.0)
    assert calibrate(parse_config(TREE), 10, SerialExecutor()).n_docs == 30
    monkeypatch.setattr(calibration, "WARM_SECONDS", 0.0)
    assert calibrate(parse_config(TREE), 10, SerialExecutor()).n_docs == 10


def test_cache_that_cannot_be_written_is_told(small_samples, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(calibration, "MOST_SECONDS", 0.0)
    assert calibrate(parse_config(TREE), 10, SerialExecutor()).phases
    assert "the next plan measures again" in caplog.text


def test_files_that_name_documents_by_id_are_none_of_the_sample():
    plain = speed_settings(parse_config(TREE), 1000)
    dedup, graph = {"import": "gone.parquet", "import_share": 0.5}, {"import": "lists.parquet", "edges": "links.jsonl"}
    other = parse_config(
        {**TREE, "dedup": {**TREE.get("dedup", {}), **dedup}, "graph": {**TREE.get("graph", {}), **graph}}
    )
    assert speed_settings(other, 1000) == plain
