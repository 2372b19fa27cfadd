"""The figures of windows, computed again: which documents stand together, and how alike they are.

In: plan/, shards/, embeddings/, the sources in documents/. Out: breaches of what ``shards/windows`` and the plan say.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from icp.audit.duplicates import vectors_of
from icp.audit.findings import Breaches
from icp.audit.passes import read_passes
from icp.audit.segments import Layout, TokenFiles, WindowPart, read_parts
from icp.audit.sources import check_sources, read_sources
from icp.audit.tails import read_tail
from icp.audit.unlisted import to_look_at
from icp.data import RowParts
from icp.pack.floor import floor_tokens
from icp.run.names import CONFLICTS, DOCUMENTS, PATH_RANK, PLAN, SURVIVORS, WINDOWS, of_part
from icp.run.nodes import field_groups
from icp.run.reader import Run, WrongForm, read_columns

MEMBERS = 8192
"""Members of windows whose vectors are held at once."""
EXACT_REACH = 513
"""Up to so many documents a window's largest similarity is exact; beyond it is a lower bound and not compared."""
TOLERANCE = 1e-3
ORDERED_FORMAT = 4
"""From this format of the step on, rests stand first and open pieces last."""


@dataclass(slots=True)
class WindowTally:
    """What the windows of a pack are, made again from segments and embeddings.

    Attributes:
        path_rank: (n_windows,) int64, as ``shards/windows`` says.
        weighted, weight: sum over subjects of their mean similarity, and their number, repeated ones as often.
        appearances: (n_nodes,) int32, windows in which each node stands, those of what comes again not counted.
        together: (n, 2) int64, node and window, of nodes that have a conflict.
        some: (n, 2) int64, see `to_look_at`.
        mixed: (n,) int64, windows of documents that `group_by` keeps apart.
        below: windows of fewer tokens than `pack.least_fill` asks for.
    """

    appearances: NDArray[np.int32]
    path_rank: list[NDArray[np.int64]] = field(default_factory=list)
    weighted: float = 0.0
    weight: float = 0.0
    together: list[NDArray[np.int64]] = field(default_factory=list)
    some: list[NDArray[np.int64]] = field(default_factory=list)
    mixed: list[NDArray[np.int64]] = field(default_factory=list)
    below: int = 0


@dataclass(frozen=True, slots=True)
class _Members:
    """Documents of windows, each once a window, sorted by window.

    Attributes:
        window, node, tokens: (n,) int64, rank of the window in its part; specials are among the tokens.
        bounds: (n_windows + 1,) int64.
    """

    window: NDArray[np.int64]
    node: NDArray[np.int64]
    tokens: NDArray[np.int64]
    bounds: NDArray[np.int64]


def check_windows(
    run: Run, layout: Layout, tokens: TokenFiles, found: Breaches, form: Breaches
) -> tuple[WindowTally, NDArray[np.int64]]:
    """Compare the columns of ``shards/windows`` and the plan; returns the tally and the conflicts, as nodes.

    Where a document is cut (`form`) is of promise 4, all else (`found`) of promise 5.
    """
    conflicts = np.asarray(run.array("graph", CONFLICTS, ndim=2), dtype=np.int64)
    rows = np.searchsorted(run.array("dedup", SURVIVORS), tokens.nodes)
    vectors, sources = vectors_of(run), read_sources(run, tokens.nodes)
    groups = field_groups(run.paths("documents", DOCUMENTS), tokens.nodes, run.config.pack.group_by)
    tail = read_tail(run, layout, tokens)
    tally = WindowTally(-read_passes(run, tokens).more(tail.node[tail.again], tokens.lengths))
    floor = floor_tokens(run.config.pack.least_fill, layout.capacity)
    plan, ordered = _Plan(run, layout), run.manifests["windows"].format >= ORDERED_FORMAT
    for part in read_parts(run, layout, tokens):
        if not part.sound.all():
            raise WrongForm("segments that name no tokens of a node: the windows cannot be measured")
        plan.compare(part, found)
        members = _members(part)
        _check_counts(part, members, layout, found)
        if ordered:
            _check_ends(part, tail.repeats(part), form)
        check_sources(run, part, sources, found)
        mean, largest, of_member = _similarities(members, rows, vectors)
        _check_similarities(run, part, (mean, largest), np.diff(members.bounds), found)
        tally.below += int((part.end - layout.window_specials < floor).sum())
        tally.path_rank.append(part.windows["path_rank"])
        tally.appearances += np.bincount(members.node, minlength=tokens.nodes.size).astype(np.int32)
        weights = _weights(members, tokens, layout)
        tally.weighted += float((weights * of_member).sum())
        tally.weight += float(weights.sum())
        tally.mixed.append(part.windows["window"][mixed_windows(members.bounds, groups[members.node])])
        tally.some.append(to_look_at(run, part.windows, members.window, members.node))
        here = np.isin(members.node, conflicts)
        tally.together.append(np.stack((members.node[here], part.windows["window"][members.window[here]]), axis=1))
    return tally, conflicts


