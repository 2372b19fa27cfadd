"""What a file is by its first bytes, where its name says otherwise; and its bytes unpacked, as its name says."""

import bz2
import gzip
import lzma
import re
from typing import Any

import pyarrow as pa

from icp.errors import InputError

_OPENERS: dict[tuple[str, ...], Any] = {
    # Arrow's takes the zeros after a padded member for damage
    (".gz", ".gzip", ".tgz"): lambda source: gzip.GzipFile(fileobj=source),
    (".bz2", ".tbz2"): bz2.BZ2File,
    (".xz", ".txz"): lzma.LZMAFile,
    (".zst", ".zstd", ".tzst"): lambda source: pa.CompressedInputStream(source, "zstd"),
}
_SAVE = "save it as UTF-8, e.g. iconv -f {0} -t UTF-8"
_MARKUP = "a web page or XML"
_UNPACK = "unpack it and name its files"
_KNOWN: tuple[tuple[bytes, str, str, tuple[str, ...]], ...] = (
    (rb"\x1f\x8b\x08", "gzip", "let its name end with .gz", (".gz", ".gzip", ".tgz")),
    (rb"\x28\xb5\x2f\xfd", "zstd", "let its name end with .zst", (".zst", ".zstd", ".tzst")),
    (rb"BZh[1-9]1AY&SY", "bzip2", "let its name end with .bz2", (".bz2", ".tbz2")),
    (rb"\xfd7zXZ\0", "xz", "let its name end with .xz", (".xz", ".txz")),
    (rb"\x04\x22\x4d\x18", "lz4", _UNPACK, ()),
    (rb"PK\x03\x04", "a zip archive", _UNPACK, ()),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK, ()),
    (rb"PAR1[\0-\x1f]", "Parquet", "let its name end with .parquet", (".parquet", ".parq", ".pq")),
    (rb"ARROW1\0\0", "Arrow", "let its name end with .arrow", (".arrow", ".feather", ".ipc")),
    (rb"SQLite format 3\0", "an SQLite database", "write its rows as JSON lines", ()),
    (rb"%PDF-", "PDF", "take its text out first", ()),
    (rb"version https://git-lfs\.github\.com", "a pointer of Git LFS", "run git lfs pull", ()),
    (rb"(?:\xff\xfe\0\0|\0\0\xfe\xff)", "UTF-32", _SAVE.format("UTF-32"), ()),
    (rb"(?:\xff\xfe|\xfe\xff|(?:[\x09-\x7e]\0){8}|(?:\0[\x09-\x7e]){8})", "UTF-16", _SAVE.format("UTF-16"), ()),
    (rb"(?i)\s*<(?:!doctype\s+html|html|\?xml)", _MARKUP, "fetch it again, or take its text out", ()),
)
_PATTERNS = [(re.compile(pattern), what, remedy, ends) for pattern, what, remedy, ends in _KNOWN]
MOST, MOST_TIMES = 4 << 30, 250
"""Bytes that a packed file may unpack to, or so many times what is stored; text is seldom packed to a thirtieth."""
HEAD = 64
"""So many bytes tell what a file is."""


def _plain_name(path: str) -> str:
    return (path.partition("?")[0] if "://" in path else path).lower()


def is_packed(path: str) -> bool:
    """Whether a file is packed, by the end of its name."""
    return any(_plain_name(path).endswith(ends) for ends in _OPENERS)


def unpacked(path: str, source: Any) -> Any:
    """The uncompressed bytes of an open file, to be read; by the end of its name."""
    opener = next((make for ends, make in _OPENERS.items() if _plain_name(path).endswith(ends)), None)
    return _Unpacking(path, opener(source), source) if opener else source


class _Unpacking:
    """The bytes of a packed file, as long as they are not out of all proportion to what is stored."""

    def __init__(self, path: str, stream: Any, source: Any) -> None:
        self._path, self._stream, self._source, self._n_bytes = path, stream, source, 0

    def read(self, n_bytes: int = -1) -> bytes:
        """The next bytes; raises InputError where there are too many."""
        data: bytes = self._stream.read(n_bytes)
        self._n_bytes += len(data)
        if self._n_bytes > MOST and self._n_bytes > MOST_TIMES * self._source.tell():
            raise InputError(
                f"{self._path}: unpacks to more than {MOST_TIMES} times its size, and to more than {MOST:,} bytes; "
                "leave it out (corpus.ignore)"
            )
        return data


def not_text(head: bytes) -> str | None:
    """What a file is instead of text, by its first bytes; None for text, marked up or not."""
    return next((what for pattern, what, _, _ in _PATTERNS if what != _MARKUP and pattern.match(head)), None)


def otherwise(path: str, head: bytes, *, inside: bool = False) -> str | None:
    """What a file is and what to do, where its first bytes are not those of what its name says; else None.

    Args:
        head: `HEAD` bytes of the file, or fewer.
        inside: they are those of the unpacked file.
    """
    for pattern, what, remedy, ends in _PATTERNS:
        if pattern.match(head):
            if not ends or not _plain_name(path).endswith(ends):
                return f"is {what}; {remedy}"
            return f"is {what} packed as {what}; unpack it once" if inside else None
    return None
