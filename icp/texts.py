"""Texts as bytes: one buffer and its bounds from strings or Arrow."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from icp.errors import InputError

BLOCK_BYTES = 1 << 24
"""Bytes of text that go through a kernel at once (a longer text: its own); words and pieces take several times that."""

_AROUND = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\xad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_WHOLE = re.compile(r"-?[0-9]+\.0+")


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

    def take(self, rows: NDArray[np.int64]) -> "Texts":
        """Some of the texts, in the order of `rows`, their bytes copied."""
        starts, stops = self.offsets[rows], self.offsets[rows + 1]
        bounds = zip(starts.tolist(), stops.tolist(), strict=True)
        pieces = [np.zeros(0, np.uint8), *(self.data[start:stop] for start, stop in bounds)]
        return Texts(np.concatenate(pieces), np.concatenate([[0], np.cumsum(stops - starts)]))

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


def cleaned_id(line: str) -> str:
    """The id on a line of a list: without byte order mark, blanks around, quotes around and a comma behind, as tables
    and lists of JSON write them."""
    value = line.strip(_AROUND)
    if value.endswith(('",', "',")):
        value = value[:-1]
    if len(value) > 1 and value[0] == value[-1] == '"':
        return next(csv.reader(io.StringIO(value)))[0]
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == "'" else value


def key_of(doc_id: str) -> str:
    """An id as it is compared with those that are never to be used: in form NFC, without blanks and invisible
    characters around, and ``3.0`` as ``3``, since a column of integers with a gap is written so."""
    value = unicodedata.normalize("NFC", doc_id).strip(_AROUND)
    return value.partition(".")[0] if _WHOLE.fullmatch(value) else value


def url_key(url: str) -> str:
    """A URL as it is compared with those to be removed: without scheme, fragment, slash at the end, its host in lower
    case, so that a page is one whether it was fetched by http or https."""
    rest = _SCHEME.sub("", key_of(url).partition("#")[0])
    host, slash, path = rest.partition("/")
    return f"{host.lower().removesuffix(':443').removesuffix(':80')}{slash}{path}".rstrip("/")


def id_hashes(ids: Iterable[Any]) -> NDArray[np.uint64]:
    """A hash of every id, written as text: (n,) uint64."""
    return np.fromiter((xxhash.xxh3_64_intdigest(str(one).encode()) for one in ids), np.uint64)


def packed_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, packed with gzip, zstd or bz2 as its name says, or not; raises OSError or ArrowException."""
    rest = b""
    with pa.input_stream(str(path), compression="detect") as stream:
        while block := stream.read(BLOCK_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
    yield rest
