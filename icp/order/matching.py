"""One path through all documents: greedy matching of edges, stitching of what is left apart, local search.

In: the similarity graph and the vectors. Out: an order of all documents. Similarities are dot products of vectors of
whole numbers, `SCALE` long: their partial sums stay below 2**24, so a float32 matrix product of them is exact in any
order of additions, and int32 sums hold them. The order is therefore the same on any processor, with any library and any
number of threads. Rounding moves a similarity by about 1e-4, half of what float16 weights are rounded by.
"""

from dataclasses import dataclass
from os import PathLike
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, Rows, with_room
from icp.errors import InputError
from icp.kernels import order_bounds, order_improve, order_matching, order_moves
from icp.kernels.order_matching import Fragments
from icp.knn.vectors import check_rows
from icp.order.stitching import all_pairs, nearest_pairs

SCALE = 3900
"""Length of a vector of whole numbers: norms up to 1.02 in up to 50,000 dimensions stay below 4,096."""
LARGE = 1 << 28
"""Bytes from which on vectors are mapped where there is a folder for them."""
BLOCK_ROWS = 16_384
"""Rows read, compared or written at once."""
ALL_PAIRS_ENDS = 2048
"""Free ends up to which all pairs are sorted: then one round joins everything."""
STITCH_WIDTH, WIDEST = 10, 160
"""Partners sought for each end, at first and at most."""
PROBES = 3
LEAST_JOINED = 0.02
"""Share of the fragments that a round must join; else the next seeks four times the partners."""
DESCENT = order_bounds.Schedule(100, 0.02, 0.96)
"""Of the prices in `match_fragments`: more steps do not make better paths."""
PRICED = 0.9
REACH = 1000
"""Longest stretch that a move of the local search turns or shifts."""
VISITS = 3
"""Documents that the local search looks at, as a multiple of their number."""
NEIGHBORS = 32
"""Neighbours of a document that the local search looks at."""


def whole_rows(
    embeddings: Rows, rows: NDArray[np.integer], *, scratch: str | PathLike[str] | None = None
) -> NDArray[np.int16]:
    """(len(rows), dim) int16: the rows times `SCALE`, rounded half to even.

    They lie in a file without a name in the folder `scratch`, mapped, where that is given and they are large.

    Raises: InputError for NaN, infinity, or a norm other than 1 and 0.
    """
    shape = rows.size, embeddings.shape[1]
    in_memory = scratch is None or 2 * shape[0] * shape[1] < LARGE
    whole = np.empty(shape, dtype=np.int16) if in_memory else _mapped(scratch, shape)
    for begin in range(0, rows.size, BLOCK_ROWS):
        chosen = rows[begin : begin + BLOCK_ROWS].astype(np.int64)
        block = embeddings[chosen].astype(np.float32)
        _check_block(block, chosen)
        whole[begin : begin + len(block)] = np.rint(block * np.float32(SCALE))
    return whole


def _mapped(scratch: str | PathLike[str] | None, shape: tuple[int, int]) -> NDArray[np.int16]:
    with TemporaryFile(dir=scratch) as file:  # it goes with the last array that maps it
        return with_room(file, np.int16, shape).view(np.ndarray)


