import pytest
from tiny import make_run, tiny_config

from icp.config import load_config, parse_config
from icp.errors import InputError
from icp.forecast.dry_run import show_plan
from icp.run.names import BUILD_STEPS, PACK_STEPS


def lines_of(config):
    """First word of each line -> the rest; the curve under its similarity."""
    return dict(line.split(maxsplit=1) for line in show_plan(config) if line.split()[0] != "warning")


def test_new_run_would_do_everything(tmp_path):
    config = tiny_config(tmp_path)
    lines = lines_of(config)
    assert lines["run"].endswith("(new)")
    size = (tmp_path / "tiny.jsonl").stat().st_size
    assert lines["input"] == f"1 file, {size / 1024:.1f} KiB"
    assert lines["parts"].startswith("about 1 of up to 4.0 MiB")
    assert {lines[step] for step in (*BUILD_STEPS, *PACK_STEPS)} == {"would run"}
    assert not (tmp_path / "run").exists()


def test_curve_is_printed_for_the_bands(tmp_path):
    lines = lines_of(tiny_config(tmp_path))
    assert "20 bands of 6 rows over word 5-grams, 480 bytes a document" in lines["duplicates"]
    assert lines["0.8"].split() == ["0.9977", "#" * 40]
    assert lines["0.1"] == "0.0000"
    assert any("steepest at about 0.61" in line for line in show_plan(tiny_config(tmp_path)))
    other = lines_of(tiny_config(tmp_path, dedup={"bands": 9, "rows": 13}))
    assert other["0.8"].split()[0] == "0.3988"


def test_done_steps_are_told_from_those_made_otherwise(tmp_path, tiny_run):
    config = load_config(tiny_run / "config.yaml").model_copy(update={"run": str(tiny_run)})
    lines = lines_of(config)
    assert {lines[step] for step in (*BUILD_STEPS, *PACK_STEPS)} == {"done"}
    assert lines["parts"] == "1, 168 documents"
    changed = config.model_copy(update={"dedup": config.dedup.model_copy(update={"threshold": 0.7})})
    lines = lines_of(changed)
    assert lines["documents"] == "done"
    assert lines["dedup"].startswith("made otherwise: dedup.threshold was 0.8, is 0.7; it and all after it")


def test_started_step_would_go_on(tmp_path):
    config = tiny_config(tmp_path)
    records = make_run(config) / "dedup"
    (records / "manifest.json").unlink()
    (records / ".parts").mkdir()
    (records / ".parts/signatures.part-00000.json").write_text("{}")
    lines = lines_of(config)
    assert lines["dedup"] == "would go on, 1 parts are done"
    assert lines["embeddings"] == "would run"


def test_warnings_of_the_settings_are_shown(tmp_path):
    config = tiny_config(tmp_path, dedup={"verify": "none"})
    assert sum(line.startswith("warning     dedup.verify is none") for line in show_plan(config)) == 1
    assert not [line for line in show_plan(tiny_config(tmp_path)) if line.startswith("warning")]


def test_without_near_duplicates_there_is_no_curve(tmp_path):
    lines = lines_of(tiny_config(tmp_path, dedup={"near": False, "verify": "none"}))
    assert lines["duplicates"] == "exact copies only (dedup.near is false)"
    assert "0.8" not in lines


def test_missing_input_is_named_after_what_can_be_told(tmp_path):
    config = parse_config({"run": str(tmp_path / "run"), "corpus": {"input": str(tmp_path / "absent.jsonl")}})
    lines = show_plan(config)
    shown = [next(lines) for _ in range(23)]
    assert any("0.9977" in line for line in shown)
    with pytest.raises(InputError, match=r"no file matches .*absent\.jsonl"):
        next(lines)
