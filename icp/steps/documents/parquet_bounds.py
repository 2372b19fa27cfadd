"""How large the pages of a Parquet file become once they are unpacked, told before any of them is.

A page is unpacked whole, and may hold a column of a row group: some libraries write no smaller ones. In: the open file
and its metadata. The heads of pages are read, structs of Thrift's compact protocol (`parquet.thrift`, `PageHeader`).
"""

from typing import Any

from icp.errors import InputError
from icp.steps.documents.arrow_bounds import MOST, MOST_TIMES

_HEADS = (1 << 12, 1 << 16, 1 << 24)
"""Bytes read for a head: it may hold the least and greatest values of its page."""
_DEEPEST = 16
_I32, _BINARY, _LISTS, _MAP, _STRUCT = 5, 8, (9, 10), 11, 12
_FIXED = {1: 0, 2: 0, 3: 1, 7: 8}
"""Types of values of a fixed size: true, false, byte, double."""


def check_pages(path: str, source: Any, chunk: Any) -> None:
    """Raise InputError if a page of a column of a row group unpacks to more than may be.

    Args:
        source: the open file; it is left anywhere.
        chunk: the metadata of that column.

    Raises: EOFError for a file that is cut short or damaged.
    """
    if chunk.total_uncompressed_size <= MOST:
        return
    at = min(offset for offset in (chunk.dictionary_page_offset, chunk.data_page_offset) if offset)
    end = at + chunk.total_compressed_size
    while at < end:
        unpacked, stored, n_bytes = _page_at(source, at)
        if unpacked > max(MOST, MOST_TIMES * stored):
            raise InputError(
                f"{path}: a page of the field {chunk.path_in_schema!r} unpacks to {unpacked:,} bytes, {MOST:,} may be, "
                f"or {MOST_TIMES} times what is stored; write it in smaller pages or row groups"
            )
        at += n_bytes + stored


def _page_at(source: Any, at: int) -> tuple[int, int, int]:
    """Bytes of a page unpacked and stored, and of the head before it."""
    for n_bytes in _HEADS:
        source.seek(at)
        head = _Head(source.read(n_bytes))
        try:
            fields = head.struct(0)
            unpacked, stored = fields[2], fields[3]
        except IndexError:
            continue
        except KeyError:
            break
        if unpacked < 0 or stored < 0:
            break
        return unpacked, stored, head.at
    raise EOFError("a page without a sound head")


class _Head:
    """Reads a struct of the compact protocol; IndexError where the bytes end."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def struct(self, depth: int) -> dict[int, int]:
        """The 32-bit integers of a struct by the number of their field."""
        if depth > _DEEPEST:
            raise EOFError("a head nested too deep")
        found: dict[int, int] = {}
        number = 0
        while (byte := self._byte()) != 0:
            kind, step = byte & 15, byte >> 4
            number = number + step if step else self._zigzag()
            if kind == _I32:
                found[number] = self._zigzag()
            else:
                self._skip(kind, depth)
        return found

    def _skip(self, kind: int, depth: int) -> None:
        if kind in _FIXED:
            self._go_on(_FIXED[kind])
        elif kind == _BINARY:
            self._go_on(self._varint())
        elif kind == _STRUCT:
            self.struct(depth + 1)
        elif kind in _LISTS:
            byte = self._byte()
            n_items = byte >> 4 if byte >> 4 < 15 else self._varint()
            self._skip_all([byte & 15], n_items, depth)
        elif kind == _MAP:
            n_items = self._varint()
            kinds = self._byte() if n_items else 0
            self._skip_all([kinds >> 4, kinds & 15], n_items, depth)
        else:  # integers of any size
            self._varint()

    def _skip_all(self, kinds: list[int], n_items: int, depth: int) -> None:
        if depth > _DEEPEST:
            raise EOFError("a head nested too deep")
        for _ in range(n_items):
            for kind in kinds:
                if kind in (1, 2):  # in lists, a truth takes a byte
                    self._byte()
                else:
                    self._skip(kind, depth + 1)

    def _go_on(self, n_bytes: int) -> None:
        self.at += n_bytes
        if self.at > len(self._data):
            raise IndexError

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise EOFError("a number without an end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
