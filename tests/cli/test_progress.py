import json
import logging
import re

from icp.cli import progress
from icp.cli.progress import JsonLines, Reporter


def test_each_step_gets_a_line_and_then_one_every_few_seconds(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO, logger="icp"), Reporter() as reporter:
        for done, now[0] in enumerate((0.0, 1.0, 2.0, 6.5)):
            reporter("dedup: signatures", done, 9)
        reporter("graph: nodes", 0, 1)
        now[0] = 7.25
    assert caplog.messages == ["dedup", "dedup: signatures: 3 of 9 parts", "dedup: 6.5 s", "graph", "graph: 0.8 s"]


def test_a_log_file_has_the_time_of_day_on_every_line(monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger("icp"), "handlers", [])
    progress.set_up_logging(as_json=False, verbose=False)
    logging.getLogger("icp").info("dedup")
    assert re.fullmatch(r"\d\d:\d\d:\d\d  dedup\n", capsys.readouterr().err)


def test_json_lines_hold_time_level_and_message():
    record = logging.LogRecord("icp", logging.WARNING, "x.py", 1, "größer als %d", (3,), None)
    row = json.loads(JsonLines().format(record))
    assert (row["level"], row["message"]) == ("warning", "größer als 3")
    assert row["time"].endswith("Z")