class _Plan:
    """The arrays of ``plan/``, compared with the segments window by window."""

    def __init__(self, run: Run, layout: Layout) -> None:
        names = ("doc", "start", "stop", "window")
        self._arrays = {name: run.array("windows", file) for name, file in zip(names, PLAN, strict=True)}
        self._rank = run.array("windows", PATH_RANK)
        self._n_bos, _ = layout.document_specials

    def compare(self, part: WindowPart, found: Breaches) -> None:
        """Note pieces of a part that the plan does not have, and ranks that differ."""
        number = part.windows["window"]
        if not number.size:
            return
        first, last = np.searchsorted(self._arrays["window"], (number[0], number[-1] + 1))
        plan = {name: np.asarray(array[first:last]) for name, array in self._arrays.items()}
        if last - first != part.node.size:
            text = f"{part.name}: {part.node.size:,} segments, the plan has {last - first:,}"
            found.add("segments other than the plan's", text)
            return
        start = np.maximum(plan["start"] - self._n_bos, 0)
        stop = np.minimum(plan["stop"] - self._n_bos, part.length)
        differs = (plan["doc"] != part.node) | (plan["window"] != part.pieces["window"])
        differs |= (start != part.pieces["doc_start"]) | (stop != part.pieces["doc_stop"])
        found.add_all("segments other than the plan's", np.flatnonzero(differs), part.shown)
        rank = np.asarray(self._rank[number[0] : number[-1] + 1])
        if not np.array_equal(rank, part.windows["path_rank"]):
            found.add("path ranks other than the plan's", part.name)


def _members(part: WindowPart) -> _Members:
    window_of = part.window_of
    spans = part.before + part.after + part.pieces["doc_stop"] - part.pieces["doc_start"]
    order = np.lexsort((part.node, window_of))
    node, window = part.node[order], window_of[order]
    begins = np.ones(order.size, dtype=np.bool_)
    begins[1:] = (node[1:] != node[:-1]) | (window[1:] != window[:-1])
    firsts = np.flatnonzero(begins)
    n_tokens = np.add.reduceat(spans[order], firsts) if firsts.size else spans[order]
    bounds = np.searchsorted(window[firsts], np.arange(part.end.size + 1)).astype(np.int64)
    return _Members(window[firsts], node[firsts], n_tokens, bounds)


def _check_counts(part: WindowPart, members: _Members, layout: Layout, found: Breaches) -> None:
    number = part.windows["window"]
    made = {"n_docs": np.diff(members.bounds), "n_pad": layout.stride - part.end}
    for name, values in made.items():
        stated = part.windows[name]
        found.add_all(
            f"windows with a wrong {name}",
            np.flatnonzero(stated != values),
            lambda at, stated=stated, values=values: f"window {number[at]}: {stated[at]}, is {values[at]}",  # type: ignore[misc]
        )


