"""The parts of ordering that need vectors, done piece by piece and then joined; workers do not change the result.

In: paths along edges, embeddings, the graph. Out: paths that are joined together, in pieces of about as many documents;
stretches of an order for the local search, and shifted ones that mend where those met. The pieces follow a path through
a few hundred documents: to each belong the paths nearest to some of these.
"""

from collections.abc import Sequence
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, Rows
from icp.kernels import order_matching
from icp.order.matching import ChosenRows, Paths, improve_order, join_paths, whole_rows

MARKS_PER_PIECE = 16
"""Documents that stand for their surroundings, a piece."""
BLOCK_ROWS = 4096


def choose_marks(embeddings: Rows, n_pieces: int) -> NDArray[np.int64]:
    """Evenly drawn documents, in the order of a path through them: (at most MARKS_PER_PIECE * n_pieces,) int64."""
    n_docs = embeddings.shape[0]
    drawn = np.unique(np.linspace(0, n_docs - 1, min(n_docs, MARKS_PER_PIECE * n_pieces)).astype(np.int64))
    singles = Paths(np.arange(drawn.size, dtype=np.int32), np.arange(drawn.size + 1))
    return drawn[join_paths(singles, ChosenRows(embeddings, drawn))]


def nearest_marks(embeddings: Rows, marks: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int32]:
    """(len(rows),) int32: the place among `marks` of the one most similar to each row, whole numbers compared."""
    middles = np.ascontiguousarray(whole_rows(embeddings, marks).astype(np.float32).T)
    groups = np.full(marks.size, -1, dtype=np.int32)
    everyone = np.arange(marks.size)
    near = np.empty(rows.size, dtype=np.int32)
    for begin in range(0, rows.size, BLOCK_ROWS):
        block = whole_rows(embeddings, rows[begin : begin + BLOCK_ROWS]).astype(np.float32) @ middles
        shape = (len(block), 1)
        found = order_matching.Candidates(np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32), groups)
        order_matching.keep_best(found, block, np.arange(len(block)), everyone, np.zeros(len(block), np.int32))
        near[begin : begin + len(block)] = found.rows[:, 0]
    return near


def cut_pieces(near: NDArray[np.int32], sizes: NDArray[np.int64], n_pieces: int) -> list[NDArray[np.int64]]:
    """Paths sorted by the mark nearest to them, cut into pieces of about as many documents each.

    Args:
        near: (paths,) int32, place on the path of marks of the one nearest to each.
        sizes: (paths,) int64, documents of each.

    Returns: int64 paths of each piece, ascending; some may be empty.
    """
    along = np.argsort(near, kind="stable")
    middles = 2 * np.cumsum(sizes[along]) - sizes[along]
    cuts = np.searchsorted(n_pieces * middles, 2 * np.arange(1, n_pieces) * sizes.sum())
    return [np.sort(piece) for piece in np.split(along, cuts)]


def stretch_bounds(n_docs: int, n_pieces: int) -> NDArray[np.int64]:
    """(n_pieces + 1,) int64: a stretch of an order goes from each place to the next one, both included."""
    return np.linspace(0, max(0, n_docs - 1), n_pieces + 1).astype(np.int64)


def improve_stretch(
    stretch: NDArray[np.int32], graph: DocGraph, embeddings: Rows, *, scratch: str | PathLike[str] | None = None
) -> NDArray[np.int32]:
    """The stretch after local search among its documents, whose first and last stay where they are.

    `scratch` is that of `improve_order`.
    """
    docs = np.sort(stretch).astype(np.int64)
    places = np.searchsorted(docs, stretch).astype(np.int32)
    rows, edges = ChosenRows(embeddings, docs), induced_graph(graph, docs)
    improved = improve_order(places, edges, rows, pinned=True, scratch=scratch)
    return docs[improved].astype(np.int32)


def shifted(stretches: Sequence[NDArray[np.int32]], number: int) -> NDArray[np.int32]:
    """A stretch from the middle of one to the middle of the next, which share their border document."""
    one, two = stretches[number], stretches[number + 1]
    return np.concatenate((one[one.size // 2 :], two[1 : two.size // 2 + 1]))


def unshifted(stretches: Sequence[NDArray[np.int32]], mended: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """The whole order: half a stretch, what `shifted` gave, half a stretch; each border document once."""
    first, last = stretches[0], stretches[-1]
    if not mended:
        return first
    between = [first[: first.size // 2], *(stretch[:-1] for stretch in mended), last[last.size // 2 :]]
    return np.concatenate(between)


def induced_graph(graph: DocGraph, docs: NDArray[np.int64]) -> DocGraph:
    """The graph of some documents (ascending), renamed 0.. in their order; edges to others are left out."""
    starts, counts = graph.indptr[docs], graph.indptr[docs + 1] - graph.indptr[docs]
    before = np.cumsum(counts) - counts
    edges = np.repeat(starts - before, counts) + np.arange(counts.sum())
    others = graph.indices[edges]
    places = np.minimum(np.searchsorted(docs, others), max(0, docs.size - 1))
    inside = docs[places] == others if docs.size else np.zeros(0, dtype=np.bool_)
    rows = np.repeat(np.arange(docs.size), counts)[inside]
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=docs.size)))).astype(np.int64)
    return DocGraph(indptr, places[inside].astype(np.int32), np.ascontiguousarray(graph.weights[edges[inside]]))


def join_pieces(pieces: Sequence[NDArray[np.int32]], embeddings: Rows) -> NDArray[np.int32]:
    """The orders of the pieces as one, nearest free ends first."""
    filled = [piece for piece in pieces if piece.size]
    bounds = np.cumsum([0, *(piece.size for piece in filled)]).astype(np.int64)
    return join_paths(Paths(np.concatenate([np.empty(0, np.int32), *filled]), bounds), embeddings)
