"""A removed document against the one that is kept in its place, word by word."""

import difflib
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from icp.errors import InputError
from icp.inspect.lookup import UNNAMED, copies_of, fate_of, find_docs, open_documents, readable, width
from icp.run.reader import WrongForm

COMPARED_WORDS = 4000
CONTEXT_WORDS = 12


def show_duplicate(run: Path, doc_or_id: str) -> Iterator[str]:
    """What a removed document and the kept one share and do not.

    Raises: InputError for an id that is not there or a document that is kept.
    """
    opened, reader = open_documents(run)
    docs = find_docs(reader, doc_or_id)
    try:
        fates = {doc: fate_of(opened, doc) for doc in docs}
        doc = next((doc for doc, fate in fates.items() if fate.duplicate_of >= 0), docs[0])
        fate = fates[doc]
        if fate.kind == UNNAMED:
            raise InputError(f"doc {doc}: {fate}, so there is nothing to compare")
        if fate.duplicate_of < 0:
            copies = copies_of(opened, doc)
            hint = f"removed as its copies: docs {', '.join(map(str, copies[:10]))}" if copies else "it has no copies"
            raise InputError(f"doc {doc}: {fate}, so it is no duplicate; {hint}")
        rows = reader.rows(np.array([doc, fate.duplicate_of]), ("id", "source", "file", "row", "text"))
    except WrongForm as error:
        raise readable(error, opened.folder) from None
    yield f"{fate.kind} duplicate, Jaccard {fate.jaccard:.4f}"
    for mark, word, number in (("-", "removed", doc), ("+", "kept", fate.duplicate_of)):
        row = rows[number]
        yield f"{mark} {word:<8} doc {number}  id {row['id']}"
        yield f"{mark} {'':<8} {len(row['text']):,} characters, source {row['source'] or '-'}"
        yield f"{mark} {'':<8} from {row['file']} row {row['row']}"
    yield ""
    yield from compare_words(rows[doc]["text"], rows[fate.duplicate_of]["text"])


def compare_words(removed: str, kept: str) -> Iterator[str]:
    """Lines of up to `width` columns: what both have, ``-`` only the first, ``+`` only the second."""
    one, other = removed.split(), kept.split()
    if one == other:
        yield "  the words of both are the same:" if removed != kept else "  the texts are the same:"
    cut = len(one) > COMPARED_WORDS or len(other) > COMPARED_WORDS
    one, other = one[:COMPARED_WORDS], other[:COMPARED_WORDS]
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            yield from _wrapped("  ", _shortened(one[a:b]))
        else:
            yield from _wrapped("- ", one[a:b])
            yield from _wrapped("+ ", other[c:d])
    if cut:
        yield f"  only the first {COMPARED_WORDS:,} words are compared"


def _shortened(words: Sequence[str]) -> list[str]:
    if len(words) <= 3 * CONTEXT_WORDS:
        return list(words)
    left_out = len(words) - 2 * CONTEXT_WORDS
    return [*words[:CONTEXT_WORDS], f"[{left_out:,} words]", *words[-CONTEXT_WORDS:]]


def _wrapped(mark: str, words: Sequence[str]) -> list[str]:
    return textwrap.wrap(" ".join(words), width(), initial_indent=mark, subsequent_indent=mark, break_on_hyphens=False)
