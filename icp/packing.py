"""Which piece of which document stands in which window: what `icp.plan_windows` gives."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, PackPlan, Rows
from icp.errors import ConfigError, InputError
from icp.kernels import windows

_PLAN_STREAM, _SHUFFLE_STREAM = 2, 3  # beside the seed, so that no two permutations share their numbers


def plan_windows(
    graph: DocGraph,
    embeddings: Rows,
    order: NDArray[np.integer],
    lengths: NDArray[np.int64],
    *,
    seq_len: int,
    method: str = "path-cut",
    min_fill: float = 0.995,
    split: str = "free",
    conflicts: NDArray[np.int64] | None = None,
    seed: int = 0,
    specials: tuple[int, int] = (0, 0),
    groups: NDArray[np.integer] | None = None,
) -> PackPlan:
    """Windows of related documents, each token of each document once, numbered along the path.

    Args:
        graph: similarity graph of n documents.
        embeddings: (n, dim) float, norm 1 or all zero.
        order: (n,) integers, a permutation: the path through the documents.
        lengths: (n,) int64, tokens of each document, its specials among them; 0 takes no window.
        seq_len: tokens of a window.
        method: ``path-cut``, the paper's: documents one after another along the path, cut every `seq_len` tokens.
            ``random`` and ``source``: the same along a permutation, and along rows sorted by group.
        min_fill: share of a window that must be tokens; these methods fill every window but the last.
        split: ``free``: any document may be cut.
        conflicts: (m, 2) int64, pairs that should not share a window; these methods cannot heed them,
            `broken_conflicts` says which ones they break.
        seed: of ``random``.
        specials: tokens (bos, eos) at a document's ends, counted in `lengths`. No cut parts bos from the first token or
            eos from the last: the window then ends up to ``bos + eos`` tokens early.
        groups: (n,) integers, for ``source`` only.

    Raises: ConfigError for what this version does not have or a window too small; InputError for arrays that do not
        fit together.
    Cost: O(n + windows).
    Source: arXiv 2310.10638, section 2.2 and figure 2: concatenated, then divided.
    """
    if method not in _METHODS:
        raise ConfigError(f"pack.method is {method!r}, which is not built; use one of {', '.join(_METHODS)}")
    if split != "free":
        raise ConfigError(f"pack.split is {split!r}, which pack.method {method} cannot do; use free")
    if not 0 < min_fill <= 1:
        raise ConfigError(f"pack.min_fill is {min_fill}, must be above 0 and at most 1")
    n_bos, n_eos = specials
    if seq_len < n_bos + 1 + n_eos:
        raise ConfigError(
            f"pack.seq_len leaves {seq_len} tokens of a window for documents, must be at least {n_bos + 1 + n_eos}: "
            "one token and its specials; set it to your model's context length, e.g. 8192"
        )
    _check_lengths(lengths, n_bos + 1 + n_eos)
    _check_rows(lengths.size, graph, embeddings, order, groups, conflicts)
    laid = _METHODS[method](order, seed, groups)
    doc, start, stop, window = windows.cut_path(laid, lengths.astype(np.int64), seq_len, n_bos, n_eos)
    return PackPlan(doc, start, stop, window)


def broken_conflicts(plan: PackPlan, conflicts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pairs of `conflicts` (m, 2) int64 whose documents stand together in some window of the plan, in order."""
    if not conflicts.size or not plan.doc.size:
        return conflicts[:0].reshape(0, 2)
    n_docs = int(max(plan.doc.max(), conflicts.max())) + 1
    by_doc = np.lexsort((plan.window, plan.doc))
    indptr = np.zeros(n_docs + 1, dtype=np.int64)
    np.cumsum(np.bincount(plan.doc, minlength=n_docs), out=indptr[1:])
    pairs = np.ascontiguousarray(conflicts, dtype=np.int64)
    together: NDArray[np.bool_] = windows.share_a_window(indptr, plan.window[by_doc], pairs)
    return pairs[together]


