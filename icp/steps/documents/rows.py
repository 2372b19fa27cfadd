"""What passes from the readers of input files to the documents step: batches of rows, and what was found on the way."""

import lzma
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import xxhash

from icp.errors import InputError
from icp.run.storage.server import trouble_of
from icp.steps.documents.contents import HEAD, otherwise
from icp.steps.documents.stores import server_of

BLOCK = 4 << 20
"""Bytes read at once."""
LONGEST_LINE = 16 << 20
"""A line may have this many bytes, or 8 for each of `max_chars` if that is more."""
EXCERPT = 200
"""Characters of a refused row that are kept."""
REJECTED = pa.schema([("file", pa.string()), ("row", pa.int64()), ("reason", pa.string()), ("excerpt", pa.string())])
DOCUMENT = (
    pa.field("id", pa.string()),
    pa.field("text", pa.large_string()),
    pa.field("source", pa.string()),
    pa.field("file", pa.string()),
    pa.field("row", pa.int64()),
)
JSON_TEXT = {b"icp": b"json"}
"""Metadata of a kept column whose strings are JSON texts of values of any type."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive rows of a file.

    Attributes:
        documents: accepted rows: id string, text large_string, source string, file string, row int64, kept fields.
        rejected: refused rows, `REJECTED`.
    """

    documents: pa.Table
    rejected: pa.Table


@dataclass(slots=True)
class Findings:
    """What reading told about the fields of a file.

    Attributes:
        seen: configured fields that stand in at least one row or in the schema.
        names: field names of the first row, for messages.
        kinds: kept field -> kinds of the JSON values found: bool, int, float, string, json.
        left_out: id | source -> rows whose value was left out.
        excluded: ids of `corpus.exclude` that stood in rows.
        unread: suffix -> members of a tar that are not read.
    """

    seen: set[str] = field(default_factory=set)
    names: list[str] = field(default_factory=list)
    kinds: dict[str, set[str]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    excluded: set[str] = field(default_factory=set)
    unread: Counter[str] = field(default_factory=Counter)

    def leave_out(self, key: str, n: int = 1) -> None:
        """Count values of the default-named `key` that cannot serve."""
        self.left_out[key] = self.left_out.get(key, 0) + n


@dataclass(frozen=True, slots=True)
class Rules:
    """What a row must be, and where its values stand: names of fields, dotted paths too, as in `corpus`.

    `id` and `source` None: not looked for. `excluded` are ids never to be used; lengths are in characters.
    """

    text: str
    id: str | None
    source: str | None
    keep: tuple[str, ...]
    min_chars: int
    max_chars: int
    excluded: frozenset[str] = frozenset()

    def asked(self, key: str) -> bool:
        """Whether the field `id` or `source` has another name than the default: somebody asked for it."""
        return bool(getattr(self, key) != key)


def longest_line(rules: Rules) -> int:
    """Bytes that a line may have."""
    return max(LONGEST_LINE, 8 * rules.max_chars)


@contextmanager
def _reaching(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        trouble = trouble_of(error) if "://" in path else None
        if trouble is None or not trouble.passing:
            raise
        raise ConnectionError(f"{path}: {trouble.what}") from None


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn what can go wrong while a file is opened and read into an InputError that names it.

    Raises: ConnectionError for a server that fails for now, so that the part is tried again.
    """
    try:
        with _reaching(path):
            yield
    except ConnectionError:
        raise
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check corpus.input") from None
    except pa.ArrowNotImplementedError as error:
        raise InputError(f"{path}: cannot be read by this pyarrow ({error}); write it anew in a plainer form") from None
    except (OSError, EOFError, pa.ArrowInvalid, zlib.error, lzma.LZMAError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:EXCERPT]
        raise InputError(f"{path}: {fault_of(path, f'is cut short or damaged ({reason}); fetch it again')}") from None


def fault_of(path: str, found: str) -> str:
    """What is wrong with a file that cannot be read: that it is not what its name says, or what was found."""
    try:
        with open_source(path) as source:
            return otherwise(path, source.read(HEAD)) or found
    except Exception:  # noqa: BLE001 - the first failure is the one to tell
        return found


@contextmanager
def open_source(path: str) -> Iterator[Any]:
    """A local file or URL as an Arrow file."""
    if "://" not in path:
        with pa.OSFile(path) as file:
            yield file
        return
    with server_of(path).open(path) as stream:
        yield pa.PythonFile(stream, mode="r")


def document_keys(sources: Sequence[str | None], ids: Sequence[str]) -> list[bytes]:
    """16 bytes for each document: xxh3_128 of its source (nothing for none), a zero byte and its id, as UTF-8."""
    pairs = zip(sources, ids, strict=True)
    return [xxhash.xxh3_128_digest(f"{source or ''}\0{doc_id}".encode()) for source, doc_id in pairs]
