"""Documents, or pieces of them, as the kernels of the planner take them: quantised vectors, weights, near items.

In: documents and their tokens, vectors, graph, conflicts. Out: `Items`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, Rows
from icp.kernels import pack_near
from icp.kernels.pack_state import LONG, PIECE, WEIGHT_UNIT, WHOLE, Items
from icp.pack.quantising import quantised

NEIGHBORS = 40
"""Neighbours of a document whose windows are looked at."""

BOND, BONDLESS_DOCS = 1.0, 4.0
"""What the cosine of a document to the nearest of its window counts beside its mean cosine to all others: in long
windows the first; in those of up to so many documents nothing, since there the mean says as much."""

_HALVES = np.arange(1 << 15, dtype=np.uint16).view(np.float16).astype(np.float32)  # of all float16 from 0 on

CUT_COSTS = {"never": 0.0, "minimal": 0.15, "free": 0.0}
"""Similarity that a piece must be worth under each `split`: few documents are cut, or as many as serve."""

LEAST_PIECE = 128
LEAST_SHARE = 32
"""Fewest tokens of a piece where none are asked for: so many, or that part of a window if it is less."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a window may hold, and which documents may be cut; see `icp.plan_windows`.

    Attributes:
        capacity: tokens of a window that documents may take.
        specials: tokens (bos, eos) at a document's ends.
        min_fill: share of the windows that must be tokens.
        split: never | minimal | free.
        min_piece: fewest tokens of a piece; None: `LEAST_PIECE`, in short windows fewer.
    """

    capacity: int
    specials: tuple[int, int] = (0, 0)
    min_fill: float = 0.995
    split: str = "minimal"
    min_piece: int | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """What all stretches share; the limits are set by `limited`.

    Attributes:
        embeddings: (n, dim) float.
        graph: over n documents.
        position: (n,) int64, place of each document on the path; one group after another.
        groups: (n,) int32, a window never mixes them.
        conflict_bounds, conflicts: CSR over n documents, both directions: int64 (n + 1,), int32.
        long: (n,) bool, documents longer than a window of which a tail is planned; see `icp.pack.planner`.
        tails: (n,) int64, tokens of each document that are planned, here or elsewhere; 0: those that are here.
        capacity: tokens of a window.
        least: fewest tokens of a piece.
        specials: tokens (bos, eos) at a document's ends.
        min_fill: wanted share of a window that is tokens.
        whole: no document is cut.
        cut_cost: similarity that a piece must be worth.
        dearer: what cuts cost when windows are poured, as a multiple of the usual.
        scale: by which vectors are multiplied before they are rounded to int8.
    """

    embeddings: Rows
    graph: DocGraph
    position: NDArray[np.int64]
    groups: NDArray[np.int32]
    conflict_bounds: NDArray[np.int64]
    conflicts: NDArray[np.int32]
    long: NDArray[np.bool_]
    tails: NDArray[np.int64]
    capacity: int = 0
    least: int = 1
    specials: tuple[int, int] = (0, 0)
    min_fill: float = 1.0
    whole: bool = False
    cut_cost: float = 0.0
    dearer: float = 1.0
    scale: float = 1.0


def limited(corpus: Corpus, limits: Limits) -> Corpus:
    """The corpus with limits of its windows."""
    return replace(
        corpus,
        capacity=limits.capacity,
        least=least_piece(limits),
        specials=limits.specials,
        min_fill=limits.min_fill,
        whole=limits.split == "never",
        cut_cost=CUT_COSTS[limits.split],
    )


def least_piece(limits: Limits) -> int:
    """Fewest tokens of a piece: as many as asked for, and more than its specials."""
    usual = min(LEAST_PIECE, limits.capacity // LEAST_SHARE)
    return max(usual if limits.min_piece is None else limits.min_piece, max(limits.specials) + 1)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of documents and where they stand: a document's one after another, the largest first.

    Documents go by the window of that piece, then along the path: what a search visits in succession lies
    together in memory.

    Attributes:
        doc, tokens: (pieces,) int64.
        window: (pieces,) int32; some numbers may be missing.
    """

    doc: NDArray[np.int64]
    tokens: NDArray[np.int64]
    window: NDArray[np.int32]


def merged(corpus: Corpus, pieces: Pieces) -> Pieces:
    """Pieces of one document in one window made one, sorted as `Pieces` are."""
    rows = np.lexsort((pieces.window, pieces.doc))
    doc, window = pieces.doc[rows], pieces.window[rows]
    firsts = np.flatnonzero(np.r_[True, (doc[1:] != doc[:-1]) | (window[1:] != window[:-1])])
    tokens = np.add.reduceat(pieces.tokens[rows], firsts)
    doc, window = doc[firsts], window[firsts]
    rows = np.lexsort((window, -tokens, doc))
    firsts = np.flatnonzero(np.r_[True, doc[1:] != doc[:-1]])
    home = np.repeat(window[rows][firsts], np.diff(np.r_[firsts, doc.size]))
    rows = rows[np.lexsort((np.arange(rows.size), corpus.position[doc], home))]
    return Pieces(doc[rows], tokens[rows], window[rows])