def _check_ends(part: WindowPart, repeated: NDArray[np.bool_], found: Breaches) -> None:
    """A window begins in mid-document with its first piece only, and leaves a document open with its last only; pieces
    that `pack.tail` repeats are none of these."""
    own = np.flatnonzero(~repeated)
    window_of = part.window_of[own]
    begun = (part.pieces["doc_start"] > 0)[own] & (np.diff(window_of, prepend=-1) == 0)
    is_open = (part.pieces["doc_stop"] < part.length)[own] & (np.diff(window_of, append=-1) == 0)
    found.add_all("pieces that begin in mid-document behind others", own[begun], part.shown)
    found.add_all("pieces that leave a document open before others", own[is_open], part.shown)


def mixed_windows(bounds: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The windows, between `bounds` (n_windows + 1,), whose documents are not all of one group."""
    changes = np.concatenate(([0], np.cumsum(groups[1:] != groups[:-1])))
    first, last = bounds[:-1], bounds[1:] - 1
    filled = first <= last
    mixed: NDArray[np.int64] = np.flatnonzero(filled)[changes[last[filled]] != changes[first[filled]]]
    return mixed


def _stretches(bounds: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    first = 0
    while first < bounds.size - 1:
        last = int(np.searchsorted(bounds, bounds[first] + MEMBERS, side="right")) - 1
        last = max(last, first + 1)
        yield first, last
        first = last


def _similarities(
    members: _Members, rows: NDArray[np.int64], vectors: RowParts
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean and largest cosine in each window (largest NaN where it is not exact), and the mean of each member."""
    n_windows = members.bounds.size - 1
    mean, largest = np.zeros(n_windows), np.zeros(n_windows)
    of_member = np.zeros(members.node.size)
    for first, last in _stretches(members.bounds):
        block = vectors[rows[members.node[members.bounds[first] : members.bounds[last]]]].astype(np.float32)
        for window in range(first, last):
            begin, end = members.bounds[window], members.bounds[window + 1]
            here = block[begin - members.bounds[first] : end - members.bounds[first]]
            if len(here) < 2:
                continue
            total = here.sum(axis=0, dtype=np.float64)
            own = np.einsum("ij,ij->i", here, here, dtype=np.float64)
            of_member[begin:end] = (here @ total - own) / (len(here) - 1)
            mean[window] = of_member[begin:end].mean()
            largest[window] = _largest(here) if len(here) <= EXACT_REACH else np.nan
    return mean, largest, of_member


def _largest(vectors: NDArray[np.float32]) -> float:
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    return float(products.max())


def _check_similarities(
    run: Run,
    part: WindowPart,
    made: tuple[NDArray[np.float64], NDArray[np.float64]],
    n_docs: NDArray[np.int64],
    found: Breaches,
) -> None:
    names = ("mean_similarity", "max_pair_similarity")
    table = read_columns(run.path("shards", of_part(WINDOWS, part.name)), names)
    number = part.windows["window"]
    for name, values in zip(names, made, strict=True):
        stated = np.nan_to_num(np.asarray(table.column(name).to_numpy(), dtype=np.float64))
        wrong = np.flatnonzero(np.abs(stated - values) > TOLERANCE)
        found.add_all(
            f"windows with a wrong {name}",
            wrong,
            lambda at, stated=stated, values=values: (  # type: ignore[misc]
                f"window {number[at]} of {n_docs[at]} documents: {stated[at]:.4f}, is {values[at]:.4f}"
            ),
        )


def _weights(members: _Members, tokens: TokenFiles, layout: Layout) -> NDArray[np.float64]:
    """The share of each member's tokens that stands in the window; 0 for documents longer than a window."""
    whole = tokens.lengths[members.node] + sum(layout.document_specials)
    subject = whole <= layout.capacity
    return np.where(subject, members.tokens / whole, 0.0)
