"""How many documents have the id of another one: told, because ids are how people find and exclude documents.

In: the ids of each read task. Out: a count that is exact inside a task, and an estimate from a sample of ids over all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

N_SAMPLED = 256
"""Hashes kept of a task: the smallest, so that tasks sample the same ids."""
N_COUNTED = 1 << 22
"""Rows of a task whose ids are compared with one another; of those after them the sample only."""
_ALL = 2**64


class IdCount:
    """The ids of one task, as hashes."""

    def __init__(self) -> None:
        self._hashes: list[NDArray[np.uint64]] = []
        self._n_held = 0
        self._limit: np.uint64 | None = None
        self._repeated = 0

    def add(self, ids: pa.ChunkedArray) -> None:
        """Count the ids of some documents."""
        values = ids.to_pylist()
        hashes = np.fromiter((xxhash.xxh3_64_intdigest(value.encode()) for value in values), np.uint64, len(values))
        self._hashes.append(hashes if self._limit is None else hashes[hashes <= self._limit])
        self._n_held += len(values)
        if self._limit is None and self._n_held > N_COUNTED:
            together = np.concatenate(self._hashes)
            found = np.unique(together)
            self._limit = found[: N_SAMPLED + 1][-1]
            self._repeated = together.size - found.size
            self._hashes = [together[together <= self._limit]]

    def figures(self) -> dict[str, Any]:
        """``repeated``, documents with an id that another of the task has, less one for each such id; ``sample``."""
        found, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *self._hashes]), return_counts=True)
        sample = zip(found[:N_SAMPLED].tolist(), counts[:N_SAMPLED].tolist(), strict=True)
        repeated = self._repeated if self._limit is not None else int(counts.sum()) - counts.size
        return {"repeated": repeated, "sample": [list(row) for row in sample]}


def repeated_ids(tasks: Iterable[Mapping[str, Any]]) -> tuple[int, bool]:
    """Documents whose id another one has, less one for each such id, and whether that is exact.

    Args:
        tasks: `IdCount.figures` of all tasks.
    """
    figures = list(tasks)
    samples: list[Sequence[Sequence[int]]] = [one["sample"] for one in figures]
    limit = min((sample[-1][0] for sample in samples if len(sample) >= N_SAMPLED), default=_ALL)
    counts: dict[int, int] = {}
    for sample in samples:
        for value, count in sample:
            if value <= limit:
                counts[value] = counts.get(value, 0) + count
    repeated = sum(counts.values()) - len(counts)
    if limit == _ALL:
        return repeated, True
    inside = sum(int(one["repeated"]) for one in figures)
    return max(inside, round(repeated * _ALL / max(1, limit))), False
