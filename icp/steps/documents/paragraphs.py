"""Paragraphs: what a document is made of, which stand in many documents, and documents without those.

A paragraph is what stands between blank lines; of a text without blank lines, as web text often is, a line. Two are
equal if their words are: blanks do not count. Those of fewer than `SHORTEST` characters are never counted or left out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

SHORTEST = 20
"""Characters: a closing bracket or a heading says nothing of a document."""
COUNTS = np.dtype([("hash", "<u8"), ("docs", "<u4")])
"""A paragraph, and how many documents hold it."""
_N_HELD = 1 << 22
_BLANK_LINE = re.compile(r"(\n[ \t\r]*\n(?:[ \t\r]*\n)*)")
_LINE_END = re.compile(r"(\n)")


def split(text: str) -> list[str]:
    """The paragraphs of a text, and what stands between them: those with even numbers are paragraphs."""
    pieces = _BLANK_LINE.split(text)
    return pieces if len(pieces) > 1 else _LINE_END.split(text)


def normal(paragraph: str) -> str | None:
    """A paragraph as it is compared, None for one that is too short."""
    plain = " ".join(paragraph.split())
    return plain if len(plain) >= SHORTEST else None


def hashes(text: str) -> list[int | None]:
    """The hash of each paragraph of a text, None for one that is too short."""
    plain = (normal(piece) for piece in split(text)[::2])
    return [None if one is None else xxhash.xxh3_64_intdigest(one.encode()) for one in plain]


class ParagraphCount:
    """In how many documents of a task each paragraph stands."""

    def __init__(self) -> None:
        self._counts = np.zeros(0, COUNTS)
        self._new: list[int] = []

    def add(self, texts: pa.ChunkedArray) -> None:
        """Count the paragraphs of some documents, each once a document."""
        for text in texts:
            self._new += {value for value in hashes(text.as_py()) if value is not None}
            if len(self._new) > _N_HELD:
                self.counts()

    def counts(self) -> NDArray[np.void]:
        """(n,) `COUNTS`, by hash."""
        new = np.zeros(len(self._new), COUNTS)
        new["hash"], new["docs"], self._new = self._new, 1, []
        self._counts = merge_counts([self._counts, new])
        return self._counts


def merge_counts(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """Counts of several sets of documents as those of all, by hash."""
    together = np.concatenate([np.zeros(0, COUNTS), *parts])
    found, places = np.unique(together["hash"], return_inverse=True)
    merged = np.zeros(found.size, COUNTS)
    merged["hash"] = found
    merged["docs"] = np.bincount(places, weights=together["docs"], minlength=found.size).astype(np.uint32)
    return merged


def without_repeated(text: str, repeated: NDArray[np.uint64]) -> tuple[str, list[str]]:
    """A text without the paragraphs whose hash is in `repeated` (sorted), and those."""
    found = hashes(text)
    known = np.array([value or 0 for value in found], np.uint64)
    at = np.minimum(np.searchsorted(repeated, known), max(0, repeated.size - 1))
    is_out = (repeated[at] == known) & np.array([value is not None for value in found]) if repeated.size else known < 0
    if not is_out.any():
        return text, []
    pieces = split(text)
    gaps = [*pieces[1::2], ""]
    kept = [piece + gap for piece, gap, out in zip(pieces[::2], gaps, is_out, strict=True) if not out]
    return "".join(kept).lstrip("\r\n").rstrip(), [piece for piece, out in zip(pieces[::2], is_out, strict=True) if out]


def most_frequent(texts: Iterable[str], n_shown: int = 3) -> list[tuple[float, str]]:
    """The paragraphs that stand in most documents, in two at least: the share of documents, and the paragraph."""
    counts: Counter[str] = Counter()
    n_docs = 0
    for text in texts:
        counts.update({plain for piece in split(text)[::2] if (plain := normal(piece)) is not None})
        n_docs += 1
    ranked = sorted(((n, plain) for plain, n in counts.items() if n > 1), key=lambda row: (-row[0], row[1]))
    return [(n / n_docs, plain) for n, plain in ranked[:n_shown]]
