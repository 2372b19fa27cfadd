import json
import logging
import re
import shutil
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from rich.console import Console
from tiny import tiny_config, write_jsonl

from icp.cli import main, progress
from icp.cli.panel import Panel
from icp.cli.progress import Reporter, duration, heartbeat
from icp.config import dump_config
from icp.run.log import JsonLines


@pytest.fixture
def config_file(tmp_path):
    """The file of a configuration of the tiny corpus."""
    path = tmp_path / "c.yaml"
    path.write_text(dump_config(tiny_config(tmp_path)))
    return path


def test_each_step_gets_a_line_and_then_one_every_few_seconds(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO, logger="icp"), Reporter() as reporter:
        for done, now[0] in enumerate((0.0, 1.0, 2.0, 6.5)):
            reporter("dedup: signatures", done, 9)
        reporter("graph: nodes", 0, 1)
    assert caplog.messages == ["dedup", "dedup: signatures: 3 of 9 parts", "graph"]
    fields = caplog.records[1]
    assert (fields.step, fields.phase, fields.done, fields.total, fields.seconds) == ("dedup", "signatures", 3, 9, 6.5)


def test_a_signal_that_meets_a_finalizer_ends_the_command_all_the_same():
    program = """
import os, signal
from icp.cli.progress import Reporter
from icp.cli.signals import watch_signals

class Object:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)  # what Python raises here is dropped

watch_signals()
reporter = Reporter()
reporter("dedup: bands", 0, 2)
Object()
try:
    reporter("dedup: bands", 1, 2)
except KeyboardInterrupt:
    print("stopped")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
    assert "Exception ignored" in done.stderr


def test_a_long_silence_is_broken(monkeypatch, caplog):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.1)
    with caplog.at_level(logging.INFO, logger="icp"), Reporter() as reporter:
        reporter("tokens: train", 0, 1)
        time.sleep(2.5)
    assert any(re.fullmatch(r"tokens: train: at work for \d s", line) for line in caplog.messages)


def test_what_has_no_parts_is_told_when_it_takes_long(monkeypatch, caplog):
    with caplog.at_level(logging.INFO, logger="icp"):
        with heartbeat("plan"):
            pass
        assert caplog.messages == []
        monkeypatch.setattr(progress, "QUIET_SECONDS", 0.1)
        with heartbeat("plan"):
            time.sleep(1.5)
    assert caplog.messages[0].startswith("plan: at work for ")


def test_a_log_file_has_the_time_of_day_on_every_line(monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger("icp"), "handlers", [])
    progress.set_up_logging(as_json=False, verbose=False)
    logging.getLogger("icp").info("dedup")
    assert re.fullmatch(r"\d\d:\d\d:\d\d  dedup\n", capsys.readouterr().err)


def test_json_lines_hold_time_level_message_and_fields():
    record = logging.LogRecord("icp", logging.WARNING, "x.py", 1, "größer als %d", (3,), None)
    record.step, record.other = "dedup", 1
    row = json.loads(JsonLines().format(record))
    assert (row["level"], row["message"], row["step"]) == ("warning", "größer als 3", "dedup")
    assert row["time"].endswith("Z")
    assert "other" not in row


def test_a_run_keeps_its_log_and_says_what_each_step_gave(config_file, tmp_path):
    done = CliRunner().invoke(main, ["run", "-c", str(config_file), "--workers", "1", "--log-json"])
    assert done.exit_code == 0, done.output
    told = [json.loads(line) for line in done.stderr.splitlines()]
    kept = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    for rows in (told, kept):
        finished = {row["step"]: row for row in rows if "step" in row and "; " in row["message"] and "phase" not in row}
        assert list(finished)[:2] == ["documents", "dedup"]
        assert len(finished) == 9
        assert all(row["seconds"] >= 0 for row in finished.values())
    assert kept[-1]["message"] == "pack: done"
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"took        [\d,.]+ s", lines[-4])
    assert lines[-3].startswith(f"next        icp report {tmp_path / 'run'} ")
    again = CliRunner().invoke(main, ["run", "-c", str(config_file), "--workers", "1"])
    assert "nothing to do: all 5 steps are done" in again.stderr
    assert "nothing to do: all 4 steps are done" in again.stderr


def test_an_error_is_told_as_json_too(config_file, tmp_path):
    arguments = ["run", "-c", str(config_file), "--workers", "1", "--log-json", "--set", "corpus.text=nothing"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 3
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["level"], last["error"]) == ("error", "exit code 3")
    kept = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[-1])
    assert kept["level"] == "error"
    assert "nothing" in kept["message"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (900, "15 min"), (7500, "2 h 05 min")]
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text


STATE = {
    "steps": ["documents", "dedup", "embeddings", "neighbors", "graph", "tokens", "order", "windows", "shards"],
    "step": "neighbors", "phase": "search", "done": 12, "total": 40, "began": 0.0, "left": lambda: 83.0, "docs": 10**6,
}  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_panel_is_three_lines_however_wide_the_terminal(width):
    console = Console(width=width, height=24, force_terminal=True, color_system=None)
    panel = Panel(console)
    panel.show({**STATE, "began": time.monotonic() - 10})
    with console.capture() as captured:
        console.print(panel)
    lines = captured.get().splitlines()
    assert len(lines) == 3
    assert all(len(line) <= width for line in lines)
    if width >= 80:
        assert lines[0].startswith("step 4 of 9: neighbors ")
        assert lines[0].endswith("gone, about 1:23 left")
        assert "search" in lines[1]
        assert "12 of 40 parts" in lines[1]
        assert " documents/s" in lines[1]
        assert lines[2].strip() == "then graph, tokens, order, windows, shards"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here: apt-get install tmux, as `make test` does")
def test_a_terminal_of_80_by_24_shows_the_phase_and_the_time_left_in_every_step(tmp_path):
    rows = [{"id": str(n), "text": f"{n} " + " ".join(f"w{n * k % 97}" for k in range(200))} for n in range(600)]
    corpus = {"input": str(write_jsonl(tmp_path / "rows.jsonl", rows))}
    (tmp_path / "c.yaml").write_text(dump_config(tiny_config(tmp_path, corpus=corpus, pack={"seq_len": 512})))
    command = f"{sys.executable} -m icp.cli run -c {tmp_path}/c.yaml --workers 1; echo over > {tmp_path}/over; sleep 60"
    tmux = ["tmux", "-L", f"icp{time.monotonic_ns()}"]
    subprocess.run([*tmux, "new-session", "-d", "-x", "80", "-y", "24", command], check=True)
    panes = set()
    try:
        deadline = time.monotonic() + 300
        while not (tmp_path / "over").exists() and time.monotonic() < deadline:
            panes.add(subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False).stdout)
            time.sleep(0.05)
        last = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    assert (tmp_path / "over").exists(), last
    working = [pane for pane in panes if re.search(r"step \d of 9: ", pane)]
    steps = set(re.findall(r"step \d of 9: (\w+)", " ".join(working)))
    assert len(steps & set(STATE["steps"])) >= 6, sorted(steps)  # the shortest take less than two looks
    for pane in working:
        lines = pane.rstrip().splitlines()
        at = next(at for at, line in enumerate(lines) if re.match(r"step \d of 9: ", line))
        assert len(lines) - at <= 4, pane  # nothing pushes them out of sight
        assert re.search(r"\d+:\d\d gone, about \d+:\d\d left$", lines[at]), pane
    assert "took" in last
