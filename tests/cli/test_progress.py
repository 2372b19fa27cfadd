import json
import logging

from icp.cli import progress
from icp.cli.progress import JsonLines, Reporter


def test_each_step_gets_a_line_and_then_one_every_few_seconds(monkeypatch, caplog):
    moments = iter([0.0, 1.0, 2.0, 6.5, 6.6, 6.7])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments))
    reporter = Reporter()
    with caplog.at_level(logging.INFO, logger="icp"):
        for done in range(4):  # at 0, 1, 2 and 6.5 seconds
            reporter("dedup: signatures", done, 9)
        reporter("graph: nodes", 0, 1)
    assert caplog.messages == ["dedup", "dedup: signatures: 3 of 9 parts", "graph"]


def test_json_lines_hold_time_level_and_message():
    record = logging.LogRecord("icp", logging.WARNING, "x.py", 1, "größer als %d", (3,), None)
    row = json.loads(JsonLines().format(record))
    assert (row["level"], row["message"]) == ("warning", "größer als 3")
    assert row["time"].endswith("Z")
