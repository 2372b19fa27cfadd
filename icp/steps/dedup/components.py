"""Components of candidates, and the tasks that judge them: what no bucket connects may be judged apart.

In: files of buckets, their members as positions in ``candidates/docs.npy``. Out, scratch files of the step: labels, the
smallest position that each one is connected to, by one union-find or by rounds of stars, the same either way; the
buckets again, those of each task together. A task is a stretch of labels, whatever the workers. Corpora of few
candidates have one task and none of these files.
"""

import numpy as np
from numpy.typing import NDArray

from icp.dedup.buckets import Found, join_found
from icp.engine.step import PartOutput
from icp.kernels.dedup_union_find import join_more, settle_roots
from icp.run.context import Context
from icp.steps.dedup import rounds
from icp.steps.dedup.candidates import bucket_parts, load_array, load_found, n_candidates, save_array

TASK_CANDIDATES = 1 << 17
"""Candidates judged in one task, a larger component excepted: some 150 to 300 MiB of evidence, in mapped files."""
BINS = 1 << 14
"""Of labels, whose candidates are counted together: a task ends between two of them."""
BLOCK = 1 << 20
"""Labels looked at together."""


def component_parts(context: Context) -> list[str]:
    """The ranges of positions whose labels are found; none if one task judges all candidates."""
    n = n_candidates(context)
    return rounds.ranges(n) if n > TASK_CANDIDATES else []


def find_labels(context: Context, part: str, output: PartOutput) -> None:
    """Write the labels of a range, and how many of them lie in each of `BINS` equal stretches.

    Cost: of one union-find, 8 bytes a candidate, and one file of buckets at a time.
    """
    n = n_candidates(context)
    if n > rounds.UNION_FIND_POSITIONS:
        labels = rounds.star_labels(context, part)
    else:
        labels = np.arange(n)
        for name in bucket_parts(context):
            join_more(labels, *load_found(context, name))
        settle_roots(labels)
    sizes = np.zeros(BINS, np.int64)
    for begin in range(0, labels.size, BLOCK):
        sizes += np.bincount(labels[begin : begin + BLOCK] // _bin_width(n), minlength=BINS)
    save_array(output, f"components/{part}.labels.npy", labels)
    save_array(output, f"components/{part}.sizes.npy", sizes)


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


def task_names(context: Context) -> list[str]:
    """The tasks that judge the candidates."""
    n_tasks = 1 if not component_parts(context) else _task_bounds(context).size - 1
    return [f"task-{k:05d}" for k in range(n_tasks)]


def tasks_of(context: Context, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) int64: the task of each position."""
    if not component_parts(context):
        return np.zeros(positions.size, np.int64)
    labels = np.empty(positions.size, np.int64)
    bounds = rounds.range_bounds(n_candidates(context))
    for k, name in enumerate(component_parts(context)):
        mine = (positions >= bounds[k]) & (positions < bounds[k + 1])
        found = load_array(context, f"components/{name}.labels.npy", mapped=True)
        labels[mine] = found[positions[mine] - bounds[k]]
    tasks: NDArray[np.int64] = np.searchsorted(_task_bounds(context), labels, "right") - 1
    return tasks


def share_parts(context: Context) -> list[str]:
    """The files of buckets that are laid out by task; none if there is one task."""
    return bucket_parts(context) if component_parts(context) else []


def share_buckets(context: Context, part: str, output: PartOutput) -> None:
    """Write the buckets of a file by task, in their order in each, and where those of each task begin."""
    members, starts = load_found(context, part)
    tasks, sizes = tasks_of(context, members[starts]), np.diff(np.append(starts, members.size))
    order = np.argsort(tasks, kind="stable")
    ends = np.cumsum(sizes[order])
    begins = ends - sizes[order]
    rows = np.repeat(starts[order] - begins, sizes[order]) + np.arange(members.size)
    buckets = np.searchsorted(tasks[order], np.arange(len(task_names(context)) + 1))
    save_array(output, f"shares/{part}.members.npy", members[rows])
    save_array(output, f"shares/{part}.starts.npy", begins)
    save_array(output, f"shares/{part}.bounds.npy", np.stack([buckets, np.append(begins, members.size)[buckets]]))


def load_share(context: Context, task: str) -> Found:
    """The buckets of a task, in the order of their files."""
    if not component_parts(context):
        return join_found([load_found(context, name) for name in bucket_parts(context)])
    at, found = task_names(context).index(task), []
    for name in bucket_parts(context):
        bounds = load_array(context, f"shares/{name}.bounds.npy")
        (bucket, last), (member, end) = bounds[:, at : at + 2].tolist()
        members = load_array(context, f"shares/{name}.members.npy", mapped=True)[member:end]
        starts = load_array(context, f"shares/{name}.starts.npy", mapped=True)[bucket:last]
        found.append((members, starts - member))
    return join_found(found)


def _task_bounds(context: Context) -> NDArray[np.int64]:
    """(n_tasks + 1,) int64, the first label of each task; the last is past all labels."""
    n = n_candidates(context)
    sizes = np.zeros(BINS, np.int64)
    for name in rounds.ranges(n):
        sizes += load_array(context, f"components/{name}.sizes.npy")
    return cut_tasks(sizes, TASK_CANDIDATES) * _bin_width(n)


def _bin_width(n: int) -> int:
    return -(-n // BINS)
