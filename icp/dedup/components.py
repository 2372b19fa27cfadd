"""Components of candidates, and the tasks that judge them: what no bucket connects may be judged apart.

In: buckets, their members as positions of candidates. Out: labels, the smallest position that each one is connected to;
tasks, each a stretch of labels; the buckets again, those of each task together. Few candidates are one task. In memory
and over files the tasks are the same, and so is the verdict, however many there are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.dedup.buckets import Buckets, Found
from icp.kernels.dedup_union_find import join_more, settle_roots

TASK_CANDIDATES = 1 << 16
"""Candidates judged in one task, a larger component excepted: some 150 to 300 MiB of evidence."""
BINS = 1 << 14
"""Of labels, whose candidates are counted together: a task ends between two of them."""
BLOCK = 1 << 20
"""Labels looked at together."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Buckets laid out by task.

    Attributes:
        members: (n_members,) int64, positions, bucket after bucket.
        starts: (n_buckets,) int64, where each bucket begins in `members`.
        bounds: (2, n_tasks + 1) int64, the first bucket and the first member of each task, and the ends.
    """

    members: NDArray[np.int64]
    starts: NDArray[np.int64]
    bounds: NDArray[np.int64]

    def take(self, task: int) -> Found:
        """The buckets of a task."""
        (bucket, last), (member, end) = self.bounds[:, task : task + 2].tolist()
        return self.members[member:end], self.starts[bucket:last] - member


def is_shared(n_candidates: int) -> bool:
    """Whether so many candidates are judged in several tasks."""
    return n_candidates > TASK_CANDIDATES


def shares_of(buckets: Buckets) -> Iterator[Buckets]:
    """The buckets of each task, of all buckets in memory."""
    n = buckets.docs.size
    if not is_shared(n):
        yield buckets
        return
    found = (buckets.members, buckets.starts)
    labels = connected(n, [found])
    bounds = task_bounds(label_sizes(labels, n), n)
    shares = shared(found, tasks_of(labels[buckets.members[buckets.starts]], bounds), bounds.size - 1)
    for task in range(bounds.size - 1):
        yield task_buckets(buckets.docs, shares.take(task))


def connected(n: int, files: Iterable[Found]) -> NDArray[np.int64]:
    """(n,) int64: the smallest position that each one is connected to, by one union-find over all `files`."""
    labels = np.arange(n)
    for members, starts in files:
        join_more(labels, members, starts)
    settle_roots(labels)
    return labels


def connected_pairs(n: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) int64: the smallest of 0..n-1 that each one is connected to by pairs (m, 2) int64."""
    return connected(n, [(np.ascontiguousarray(pairs).reshape(-1), np.arange(0, pairs.size, 2))])


def label_sizes(labels: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """(BINS,) int64: how many of these labels of `n` positions lie in each of equal stretches."""
    sizes = np.zeros(BINS, np.int64)
    for begin in range(0, labels.size, BLOCK):
        sizes += np.bincount(labels[begin : begin + BLOCK] // _bin_width(n), minlength=BINS)
    return sizes


def task_bounds(sizes: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """(n_tasks + 1,) int64, the first label of each task; the last is past all `n` labels, whose `label_sizes` these
    are."""
    return cut_tasks(sizes, TASK_CANDIDATES) * _bin_width(n)


def cut_tasks(sizes: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Stretches of bins, in order, of at most `most` together, but for single bins of more.

    Args: sizes (n_bins,) int64.

    Returns: (n_tasks + 1,) int64, the first bin of each task, and n_bins.
    """
    ends = np.cumsum(sizes)
    cuts = [0]
    while cuts[-1] < sizes.size:
        before = int(ends[cuts[-1] - 1]) if cuts[-1] else 0
        cuts.append(max(cuts[-1] + 1, int(np.searchsorted(ends, before + most, "right"))))
    return np.array(cuts, np.int64)


def tasks_of(labels: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) int64: the task of each label, by the bounds of `task_bounds`."""
    tasks: NDArray[np.int64] = np.searchsorted(bounds, labels, "right") - 1
    return tasks


def shared(found: Found, tasks: NDArray[np.int64], n_tasks: int) -> Shares:
    """Buckets by task, in their order in each.

    Args: tasks (n_buckets,) int64, of each bucket.
    """
    members, starts = found
    sizes = np.diff(np.append(starts, members.size))
    order = np.argsort(tasks, kind="stable")
    ends = np.cumsum(sizes[order])
    begins = ends - sizes[order]
    rows = np.repeat(starts[order] - begins, sizes[order]) + np.arange(members.size)
    buckets = np.searchsorted(tasks[order], np.arange(n_tasks + 1))
    return Shares(members[rows], begins, np.stack([buckets, np.append(begins, members.size)[buckets]]))


def task_buckets(docs: NDArray[np.int64], found: Found) -> Buckets:
    """The buckets of a task with its own candidates alone; `docs` (n,) int64, of all positions."""
    members, starts = found
    positions = np.unique(members)
    return Buckets(docs[positions], np.searchsorted(positions, members), starts)


def _bin_width(n: int) -> int:
    return -(-n // BINS)
