"""Promises 6 and 7: the order of the windows, and the documents that must not share one.

In: order/, graph/conflicts.npy, what was gathered from the windows. Out: breaches.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icp.audit.findings import PLACES, Breaches
from icp.audit.segments import TokenFiles
from icp.audit.unlisted import by_cosine, by_words, overlooked
from icp.audit.windows import WindowTally
from icp.run.names import (
    CONFLICTS,
    NEIGHBORS,
    ORDER,
    PACK_FOLDERS,
    PATH_STARTS,
    SIMILARITIES,
    SURVIVORS,
    of_part,
    part_of,
)  # fmt: skip
from icp.run.reader import Run, WrongForm
from icp.run.records import MANIFEST


def check_order(run: Run, tally: WindowTally, n_nodes: int, found: Breaches) -> str:
    """Promise 6: the order visits every node once, the windows are a permutation of those along the path, as apart in
    training as `shuffle` says."""
    order = np.asarray(run.array("order", ORDER))
    starts = run.array("order", PATH_STARTS, kinds="b")
    if not _is_permutation(order, n_nodes):
        found.add(f"{ORDER} is no permutation of the {n_nodes:,} nodes")
    if starts.size != n_nodes or (n_nodes and not starts[0]):
        found.add(f"{PATH_STARTS} does not fit the order")
    ranks = np.concatenate([np.empty(0, dtype=np.int64), *tally.path_rank])
    if not _is_permutation(ranks, ranks.size):
        found.add("path ranks of the windows are no permutation")
    shuffle = run.config.pack.shuffle
    on_path = ranks[ranks < ranks.size - int(run.manifests["windows"].facts.get("random_windows", 0))]
    if shuffle == "none" and np.any(np.diff(on_path) < 0):
        found.add("windows are not in path order though shuffle is none")
    if shuffle == "spread":
        firsts = run.manifests["windows"].facts.get("passes", [0, ranks.size])
        spans = list(pairwise(firsts if run.config.pack.epochs > 1 else [0, ranks.size]))
        random = ranks.size - on_path.size
        texts = [_check_spread(ranks[a:b] - a, b - a - random, run, found) for a, b in spans if _is_span(ranks, a, b)]
        if len(texts) < len(spans):
            found.add("passes whose windows are not those of their part of the path")
        return "; ".join(texts)
    if shuffle.startswith("lanes:"):
        return _check_lanes(ranks, int(shuffle.removeprefix("lanes:")), found)
    return f"does not apply: shuffle is {shuffle}; the {ranks.size:,} windows are a permutation of those along the path"


def _is_span(ranks: NDArray[np.int64], first: int, stop: int) -> bool:
    return _is_permutation(ranks[first:stop] - first, stop - first)


def _check_lanes(ranks: NDArray[np.int64], batch: int, found: Breaches) -> str:
    """Each row of a batch is the next window on the path after the same row of the batch before."""
    breaks = np.flatnonzero(ranks[batch:] != ranks[:-batch] + 1) + batch
    found.add_all("windows that do not continue their lane", breaks, lambda at: f"window {at} after {at - batch}")
    return f"{ranks.size:,} windows in {batch} lanes, each contiguous on the path"


def _check_spread(ranks: NDArray[np.int64], n_on_path: int, run: Run, found: Breaches) -> str:
    """Windows close on the path, its ends joined, are trained as many steps apart as the manifests say, or more."""
    trained_at = np.empty(ranks.size, dtype=np.int64)
    trained_at[ranks] = np.arange(ranks.size)
    trained_at = trained_at[:n_on_path]
    stated = run.manifests["windows"].facts["spread"]
    if run.manifests["shards"].facts.get("spread") != stated:
        found.add(f"shards/{MANIFEST} states another spread than {PACK_FOLDERS['windows']}/{MANIFEST}")
    for distance, least in stated["gaps"].items():
        for apart in range(1, min(int(distance), n_on_path - 1) + 1):
            close = np.flatnonzero(np.abs(trained_at - np.roll(trained_at, -apart)) < least)
            found.add_all(f"windows {apart} apart on the path, fewer than {least} steps apart", close, str)
    by_distance = sorted((int(distance), least) for distance, least in stated["gaps"].items())
    gaps = ", ".join(f"{least:,} if {distance} apart on the path" for distance, least in by_distance)
    return f"{n_on_path:,} windows spread; steps between two of them, at least: {gaps} or less"


def _is_permutation(values: NDArray[np.integer], n: int) -> bool:
    if values.size != n or (n and not (values.min() >= 0 and values.max() < n)):
        return False
    seen = np.zeros(n, dtype=np.bool_)
    seen[values] = True
    return bool(seen.all())


def check_conflicts(
    run: Run, tally: WindowTally, tokens: TokenFiles, conflicts: NDArray[np.int64], found: Breaches
) -> str:
    """Promise 7: the conflicts that share a window are those that the plan could not avoid."""
    n_nodes = tokens.nodes.size
    if conflicts.size and not (conflicts.min() >= 0 and conflicts.max() < n_nodes):
        raise WrongForm(f"graph/{CONFLICTS} names nodes {conflicts.min()} to {conflicts.max()} of {n_nodes:,}")
    _check_pairs(run, tokens, conflicts, found)
    together = np.concatenate([np.empty((0, 2), dtype=np.int64), *tally.together])
    broken = conflicts[share_a_window(conflicts, together)]
    stated = run.manifests["windows"].facts.get("conflicts_broken")
    if stated != len(broken):
        found.add("conflicts that share a window", f"{len(broken):,}, the plan's manifest says {stated}")
    found.add_all("windows that mix group_by values", np.concatenate([conflicts[:0, 0], *tally.mixed]), str)
    group_by = run.config.pack.group_by
    groups = overlooked(run, np.concatenate([conflicts[:0], *tally.some]), tokens.nodes, conflicts)
    groups += "; " + (f"no window mixes values of {', '.join(group_by)}" if group_by else "group_by is empty")
    if not len(broken):
        return f"no window holds two of {len(conflicts):,} conflicting pairs; {groups}"
    docs = tokens.nodes[broken[:PLACES]].tolist()
    shown = ", ".join(f"docs {a} and {b}" for a, b in docs) + (", ..." if len(broken) > PLACES else "")
    return (
        f"{len(broken):,} of {len(conflicts):,} conflicting pairs share a window, as stated: {run.config.pack.method} "
        f"cannot avoid them ({shown}); {groups}"
    )


def _check_pairs(run: Run, tokens: TokenFiles, conflicts: NDArray[np.int64], found: Breaches) -> None:
    """The conflicts are the kept neighbours that are `duplicate_similarity` alike or more, as neighbors/ has them, and
    pairs beyond those lists of which this holds too, or which share words enough."""
    n_nodes = tokens.nodes.size
    alike = np.unique(_alike(run, tokens))
    given = conflicts.min(axis=1) * n_nodes + conflicts.max(axis=1) if conflicts.size else alike[:0]

    def describe(key: int) -> str:
        return f"docs {tokens.nodes[key // n_nodes]} and {tokens.nodes[key % n_nodes]}"

    more = np.setdiff1d(given, alike)
    docs = tokens.nodes[np.stack((more // n_nodes, more % n_nodes), axis=1)]
    more = more[~(by_cosine(run, docs) | (run.config.graph.compares_texts and by_words(run, docs)))]
    for kind, keys in (
        (f"pairs too alike to share a window that graph/{CONFLICTS} lacks", np.setdiff1d(alike, given)),
        (f"pairs in graph/{CONFLICTS} that are not as alike, and share too few words", more),
    ):
        found.add_all(kind, np.arange(keys.size), lambda at, keys=keys: describe(int(keys[at])))  # type: ignore[misc]


def _alike(run: Run, tokens: TokenFiles) -> NDArray[np.int64]:
    """Pairs of nodes that neighbors/ calls too alike, each as lower * n_nodes + higher."""
    survivors = np.asarray(run.array("dedup", SURVIVORS))
    node_of_row = np.full(survivors.size, -1, dtype=np.int64)
    node_of_row[np.searchsorted(survivors, tokens.nodes)] = np.arange(tokens.nodes.size)
    first, pairs = 0, [np.empty(0, dtype=np.int64)]
    for name in run.names("neighbors", NEIGHBORS):
        neighbors = run.array("neighbors", name, ndim=2)
        values = run.array("neighbors", of_part(SIMILARITIES, part_of(name, NEIGHBORS)), ndim=2, kinds="f")
        if values.shape != neighbors.shape or (neighbors.size and neighbors.max() >= survivors.size):
            raise WrongForm(f"neighbors/{name}: does not fit its similarities or the {survivors.size:,} survivors")
        row, place = np.nonzero((neighbors >= 0) & (values.astype(np.float64) >= run.config.graph.duplicate_similarity))
        one, other = node_of_row[first + row], node_of_row[neighbors[row, place]]
        kept = (one >= 0) & (other >= 0)
        pairs.append(np.minimum(one, other)[kept] * tokens.nodes.size + np.maximum(one, other)[kept])
        first += len(neighbors)
    return np.concatenate(pairs)


def share_a_window(conflicts: NDArray[np.int64], together: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n_conflicts,) bool: some window holds both nodes; `together` (n, 2) int64 names node and window."""
    if not conflicts.size or not together.size:
        return np.zeros(len(conflicts), dtype=np.bool_)
    n_windows = int(together[:, 1].max()) + 1
    placed = np.sort(together[:, 0] * n_windows + together[:, 1])
    first, last = (np.searchsorted(placed, (conflicts[:, 0] + more) * n_windows) for more in (0, 1))
    counts = last - first
    owner = np.repeat(np.arange(len(conflicts)), counts)
    at = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(owner.size)
    wanted = conflicts[owner, 1] * n_windows + placed[at] % n_windows
    shares = np.zeros(len(conflicts), dtype=np.bool_)
    shares[owner[np.isin(wanted, placed)]] = True
    return shares
