"""Which piece of which document stands in which window: what `icp.plan_windows` gives."""

import numpy as np
from numpy.typing import NDArray

from icp.checks import as_array, checked_graph, checked_rows, checked_tokens, public
from icp.choices import CONTINUATIONS, PACK_METHODS
from icp.data import DocGraph, PackPlan, Rows
from icp.errors import ConfigError, InputError
from icp.kernels import pack_windows
from icp.pack.crowds import bearable
from icp.pack.floor import raised
from icp.pack.methods import Request, plan_by
from icp.pack.problem import CUT_COSTS, Corpus, Limits, limited

MOST_REPEATED_WINDOWS = 1 << 20
"""Windows of one document that ``knn`` lays out."""


@public
def plan_windows(
    graph: DocGraph,
    embeddings: Rows,
    order: NDArray[np.integer],
    lengths: NDArray[np.int64],
    *,
    seq_len: int,
    method: str = "windows",
    min_fill: float = 0.995,
    least_fill: float = 0.0,
    split: str = "minimal",
    min_piece: int | None = None,
    continuation: str = "cut",
    conflicts: NDArray[np.int64] | None = None,
    seed: int = 0,
    specials: tuple[int, int] = (0, 0),
    groups: NDArray[np.integer] | None = None,
    sources: NDArray[np.integer] | None = None,
    threads: int = 1,
) -> PackPlan:
    """Windows of related documents, each token of each document once, numbered along the path.

    Args:
        graph: similarity graph of n documents.
        embeddings: (n, dim) float, norm 1 or all zero.
        order: (n,) integers, a permutation: the path through the documents.
        lengths: (n,) int64, tokens of each document, its specials among them; 0 takes no window.
        seq_len: tokens of a window.
        method: ``windows``: the documents of a window are chosen together, so that they are related; few are cut.
            ``path-cut``, the paper's: one after another along the path, cut every `seq_len` tokens; ``random`` and
            ``source``: the same along a permutation, and along rows sorted by source. ``path-fit``: along the path,
            each window with the first documents that fit. ``best-fit``: by size alone. ``single``: each document in
            windows of its own. ``knn``, the paper's baseline: a document and its nearest ones, which may come again;
            see `icp.pack.baselines`.
        min_fill: share of all windows together that must be tokens, no floor for each of them; ``path-cut``,
            ``random`` and ``source`` fill every window but the last. Conflicts, groups, and ``split: never`` where
            sizes do not fit may cost more.
        least_fill: a floor for each window of ``windows``, ``path-fit`` and ``best-fit``, up to `min_fill`; 0: none.
            Windows under it are joined, or take documents or pieces of them from related windows that stay above it;
            where none can give, they stay under it.
        split: ``minimal``: few documents are cut; ``free``: any, if windows gain by it; ``never``: none that fits a
            window. Documents longer than a window are always cut, into whole windows and what is left. ``best-fit``
            cuts no others, ``path-cut``, ``random`` and ``source`` know only one way. A window begins in mid-document
            once at most, with its first piece, and leaves one document open at most, its last piece; ``windows`` and
            ``path-fit`` cut a document that fits a window once at most.
        min_piece: fewest tokens of a piece of a document under ``windows`` and ``path-fit``, up to a quarter of a
            window; None: 128, or a thirty-second of a window if that is less.
        continuation: of ``path-cut``, ``random`` and ``source``: ``cut`` at the end of a window; ``pad``: a document
            that does not fit begins the next window; ``restart``: the same, and the room is filled with its beginning,
            which then stands in the plan twice. Documents longer than a window are cut all the same.
        conflicts: (m, 2) int64, pairs that must not share a window. Of a crowd that is larger than there are windows,
            some share one all the same: see `icp.pack.crowds`.
        seed: of ``random``.
        specials: tokens (bos, eos) at a document's ends, counted in `lengths`. No cut parts bos from the first token or
            eos from the last.
        groups: (n,) integers from 0 on; a window never mixes them.
        sources: (n,) integers, for ``source`` only.
        threads: of ``windows``, where there are more documents than one stretch holds; the plan does not depend on it.

    Raises: ConfigError for an unknown method, a window too small, what a method cannot do; InputError for arrays that
        do not fit together.
    Cost: O(n) for all but ``windows``, whose time is about n * dim * 20 neighbours * 16 sweeps.
    Source: arXiv 2310.10638, section 2.2 and figure 2 (``path-cut``); arXiv 2404.10830 (``best-fit``).
    """
    order = getattr(order, "order", order)  # a `Traversal` serves as well as its order
    graph, lengths = checked_graph(graph), checked_tokens(lengths, seq_len, specials)
    limits = Limits(seq_len, (specials[0], specials[1]), min_fill, split, min_piece)
    _check_options(method, limits)
    _check_floor(method, least_fill, min_fill)
    _check_continuation(method, continuation)
    _check_lengths(lengths, limits, method)
    embeddings = checked_rows("embeddings", embeddings, graph.n_docs)
    order, conflicts = _checked_numbers(lengths.size, graph, order, conflicts)
    groups, sources = (_checked_labels(lengths.size, name, labels) for name, labels in _labels(groups, sources))
    if groups is not None and PACK_METHODS[method].repeats:
        raise ConfigError(f"pack.method is {method!r}, a baseline that knows no groups; leave pack.group_by empty")
    if conflicts is not None:
        conflicts = bearable(conflicts, lengths, seq_len)
    corpus = limited(corpus_of(graph, embeddings, order, groups, conflicts), limits)
    plan = plan_by(method, Request(corpus, lengths, order, limits.specials, seed, sources, threads, continuation))
    return raised(corpus, lengths, plan, least_fill, cuts=PACK_METHODS[method].cuts) if least_fill else plan


