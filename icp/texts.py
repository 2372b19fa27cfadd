"""Texts as bytes: one buffer and its bounds from strings or Arrow, and the table that says what a word is.

*Word*: a maximal run of ``\\w`` of the lower-cased text; a character of `OWN_WORDS` is a word by itself. Both ``\\w``
and lower case are Python's own (``re``, ``str.lower``: U+0130 and the final sigma included), read from the running
interpreter, so `WORDS_VERSION` names its Unicode version. Combining marks are not ``\\w``: they end a word.
"""

import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from icp.errors import InputError

# Characters that are one word each, as far as they are \w: Thai; CJK marks, hiragana and katakana; their extensions;
# Han; compatibility Han; half-width katakana; kana supplements; Han of planes 2 and 3. Hangul forms runs.
OWN_WORDS = (
    (0x0E00, 0x0E7F),
    (0x3000, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x3FFFF),
)
WORDS_VERSION = f"words-1/unicode-{unicodedata.unidata_version}"

BLOCK_BYTES = 1 << 24
"""Bytes of text that go through a kernel at once (a longer text: its own); words and pieces take several times that."""

BREAK_BEFORE, BREAK_AFTER, CASED, CASE_IGNORABLE = (np.uint32(1 << bit) for bit in (31, 30, 29, 28))
_DOTTED_I = 0x130  # the only character whose lower case is several: i and a combining dot, which is not \w


@dataclass(frozen=True, slots=True)
class Texts:
    """UTF-8 texts one after another.

    Attributes:
        data: (bytes,) uint8, valid UTF-8, read-only: it may share memory with what it was made from.
        offsets: (n + 1,) int64, text ``i`` is ``data[offsets[i]:offsets[i + 1]]``; first 0, last ``data.size``.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        # one kind of array for the compiled kernels, wherever the bytes come from
        data = self.data.view()
        data.flags.writeable = False
        object.__setattr__(self, "data", data)

    @property
    def n_docs(self) -> int:
        """Number of texts."""
        return int(self.offsets.size - 1)

    def part(self, first: int, last: int) -> "Texts":
        """Texts `first` to `last`, the latter excluded; no copy of the bytes."""
        offsets = self.offsets[first : last + 1]
        return Texts(self.data[offsets[0] : offsets[-1]], offsets - offsets[0])

    def strings(self) -> list[str]:
        """The texts as Python strings."""
        data = self.data.tobytes()
        return [data[start:stop].decode() for start, stop in pairwise(self.offsets.tolist())]


def text_buffers(texts: Sequence[str] | Any) -> Texts:
    """The UTF-8 bytes of `texts`: a sequence of str, or a pyarrow string Array or ChunkedArray (sliced or not).

    Raises: InputError naming the row of a null, of anything that is not a str, or of a lone surrogate.
    Cost: no copy of an Arrow text column of one chunk; one copy otherwise.
    """
    if isinstance(texts, str | bytes):
        raise InputError(f"texts is one {type(texts).__name__}; pass a sequence of str, e.g. [text]")
    if isinstance(texts, pa.ChunkedArray):
        chunks = [_arrow_buffers(chunk, row) for chunk, row in zip(texts.chunks, _first_rows(texts), strict=True)]
        return _joined(chunks)
    if isinstance(texts, pa.Array):
        return _arrow_buffers(texts, 0)
    if not hasattr(texts, "__iter__"):
        raise InputError(f"texts is {type(texts).__name__}; pass a sequence of str")
    encoded = [_encode(text, row) for row, text in enumerate(texts)]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return Texts(np.frombuffer(b"".join(encoded), np.uint8), offsets)


def text_blocks(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Bounds of consecutive texts of at most `BLOCK_BYTES` together, at least one text each."""
    bounds, first, n_docs = [], 0, offsets.size - 1
    while first < n_docs:
        last = int(np.searchsorted(offsets, offsets[first] + BLOCK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), n_docs)
        bounds.append((first, last))
        first = last
    return bounds


