"""The figures of a plan: how alike the documents of a window are, how full windows are, how many documents are cut.

In: a `PackPlan`, vectors gathered by row. Out: numbers. Windows are taken in stretches of bounded size; within a window
documents keep their order, and every sum is made in a fixed order.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan, Rows
from icp.kernels import pack_windows as kernels

STRETCH_MEMBERS = 8192
"""Members whose vectors are held at once; a window with more is held whole."""

MAX_REACH = 512
"""A member's largest cosine is looked for this many members before and after it: exact for windows of up to 513
documents, a lower bound beyond (quadratic work would be needed)."""

DEFLATE_WINDOW = 32_768


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """What a plan is worth.

    Attributes:
        mean_similarity: mean over subjects of the mean cosine to the other documents of the window, 0 if alone.
            Subjects are documents no longer than a window; their pieces count by their share of the tokens.
        max_similarity: the same with the largest cosine.
        fill: tokens (specials included, padding not) per token of the windows.
        split_documents: subjects that stand in more than one window.
        cuts: how often subjects are cut: a document in three windows, twice.
        long_documents: documents longer than a window; they are cut whatever the plan, and are no subjects.
    """

    mean_similarity: float
    max_similarity: float
    fill: float
    split_documents: int
    cuts: int
    long_documents: int


@dataclass(frozen=True, slots=True)
class Members:
    """Documents of windows, sorted by window, then by their first position there: each document once a window.

    Attributes:
        doc: (members,) int64.
        start: (members,) int64, its first token in this window.
        tokens: (members,) int64, how many of its tokens the window holds.
        bounds: (n_windows + 1,) int64, first member of each window.
    """

    doc: NDArray[np.int64]
    start: NDArray[np.int64]
    tokens: NDArray[np.int64]
    bounds: NDArray[np.int64]


def window_figures(
    plan: PackPlan,
    embeddings: Rows,
    lengths: NDArray[np.int64],
    *,
    capacity: int,
    window_specials: int = 0,
    tail: NDArray[np.int64] | None = None,
    times: NDArray[np.int64] | None = None,
) -> WindowFigures:
    """Figures of a plan.

    Args:
        plan: as `icp.plan_windows` gives it.
        embeddings: (n, dim) float, norm 1 or all zero (a zero row's cosines are 0).
        lengths: (n,) int64, tokens of each document with its specials.
        capacity: tokens of a window that documents may take.
        window_specials: tokens of each window beside them (``bos: window``); they count as filled.
        tail: (m, 4) int64, what `icp.pack.tail` left out or repeated; None if it did nothing.
        times: (n,) int64, passes in which each document stands; None: one.

    Cost: O(pieces * dim) for the mean, O(pieces * documents of a window * dim) for the largest.
    """
    members = members_of(plan)
    found = member_similarities(members, embeddings)
    return figures_of(
        members, found, lengths, capacity=capacity, window_specials=window_specials, tail=tail, times=times
    )


def figures_of(
    members: Members,
    similarities: tuple[NDArray[np.float64], NDArray[np.float32]],
    lengths: NDArray[np.int64],
    *,
    capacity: int,
    window_specials: int = 0,
    tail: NDArray[np.int64] | None = None,
    times: NDArray[np.int64] | None = None,
) -> WindowFigures:
    """As `window_figures`, of members and what `member_similarities` says of them.

    Args:
        similarities: mean, (members,) float64, and largest, (members,) float32.
    """
    mean, largest = similarities
    n_windows = members.bounds.size - 1
    subject = lengths[members.doc] <= capacity
    share: NDArray[np.float64] = np.where(subject, members.tokens / np.maximum(lengths[members.doc], 1), 0.0)
    # added up by document, so that the same windows under other numbers have the same figures
    rows = np.lexsort((members.start, members.doc))
    appearances = np.bincount(members.doc[subject], minlength=lengths.size)
    if tail is not None:  # what comes once more is not cut for that
        again = tail[tail[:, 3] >= 0, 0]
        appearances -= np.bincount(again[lengths[again] <= capacity], minlength=lengths.size)
    if times is not None:
        appearances -= np.maximum(times - 1, 0) * (appearances > 0)
    n_subjects: float = max(1, int(np.count_nonzero(appearances)))
    if share.sum() > n_subjects + 0.5 or tail is not None:  # documents count as often as they are there
        n_subjects = max(1.0, float(share.sum()))
    room = n_windows * (capacity + window_specials)
    filled = int(members.tokens.sum()) + n_windows * window_specials
    return WindowFigures(
        ordered_sum((share * mean)[rows]) / n_subjects,
        ordered_sum((share * largest)[rows]) / n_subjects,
        filled / room if room else 0.0,
        int(np.count_nonzero(appearances > 1)),
        int(np.maximum(appearances - 1, 0).sum()),
        int(np.unique(members.doc[~subject]).size),
    )


def ordered_sum(values: NDArray[np.float64]) -> float:
    """The sum, one after another: numpy's own changes its order with the processor."""
    return float(np.cumsum(values)[-1]) if values.size else 0.0


def window_similarities(plan: PackPlan, embeddings: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and largest cosine between two different documents of each window: (n_windows,) float32 each, 0 if alone."""
    members = members_of(plan)
    mean, largest = member_similarities(members, embeddings)
    sizes = np.diff(members.bounds)
    of_window = np.zeros(plan.n_windows)
    np.add.at(of_window, np.repeat(np.arange(plan.n_windows), sizes), mean)
    pair = np.maximum.reduceat(largest, members.bounds[:-1]) if largest.size else largest
    return (of_window / np.maximum(sizes, 1)).astype(np.float32), pair


def context_bits(texts: Sequence[str], plan: PackPlan, lengths: NDArray[np.int64]) -> float:
    """Bits per byte that deflate (level 6, 32 KiB) saves on the documents of a plan by what precedes them.

    The cost of each whole document alone, less the cost of its pieces, each primed with the last 32 KiB that precede
    it in its window: a cut pays for its lost context. A piece's bytes are the document's UTF-8 bytes in proportion to
    its tokens.

    Args:
        texts: (n,) text of each document.
        plan: pieces in tokens, sorted by window.
        lengths: (n,) int64, tokens of each document.

    Returns: bits per byte; 0.0 for a plan without text. Deflate judges words: it must not choose an embedding.
    """
    alone = sum(deflated(texts[doc].encode(), b"") for doc in np.unique(plan.doc).tolist())
    primed = n_bytes = 0
    before, window = b"", -1
    rows = zip(plan.doc.tolist(), plan.start.tolist(), plan.stop.tolist(), plan.window.tolist(), strict=True)
    for doc, start, stop, here in rows:
        text, length = texts[doc].encode(), int(lengths[doc])
        piece = text[start * len(text) // length : stop * len(text) // length]
        before, window = (before if here == window else b""), here
        primed += deflated(piece, before)
        n_bytes += len(piece)
        before = (before + piece)[-DEFLATE_WINDOW:]
    return 8 * (alone - primed) / n_bytes if n_bytes else 0.0


def deflated(text: bytes, before: bytes) -> int:
    """Bytes of a raw deflate stream of `text`, primed with `before`."""
    options = (6, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY)
    stream = zlib.compressobj(*options, before) if before else zlib.compressobj(*options)
    return len(stream.compress(text)) + len(stream.flush())


def members_of(plan: PackPlan) -> Members:
    """Pieces of one document in one window made one member, at the place of the first."""
    rows = np.lexsort((plan.doc, plan.window))
    doc, window = plan.doc[rows], plan.window[rows]
    begins = np.ones(rows.size, dtype=np.bool_)
    begins[1:] = (doc[1:] != doc[:-1]) | (window[1:] != window[:-1])
    firsts = np.flatnonzero(begins)
    tokens = np.add.reduceat((plan.stop - plan.start)[rows], firsts) if firsts.size else np.empty(0, dtype=np.int64)
    # lexsort is stable: the first row of a run is the document's first piece in the window
    places = rows[firsts]
    by_place = np.argsort(places, kind="stable")
    bounds = np.zeros(plan.n_windows + 1, dtype=np.int64)
    np.cumsum(np.bincount(window[firsts], minlength=plan.n_windows), out=bounds[1:])
    places = places[by_place]
    return Members(plan.doc[places], plan.start[places], tokens[by_place], bounds)


def member_similarities(members: Members, embeddings: Rows) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Mean and largest cosine of each member to the others of its window, 0 if alone.

    Args:
        embeddings: (n, dim) float, norm 1 or all zero.

    Returns: (members,) float64, (members,) float32.
    Cost: O(members * dim) for the mean, O(members * members of a window * dim) for the largest.
    """
    mean = np.zeros(members.doc.size, dtype=np.float64)
    largest = np.zeros(members.doc.size, dtype=np.float32)
    for first, last in _stretches(members.bounds):
        begin, end = members.bounds[first], members.bounds[last]
        vectors = np.ascontiguousarray(embeddings[members.doc[begin:end]], dtype=np.float32)
        indptr = members.bounds[first : last + 1] - begin
        mean[begin:end], largest[begin:end] = kernels.member_similarities(vectors, indptr, MAX_REACH)
    return mean, largest


def _stretches(bounds: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Spans of windows with up to `STRETCH_MEMBERS` members, at least one window each."""
    first, n_windows = 0, bounds.size - 1
    while first < n_windows:
        last = int(np.searchsorted(bounds, bounds[first] + STRETCH_MEMBERS, side="right")) - 1
        last = min(max(last, first + 1), n_windows)
        yield first, last
        first = last