def broken_conflicts(plan: PackPlan, conflicts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pairs of `conflicts` (m, 2) int64 whose documents stand together in some window of the plan, in order."""
    if not conflicts.size or not plan.doc.size:
        return conflicts[:0].reshape(0, 2)
    n_docs = int(max(plan.doc.max(), conflicts.max())) + 1
    by_doc = np.lexsort((plan.window, plan.doc))
    indptr = np.zeros(n_docs + 1, dtype=np.int64)
    np.cumsum(np.bincount(plan.doc, minlength=n_docs), out=indptr[1:])
    pairs = np.ascontiguousarray(conflicts, dtype=np.int64)
    together: NDArray[np.bool_] = pack_windows.share_a_window(indptr, plan.window[by_doc], pairs)
    return pairs[together]


def corpus_of(
    graph: DocGraph,
    embeddings: Rows,
    order: NDArray[np.integer],
    groups: NDArray[np.integer] | None,
    conflicts: NDArray[np.int64] | None,
) -> Corpus:
    """Groups renumbered from 0, one after another on the path, and conflicts in both directions; no limits yet.

    Args:
        graph: of n documents.
        embeddings: (n, dim) float, norm 1 or all zero.
        order: (n,) integers, the path: a permutation of the documents.
        groups: (n,) integers; a window never mixes them. None: one group.
        conflicts: (m, 2) int64, pairs that must not share a window, in any order; None: none.
    """
    n = order.size
    group = np.zeros(n, np.int32)
    if groups is not None and n:
        group = np.unique(groups, return_inverse=True)[1].astype(np.int32)
    position = np.empty(n, np.int64)
    position[order[np.argsort(group[order], kind="stable")]] = np.arange(n)
    pairs = np.empty((0, 2), np.int64) if conflicts is None else conflicts.reshape(-1, 2).astype(np.int64)
    both = np.concatenate((pairs, pairs[:, ::-1]))
    both = np.unique(both[both[:, 0] != both[:, 1]], axis=0)
    bounds = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(both[:, 0], minlength=n), out=bounds[1:])
    return Corpus(embeddings, graph, position, group, bounds, both[:, 1].astype(np.int32), *_nothing_planned(n))


def _nothing_planned(n: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    return np.zeros(n, np.bool_), np.zeros(n, np.int64)


def _check_options(method: str, limits: Limits) -> None:
    split, min_fill, seq_len = limits.split, limits.min_fill, limits.capacity
    if method not in PACK_METHODS:
        raise ConfigError(f"pack.method is {method!r}, which is not built; use one of {', '.join(PACK_METHODS)}")
    if split not in CUT_COSTS:
        raise ConfigError(f"pack.split is {split!r}; use one of {', '.join(CUT_COSTS)}")
    if split == "never" and not PACK_METHODS[method].knows_split:
        raise ConfigError(f"pack.split is 'never', which pack.method {method} cannot do; use minimal or free")
    if not 0 < min_fill <= 1:
        raise ConfigError(f"pack.min_fill is {min_fill}, must be above 0 and at most 1")
    if limits.min_piece is not None and not 1 <= limits.min_piece <= max(1, seq_len // 4):
        raise ConfigError(
            f"pack.min_piece is {limits.min_piece}, must be from 1 to a quarter of a window, {max(1, seq_len // 4)}"
        )
    least = sum(limits.specials) + 1
    if seq_len < least:
        raise ConfigError(
            f"pack.seq_len leaves {seq_len} tokens of a window for documents, must be at least {least}: "
            "one token and its specials; set it to your model's context length, e.g. 8192"
        )


def _check_floor(method: str, least_fill: float, min_fill: float) -> None:
    if not 0 <= least_fill <= min_fill:
        raise ConfigError(f"pack.least_fill is {least_fill}, must be from 0 to pack.min_fill, the mean, {min_fill}")
    if least_fill and not PACK_METHODS[method].knows_split:
        raise ConfigError(f"pack.least_fill is set, which pack.method {method} cannot do; leave it at 0")


def _check_continuation(method: str, continuation: str) -> None:
    if continuation not in CONTINUATIONS:
        raise ConfigError(f"pack.continuation is {continuation!r}; use one of {', '.join(CONTINUATIONS)}")
    if continuation != "cut" and not PACK_METHODS[method].fills:
        raise ConfigError(f"pack.continuation is {continuation!r}, which pack.method {method} cannot do; use cut")


def _check_lengths(lengths: NDArray[np.integer], limits: Limits, method: str) -> None:
    shortest = sum(limits.specials) + 1
    wrong = np.flatnonzero((lengths < 0) | ((lengths > 0) & (lengths < shortest)))
    if wrong.size:
        raise InputError(
            f"lengths[{wrong[0]}] is {lengths[wrong[0]]}, expected 0 or at least {shortest}: a token and its specials; "
            "lengths count the specials of a document"
        )
    longest = int(lengths.max(initial=0)) // limits.capacity
    if PACK_METHODS[method].repeats and longest > MOST_REPEATED_WINDOWS:
        raise InputError(
            f"lengths[{lengths.argmax()}] fills {longest:,} windows; {method}, which may repeat a document, takes at "
            f"most {MOST_REPEATED_WINDOWS:,} of one; use another method"
        )


def _labels(groups: object, sources: object) -> tuple[tuple[str, object], tuple[str, object]]:
    return ("groups", groups), ("sources", sources)


def _checked_labels(n_docs: int, name: str, labels: object) -> NDArray[np.integer] | None:
    if labels is None:
        return None
    found = as_array(name, labels, kinds="iu", n_axes=1)
    if found.shape != (n_docs,):
        raise InputError(f"{name} are {found.shape} {found.dtype}, expected ({n_docs},) integers")
    return found


def _checked_numbers(
    n_docs: int, graph: DocGraph, order: NDArray[np.integer], conflicts: NDArray[np.int64] | None
) -> tuple[NDArray[np.integer], NDArray[np.int64] | None]:
    """The order, a permutation, and conflicts that name documents."""
    if graph.n_docs != n_docs:
        raise InputError(
            f"{n_docs} lengths and {graph.n_docs} rows in the graph; expected as many of each: one a document"
        )
    order, seen = as_array("order", order, kinds="iu", n_axes=1), np.zeros(n_docs, dtype=np.bool_)
    if order.shape == (n_docs,) and (n_docs == 0 or 0 <= order.min() <= order.max() < n_docs):
        seen[order] = True
    if order.shape != (n_docs,) or not seen.all():
        raise InputError(f"order is not a permutation of 0 to {n_docs - 1}; icp.visit_order gives one")
    if conflicts is None or not len(conflicts):
        return order, None
    conflicts = as_array("conflicts", conflicts, kinds="iu", n_axes=2)
    if conflicts.shape[1] != 2:
        raise InputError(f"conflicts are {conflicts.shape} {conflicts.dtype}, expected (m, 2) integers")
    if not 0 <= conflicts.min() <= conflicts.max() < n_docs:
        raise InputError(f"conflicts name rows {conflicts.min()} to {conflicts.max()}, expected 0 to {n_docs - 1}")
    return order, conflicts
