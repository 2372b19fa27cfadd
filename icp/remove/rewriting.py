"""A new plan and its shards, in the copy of a run whose earlier steps hold nothing of removed documents any more.

In: a `NewPlan`. Out: the steps `windows` and `shards` of the copy. The steps themselves make figures and rows; shards
whose windows are the same in the same places are taken as they are.
"""

import os
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.engine import basis_of, run_step
from icp.engine.executor import Executor
from icp.engine.step import ALL, PartOutput, Progress
from icp.pack.plan_windows import broken_conflicts
from icp.pack.spread import DISTANCES
from icp.pack.tail import NOTHING
from icp.remove.packs import NewPlan
from icp.run.context import Context
from icp.run.names import PATH_RANK, PLAN, SEGMENTS, TAIL, WINDOWS, of_part, part_name, shard_file
from icp.run.records import FileRecord, PartRecord, hash_file, hash_json, record_name, remove_tree, write_json
from icp.steps.shards.step import STEP as SHARDS_STEP
from icp.steps.windows.inputs import load_inputs
from icp.steps.windows.step import LISTED_CONFLICTS, figures_step
from icp.steps.windows.tails import count_tail


def least_gaps(rank: NDArray[np.int64], n_on_path: int) -> list[int]:
    """Least number of steps between windows at most each of `DISTANCES` apart on the path, its ends joined."""
    trained_at = np.empty(rank.size, np.int64)
    trained_at[rank] = np.arange(rank.size)
    trained_at = trained_at[:n_on_path]
    most = min(DISTANCES[-1], n_on_path - 1)
    steps = [int(np.abs(trained_at - np.roll(trained_at, -apart)).min()) for apart in range(1, most + 1)]
    return [min(steps[:distance], default=0) for distance in DISTANCES]


def write_plan(context: Context, made: NewPlan, told: dict[str, Any]) -> None:
    """Leave a new plan in the folder of the step, as its phase `plan` does, for its figures to be made."""
    folder, old = context.folder("windows"), context.manifest("windows")
    spread = old.facts.get("spread")
    remove_tree(folder)
    inputs = load_inputs(context)
    arrays = dict(zip(PLAN, (getattr(made.plan, name) for name in PackPlan.__slots__), strict=True))
    arrays[PATH_RANK] = made.path_rank
    if made.tail is not None:
        arrays[TAIL] = made.tail
    folder.mkdir(parents=True)
    files = {}
    for name, array in arrays.items():
        with (folder / name).open("wb") as stream:
            np.save(stream, np.ascontiguousarray(array, np.int64), allow_pickle=False)
        files[name] = FileRecord((folder / name).stat().st_size, hash_file(folder / name), len(array))
    broken = broken_conflicts(made.plan, np.asarray(inputs.conflicts))
    info: dict[str, Any] = {
        "random_windows": made.n_random,
        "conflicts_broken": len(broken),
        "broken_conflicts": inputs.nodes[broken[:LISTED_CONFLICTS]].tolist(),
        "removed": told,
    }
    if made.passes is not None:
        info |= {"passes": made.passes, "met_again": old.facts.get("met_again", [])}
    if spread is not None:
        spans = list(pairwise(made.passes or [0, made.path_rank.size]))
        found = [least_gaps(made.path_rank[a:b] - a, b - a - made.n_random) for a, b in spans if b > a]
        gaps = [min(some) for some in zip(*found, strict=True)]
        info["spread"] = {"stride": spread["stride"], "gaps": dict(zip(map(str, DISTANCES), gaps, strict=True))}
    counts = {"documents": int(np.count_nonzero(inputs.lengths)), "empty_documents": int((inputs.lengths == 0).sum())}
    if made.tail is not None or context.config.pack.has_passes:
        counted = PartOutput(folder)
        count_tail(context, inputs, NOTHING if made.tail is None else made.tail, counted)
        counts |= counted.counts
    basis = basis_of(figures_step(), replace(context, step="windows"))
    record = PartRecord(hash_json(basis), files, counts, info)
    _leave(folder, "plan", ALL, record)


def _leave(folder: Path, phase: str, part: str, record: PartRecord) -> None:
    path = folder / record_name(phase, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(record))


def make_shards(
    context: Context,
    before: Path,
    made: NewPlan,
    old: tuple[PackPlan, NDArray[np.int64]],
    work: tuple[Executor, Progress],
) -> int:
    """Make figures and shards of a new plan; returns how many shards are the same as those in `before`."""
    run_step(figures_step(), context, *work)
    folder, step = context.folder("shards"), replace(context, step="shards")
    found = context.manifest("shards")
    remove_tree(folder)
    fingerprint = hash_json(basis_of(SHARDS_STEP, step))
    per_shard = max(1, int(context.config.pack.shard_mib * 2**20) // _row_bytes(context))
    n_same, n_windows = 0, made.path_rank.size
    for shard in range(-(-n_windows // per_shard)):
        first, stop = shard * per_shard, min((shard + 1) * per_shard, n_windows)
        is_there = stop == old[1].size or (stop < old[1].size and stop % per_shard == 0)
        if not is_there or not _is_same((made.plan, made.path_rank), old, first, stop):
            continue
        part = part_name(shard)
        names = (shard_file(shard), of_part(SEGMENTS, part), of_part(WINDOWS, part))
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(before / name, folder / name)
        files = {name: found.files[name] for name in names}
        _leave(folder, "write", part, PartRecord(fingerprint, files, _counts(folder, part, context)))
        n_same += 1
    run_step(SHARDS_STEP, context, *work)
    return n_same


def _is_same(
    one: tuple[PackPlan, NDArray[np.int64]], other: tuple[PackPlan, NDArray[np.int64]], first: int, stop: int
) -> bool:
    """Whether windows `first` to `stop` of two plans are the same."""
    spans = [slice(*np.searchsorted(plan.window, (first, stop))) for plan, _ in (one, other)]
    same = np.array_equal(one[1][first:stop], other[1][first:stop])
    for name in PackPlan.__slots__:
        same &= np.array_equal(getattr(one[0], name)[spans[0]], getattr(other[0], name)[spans[1]])
    return same


def _row_bytes(context: Context) -> int:
    width: int = np.dtype(context.manifest("tokens").facts["dtype"]).itemsize
    return width * context.config.pack.row_tokens


def _counts(folder: Path, part: str, context: Context) -> dict[str, int]:
    """What the step counts of a shard."""
    pieces = pq.read_table(folder / of_part(SEGMENTS, part), columns=["doc_start", "doc_stop"])
    n_pad = pq.read_table(folder / of_part(WINDOWS, part), columns=["n_pad"])["n_pad"].to_numpy()
    padding, written = int(n_pad.sum(dtype=np.int64)), n_pad.size * context.config.pack.row_tokens
    start, stop = (pieces[name].to_numpy().astype(np.int64) for name in ("doc_start", "doc_stop"))
    of_documents = int((stop - start).sum())
    specials = written - padding - of_documents
    return {"documents_in": of_documents, "specials": specials, "padding": padding, "repeated": 0, "written": written}