def remaining(corpus: Corpus, items: Items, window: NDArray[np.int32]) -> Pieces:
    """What is left of the items after some were joined: those that stand in a window.

    Args:
        items: n of them.
        window: (n,) int32, the window of each; below 0: none.
    """
    rows = np.flatnonzero(window >= 0)
    return merged(corpus, Pieces(items.doc[rows], items.tokens[rows], window[rows]))


def make_items(corpus: Corpus, doc: NDArray[np.int64], tokens: NDArray[np.int64]) -> Items:
    """Documents or pieces of them, a document's pieces one after another, as kernels take them.

    Args:
        doc: (n,) int64, the document of each item.
        tokens: (n,) int64, its tokens, with specials.
    """
    n = doc.size
    vectors, scale = quantised(corpus.embeddings, doc, corpus.scale), corpus.scale
    longest2 = np.einsum("ij,ij->i", vectors, vectors, dtype=np.int64)
    item_of = np.full(corpus.position.size, -1, np.int32)
    item_of[doc[::-1]] = np.arange(n - 1, -1, -1, dtype=np.int32)  # the first piece counts
    neighbors = pack_near.near_items(corpus.graph.indptr, corpus.graph.indices, doc, item_of, NEIGHBORS)
    bits = np.asarray(corpus.graph.weights).view(np.uint16)
    like = pack_near.likeness(neighbors, doc, corpus.graph.indptr, corpus.graph.indices, (bits, _HALVES))
    bounds, conflicts = item_conflicts(corpus, doc, item_of)
    return Items(
        vectors,
        doc,
        tokens.copy(),
        shares(corpus, doc, tokens),
        longest2 / scale**2,
        neighbors,
        like,
        np.array([_bond(corpus, tokens)]),
        bounds,
        conflicts,
        corpus.groups[doc],
        kinds(corpus, doc, tokens),
        np.array([scale**2]),
        np.array([np.sqrt(max(float(longest2.max(initial=0)), 1.0))]),
    )


def _bond(corpus: Corpus, tokens: NDArray[np.int64]) -> float:
    """What the nearest counts, by how many of the items a window holds."""
    per_window = tokens.size * corpus.capacity / max(int(tokens.sum()), 1)
    return BOND * max(0.0, 1 - BONDLESS_DOCS / max(per_window, 1.0))


def kinds(corpus: Corpus, doc: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.int8]:
    """(n,) int8: whether each item is a document, a piece of one, or of what is left of a long one."""
    piece = tokens < _planned(corpus, doc, tokens)
    return np.where(corpus.long[doc], LONG, np.where(piece, PIECE, WHOLE)).astype(np.int8)


def shares(corpus: Corpus, doc: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) float64: each item's share of its document's tokens, a multiple of ``1 / WEIGHT_UNIT``.

    That of a piece is above 0 and below 1. `doc` and `tokens` as `make_items` takes them.
    """
    planned = _planned(corpus, doc, tokens)
    units = np.clip(np.rint(tokens / planned * WEIGHT_UNIT), 1.0, WEIGHT_UNIT - 1.0) / WEIGHT_UNIT
    whole: NDArray[np.float64] = np.where(tokens < planned, units, 1.0)
    return whole


def _planned(corpus: Corpus, doc: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tokens of each item's document that are planned, those of pieces that stand elsewhere among them."""
    begins = np.flatnonzero(np.r_[True, doc[1:] != doc[:-1]])
    here = np.repeat(np.add.reduceat(tokens, begins), np.diff(np.r_[begins, doc.size]))
    planned: NDArray[np.int64] = np.maximum(here, corpus.tails[doc])
    return planned


def item_conflicts(
    corpus: Corpus, doc: NDArray[np.int64], item_of: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Conflicts between documents as conflicts between their pieces, in both directions.

    Args:
        doc: (n,) int64, the document of each item, a document's one after another.
        item_of: (documents,) int32, the first item of each document; -1: it has none.

    Returns: CSR over the items: bounds (n + 1,) int64, and items (conflicts,) int32.
    """
    bounds = np.zeros(doc.size + 1, np.int64)
    if corpus.conflicts.size == 0:
        return bounds, np.empty(0, np.int32)
    degree = corpus.conflict_bounds[doc + 1] - corpus.conflict_bounds[doc]
    item = np.repeat(np.arange(doc.size), degree)
    other = corpus.conflicts[np.repeat(corpus.conflict_bounds[doc], degree) + _within(degree)]
    first = item_of[other]
    here = first >= 0
    item, first = item[here], first[here].astype(np.int64)
    n_pieces = np.diff(np.r_[np.flatnonzero(np.r_[True, doc[1:] != doc[:-1]]), doc.size])
    of_first = np.repeat(n_pieces, n_pieces)[first]
    item, piece = np.repeat(item, of_first), np.repeat(first, of_first) + _within(of_first)
    np.cumsum(np.bincount(item, minlength=doc.size), out=bounds[1:])
    return bounds, piece.astype(np.int32)


def _within(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 to count - 1 for each of `counts`, one after another."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