def training_order(n_windows: int, *, shuffle: str = "random", seed: int = 0) -> NDArray[np.int64]:
    """(n_windows,) int64: the window of the plan (its rank along the path) that comes at each step of training.

    Raises: ConfigError for a `shuffle` other than ``random`` and ``none``.
    """
    if shuffle == "none":
        return np.arange(n_windows, dtype=np.int64)
    if shuffle == "random":
        return np.random.default_rng([seed, _SHUFFLE_STREAM]).permutation(n_windows).astype(np.int64)
    raise ConfigError(f"pack.shuffle is {shuffle!r}, which is not built; use one of random, none")


def renumber(plan: PackPlan, path_rank: NDArray[np.int64]) -> PackPlan:
    """The plan with window ``path_rank[t]`` renamed to t; positions inside windows stay."""
    trained_at = np.empty_like(path_rank)
    trained_at[path_rank] = np.arange(path_rank.size, dtype=np.int64)
    window = trained_at[plan.window]
    rows = np.argsort(window, kind="stable")
    return PackPlan(plan.doc[rows], plan.start[rows], plan.stop[rows], window[rows])


_Groups = NDArray[np.integer] | None


def _path(order: NDArray[np.integer], seed: int, groups: _Groups) -> NDArray[np.int64]:
    return order.astype(np.int64)


def _random(order: NDArray[np.integer], seed: int, groups: _Groups) -> NDArray[np.int64]:
    return np.random.default_rng([seed, _PLAN_STREAM]).permutation(order.size).astype(np.int64)


def _source(order: NDArray[np.integer], seed: int, groups: _Groups) -> NDArray[np.int64]:
    if groups is None:
        raise ConfigError("pack.method is 'source', which needs the group of each document; pass groups=")
    return np.argsort(groups, kind="stable").astype(np.int64)


_METHODS: dict[str, Callable[[NDArray[np.integer], int, _Groups], NDArray[np.int64]]] = {
    "path-cut": _path,
    "random": _random,
    "source": _source,
}


def _check_lengths(lengths: NDArray[np.integer], shortest: int) -> None:
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise InputError(f"lengths are {lengths.shape} {lengths.dtype}, expected (n,) int64: tokens of each document")
    wrong = np.flatnonzero((lengths < 0) | ((lengths > 0) & (lengths < shortest)))
    if wrong.size:
        raise InputError(
            f"lengths[{wrong[0]}] is {lengths[wrong[0]]}, expected 0 or at least {shortest}: a token and its specials; "
            "lengths count the specials of a document"
        )


def _check_rows(
    n_docs: int,
    graph: DocGraph,
    embeddings: Rows,
    order: NDArray[np.integer],
    groups: _Groups,
    conflicts: NDArray[np.int64] | None,
) -> None:
    if graph.n_docs != n_docs or embeddings.shape[0] != n_docs:
        raise InputError(
            f"{n_docs} lengths, {graph.n_docs} rows in the graph and {embeddings.shape[0]} embeddings; "
            "expected as many of each: one a document"
        )
    seen = np.zeros(n_docs, dtype=np.bool_)
    if (
        order.shape == (n_docs,)
        and order.dtype.kind in "iu"
        and (n_docs == 0 or 0 <= order.min() <= order.max() < n_docs)
    ):
        seen[order] = True
    if order.shape != (n_docs,) or not seen.all():
        raise InputError(f"order is not a permutation of 0 to {n_docs - 1}; icp.visit_order gives one")
    if groups is not None and (groups.shape != (n_docs,) or groups.dtype.kind not in "iu"):
        raise InputError(f"groups are {groups.shape} {groups.dtype}, expected ({n_docs},) integers")
    if conflicts is not None and conflicts.size:
        if conflicts.ndim != 2 or conflicts.shape[1] != 2 or conflicts.dtype.kind not in "iu":
            raise InputError(f"conflicts are {conflicts.shape} {conflicts.dtype}, expected (m, 2) integers")
        if not 0 <= conflicts.min() <= conflicts.max() < n_docs:
            raise InputError(f"conflicts name rows {conflicts.min()} to {conflicts.max()}, expected 0 to {n_docs - 1}")
