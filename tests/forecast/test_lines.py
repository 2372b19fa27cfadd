import pytest
from click.testing import CliRunner
from forecast_rates import CONFIG, MACHINE, SIZE, planted
from tiny import tiny_config

from icp.cli import main
from icp.config import dump_config
from icp.errors import ConfigError
from icp.forecast.calibration import processor, speed_settings
from icp.forecast.lines import Wanted, duration, forecast_lines, show_forecast
from icp.forecast.machine import rates_path
from icp.forecast.rates import Line
from icp.run import records


@pytest.fixture
def plant(monkeypatch, tmp_path):
    """Keep planted rates for a configuration, as a calibration would."""
    from dataclasses import replace

    from icp import __version__

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def keep(config, n_docs, seconds):
        settings = speed_settings(config, n_docs)
        rates = replace(planted(seconds, settings=settings), version=__version__, cpu=processor())
        path = rates_path(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        records.write_json(path, rates.to_json())

    return keep


def test_table_has_a_row_for_each_step_and_totals():
    lines = list(forecast_lines(CONFIG, planted({"order: one": Line(per_doc=0.0036)}), SIZE, MACHINE, workers=8))
    assert lines[0].startswith("forecast    1,000,000 documents, about 900,000,000 tokens, 3.4 GiB of text, 10 parts")
    found = {line.split()[0]: line for line in lines}
    assert found["order"].split()[1:5] == ["1.3", "h", "1.3", "h"]  # an hour, times 100 to the power of 0.05
    assert found["all"].split()[1:3] == ["1.3", "h"]
    assert found["disk"].startswith("disk        10.1 GiB at most; over the network, if storage is remote: ")
    assert not [line for line in lines if line.startswith("warning")]


def test_stored_rates_are_used_and_nothing_is_run(tmp_path, plant):
    config = tiny_config(tmp_path)
    plant(config, 500_000_000, {"windows: one": Line(per_doc=0.01)})
    lines = list(show_forecast(config, Wanted(500_000_000, 10**12, 4)))
    assert any(line.startswith("windows ") and "57.9 days" in line for line in lines)
    assert any(line.startswith("warning     time: ") for line in lines)


def test_tokens_follow_from_the_corpus_at_hand(tmp_path, plant):
    config = tiny_config(tmp_path)
    plant(config, 168, {})
    assert next(show_forecast(config, Wanted())).startswith("forecast    about 168 documents, about 8,")


def test_unknown_size_must_be_given(tmp_path, plant):
    (tmp_path / "a.jsonl").write_text("no json\n")
    config = tiny_config(tmp_path, corpus={"input": str(tmp_path / "a.jsonl")})
    with pytest.raises(ConfigError, match="give --docs and --tokens"):
        next(show_forecast(config, Wanted(n_docs=5)))


def test_command_plans_for_a_corpus_that_is_not_here(tmp_path, plant):
    config = tiny_config(tmp_path, corpus={"input": str(tmp_path / "absent.jsonl")})
    (tmp_path / "mine.yaml").write_text(dump_config(config))
    plant(config, 235_000_000, {"neighbors: shared": Line(per_doc=1e-3)})
    arguments = ["plan", "-c", str(tmp_path / "mine.yaml"), "--docs", "235000000", "--tokens", "306000000000"]
    result = CliRunner().invoke(main, [*arguments, "--workers", "64"])
    assert result.exit_code == 0, result.output
    assert "input       not found" in result.output
    assert "warning     extrapolated: " in result.output
    assert "measuring" not in result.output


@pytest.mark.parametrize(
    ("hours", "text"), [(0.0001, "0.4 s"), (0.1, "6.0 min"), (5, "5.0 h"), (100, "4.2 days"), (20_000, "2.3 years")]
)
def test_durations_are_readable(hours, text):
    assert duration(hours) == text
