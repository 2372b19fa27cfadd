"""What is wrong is said in one way: messages end without a full stop, so that they fit into one another."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for folder in ("icp", "kernels", "jobs") for path in (ROOT / folder).rglob("*.py"))


def end_of(node):
    """The last letters of a literal, "" where a value stands there."""
    if isinstance(node, ast.JoinedStr) and node.values:
        return end_of(node.values[-1])
    if isinstance(node, ast.BinOp):
        return end_of(node.right)
    return node.value.rstrip()[-3:] if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def messages(tree):
    """Calls of errors and of what logs, and how what they are given ends."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name.endswith(("Error", "BrokenPromise", "Refused", "Interrupted")) or name in (
                "warning",
                "info",
                "say",
            ):
                yield from ((node.lineno, end_of(value)) for value in node.args[:2])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_messages_end_without_a_full_stop(path):
    found = messages(ast.parse(path.read_text(encoding="utf-8")))
    assert [line for line, end in found if end.endswith((".", "!", ":", ";", ",")) and not end.endswith("...")] == []
