"""Which document an id means, after duplicates were removed.

In: ids of documents/, the lists of removed documents. Out: hashes, sorted, and the document that stands for each.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.run.context import Context, document_paths, part_paths
from icp.run.names import DUPLICATES
from icp.run.tables import read_column
from icp.texts import id_hashes


def docs_of_ids(context: Context, steps: tuple[str, ...]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of ids, sorted, and the doc of each: that which `steps` keep in its place, -1 of an id of several.

    A document that another tool removed, and did not say of what it is a copy, stands for itself.
    """
    columns = (read_column(path, "id").to_pylist() for path in document_paths(context))
    hashes = np.concatenate([np.zeros(0, np.uint64), *map(id_hashes, columns)])
    target = np.arange(hashes.size)
    for step in steps:
        stands_for = np.arange(hashes.size)
        for path in part_paths(context, step, DUPLICATES):
            if path.exists():
                docs, kept = (np.asarray(read_column(path, name)) for name in ("doc", "duplicate_of"))
                stands_for[docs] = np.where(kept < 0, docs, kept)
        target = stands_for[target]
    order = np.argsort(hashes, kind="stable")
    hashes, target = hashes[order], target[order]
    again = np.zeros(hashes.size, np.bool_)
    again[1:] = hashes[1:] == hashes[:-1]
    again[:-1] |= again[1:]
    target[again] = -1
    return hashes, target.astype(np.int64)


def ranks(docs: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) int64: where each doc stands among `kept`, which ascend; -1 if it does not."""
    if not kept.size:
        return np.full(docs.size, -1, np.int64)
    place = np.minimum(np.searchsorted(kept, docs), kept.size - 1)
    return np.asarray(np.where(kept[place] == docs, place, -1), np.int64)


def found_ids(
    hashes: NDArray[np.integer[Any]], values: NDArray[np.int64], wanted: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """(n,) int64: the value of each wanted hash, -1 if it is not among `hashes`, which ascend."""
    if not hashes.size:
        return np.full(wanted.size, -1, np.int64)
    place = np.minimum(np.searchsorted(hashes, wanted), hashes.size - 1)
    return np.asarray(np.where(hashes[place] == wanted, values[place], -1), np.int64)
