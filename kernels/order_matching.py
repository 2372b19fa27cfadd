"""Join documents into fragments of paths by the most similar pairs, and walk through what came out.

In: edges in the order in which to take them, similarities of fragment ends as whole numbers. Out: fragments, candidates
for joining them, an order of all documents. Nothing is checked: bad input reads out of bounds.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel


class Fragments(NamedTuple):
    """Documents joined into disjoint paths.

    Attributes:
        links: (n, 2) int32, the documents joined to each; the first `degree` of them count.
        degree: (n,) int8, 0 to 2; below 2 for the end of a fragment.
        parent: (n,) int32, union-find: documents with one root stand in one fragment.
    """

    links: NDArray[np.int32]
    degree: NDArray[np.int8]
    parent: NDArray[np.int32]


@kernel
def _root(parent, row):
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@kernel
def find_roots(parent: NDArray[np.int32], rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """(len(rows),) int32: the root of each row; shortens the ways in `parent`."""
    roots = np.empty(rows.size, dtype=np.int32)
    for position in range(rows.size):
        roots[position] = _root(parent, rows[position])
    return roots


@kernel
def join_edges(fragments: Fragments, heads: NDArray[np.int32], tails: NDArray[np.int32]) -> int:
    """Take each edge whose two rows are ends of different fragments, in the order given; fragments change in place.

    Args:
        fragments: what is joined so far.
        heads, tails: (edges,) int32, the two rows of each edge.

    Returns: number of edges taken.
    Source: greedy matching of edges, Kruskal's algorithm with degrees of at most 2.
    """
    taken = 0
    for edge in range(heads.size):
        head, tail = heads[edge], tails[edge]
        if fragments.degree[head] < 2 and fragments.degree[tail] < 2:
            one, two = _root(fragments.parent, head), _root(fragments.parent, tail)
            if one != two:
                fragments.parent[max(one, two)] = min(one, two)
                fragments.links[head, fragments.degree[head]] = tail
                fragments.links[tail, fragments.degree[tail]] = head
                fragments.degree[head] += 1
                fragments.degree[tail] += 1
                taken += 1
    return taken


@kernel
def walk_fragments(fragments: Fragments) -> NDArray[np.int32]:
    """(n,) int32: the fragments one after another, by their lowest end, each from that end."""
    n_rows = fragments.degree.size
    order = np.empty(n_rows, dtype=np.int32)
    seen = np.zeros(n_rows, dtype=np.bool_)
    placed = 0
    for start in range(n_rows):
        if seen[start] or fragments.degree[start] == 2:
            continue
        row = np.int32(start)
        while row >= 0:
            seen[row] = True
            order[placed] = row
            placed += 1
            following = np.int32(-1)
            for link in range(fragments.degree[row]):
                if not seen[fragments.links[row, link]]:
                    following = fragments.links[row, link]
            row = following
    return order


class Candidates(NamedTuple):
    """The best found so far for each query.

    Attributes:
        rows: (n, k) int32, by falling similarity, -1 where there is none yet.
        similarities: (n, k) float32 of whole numbers, -inf where there is none yet.
        groups: (rows of the base,) int32; a query takes nobody of its own group.
    """

    rows: NDArray[np.int32]
    similarities: NDArray[np.float32]
    groups: NDArray[np.int32]


@kernel
def keep_best(
    candidates: Candidates,
    block: NDArray[np.float32],
    queries: NDArray[np.int64],
    base: NDArray[np.int64],
    own_groups: NDArray[np.int32],
) -> None:
    """Take what is better in a block of similarities into the candidates, in place.

    Args:
        candidates: changed in place.
        block: (queries, base) float32.
        queries: (queries,) int64, rows of `candidates`, in the numbering of `base` where both are the same documents.
        base: (base,) int64, each not offered to a query before.
        own_groups: (queries,) int32.

    Equal similarities go to the next row after the query, cyclically: alike documents then choose different partners,
    and the result does not depend on the order of the blocks.
    """
    k = candidates.rows.shape[1]
    n_base = candidates.groups.size
    for q in range(queries.size):
        rows = candidates.rows[queries[q]]
        best = candidates.similarities[queries[q]]
        worst = best[k - 1]
        for b in range(base.size):
            value = block[q, b]
            if value < worst or candidates.groups[base[b]] == own_groups[q]:
                continue
            away = (base[b] - queries[q]) % n_base
            at = k
            while at > 0 and (
                value > best[at - 1] or (value == best[at - 1] and away < (rows[at - 1] - queries[q]) % n_base)
            ):
                at -= 1
            if at == k:
                continue
            for position in range(k - 1, at, -1):
                rows[position] = rows[position - 1]
                best[position] = best[position - 1]
            rows[at] = base[b]
            best[at] = value
            worst = best[k - 1]
