"""How large the record batches of an Arrow file become once they are unpacked, told before any of them is.

In: an open file or stream. A few bytes of it are read: the heads of its messages, and the lengths that stand before
packed buffers. The tables are those of `Message.fbs` and `File.fbs` in Arrow's format, version 5.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from icp.errors import InputError

MOST = 512 << 20
"""Bytes that a packed record batch may unpack to, and all dictionaries together; or `MOST_TIMES` what is stored."""
MOST_TIMES = 20
_DICTIONARY, _BATCH = 2, 3
_LONGEST_HEAD = 64 << 20


@dataclass(frozen=True, slots=True)
class _Table:
    """A flatbuffers table: some bytes, and where in them the table begins."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, *struct.unpack_from("<I", data))

    def _place(self, slot: int) -> int:
        """Where the value of a slot stands, 0 if it is left out."""
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        (size,) = struct.unpack_from("<H", self.data, vtable)
        if 4 + 2 * slot >= size:
            return 0
        (offset,) = struct.unpack_from("<H", self.data, vtable + 4 + 2 * slot)
        return self.at + offset if offset else 0

    def value(self, slot: int, form: str) -> int:
        place = self._place(slot)
        return int(struct.unpack_from(form, self.data, place)[0]) if place else 0

    def table(self, slot: int) -> "_Table | None":
        place = self._place(slot)
        return _Table(self.data, place + struct.unpack_from("<I", self.data, place)[0]) if place else None

    def structs(self, slot: int, form: str) -> list[tuple[int, ...]]:
        place = self._place(slot)
        if not place:
            return []
        first = place + struct.unpack_from("<I", self.data, place)[0]
        (n,) = struct.unpack_from("<I", self.data, first)
        size = struct.calcsize(form)
        return list(struct.iter_unpack(form, self.data[first + 4 : first + 4 + n * size]))


def check_unpacked(path: str, source: Any, *, is_file: bool) -> None:
    """Raise InputError if a record batch, or all dictionaries together, unpack to more than may be.

    Args:
        source: the open file, at its beginning; it is left anywhere.
        is_file: whether it is of the file format, whose last bytes say where its messages stand.

    Raises: EOFError for a file that is cut short or damaged.
    """
    stored = unpacked = 0
    for number, (kind, n_bytes, size) in enumerate(_sizes(source, is_file)):
        if kind == _DICTIONARY:
            stored, unpacked = stored + n_bytes, unpacked + size
        largest = max(size if kind == _BATCH else 0, unpacked)
        if largest > max(MOST, MOST_TIMES * (n_bytes if kind == _BATCH else stored)):
            raise InputError(
                f"{path}: message {number} unpacks to {largest:,} bytes, {MOST:,} may be, or {MOST_TIMES} times what "
                "is stored; write it in smaller record batches, or as Parquet"
            )


def _sizes(source: Any, is_file: bool) -> Iterator[tuple[int, int, int]]:
    """Kind of each message, bytes of its body, and bytes that these unpack to."""
    try:
        yield from _file_sizes(source) if is_file else _stream_sizes(source)
    except (struct.error, OverflowError):
        raise EOFError("a message without a sound head") from None


def _stream_sizes(source: Any) -> Iterator[tuple[int, int, int]]:
    at = 0
    while (found := _message_at(source, at)) is not None:
        message, body, n_bytes = found
        yield _size_of(source, message, body)
        at = body + n_bytes


def _file_sizes(source: Any) -> Iterator[tuple[int, int, int]]:
    end = source.size()
    source.seek(max(0, end - 10))
    (n_bytes,) = struct.unpack("<i", source.read(10)[:4])
    if not 0 < n_bytes <= min(end, _LONGEST_HEAD):
        raise EOFError("no sound footer")
    source.seek(max(0, end - 10 - n_bytes))
    footer = _Table.root(source.read(n_bytes))
    for slot in (2, 3):  # dictionaries, record batches
        for offset, _, _ in footer.structs(slot, "<qi4xq"):
            found = _message_at(source, offset)
            if found is None:
                raise EOFError("a record batch is missing")
            yield _size_of(source, *found[:2])


def _message_at(source: Any, at: int) -> tuple[_Table, int, int] | None:
    """A message, where its body begins and how long that is; None at the end."""
    source.seek(at)
    mark, n_bytes = struct.unpack("<Ii", source.read(8).ljust(8, b"\0"))
    start = at + 8
    if mark != 0xFFFFFFFF:  # before 2019 no mark stood there
        n_bytes, start = mark, at + 4
    if n_bytes == 0:
        return None
    if not 0 < n_bytes <= _LONGEST_HEAD:
        raise EOFError(f"a message with a head of {n_bytes:,} bytes")
    source.seek(start)
    message = _Table.root(source.read(n_bytes))
    n_body = message.value(3, "<q")
    if n_body < 0:
        raise EOFError(f"a message of {n_body:,} bytes")
    return message, start + n_bytes, n_body


def _size_of(source: Any, message: _Table, body: int) -> tuple[int, int, int]:
    kind, header, n_bytes = message.value(1, "<B"), message.table(2), message.value(3, "<q")
    batch = header.table(1) if header is not None and kind == _DICTIONARY else header
    if batch is None or kind not in (_DICTIONARY, _BATCH) or batch.table(3) is None:
        return kind, n_bytes, n_bytes
    size = 0
    for offset, length in batch.structs(2, "<qq"):
        if length >= 8:
            source.seek(body + offset)
            (unpacked,) = struct.unpack("<q", source.read(8))
            size += length if unpacked < 0 else unpacked
    return kind, n_bytes, size
