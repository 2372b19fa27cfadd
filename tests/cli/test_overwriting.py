"""Files that commands write: their own are replaced, others refused before any work is done, unless forced."""

import os
import threading

import pytest
from click.testing import CliRunner

from icp.cli import main

COMMANDS = {
    "report": (["report"], "--out", "page.html"),
    "rows": (["inspect", "--sample", "2"], "--out", "windows.jsonl"),
    "table": (["inspect", "--sample", "2"], "--out", "windows.csv"),
    "probe": (["probe", "--sample-mib", "0.01"], "--json", "probe.json"),
}


def call(name, run, folder, *more):
    (command, *options), option, file = COMMANDS[name]
    return CliRunner().invoke(main, [command, str(run), *options, option, str(folder / file), *more])


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_file_of_the_user_stays_unless_forced(name, tiny_run, tmp_path):
    _, option, file = COMMANDS[name]
    target = tmp_path / file
    target.write_text("thesis")
    done = call(name, tiny_run, tmp_path)
    assert done.exit_code == 2, done.output
    assert f"{option} {target}: is there already and was not written by this command" in str(done.output + done.stderr)
    assert target.read_text() == "thesis"
    done = call(name, tiny_run, tmp_path, "--force")
    assert done.exit_code == 0, done.output
    assert target.read_text() != "thesis"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_what_the_command_wrote_is_replaced_and_an_empty_file_is_filled(name, tiny_run, tmp_path):
    target = tmp_path / COMMANDS[name][2]
    target.touch()
    for _ in range(2):
        done = call(name, tiny_run, tmp_path)
        assert done.exit_code == 0, done.output
        assert target.stat().st_size > 100


def test_a_file_of_another_command_is_refused(tiny_run, tmp_path):
    assert call("probe", tiny_run, tmp_path).exit_code == 0
    (tmp_path / "probe.json").rename(tmp_path / "page.html")
    before = (tmp_path / "page.html").read_bytes()
    assert call("report", tiny_run, tmp_path).exit_code == 2
    assert (tmp_path / "page.html").read_bytes() == before


def test_a_link_is_judged_by_what_it_leads_to(tiny_run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "page.html").symlink_to(tmp_path / "notes.txt")
    assert call("report", tiny_run, tmp_path).exit_code == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_pipe_is_written_to(tiny_run, tmp_path):
    os.mkfifo(tmp_path / "windows.jsonl")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "windows.jsonl").read_text()))
    reader.start()
    done = call("rows", tiny_run, tmp_path)
    reader.join(30)
    assert done.exit_code == 0, done.output
    assert found[0].count("\n") == 2