@lru_cache(maxsize=1)
def word_table() -> NDArray[np.uint32]:
    """(0x110000,) uint32: what each code point becomes in a word; about 30 ms, made once a process; read-only.

    Bits 0..20: the lower-cased code point, 0 for a separator. `BREAK_BEFORE`, `BREAK_AFTER`: no word reaches across
    that side. `CASED` and `CASE_IGNORABLE`: what the final sigma rule of ``str.lower`` sees (ignorable goes first).
    """
    alphabet = np.arange(sys.maxunicode + 1, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    lowered = alphabet.replace(chr(_DOTTED_I), "i").lower()
    table = np.frombuffer(lowered.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32)
    is_word = np.zeros(table.size, np.bool_)
    for run in re.finditer(r"\w+", lowered):
        is_word[run.start() : run.end()] = True
    table[~is_word] = 0
    for first, last in OWN_WORDS:
        table[first : last + 1][is_word[first : last + 1]] |= BREAK_BEFORE | BREAK_AFTER
    table[_DOTTED_I] |= BREAK_AFTER
    _mark_case(table)
    table.flags.writeable = False
    return table


def _mark_case(table: NDArray[np.uint32]) -> None:
    """Add `CASED` and `CASE_IGNORABLE`, found by asking ``str.lower`` where it writes a final sigma."""
    cased_planes = [*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE1000)]  # none elsewhere
    codes = np.array(cased_planes, "<u4")
    lines = np.full((codes.size, 7), ord(" "), "<u4")  # " xΣ axΣ" for every x
    lines[:, 1] = lines[:, 5] = codes
    lines[:, 2] = lines[:, 6] = 0x3A3
    lines[:, 4] = ord("a")
    lines[codes == _DOTTED_I] = ord(" ")  # its lower case would shift what follows
    answer = np.frombuffer(lines.tobytes().decode("utf-32-le").lower().encode("utf-32-le"), "<u4").reshape(-1, 7)
    is_cased, is_either = answer[:, 2] == 0x3C2, answer[:, 6] == 0x3C2
    is_cased[codes == _DOTTED_I] = True
    table[codes[is_cased]] |= CASED
    table[codes[is_either & ~is_cased]] |= CASE_IGNORABLE


def _encode(text: Any, row: int) -> bytes:
    if not isinstance(text, str):
        raise InputError(f"texts: row {row} is {type(text).__name__}, expected str; drop or convert it first")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"texts: row {row} holds a lone surrogate (U+{ord(text[error.start]):04X}) at character {error.start}, "
            "which is not text; drop the row or replace the character"
        ) from None


def _arrow_buffers(array: Any, first_row: int) -> Texts:
    is_large = pa.types.is_large_string(array.type)
    if not is_large and not pa.types.is_string(array.type):
        raise InputError(f"texts is an Arrow array of {array.type}, expected string or large_string; cast it first")
    if array.null_count:
        row = first_row + int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise InputError(f"texts: row {row} is null, expected text; drop it or fill it first")
    if len(array) == 0:
        return _joined([])
    _, bounds, data = array.buffers()
    dtype = np.int64 if is_large else np.int32
    offsets = np.frombuffer(bounds, dtype)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    raw = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return Texts(raw[offsets[0] : offsets[-1]], offsets - offsets[0])


def _first_rows(texts: Any) -> list[int]:
    rows = [0]
    for chunk in texts.chunks[:-1]:
        rows.append(rows[-1] + len(chunk))
    return rows[: texts.num_chunks]


def _joined(chunks: list[Texts]) -> Texts:
    if len(chunks) == 1:
        return chunks[0]
    data = np.concatenate([np.zeros(0, np.uint8), *(chunk.data for chunk in chunks)])
    lengths = np.concatenate([np.zeros(1, np.int64), *(np.diff(chunk.offsets) for chunk in chunks)])
    return Texts(data, np.cumsum(lengths))
