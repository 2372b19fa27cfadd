"""Counts as a person reads them: ``1 document``, ``2,000 documents``."""


def counted(n: int, noun: str) -> str:
    """A number and its noun; `noun` in the singular, its plural ends in an s."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
