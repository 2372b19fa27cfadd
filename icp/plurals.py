"""Counts and lists as a person reads them: ``1 document``, ``2,000 documents``; ``a, b or c``."""

from collections.abc import Iterable


def counted(n: int, noun: str) -> str:
    """A number and its noun; `noun` in the singular, its plural ends in an s."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def either(names: Iterable[str]) -> str:
    """Names between which there is a choice."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
