import json
import logging
import os
import pty
import sys
import termios

import pytest
from click.testing import CliRunner
from tiny import make_run, tiny_config, write_jsonl

from icp.cli import inspecting, main
from icp.cli.progress import JsonLines
from icp.cli.terminal import Lines, escaped, shown
from icp.warm import tiny_rows

HOSTILE = "\x1b[2J\x1b]52;c;cm0gLXJm\x07"
FORGED = "a\nlock        free\u2028\u202efdp.exe\x9b31m"


def test_what_a_terminal_obeys_is_shown_as_escapes():
    assert escaped("a\x1b[2J\x07\n\r\tb") == "a\\x1b[2J\\x07\\n\\r\\tb"
    assert escaped("\x9b\u202e\u2066\u200f\u2028") == "\\x9b\\u202e\\u2066\\u200f\\u2028"
    assert escaped("\ud800") == "\\ud800"


@pytest.mark.parametrize("text", ["plain text", "Grüße, 你好, שלום", "👩\u200d💻", "C:\\x1b"])
def test_other_text_stays_as_it_is(text):
    assert escaped(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("s3://me:pa/ss@bucket/x: gone", "s3://***@bucket/x: gone"),
        ("https://h/f?token=abc&x=1 is", "https://h/f?token=***&x=1 is"),
        ("https://h/f?x=1&X-Amz-Credential=AK%2F1&X-Amz-Signature=ab", None),
        ("https://h/f?sv=1&sig=ab'", "https://h/f?sv=1&sig=***'"),
        ("https://h:8080/f?page=2", "https://h:8080/f?page=2"),
        ("s3://me:p@ss@bucket/x", "s3://***@bucket/x"),
        ("https://ghp_abc@host/x: 404", "https://***@host/x: 404"),
        ("https://host/@scope/x", "https://host/@scope/x"),
        ("https://h/f#access_token=abc", "https://h/f#access_token=***"),
        ("https://h/f?X%2DAmz%2DSignature=ab&a=1", "https://h/f?X%2DAmz%2DSignature=***&a=1"),
        ("https://h/f?api%5Fkey=ab", "https://h/f?api%5Fkey=***"),
        ("https://h/f?auth=ab&author=x", "https://h/f?auth=***&author=x"),
        ("https://h/f?__token__=ab&SIG=cd", "https://h/f?__token__=***&SIG=***"),
    ],
)
def test_secrets_of_urls_are_stars(text, wanted):
    found = shown(text)
    assert found == (wanted or "https://h/f?x=1&X-Amz-Credential=***&X-Amz-Signature=***")


def test_log_lines_are_escaped_and_without_secrets():
    record = logging.LogRecord("icp", logging.WARNING, "", 0, "%s", (f"{HOSTILE} https://h/f?token=abc\nforged",), None)
    assert Lines("%(message)s").format(record) == "\\x1b[2J\\x1b]52;c;cm0gLXJm\\x07 https://h/f?token=***\\nforged"
    line = JsonLines().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"].endswith("token=***\nforged")


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory):
    """A run whose ids, sources and texts hold what a terminal obeys."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [
        {"id": f"{FORGED}{number}", "source": HOSTILE, "text": f"{HOSTILE} {FORGED} {row['text']}"}
        for number, row in enumerate(tiny_rows())
    ]
    write_jsonl(folder / "tiny.jsonl", rows)
    return make_run(tiny_config(folder))


@pytest.mark.parametrize(
    "arguments",
    [("inspect", "--window", "0"), ("inspect", "--doc", "1"), ("inspect", "--doc", "nobody"), ("status",), ("verify",)],
)
def test_no_command_sends_on_what_a_terminal_obeys(hostile_run, arguments):
    (hostile_run / ".lock").write_text(json.dumps({"host": HOSTILE, "pid": 1, "command": FORGED}))
    result = CliRunner().invoke(main, [arguments[0], str(hostile_run), *arguments[1:]])
    lines = result.output.split("\n")
    assert all(line == escaped(line) for line in lines), lines
    assert sum(line.startswith("lock ") for line in lines) == (arguments == ("status",))


@pytest.mark.parametrize("secret", ["token=abc123", "X-Amz-Signature=abc123", "sig=abc123", "api_key=abc123"])
def test_signed_links_are_refused_without_being_told(tmp_path, secret):
    config = tmp_path / "c.yaml"
    config.write_text(f"run: {tmp_path}/run\ncorpus: {{input: ['https://host/file.jsonl?x=1&{secret}']}}\n")
    result = CliRunner().invoke(main, ["run", "-c", str(config)])
    assert result.exit_code == 2
    assert "corpus.input is a signed or secret link" in result.output
    assert "abc123" not in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("height", "is_paged"), [(0, False), (10, True)])
def test_a_terminal_without_a_height_is_not_paged(monkeypatch, height, is_paged):
    """A program's, which would wait for the pager while that waits for a key."""
    paged, (master, slave) = [], pty.openpty()
    termios.tcsetwinsize(slave, (height, 80 if height else 0))
    monkeypatch.setattr(inspecting.click, "echo_via_pager", paged.append)
    with os.fdopen(slave, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(sys, "__stdout__", terminal)
        inspecting._page((f"line {number}" for number in range(50)), paged=True)
    os.close(master)
    assert len(paged) == is_paged
