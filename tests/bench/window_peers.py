"""Orders of documents by others, for `bench_windows.py`: the official repository's logic, and trees as in SPLiCe.

In: directed neighbours, lengths. Out: permutations, to be cut every `seq_len` tokens. Plain Python, written from
descriptions, not from code.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

OFFICIAL_NEIGHBORS, OFFICIAL_CLUSTER = 9, 21
TREE_CHILDREN = 3


def official_order(neighbors: NDArray[np.int32]) -> NDArray[np.int64]:
    """Clusters along first unseen neighbours, small ones dissolved into others, one after another.

    What swj0419/in-context-pretraining does where it does not end with an error: walks begin at the lowest unseen
    number; clusters hold 21 documents, the first 22; each document of a smaller one goes before its first neighbour in
    another cluster. With no such neighbour it ends with an error: here the document stays. Its loss of documents
    at writing is left out too, so that each document stands once.
    """
    near = neighbors[:, :OFFICIAL_NEIGHBORS].tolist()
    clusters = _walked_clusters(near)
    cluster_of = np.empty(len(near), np.int64)
    for number, docs in enumerate(clusters):
        cluster_of[docs] = number
    for number, docs in enumerate(clusters):
        if len(docs) >= OFFICIAL_CLUSTER:
            continue
        stay = []
        for doc in docs:
            other = next((n for n in near[doc] if n >= 0 and cluster_of[n] != number), None)
            if other is None:
                stay.append(doc)
                continue
            target = clusters[cluster_of[other]]
            target.insert(target.index(other), doc)
            cluster_of[doc] = cluster_of[other]
        clusters[number] = stay
    return np.array([doc for docs in clusters for doc in docs], np.int64)


def _walked_clusters(near: list[list[int]]) -> list[list[int]]:
    """Clusters before any is dissolved."""
    seen, clusters = [False] * len(near), []
    lowest, doc = 0, -1
    while lowest < len(near):
        after = next((n for n in near[doc] if n >= 0 and not seen[n]), -1) if doc >= 0 else -1
        most = OFFICIAL_CLUSTER + (len(clusters) == 1)
        if after < 0 or len(clusters[-1]) >= most:
            clusters.append([])
            after = lowest
        doc = after
        seen[doc] = True
        clusters[-1].append(doc)
        while lowest < len(near) and seen[lowest]:
            lowest += 1
    return clusters


def tree_order(
    neighbors: NDArray[np.int32], lengths: NDArray[np.int64], seq_len: int, seed: int = 0
) -> NDArray[np.int64]:
    """One tree a window: from a root its nearest unused documents, then theirs, breadth first, until it is full.

    A document that a window cuts is the root of the next; otherwise, and where a tree ends early, the root is drawn by
    the seed. SPLiCe (arXiv 2312.17296) throws away what does not fit; here each document stands once.
    """
    n_docs = len(neighbors)
    roots = iter(np.random.default_rng(seed).permutation(n_docs).tolist())
    used, order, tokens, queue = [False] * n_docs, [], 0, deque()
    near, sizes = neighbors.tolist(), lengths.tolist()
    while len(order) < n_docs:
        found = []
        if queue:
            found = [n for n in near[queue.popleft()] if n >= 0 and not used[n]][:TREE_CHILDREN]
        else:
            found = [next(root for root in roots if not used[root])]
        for doc in found:
            used[doc] = True
            order.append(doc)
            queue.append(doc)
            window, tokens = tokens // seq_len, tokens + sizes[doc]
            if tokens // seq_len > window:
                queue = deque([doc] if tokens % seq_len else [])
                break
    return np.array(order, np.int64)
