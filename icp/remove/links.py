"""Links of a graph without those of removed documents.

In: the copy of a run, which nodes go. Out: the copy, its counts of edges of links made anew.
"""

import numpy as np
from numpy.typing import NDArray

from icp.data import load_npy
from icp.remove.stage import Patch
from icp.remove.vectors import replace_array
from icp.run.names import INDICES, INDPTR, LINK_ALIKE, LINK_SHARES, LINK_VECTORS, LINK_WEIGHTS, LINKS


def purge_links(patch: Patch, gone: NDArray[np.bool_]) -> None:
    """Removed nodes, (n_nodes,) bool, have no links; nothing where there are none. The graph is purged already."""
    if LINKS not in patch.files:
        return
    pairs = np.array(load_npy(patch.folder / LINKS, "r"))
    stays = ~gone[pairs].any(axis=1)
    left = {}
    for name in (LINKS, LINK_SHARES, LINK_WEIGHTS, LINK_ALIKE):
        left[name] = np.array(load_npy(patch.folder / name, "r"))[stays]
        replace_array(patch, name, left[name], rows=int(stays.sum()))
    if LINK_VECTORS in patch.files:
        vectors = np.array(load_npy(patch.folder / LINK_VECTORS, "r"))
        vectors[gone] = 0
        replace_array(patch, LINK_VECTORS, vectors, rows=len(vectors))
    indptr, indices = (np.array(load_npy(patch.folder / name, "r")) for name in (INDPTR, INDICES))
    owner = np.repeat(np.arange(gone.size), np.diff(indptr))
    there = np.isin(left[LINKS][:, 0] * gone.size + left[LINKS][:, 1], owner * gone.size + indices)
    alone = there & ~left[LINK_ALIKE]
    patch.counts |= {"edges_of_links": int(there.sum()), "edges_of_similarity": indices.size // 2 - int(alone.sum())}
    of_entries = (left[LINK_SHARES][there] > 0).sum(axis=0).tolist()
    patch.facts["links"] = [
        {**entry, "edges": n_edges} for entry, n_edges in zip(patch.facts["links"], of_entries, strict=True)
    ]
