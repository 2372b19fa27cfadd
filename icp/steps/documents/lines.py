"""Lines of a file that may be compressed; a file that is one JSON array gives each of its objects as a line."""

import codecs
import json
import re
from collections.abc import Callable, Generator, Iterator
from functools import lru_cache
from typing import Any

from icp.config.addresses import expanded
from icp.errors import InputError
from icp.steps.documents.contents import HEAD, otherwise, unpacked
from icp.steps.documents.rows import BLOCK, EXCERPT, LONGEST_LINE, open_source, reading
from icp.steps.documents.stores import file_identity
from icp.texts import cleaned_id, key_of

_BLANK = b" \t\r\n"
_INDENTED = re.compile(rb'\{[ \t\r]*\n\s*"')
_SCAN = json.JSONDecoder(parse_int=bool).raw_decode  # only ends are sought: a number may have any length
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)


def line_blocks(path: str, limit: int) -> Iterator[tuple[list[bytes], bool]]:
    """Lines without their newline, a list a block; of a line of more than `limit` bytes only its beginning.

    Returns: pairs of the lines and whether the first of them was too long (only the first can be).
    Raises: InputError for a file that cannot be read, is cut short or damaged, or is UTF-16.
    """
    held: list[bytes] = []
    n_held = 0
    with reading(path):
        for block in _blocks(path):
            first, *others = block.split(b"\n")
            n_held += len(first)
            held = [b"".join(held)[: 4 * EXCERPT]] if n_held > limit else [*held, first]
            if others:
                yield [b"".join(held), *others[:-1]], n_held > limit
                held, n_held = [others[-1]], len(others[-1])
    if n_held:
        yield [b"".join(held)], n_held > limit


def json_blocks(path: str, limit: int) -> Iterator[tuple[list[bytes], bool]]:
    """As `line_blocks`, but objects in one array, indented over several lines, or without line ends between them come
    as lines."""
    with reading(path):
        blocks = _blocks(path)
        head = next(blocks, b"").removeprefix(codecs.BOM_UTF8).lstrip(_BLANK)
        is_array = head[:1] == b"[" and head[1:].lstrip(_BLANK)[:1] in (b"{", b"]")
        is_loose = _INDENTED.match(head) is not None or _runs_on(head)
        blocks.close()
    if not is_array and not is_loose:
        yield from line_blocks(path, limit)
        return
    with reading(path):
        for lines in _objects(path, limit, is_array):
            yield lines, False


def _runs_on(head: bytes) -> bool:
    """Whether another object follows the first one without a newline between them."""
    text = head.decode(errors="replace")
    end = _end_of(text, 0, _SCAN) if text.startswith("{") else 0
    return end > 0 and text[end:].lstrip(" \t\r")[:1] == "{"


def _objects(path: str, limit: int, is_array: bool) -> Iterator[list[bytes]]:
    """The objects of one JSON array, or of a file that holds them one after another; a list for each block read.

    Raises: InputError for what is not JSON; EOFError for an array or an object without its end.
    """
    decode = codecs.getincrementaldecoder("utf-8-sig")()
    text, n_objects, begun = "", 0, not is_array
    blocks = _blocks(path)
    for block in blocks:
        try:
            text += decode.decode(block)
        except UnicodeDecodeError:
            raise InputError(f"{path}: is not UTF-8; save it as UTF-8, one JSON object a line") from None
        found, at = list[bytes](), 0
        while True:
            at = _skip(text, at)
            if at < len(text) and not begun:
                at, begun = at + 1, True
                continue
            if at >= len(text):
                break
            if is_array and text[at] in ",]":
                if text[at] == "]":
                    if text[at + 1 :].strip() or any(block.strip() for block in blocks):
                        raise InputError(f"{path}: more follows its JSON array; save it with one JSON object a line")
                    if found:
                        yield found
                    return
                at += 1
                continue
            end = _end_of(text, at, _SCAN)
            if not end:
                break
            found.append(text[at:end].encode("utf-8", "surrogatepass"))
            at = end
        n_objects += len(found)
        text = text[at:]
        if found:
            yield found
        if len(text) > limit:
            raise InputError(f"{path}: object {n_objects} of its JSON array is damaged or longer than {limit:,} bytes")
    if is_array or text.strip():
        raise EOFError(f"no end of its JSON {'array' if is_array else 'object'} after {n_objects} objects")


def _end_of(text: str, at: int, scan: Callable[[str, int], tuple[Any, int]]) -> int:
    """Where the value that begins at `at` ends; 0 if it goes on in the next block, or is damaged."""
    try:
        end = scan(text, at)[1]
    except ValueError:
        return 0
    except RecursionError:
        return _closing(text, at)
    return 0 if end == len(text) and text[at] != "{" else end  # a number may go on


def _closing(text: str, at: int) -> int:
    """Where the value that begins at `at` ends, by its brackets alone; 0 if it does not."""
    depth = 0
    for found in _BRACKETS.finditer(text, at):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found.group(), 0)
        if depth <= 0:
            return found.end()
    return 0


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _blocks(path: str) -> Generator[bytes, None, None]:
    """The uncompressed bytes of a file that may be compressed."""
    with open_source(path) as source:
        stream = unpacked(path, source)
        head = block = stream.read(BLOCK)
        form = otherwise(path, head[:HEAD], inside=stream is not source)
        if form:
            raise InputError(f"{path}: {form}")
        while block:
            yield block
            block = stream.read(BLOCK)
        if stream is not source and not head and not source.tell():  # no bytes at all are no compressed file
            raise EOFError("0 bytes")


def listed_ids(path: str, key: str) -> frozenset[str]:
    """The ids in a file that `key` of the configuration names, one a line, as `key_of` compares them.

    Raises: InputError if the file cannot be read or is not UTF-8.
    """
    return _ids_in(path, file_identity(path), key)


@lru_cache(maxsize=2)
def _ids_in(path: str, identity: str, key: str) -> frozenset[str]:
    ids: set[str] = set()
    try:
        for lines, _ in line_blocks(expanded(path), LONGEST_LINE):
            ids.update(key_of(cleaned_id(one)) for line in lines for one in line.decode().split("\r"))
    except UnicodeDecodeError:
        raise InputError(f"{path}: {key} is not UTF-8; save it with one id a line, as UTF-8") from None
    ids.discard("")
    return frozenset(ids)
