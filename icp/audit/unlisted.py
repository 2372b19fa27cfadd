"""Pairs that no list of neighbours holds: what keeps them apart is looked up in their vectors and texts.

In: vectors, texts. Out: which pairs are as alike, or share so many words, as `graph` says. Of many pairs a part, at
equal distances, is compared.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.audit.duplicates import cosines, vectors_of
from icp.audit.shingles import jaccard, shingles
from icp.plurals import counted
from icp.run.names import SURVIVORS
from icp.run.reader import Run
from icp.run.texts import TextReader

MOST_PAIRS = 2000
"""Pairs that are compared."""
MOST_WINDOWS = 500
"""Windows that are looked at, about."""
MOST_IN_WINDOWS = 200_000
"""Pairs of documents that share a window, about."""
LOOKED_AT = 0.5
"""Cosine from which the step compares words."""
HALF = 1e-9
ROUNDING = 2**-10
"""Of a cosine near 1 as float16."""


def by_cosine(run: Run, docs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m,) bool: whether two documents `docs` (m, 2) are as alike as duplicates; True for those not compared."""
    found = np.ones(len(docs), np.bool_)
    chosen = _chosen(len(docs))
    rows = np.searchsorted(run.array("dedup", SURVIVORS), docs[chosen])
    found[chosen] = cosines(vectors_of(run), rows[:, 0], rows[:, 1]) >= run.config.graph.duplicate_similarity - ROUNDING
    return found


def by_words(run: Run, docs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m,) bool: whether two documents `docs` (m, 2) share enough words; True for those that are not compared."""
    found = np.ones(len(docs), np.bool_)
    chosen = _chosen(len(docs))
    reader, ngram, config = TextReader(run), run.config.dedup.ngram, run.config.graph
    least_jaccard = 2.0 if config.conflict_jaccard is None else config.conflict_jaccard - HALF
    least_share = 2.0 if config.conflict_containment is None else config.conflict_containment - HALF
    texts = reader.rows(np.unique(docs[chosen]), ("text",))
    for at in chosen.tolist():
        one, other = (shingles(texts[doc]["text"], ngram=ngram) for doc in docs[at].tolist())
        shared = np.intersect1d(one, other, assume_unique=True).size
        share = shared / max(1, min(one.size, other.size))
        found[at] = jaccard(one, other) >= least_jaccard or share >= least_share
    return found


def to_look_at(
    run: Run, windows: Mapping[str, NDArray[Any]], rank: NDArray[np.int64], node: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(n, 2) int64, window and node, of some of the windows of a part: evenly chosen along the path.

    Args:
        rank: of the window of each node, in the columns of `windows`.
    """
    step = 1 + int(run.manifests["windows"].facts["count"]) // MOST_WINDOWS
    chosen = (windows["path_rank"] % step == 0)[rank]
    return np.asarray(np.stack((windows["window"][rank], node), axis=1)[chosen], np.int64)


def overlooked(run: Run, some: NDArray[np.int64], nodes: NDArray[np.int64], conflicts: NDArray[np.int64]) -> str:
    """What of other pairs in some windows is as alike as conflicts are: a phrase. An approximate search misses a few.

    Args:
        some: (n, 2) int64, window and node.
        nodes: (n_nodes,) int64, doc of each node.
        conflicts: (m, 2) int64, nodes.
    """
    some = some[np.lexsort(some.T[::-1])]
    bounds, pairs, n_pairs, n_windows = np.flatnonzero(np.diff(some[:, 0], prepend=-1, append=-1)), [some[:0]], 0, 0
    for begin, end in pairwise(bounds.tolist()):
        if n_pairs > MOST_IN_WINDOWS:
            break
        here = np.unique(some[begin:end, 1])
        low, high = np.triu_indices(here.size, k=1)
        pairs.append(np.stack((here[low], here[high]), axis=1))
        n_pairs, n_windows = n_pairs + low.size, n_windows + 1
    keys = np.concatenate(pairs) @ np.array([nodes.size, 1])
    keys = np.setdiff1d(keys, np.sort(conflicts, axis=1) @ np.array([nodes.size, 1]))
    docs = nodes[np.stack((keys // max(1, nodes.size), keys % max(1, nodes.size)), axis=1)]
    rows = np.searchsorted(run.array("dedup", SURVIVORS), docs)
    found = cosines(vectors_of(run), rows[:, 0], rows[:, 1])
    n_alike = int((found >= run.config.graph.duplicate_similarity + ROUNDING).sum())
    told = f"{n_alike or 'none'} of {keys.size:,} other pairs in {counted(n_windows, 'window')} are as alike"
    if run.config.graph.compares_texts:
        near = docs[found >= LOOKED_AT]
        near = near[_chosen(len(near))]
        n_shared = int(by_words(run, near).sum())
        told += f", and {n_shared or 'none'} of {len(near):,} compared share as many words"
    return told


def _chosen(n: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(MOST_PAIRS, n)).astype(np.int64))
