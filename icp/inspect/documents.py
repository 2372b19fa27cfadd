"""One document: where it comes from, what became of it, where it stands, and what is like it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from icp.audit.segments import TokenFiles, layout_of
from icp.audit.tails import repeated_pieces
from icp.inspect.lookup import copies_of, excerpt, fate_of, find_docs, open_documents, readable, row_of, wrapped
from icp.run.names import INDICES, INDPTR, NODES, OFFSETS, SEGMENTS, WEIGHTS
from icp.run.reader import Run, WrongForm, read_columns
from icp.run.texts import TextReader

SHOWN_CHARS = 400
NEIGHBOR_CHARS = 70
SHOWN_DOCS = 20
DETAILED_DOCS = 3


def show_document(run: Path, doc_or_id: str, *, pack: str = "main") -> Iterator[str]:
    """A document by id, or by doc number if no document has that id; all that carry a repeated id.

    Raises: InputError for an id or number that is not there.
    """
    opened, reader = open_documents(run, pack=pack)
    docs = find_docs(reader, doc_or_id)
    if len(docs) > 1:
        more = ", ..." if len(docs) > SHOWN_DOCS else ""
        shown = ", ".join(str(doc) for doc in docs[:SHOWN_DOCS]) + more
        yield f"id {doc_or_id} is carried by {len(docs):,} documents: docs {shown}"
    try:
        for position, doc in enumerate(docs[:DETAILED_DOCS]):
            if len(docs) > 1 or position:
                yield ""
            yield from _document_lines(opened, reader, doc)
    except WrongForm as error:
        raise readable(error, opened.folder) from None


def _document_lines(run: Run, reader: TextReader, doc: int) -> Iterator[str]:
    row = reader.rows(np.array([doc]), ("id", "source", "file", "row", "text"))[doc]
    fate = fate_of(run, doc)
    node = _node_of(run, doc)
    yield f"doc {doc}  id {row['id']}  source {row['source'] or '-'}"
    yield f"from      {row['file']} row {row['row']}"
    yield f"length    {len(row['text']):,} characters{_tokens_of(run, node)}"
    yield f"fate      {fate}"
    if copies := copies_of(run, doc):
        more = ", ..." if len(copies) > SHOWN_DOCS else ""
        yield f"copies    {len(copies):,} removed: docs {', '.join(str(copy) for copy in copies[:SHOWN_DOCS])}{more}"
    yield from _places(run, doc) if node >= 0 else ()
    yield from _neighbors(run, reader, node) if node >= 0 else ()
    yield from wrapped("text      ", excerpt(row["text"], SHOWN_CHARS))


def _node_of(run: Run, doc: int) -> int:
    return row_of(run.array("graph", NODES), doc) if "graph" in run.manifests else -1


def _tokens_of(run: Run, node: int) -> str:
    if node < 0 or "tokens" not in run.manifests:
        return ""
    offsets = run.array("tokens", OFFSETS)
    return f", {int(offsets[node + 1] - offsets[node]):,} tokens"


def _has_tokens(run: Run, doc: int) -> bool:
    node, offsets = _node_of(run, doc), run.array("tokens", OFFSETS)
    return bool(offsets[node + 1] > offsets[node])


def _places(run: Run, doc: int) -> Iterator[str]:
    """Where the pieces of a document stand."""
    if "shards" not in run.manifests:
        yield f"windows   pack {run.pack} is not finished"
        return
    names = ("window", "position", "doc", "doc_start", "doc_stop")
    pieces: list[dict[str, Any]] = []
    for name in run.names("shards", SEGMENTS):
        table = read_columns(run.path("shards", name), names)
        pieces += table.filter(pc.equal(table.column("doc"), doc)).to_pylist()
    pieces.sort(key=lambda piece: (piece["doc_start"], piece["window"]))
    if not pieces:
        why = (
            "pack.tail leaves it out"
            if run.config.pack.tail == "drop" and _has_tokens(run, doc)
            else "the document has no tokens"
        )
        yield f"windows   none: {why}"
    again = set()
    if run.config.pack.lists_tail:
        layout = layout_of(run)
        again = repeated_pieces(run, layout, TokenFiles(run, layout))
    for at, piece in enumerate(pieces[:SHOWN_DOCS]):
        label = "windows" if at == 0 else ""
        span = f"tokens {piece['doc_start']:,} to {piece['doc_stop']:,}"
        once_more = ", repeated to fill the window" if (piece["window"], doc, piece["doc_start"]) in again else ""
        yield f"{label:<9} {piece['window']}, position {piece['position']}: {span}{once_more}"
    if len(pieces) > SHOWN_DOCS:
        yield f"          and {len(pieces) - SHOWN_DOCS:,} more"


def _neighbors(run: Run, reader: TextReader, node: int) -> Iterator[str]:
    """The neighbours in the graph, most similar first."""
    indptr, nodes = run.array("graph", INDPTR), run.array("graph", NODES)
    begin, end = int(indptr[node]), int(indptr[node + 1])
    docs = nodes[run.array("graph", INDICES)[begin:end]].astype(np.int64)
    weights = run.array("graph", WEIGHTS, kinds="f")[begin:end]
    rows = reader.rows(docs[:SHOWN_DOCS], ("id", "text"))
    if not docs.size:
        yield "similar   none: no document is near enough"
    for at, (doc, weight) in enumerate(zip(docs[:SHOWN_DOCS].tolist(), weights.tolist(), strict=False)):
        label = "similar" if at == 0 else ""
        yield f"{label:<9} {weight:.4f}  doc {doc}  id {rows[doc]['id']}  {excerpt(rows[doc]['text'], NEIGHBOR_CHARS)}"
    if docs.size > SHOWN_DOCS:
        yield f"          and {docs.size - SHOWN_DOCS:,} more"