def _check_block(block: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
    try:
        check_rows(block, 0, "embeddings")
    except InputError:
        for at in np.argsort(rows, kind="stable").tolist():
            check_rows(block[at : at + 1], int(rows[at]), "embeddings")


@dataclass(frozen=True, slots=True)
class Paths:
    """Documents in disjoint paths.

    Attributes:
        order: (documents,) int32, one path after another.
        bounds: (paths + 1,) int64, where each begins.
    """

    order: NDArray[np.int32]
    bounds: NDArray[np.int64]

    def chosen(self, paths: NDArray[np.int64]) -> "Paths":
        """Some of the paths, in the order given."""
        return self.turned(paths, np.zeros(paths.size, dtype=np.bool_))

    def turned(self, paths: NDArray[np.int64], backwards: NDArray[np.bool_]) -> "Paths":
        """Some of the paths, in the order given, those of `backwards` from their end."""
        begins, sizes = self.bounds[paths], np.diff(self.bounds)[paths]
        bounds = np.concatenate(([0], np.cumsum(sizes)))
        ahead = np.arange(bounds[-1]) - np.repeat(bounds[:-1], sizes)
        behind = np.repeat(sizes, sizes) - 1 - ahead
        places = np.repeat(begins, sizes) + np.where(np.repeat(backwards, sizes), behind, ahead)
        return Paths(self.order[places], bounds)


def matching_order(graph: DocGraph, embeddings: Rows) -> NDArray[np.int32]:
    """(n,) int32: one path of greedily matched pairs, `match_fragments` joined by `join_paths`.

    Cost: O(edges) and the search of the ends, about an eighth to a quarter of the documents.
    """
    return join_paths(match_fragments(graph), embeddings)


def match_fragments(graph: DocGraph) -> Paths:
    """All documents in paths along edges, taken one by one where both are still ends of different paths.

    The order of the edges: by falling weight less `PRICED` of the prices of both documents, in 16 bits; equal ones by
    the lower row, then by its order of neighbours. A price (the dual of the 2-matching, by a short descent) says what a
    place beside a document is worth to others: who has few good neighbours comes before who has many. The paths follow
    one another by their lower end, each from that end.

    Cost: O(edges); some 30 bytes an edge. By weight alone the path has .5 to 1% less similarity.
    """
    n_docs = graph.n_docs
    rows = np.repeat(np.arange(n_docs, dtype=np.int32), np.diff(graph.indptr))
    once = rows < graph.indices
    heads, tails, weights = rows[once], graph.indices[once], graph.weights[once].astype(np.float32)
    del rows, once
    prices = np.zeros(n_docs)
    several = np.flatnonzero(np.diff(graph.indptr) > 1)
    prices[several] = np.maximum(0, graph.weights[graph.indptr[several] + 1].astype(np.float64)) / 2
    order_bounds.descend_prices((heads, tails, weights), np.zeros(n_docs), prices, DESCENT)
    weights -= PRICED * (prices[heads] + prices[tails])
    falling = _falling(weights)
    fragments = _apart(n_docs)
    order_matching.join_edges(fragments, heads[falling], tails[falling])
    order = order_matching.walk_fragments(fragments)
    owner = order_matching.find_roots(fragments.parent, order)
    return Paths(order, np.append(np.flatnonzero(np.diff(owner, prepend=-1)), order.size))


def _falling(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Where the values stand by falling 16 bits of them, from 1 to -1: numpy's stable sort of these is a radix sort."""
    keys = np.clip(np.float32(32767.5) * (1 - values), 0, 65535)
    return np.argsort(keys.astype(np.uint16), kind="stable")


def join_paths(paths: Paths, embeddings: Rows) -> NDArray[np.int32]:
    """All paths as one: free ends are matched among themselves in rounds, the most similar first.

    What no round joins (documents without a vector) follows path by path, by their lower end. The whole begins at the
    lower of its ends.

    Args:
        paths: none of them empty.
        embeddings: (n, dim) float, of all documents.
    """
    begins, ends = paths.order[paths.bounds[:-1]], paths.order[paths.bounds[1:] - 1]
    points = np.unique(np.concatenate((begins, ends)))
    head, tail = (np.searchsorted(points, side).astype(np.int32) for side in (begins, ends))
    fragments = _apart(points.size)
    order_matching.join_edges(fragments, head, tail)
    _stitch(fragments, ChosenRows(embeddings, points))
    owner, is_end = np.empty(points.size, dtype=np.int64), np.zeros(points.size, dtype=np.bool_)
    owner[head] = owner[tail] = np.arange(head.size)
    is_end[tail] = tail != head
    walked = order_matching.walk_fragments(fragments)
    entered = walked[np.diff(owner[walked], prepend=-1) != 0]
    return paths.turned(owner[entered], is_end[entered]).order


def improve_order(
    order: NDArray[np.int32],
    graph: DocGraph,
    embeddings: Rows,
    *,
    pinned: bool = False,
    scratch: str | PathLike[str] | None = None,
) -> NDArray[np.int32]:
    """The order after 2-opt and Or-opt; its sum of similarities never falls (up to the rounding named above).

    Args:
        order: (n,) int32, a permutation of the graph's documents.
        pinned: the first and the last document keep their places.
        scratch: a folder for the vectors, if they take more than `LARGE` bytes; None for memory.

    Cost: near-linear; 2 bytes a dimension and 8 bytes an edge of every document.
    """
    n_docs = order.size
    if n_docs < 3:
        return order.copy()
    vectors = whole_rows(embeddings, order, scratch=scratch)
    indptr, indices = order_improve.along_path(graph.indptr, graph.indices, order, NEIGHBORS)
    near = order_improve.Near(indptr, indices, order_improve.edge_similarities(vectors, indptr, indices))
    tour, queue = order_moves.start_tour(vectors, np.arange(n_docs, dtype=np.int32))
    order_improve.improve_path(tour, near, queue, order_moves.Limits(REACH, pinned), VISITS * n_docs)
    improved: NDArray[np.int32] = order[tour.path]
    return improved


class ChosenRows:
    """Some rows of others, as rows of their own."""

    def __init__(self, rows: Rows, chosen: NDArray[np.integer]) -> None:
        self._rows, self._chosen = rows, chosen.astype(np.int64)
        self.shape = (chosen.size, rows.shape[1])

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.floating]:
        block: NDArray[np.floating] = self._rows[self._chosen[rows]]
        return block


def _apart(n_rows: int) -> Fragments:
    links = np.full((n_rows, 2), -1, dtype=np.int32)
    return Fragments(links, np.zeros(n_rows, dtype=np.int8), np.arange(n_rows, dtype=np.int32))


def _stitch(fragments: Fragments, embeddings: Rows) -> None:
    """Join fragments by their free ends, in place, until one is left or nothing is to be gained any more."""
    ends = np.flatnonzero(fragments.degree < 2).astype(np.int32)
    vectors = whole_rows(embeddings, ends)
    width, probes = STITCH_WIDTH, PROBES
    while True:
        free = (fragments.degree[ends] < 2) & vectors.any(axis=1)
        ends, vectors = ends[free], vectors[free]
        groups = order_matching.find_roots(fragments.parent, ends)
        n_fragments = np.unique(groups).size
        if n_fragments < 2:
            return
        everything = ends.size <= ALL_PAIRS_ENDS
        pairs = all_pairs(vectors) if everything else nearest_pairs(vectors, groups, width, probes)
        joined = order_matching.join_edges(fragments, ends[pairs[0]], ends[pairs[1]])
        if everything or (joined < LEAST_JOINED * n_fragments and width >= WIDEST):
            return
        if joined < LEAST_JOINED * n_fragments:
            width, probes = width * 4, probes * 4
