"""The tasks of a plan in partitions, in the order in which they are done, in memory or over files.

In: a `Division` and a `Store`, where tasks leave what later ones need. Out: the pieces of all seams. `icp.pack.planner`
runs all tasks over a dictionary; the step `windows` runs each as a part of a phase over files. Both take which tasks
there are, how many of each and what each reads from here. Tasks of one name may run at once, in any order.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from icp.pack.partitions import (
    NOTHING,
    Segments,
    divide,
    joined_seams,
    plan_partition,
    plan_seam,
    segment_directions,
)
from icp.pack.problem import Corpus, Pieces

RANGES, PARTITIONS = "ranges", "partitions"
"""Counts in a store: ranges of segments, known from the beginning; partitions, known after *divide*."""
PIECES = ("doc", "tokens", "window")


@dataclass(frozen=True, slots=True)
class Division:
    """What every task of a plan reads.

    Attributes:
        corpus: all documents, with the limits of the windows of tails.
        tails: (n,) int64, tokens of each document that are to be planned.
        segments: the documents that have a tail.
        threads: of one task; the plan does not depend on it.
    """

    corpus: Corpus
    tails: NDArray[np.int64]
    segments: Segments
    threads: int = 1


class Store(Protocol):
    """Named arrays and counts that tasks leave for later ones."""

    def save(self, name: str, array: NDArray[Any]) -> None:
        """Keep an array of any shape and type."""

    def load(self, name: str) -> NDArray[Any]:
        """An array that an earlier task saved, of the same shape and type; not to be changed."""

    def set_count(self, name: str, count: int) -> None:
        """Keep a count."""

    def count(self, name: str) -> int:
        """A count that an earlier task set."""


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """A `Store` in memory."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def save(self, name: str, array: NDArray[Any]) -> None:
        """See `Store`."""
        self.arrays[name] = array

    def load(self, name: str) -> NDArray[Any]:
        """See `Store`."""
        return self.arrays[name]

    def set_count(self, name: str, count: int) -> None:
        """See `Store`."""
        self.counts[name] = count

    def count(self, name: str) -> int:
        """See `Store`."""
        return self.counts[name]


@dataclass(frozen=True, slots=True)
class Task:
    """Work that is done once, or for each number below a count.

    Attributes:
        name: of the phase.
        count: how many there are, by the store; None for one.
        work: writes to the store what the task of a number gives.
    """

    name: str
    count: Callable[[Store], int] | None
    work: Callable[[Division, Store, int], None]


def plan_divided(division: Division, threads: int) -> Pieces:
    """The pieces of a division, planned in memory, `threads` tasks at a time."""
    store = MemoryStore(counts={RANGES: division.segments.n_ranges})
    with ThreadPoolExecutor(threads) as pool:
        for task in TASKS:
            count = task.count(store) if task.count else 1
            for _ in pool.map(partial(task.work, division, store), range(count)):
                pass
    return joined_pieces(store)


def joined_pieces(store: Store) -> Pieces:
    """The pieces of all seams, when all tasks are done."""
    return joined_seams([_load_pieces(store, f"seam-{number:05}") for number in range(_n_seams(store))])


def _point(division: Division, store: Store, number: int) -> None:
    store.save(f"segments-{number:05}", segment_directions(division.corpus, division.segments, number))


def _divide(division: Division, store: Store, _: int) -> None:
    directions = [store.load(f"segments-{number:05}") for number in range(store.count(RANGES))]
    found = divide(division.segments, np.concatenate(directions))
    for number, docs in enumerate(found):
        store.save(f"docs-{number:05}", docs)
    store.set_count(PARTITIONS, len(found))


def _plan_partition(division: Division, store: Store, number: int) -> None:
    docs = np.asarray(store.load(f"docs-{number:05}"))
    _save_pieces(
        store,
        f"partition-{number:05}",
        plan_partition(division.corpus, docs, division.tails, division.threads),
    )


def _plan_seam(division: Division, store: Store, number: int) -> None:
    """Seam 0 lies before the first partition, the last one behind the last partition."""
    last = store.count(PARTITIONS)
    before = _load_pieces(store, f"partition-{number - 1:05}") if number else NOTHING
    after = _load_pieces(store, f"partition-{number:05}") if number < last else NOTHING
    _save_pieces(store, f"seam-{number:05}", plan_seam(division.corpus, before, after, division.threads))


def _n_ranges(store: Store) -> int:
    return store.count(RANGES)


def _n_partitions(store: Store) -> int:
    return store.count(PARTITIONS)


def _n_seams(store: Store) -> int:
    return store.count(PARTITIONS) + 1


def _save_pieces(store: Store, name: str, pieces: Pieces) -> None:
    for column in PIECES:
        store.save(f"{name}.{column}", getattr(pieces, column))


def _load_pieces(store: Store, name: str) -> Pieces:
    return Pieces(*(np.asarray(store.load(f"{name}.{column}")) for column in PIECES))


TASKS = (
    Task("segments", _n_ranges, _point),
    Task("divide", None, _divide),
    Task("partition", _n_partitions, _plan_partition),
    Task("seam", _n_seams, _plan_seam),
)
"""*segments*: where the segments of a range point. *divide*: the documents of each partition. *partition*: windows of
one. *seam*: better windows where two meet."""
