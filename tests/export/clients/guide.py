"""The code or flags that the README of an export gives under "Load", as a user would take them over."""

import re
from pathlib import Path


def text(folder):
    """The block under "Load"."""
    return re.search(r"## Load\n\n```\w+\n(.*?)```", (Path(folder) / "README.md").read_text(), re.DOTALL)[1]


def run(folder, **names):
    """What the code leaves, by name."""
    found = {"FOLDER": str(folder), **names}
    exec(text(folder), found)
    return found


def flags(folder):
    """Flags of a command line and what follows each."""
    words = text(folder).replace("\\\n", " ").split()
    starts = [at for at, word in enumerate(words) if word.startswith("--")]
    return {words[a]: words[a + 1 : b] for a, b in zip(starts, [*starts[1:], len(words)], strict=True)}
