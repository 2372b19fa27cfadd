"""gigatoken behind the same method as the reference, used where it is shown to give the same ids (`choice`).

In: UTF-8 texts in one buffer. Out: ids in one array, and where those of each text begin.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from itertools import pairwise
from typing import Any, Self

import numpy as np

from icp.failures import pass_on
from icp.kernels.text_gpt2 import texts_with
from icp.lean_imports import without
from icp.machine import resident_bytes
from icp.texts import Texts
from icp.tokenizer.characters import NEWER, character_kinds
from icp.tokenizer.definition import Definition
from icp.tokenizer.engines import Encoded, Reference, joined

ROWS, ROOM = 256, 1 << 20
"""Rows of a rectangle, and its bytes of text if all were as long as the longest."""


class Gigatoken:
    """gigatoken, which keeps what it made of every word it has seen, and is some thirty times as fast for it.

    It is made anew when this process has grown by `SPARE_BYTES` since the first of them was there: random letters take
    five bytes a byte. Texts with characters younger than Unicode 14, on which libraries differ, go to the reference,
    and so do texts that it fails on.

    Raises: NotImplementedError for what it is known to do otherwise; whatever it raises for a tokenizer it cannot read.
    """

    block_bytes = 1 << 22
    SPARE_BYTES = 96 << 20
    LEAST_BYTES = 8 << 20
    """An engine is used for so many bytes of text at least."""

    def __init__(self, definition: Definition) -> None:
        self.name = f"gigatoken {version('gigatoken')}"
        self._definition = definition
        if definition.normalizes and any(t.get("normalized") and not t["special"] for t in definition.added):
            raise NotImplementedError("it looks for added tokens in normalized text")
        self._inner = _load_gigatoken(definition.plain_json)
        self._first_bytes = resident_bytes()
        self._n_bytes = 0
        self.n_failures = 0

    @cached_property
    def reference(self) -> Reference:
        """What encodes the texts that this does not."""
        return Reference(self._definition)

    @cached_property
    def continuing(self) -> Self:
        """See `Engine.continuing`."""
        other = self._definition.continuing
        return self if other is self._definition else type(self)(other)

    def encode(self, texts: Texts) -> Encoded:
        """See `Engine.encode`."""
        self._renew_if_large(texts.data.size)
        newer = texts_with(texts.data, texts.offsets, character_kinds(), NEWER)
        edges = np.flatnonzero(np.diff(newer, prepend=not newer[:1].any(), append=not newer[-1:].any())).tolist()
        runs = [self._run(texts.part(first, last), newer=bool(newer[first])) for first, last in pairwise(edges)]
        lengths = [np.diff(offsets) for _, offsets in runs]
        return joined([ids for ids, _ in runs])[0], np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))

    def _run(self, texts: Texts, *, newer: bool) -> Encoded:
        if newer:
            return self.reference.encode(texts)
        try:
            return _encode_rows(self._inner, texts)
        except BaseException as error:  # noqa: BLE001 - panics of Rust are no Exceptions
            pass_on(error)
            self.n_failures += 1
            self._renew()  # who knows what it left behind
            return self.reference.encode(texts)

    def _renew_if_large(self, n_bytes: int) -> None:
        # where the system does not tell, text counts at its worst
        grown = resident_bytes() - self._first_bytes if self._first_bytes else 5 * self._n_bytes
        if self._n_bytes >= self.LEAST_BYTES and grown > self.SPARE_BYTES:
            self._renew()
        self._n_bytes += n_bytes

    def _renew(self) -> None:
        del self._inner  # first: there is no room for two
        self._inner = _load_gigatoken(self._definition.plain_json)
        self._n_bytes = 0


def _load_gigatoken(text: str) -> Any:
    from gigatoken.gigatoken_rs import load_hf_json

    return load_hf_json(text)


def _encode_rows(inner: Any, texts: Texts) -> Encoded:
    """Ids from rectangles of a row a text, which gigatoken fills faster than it makes arrays or lists of each."""
    from gigatoken.gigatoken_rs import PadTruncate

    data, offsets = texts.data.tobytes(), texts.offsets.tolist()
    parallel = os.environ.get("TOKENIZERS_PARALLELISM") == "true"
    blocks, sizes = [], [np.empty(0, dtype=np.int64)]
    for first, last in _rectangles(np.diff(texts.offsets).tolist()):
        rows = [data[start:stop] for start, stop in pairwise(offsets[first : last + 1])]
        with without("awkward"):  # it looks whether it is given arrays of that, which takes longer than a small corpus
            table, filled = inner.encode_batch_padded(rows, PadTruncate(0), parallel=parallel)
        blocks.append(table[np.arange(table.shape[1]) < filled[:, None]])
        sizes.append(filled)
    return joined(blocks)[0], np.cumsum(np.concatenate([np.zeros(1, np.int64), *sizes]))


def _rectangles(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Bounds of texts in a row of which none is so much longer than the others that most of a rectangle is empty."""
    first = longest = 0
    for place, length in enumerate(lengths):
        longest = max(longest, length)
        if place - first == ROWS or (place > first and (place - first + 1) * longest > ROOM):
            yield first, place
            first, longest = place, length
    if lengths:
        yield first, len(lengths)
