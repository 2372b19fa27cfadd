"""Where the strings of special tokens stand in texts.

In: UTF-8 texts in one buffer. Out: counts and places. Where two bytes cannot begin one, nothing is compared.
"""

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from icp.texts import Texts

FEW = 4
"""Bytes that are looked for one after another, as comparing is so much faster than looking up."""


class SpecialFinder:
    """Finds some strings, the longest of several at one place, without overlap."""

    def __init__(self, specials: Sequence[str]) -> None:
        longest_first = sorted((token.encode() for token in specials if token), key=lambda token: (-len(token), token))
        self._strings = longest_first
        self._first, self._second = np.zeros(256, dtype=np.bool_), np.zeros(256, dtype=np.bool_)
        self._first[[token[0] for token in longest_first]] = True
        self._second[[token[1] for token in longest_first if len(token) > 1]] = True
        if any(len(token) == 1 for token in longest_first):
            self._second[:] = True

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        # a thousand of them take a tenth of a second, and few texts hold what two of their bytes begin like
        return re.compile(b"|".join(map(re.escape, self._strings)) or rb"(?!)")

    def count(self, texts: Texts) -> int:
        """How many of the strings stand in some texts; none reaches from one text into the next."""
        data = texts.data
        begins = self._first_bytes(data)
        begins = begins[self._second[data[np.minimum(begins + 1, data.size - 1)]]]
        owners = np.searchsorted(texts.offsets, begins, side="right") - 1
        n_found = free_from = 0
        letters = memoryview(data)  # type: ignore[arg-type]  # an array is a buffer
        for begin, stop in zip(begins.tolist(), texts.offsets[owners + 1].tolist(), strict=True):
            match = self._pattern.match(letters, begin, stop) if begin >= free_from else None
            if match:
                n_found += 1
                free_from = match.end()
        return n_found

    def _first_bytes(self, data: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where bytes stand with which one of the strings begins, ascending."""
        firsts = np.flatnonzero(self._first)
        if firsts.size > FEW:
            return np.flatnonzero(self._first[data])
        return np.sort(np.concatenate([np.empty(0, np.int64), *(np.flatnonzero(data == byte) for byte in firsts)]))
