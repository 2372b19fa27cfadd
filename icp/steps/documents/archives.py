"""The documents of archives: WARC and WET files, and webdataset tars.

In: one file, which may be compressed. Out: `Batch` after `Batch`; at most the text of one document more than `BLOCK`.
"""

import json
import tarfile
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from icp.errors import InputError
from icp.steps.documents.contents import unpacked
from icp.steps.documents.jsonl_and_text import ROWS
from icp.steps.documents.kinds import is_hidden, listed, suffix_of
from icp.steps.documents.row_values import Refused, RowBuffer, check_excluded, check_writable, document_of
from icp.steps.documents.rows import BLOCK, Batch, Findings, Rules, fault_of, longest_line, open_source, reading

_TEXTS = ("conversion", "resource", "response")
"""Types of WARC records that may be documents; the others describe the crawl."""
_LONGEST_HEADER = 1 << 20
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def read_warc(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The texts of a WARC or WET file; row numbers count records of `_TEXTS` from 0.

    A row has the fields ``text``, ``id`` (``WARC-Record-ID``), ``url``, ``host``, and all headers by their names.
    Records of other content than ``text/plain``, as web pages are, are refused.
    Raises: InputError for a file that is cut short or damaged.
    """
    buffer = RowBuffer(rules.keep)
    row, is_empty = 0, True
    with reading(path), open_source(path) as source:
        stream = unpacked(path, source)
        try:
            for record in ArchiveIterator(_Bounded(stream, path, longest_line(rules))):
                is_empty = False
                if record.rec_type not in _TEXTS:
                    continue
                raw = b""
                try:
                    raw = _payload(record, longest_line(rules))
                    buffer.accept(_document(record, raw, path, row, rules, findings))
                except UnicodeDecodeError:
                    buffer.reject(path, row, "not UTF-8", raw)
                except Refused as refusal:
                    buffer.reject(path, row, str(refusal), raw)
                row += 1
                if buffer.n_chars > BLOCK or len(buffer) >= ROWS:
                    yield buffer.take()
        except (ArchiveLoadFailed, AttributeError, LookupError, TypeError, ValueError) as error:  # all of warcio
            raise InputError(f"{path}: {fault_of(path, f'is no sound WARC file ({error}); fetch it again')}") from None
        if is_empty and stream is source and source.tell():
            raise EOFError("no record in it")
    yield buffer.take()


def _payload(record: Any, limit: int) -> bytes:
    """The content of a text record; raises Refused, EOFError for one that is cut short."""
    headers = record.http_headers or record.rec_headers
    kind = headers.get_header("Content-Type") or ""
    if not kind.lower().startswith("text/plain"):
        raise Refused("not plain text")
    raw: bytes = record.content_stream().read(limit + 1)
    if len(raw) > limit:
        raise Refused("too long")
    promised = int(record.rec_headers.get_header("Content-Length") or 0)
    if record.http_headers is None and len(raw) < promised:
        raise EOFError(f"a record of {promised:,} bytes has {len(raw):,}")
    return raw


def _document(record: Any, raw: bytes, path: str, row: int, rules: Rules, findings: Findings) -> tuple[Any, ...]:
    # a list may hold the id as it stands in the file
    check_excluded((record.rec_headers.get_header("WARC-Record-ID") or "",), rules, findings)
    return document_of(_fields(record, raw), path, row, rules, findings)


def _fields(record: Any, raw: bytes) -> dict[str, Any]:
    headers = dict(record.rec_headers.headers)
    url = headers.get("WARC-Target-URI", "")
    name = headers.get("WARC-Record-ID", "").removeprefix("<urn:uuid:").removesuffix(">")
    return {**headers, "text": raw.removeprefix(BOM_UTF8).decode(), "id": name, "url": url, "host": _host(url)}


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


class _Bounded:
    """A stream in which no line is longer than a limit, so that a header has an end."""

    def __init__(self, stream: Any, path: str, limit: int) -> None:
        self._stream, self._path, self._limit = stream, path, limit + _LONGEST_HEADER
        self._run = 0

    def read(self, n_bytes: int) -> bytes:
        """Bytes; raises InputError for a line without an end."""
        with reading(self._path):  # warcio takes an EOFError for the end
            data: bytes = self._stream.read(n_bytes)
        newline = data.rfind(b"\n")
        self._run = self._run + len(data) if newline < 0 else len(data) - newline
        if self._run > self._limit:
            raise InputError(f"{self._path}: holds a line of more than {self._limit:,} bytes; leave it out")
        return data

    def close(self) -> None:
        """Nothing: who opened the stream closes it."""


class _Member(tarfile.TarInfo):
    """A member of a tar whose name and attributes are of bounded length."""

    @classmethod
    def frombuf(cls, *args: Any, **kwargs: Any) -> "_Member":
        """A member from its header; raises tarfile.ReadError for a header that says it is longer than a name may be."""
        found = super().frombuf(*args, **kwargs)
        if found.type in _HEADERS and found.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {found.size:,} bytes")
        return found


def read_tar(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The samples of a tar: members ``.txt`` and ``.json`` that follow one another and have one name, as in webdataset.

    A row has the fields of the member ``.json``, the member ``.txt`` as ``text``, and the common name as ``id`` if the
    JSON has none. Other members, links among them, are counted, not read. Row numbers count samples from 0.
    Raises: InputError for a file that is cut short or damaged, or with other members only.
    """
    buffer = RowBuffer(rules.keep)
    row = 0
    with reading(path), open_source(path) as source:
        try:
            with tarfile.open(fileobj=unpacked(path, source), mode="r|", tarinfo=_Member) as tar:
                for name, members in _samples(tar, longest_line(rules), findings):
                    try:
                        found = document_of(_sample(name, members), path, row, rules, findings)
                        check_writable(found, "lone surrogate")
                        buffer.accept(found)
                    except Refused as refusal:
                        buffer.reject(path, row, str(refusal), b" ".join(members.values()))
                    row += 1
                    if buffer.n_chars > BLOCK or len(buffer) >= ROWS:
                        yield buffer.take()
        except tarfile.TarError as error:
            found_fault = fault_of(path, f"is cut short, damaged or no tar ({error}); fetch it again")
            raise InputError(f"{path}: {found_fault}") from None
    if not row and findings.unread:
        raise InputError(
            f"{path}: holds no .txt or .json member but {listed(findings.unread)}; unpack it and name its files"
        )
    yield buffer.take()


def _samples(tar: tarfile.TarFile, limit: int, findings: Findings) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The name of each sample and its members by suffix; of a member that is too long, one byte more than may be."""
    name, members = "", dict[str, bytes]()
    for member in tar:
        if member.isdir():
            continue
        path = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        key, _, suffix = path.rpartition(".")
        suffix = suffix.lower()
        if not member.isfile() or suffix not in ("txt", "json") or is_hidden(path.rpartition("/")[2]):
            findings.unread[suffix_of(path) if member.isfile() else "links and devices"] += 1
            continue
        if members and (key != name or suffix in members):
            yield name, members
            members = {}
        opened = tar.extractfile(member)
        assert opened is not None, "a file"
        name, members[suffix] = key, opened.read(limit + 1)
        if len(members[suffix]) > limit:
            members[suffix], members["long"] = members[suffix][:1000], b""
    if members:
        yield name, members


def _sample(name: str, members: dict[str, bytes]) -> dict[str, Any]:
    if "long" in members:
        raise Refused("too long")
    try:
        tree = json.loads(members["json"]) if "json" in members else {}
        if not isinstance(tree, dict):
            raise Refused("not a JSON object")
        texts = {"text": members["txt"].removeprefix(BOM_UTF8).decode()} if "txt" in members else {}
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None
    except RecursionError:
        raise Refused("nested too deep") from None
    except ValueError:
        raise Refused("bad JSON") from None
    return {"id": name, **tree, **texts}
