"""Components of candidates over files, and the tasks that judge them; `icp.dedup.components` decides both.

In: files of buckets, their members as positions in ``candidates/docs.npy``. Out, scratch files of the step: labels, the
smallest position that each one is connected to, by one union-find or by rounds of stars, the same either way; the
buckets again, those of each task together. A task is a stretch of labels, whatever the workers. Corpora of few
candidates have one task and none of these files.
"""

import numpy as np
from numpy.typing import NDArray

from icp.dedup import components
from icp.dedup.buckets import Found, join_found
from icp.dedup.components import Shares, connected, is_shared, label_sizes, shared, task_bounds
from icp.engine.step import PartOutput
from icp.run.context import Context
from icp.steps.dedup import rounds
from icp.steps.dedup.candidates import bucket_parts, load_array, load_found, n_candidates, save_array

SHARES = ("members", "starts", "bounds")


def component_parts(context: Context) -> list[str]:
    """The ranges of positions whose labels are found; none if one task judges all candidates."""
    n = n_candidates(context)
    return rounds.ranges(n) if is_shared(n) else []


def find_labels(context: Context, part: str, output: PartOutput) -> None:
    """Write the labels of a range, and their `label_sizes`.

    Cost: of one union-find, 8 bytes a candidate, and one file of buckets at a time.
    """
    n = n_candidates(context)
    if n > rounds.UNION_FIND_POSITIONS:
        labels = rounds.star_labels(context, part)
    else:
        labels = connected(n, (load_found(context, name) for name in bucket_parts(context)))
    save_array(output, f"components/{part}.labels.npy", labels)
    save_array(output, f"components/{part}.sizes.npy", label_sizes(labels, n))


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
    return components.tasks_of(labels, _task_bounds(context))


def share_parts(context: Context) -> list[str]:
    """The files of buckets that are laid out by task; none if there is one task."""
    return bucket_parts(context) if component_parts(context) else []


def share_buckets(context: Context, part: str, output: PartOutput) -> None:
    """Write the buckets of a file by task, in their order in each, and where those of each task begin."""
    members, starts = load_found(context, part)
    shares = shared((members, starts), tasks_of(context, members[starts]), len(task_names(context)))
    for name in SHARES:
        save_array(output, f"shares/{part}.{name}.npy", getattr(shares, name))


def load_share(context: Context, task: str) -> Found:
    """The buckets of a task, in the order of their files."""
    if not component_parts(context):
        return join_found([load_found(context, name) for name in bucket_parts(context)])
    at = task_names(context).index(task)
    shares = (
        Shares(*(load_array(context, f"shares/{part}.{name}.npy", mapped=True) for name in SHARES))
        for part in bucket_parts(context)
    )
    return join_found([share.take(at) for share in shares])


def _task_bounds(context: Context) -> NDArray[np.int64]:
    """(n_tasks + 1,) int64, the first label of each task; the last is past all labels."""
    n = n_candidates(context)
    sizes = [load_array(context, f"components/{name}.sizes.npy") for name in rounds.ranges(n)]
    return task_bounds(np.sum(sizes, axis=0), n)
