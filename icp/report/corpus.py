"""All documents of a run as columns: sources, languages, domains, what became of each, its tokens, its windows.

In: a run that may be unfinished. Out: `Corpus`. Texts are not read; memory: some 60 bytes a document and the names.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from icp.audit.duplicates import read_removed
from icp.report.opening import Partly
from icp.run.names import DOCUMENTS, NODES, OFFSETS, SEGMENTS, WINDOWS
from icp.run.reader import Run, read_columns

FATES = ("kept", "exact", "near", "semantic", "imported")
PLACE_COLUMNS = ("window", "position", "doc", "doc_start", "doc_stop")
WINDOW_FIGURES = ("n_docs", "n_pad", "path_rank", "mean_similarity", "max_pair_similarity")
LANGUAGES = ("language", "lang", "language_code")
ADDRESSES = ("url", "uri", "link", "warc_target_uri")


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of few values: (n_docs,) int32 number of each document's value, -1 for none, and the values."""

    codes: NDArray[np.int32]
    names: list[str]


@dataclass
class Corpus:
    """The documents of a run.

    Attributes:
        n_docs: all that were read and not refused.
        fate: (n_docs,) int8, a rank in `FATES`.
        duplicate_of: (n_docs,) int64, the doc kept in its place, -1 for kept ones.
        jaccard: (n_docs,) float64, of removed ones, else NaN.
        nodes: (n_nodes,) int64, docs that are kept to the end; empty before the step graph.
        n_tokens: (n_nodes,) int64; empty before the step tokens.
        places: columns of the segments, in training order; each (segments,) int64.
        windows: columns of the windows, in training order; each (windows,).
    """

    run: Run
    n_docs: int
    fate: NDArray[np.int8]
    duplicate_of: NDArray[np.int64]
    jaccard: NDArray[np.float64]
    nodes: NDArray[np.int64]
    n_tokens: NDArray[np.int64]
    places: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    windows: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @cached_property
    def by_doc(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Segments sorted by doc and start: their numbers, and their docs."""
        doc, start = self.places["doc"], self.places["doc_start"]
        order = np.lexsort((start, doc)).astype(np.int64)
        return order, doc[order]

    def places_of(self, doc: int) -> NDArray[np.int64]:
        """Numbers of the segments of a document, by their start."""
        order, docs = self.by_doc
        return order[np.searchsorted(docs, doc) : np.searchsorted(docs, doc, side="right")]

    def node_of(self, doc: int) -> int:
        """The node of a document, -1 if it has none."""
        at = int(np.searchsorted(self.nodes, doc))
        return at if at < self.nodes.size and self.nodes[at] == doc else -1

    @cached_property
    def alone(self) -> NDArray[np.bool_]:
        """(n_docs,) bool: documents all of whose pieces stand in windows with no other document."""
        found = np.zeros(self.n_docs, np.bool_)
        if self.places and self.windows:
            lonely = self.windows["n_docs"][self.places["window"]] == 1
            found[self.places["doc"]] = True
            found[self.places["doc"][~lonely]] = False
        return found

    def labels(self, column: str) -> Labels:
        """A column of texts as numbers."""
        names = self.run.names("documents", DOCUMENTS)
        chunks = [read_columns(self.run.path("documents", name), (column,)).column(0) for name in names]
        values = pa.chunked_array(
            [pc.cast(part, pa.string()) for chunk in chunks for part in chunk.chunks], pa.string()
        )
        encoded = values.dictionary_encode().unify_dictionaries().combine_chunks()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
        return Labels(codes, [str(name) for name in encoded.dictionary.to_pylist()])

    def field_named(self, wanted: tuple[str, ...]) -> str | None:
        """A kept field with one of these names."""
        kept = {name.rpartition(".")[2].lower(): name for name in self.run.config.corpus.keep}
        return next((kept[name] for name in wanted if name in kept), None)


def load_corpus(partly: Partly) -> Corpus | None:
    """The documents of a run; None before the step documents is finished."""
    if not partly.has("documents"):
        return None
    n_docs = partly.attempt("documents", lambda: int(partly.run.doc_bounds()[-1]))
    if not n_docs:
        return None
    corpus = Corpus(
        partly.run,
        n_docs,
        np.zeros(n_docs, np.int8),
        np.full(n_docs, -1, np.int64),
        np.full(n_docs, np.nan),
        np.empty(0, np.int64),
        np.empty(0, np.int64),
    )
    for step in ("dedup", "graph"):
        if partly.has(step):
            partly.attempt(f"duplicates of {step}", lambda step=step: _note_removed(corpus, step))  # type: ignore[misc]
    if partly.has("graph"):
        partly.attempt("graph", lambda: _note_nodes(corpus))
    if partly.has("tokens"):
        partly.attempt("tokens", lambda: _note_lengths(corpus))
    if partly.has("shards"):
        partly.attempt("shards", lambda: _note_windows(corpus))
    return corpus


def _note_removed(corpus: Corpus, step: str) -> None:
    removed = read_removed(corpus.run, step)
    corpus.fate[removed.doc] = [FATES.index(kind) if kind in FATES else 2 for kind in removed.kind.tolist()]
    corpus.duplicate_of[removed.doc] = removed.duplicate_of
    corpus.jaccard[removed.doc] = removed.jaccard


def _note_nodes(corpus: Corpus) -> None:
    nodes = np.asarray(corpus.run.array("graph", NODES), np.int64)
    if nodes.size and (nodes[0] < 0 or nodes[-1] >= corpus.n_docs or np.any(np.diff(nodes) <= 0)):
        raise ValueError(f"{NODES} names documents that are not there")
    corpus.nodes = nodes


def _note_lengths(corpus: Corpus) -> None:
    offsets: NDArray[np.int64] = np.asarray(corpus.run.array("tokens", OFFSETS), np.int64)
    lengths = offsets[1:] - offsets[:-1]
    if lengths.size != corpus.nodes.size:
        raise ValueError(f"lengths of {lengths.size:,} documents, the graph has {corpus.nodes.size:,}")
    corpus.n_tokens = lengths


def _note_windows(corpus: Corpus) -> None:
    run = corpus.run
    pieces = [read_columns(run.path("shards", name), PLACE_COLUMNS) for name in run.names("shards", SEGMENTS)]
    rows = [read_columns(run.path("shards", name), WINDOW_FIGURES) for name in run.names("shards", WINDOWS)]
    places, windows = pa.concat_tables(pieces), pa.concat_tables(rows)
    found = {name: places.column(name).to_numpy().astype(np.int64) for name in PLACE_COLUMNS}
    figures = {name: windows.column(name).to_numpy().astype(np.float64) for name in WINDOW_FIGURES}
    inside = found["doc"].size == 0 or (
        0 <= found["doc"].min() <= found["doc"].max() < corpus.n_docs
        and 0 <= found["window"].min() <= found["window"].max() < windows.num_rows
    )
    if not inside:
        raise ValueError("segments name documents or windows that are not there")
    corpus.places, corpus.windows = found, figures
