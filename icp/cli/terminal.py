"""What a command says, made safe: nothing that a terminal would obey, and no secret of a URL.

In: any text, with ids, sources, texts and file names that others wrote. Out: one line that shows what is in it.
"""

import logging
import sys
import unicodedata
from typing import Any

import click

from icp.config.addresses import without_secrets

ESCAPED = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories that are shown as escapes: control characters, halves of characters, ends of lines."""
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of a text, by which one thing looks like another."""


def say(line: object, *, err: bool = False) -> None:
    """Print a line to stdout or stderr."""
    click.echo(shown(str(line)), err=err)


def shown(text: str) -> str:
    """One line for the user: files of a run on a server by their URL, no secrets, nothing a terminal would obey."""
    storage = sys.modules.get("icp.run.storage")
    return escaped(without_secrets(str(storage.shown(text)) if storage is not None else text))


def escaped(text: str) -> str:
    """The text with control characters, ends of lines and marks of direction as ``\\x1b``, ``\\n``, ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    if character in BIDI or unicodedata.category(character) in ESCAPED:
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


class Lines(logging.Formatter):
    """A record as one line; a traceback, which only ``--verbose`` asks for, keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        text = super().format(record)
        lines = text.split("\n") if record.levelno <= logging.DEBUG or record.exc_info else [text]
        return "\n".join(shown(line) for line in lines)


def message_of(record: logging.LogRecord) -> Any:
    """The message of a record without secrets; JSON escapes the rest."""
    return without_secrets(record.getMessage())
