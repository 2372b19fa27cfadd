"""Promise 9, of shards: no document that stands in their rows has a text that was removed.

In: shards, their segments. Out: breaches. The rows are cut into documents and decoded again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.audit.findings import Breaches
from icp.audit.segments import Layout, TokenFiles, layout_of
from icp.dedup.minhash import text_digests
from icp.run.names import SEGMENTS, SHARDS
from icp.run.reader import Run
from icp.run.records import read_manifest
from icp.run.removed import among, removed_docs
from icp.run.texts import TextReader
from icp.texts import text_buffers

AT_ONCE = 1024
"""Texts that are hashed together."""


@dataclass(slots=True)
class Sought:
    """What must not be there.

    Attributes:
        keys: ids, as `icp.texts.key_of` gives them.
        texts: 16 bytes of each canonical text.
        urls: keys of URLs.
    """

    keys: frozenset[str] = frozenset()
    texts: frozenset[bytes] = frozenset()
    urls: frozenset[str] = frozenset()


@dataclass(slots=True)
class Seen:
    """What was looked at."""

    documents: int = 0
    decoded: int = 0
    files: int = 0
    lossy: list[str] = field(default_factory=list)


def note(found: Breaches, kind: str, rows: Sequence[int] | NDArray[np.int64], place: str) -> None:
    """Note a breach for each of some rows of a file, or documents."""
    found.add_all(kind, np.asarray(rows, np.int64), lambda row: f"{place} {row}")


def check_shards(run: Run, shards: Path, place: str, work: tuple[Sought, Breaches, Seen]) -> None:
    """No segment is of a removed document, and no document that stands in the rows has a removed text."""
    sought, found, seen = work
    layout, holes = layout_of(run), removed_docs(run.folders["documents"])
    manifest = read_manifest(shards, check_sizes=False)
    if manifest is None:
        return
    names = sorted(name for name in manifest.files if Path(name).match(SHARDS))
    texts: list[str] = []
    docs: list[int] = []

    def compare() -> None:
        for doc, digest in zip(docs, text_digests(text_buffers(texts)), strict=True):
            if digest.tobytes() in sought.texts:
                found.add("texts of removed documents in shards", f"{place}: doc {doc}")
        seen.decoded += len(docs)
        texts.clear()
        docs.clear()

    for doc, tokens in _documents_in(shards, names, (layout, TokenFiles(run, layout), holes, found, place)):
        docs.append(doc)
        texts.append(layout.tokenizer.decode(tokens))
        if len(texts) >= AT_ONCE:
            compare()
    compare()
    if not _is_lossless(run, layout):
        seen.lossy.append(place)


def _documents_in(
    shards: Path, names: list[str], rules: tuple[Layout, TokenFiles, NDArray[np.int64], Breaches, str]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """The documents that stand in the rows of shards, each once: its number, and its tokens in their order."""
    layout, known, holes, found, place = rules
    nodes, lengths = known.nodes, known.lengths
    columns = ["doc", "row", "doc_start", "doc_stop", "win_start", "win_stop"]
    cut: dict[int, dict[int, NDArray[Any]]] = {}
    for name in names:
        rows = np.memmap(shards / name, dtype=layout.dtype, mode="r").reshape(-1, layout.stride)
        part = SEGMENTS.replace("*", name.removeprefix(SHARDS.partition("*")[0]).removesuffix(".bin"))
        table = pq.read_table(shards / part, columns=columns)
        pieces = {column: table[column].to_numpy().astype(np.int64) for column in columns}
        named = np.flatnonzero(among(pieces["doc"], holes))
        note(found, "segments of removed documents", pieces["doc"][named], f"{place}/{name}: doc")
        node = np.minimum(np.searchsorted(nodes, pieces["doc"]), nodes.size - 1)
        is_whole = (pieces["doc_start"] == 0) & (pieces["doc_stop"] == lengths[node])
        for at in range(pieces["doc"].size):
            doc, start, row = (int(pieces[column][at]) for column in ("doc", "doc_start", "row"))
            tokens = rows[row, pieces["win_start"][at] : pieces["win_stop"][at]]
            if is_whole[at]:
                yield doc, tokens
            else:
                cut.setdefault(doc, {})[start] = np.array(tokens)
    for doc, parts in cut.items():
        yield doc, np.concatenate([parts[start] for start in sorted(parts)])


def _is_lossless(run: Run, layout: Layout) -> bool:
    """Whether decoding gives back the first documents letter by letter."""
    tokens = TokenFiles(run, layout)
    nodes = np.flatnonzero(tokens.lengths > 0)[:32]
    texts = TextReader(run).fetch(tokens.nodes[nodes])
    same = (
        text_digests(text_buffers([texts[int(tokens.nodes[node])]]))
        == text_digests(text_buffers([layout.tokenizer.decode(tokens.document(int(node)))]))
        for node in nodes
    )
    return all(bool(np.all(one)) for one in same)
