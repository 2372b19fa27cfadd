"""Files of buckets as phases of the dedup step leave them, and a context that runs its other phases over them."""

import numpy as np

from icp.config import parse_config
from icp.engine.step import PartOutput
from icp.run.context import Context
from icp.run.records import PartRecord


class Made(Context):
    """A dedup folder that holds buckets; records of the phases run on it are kept in memory."""

    def records(self, phase):
        return self.folders.get(phase, {})

    def folder(self, step):
        return self.folders["here"]


def made_context(folder, files, n):
    """A context of `n` candidates; `files` are lists of buckets, one list a file."""
    config = parse_config({"run": str(folder), "corpus": {"input": "x.jsonl"}, "dedup": {"bands": max(1, len(files))}})
    record = PartRecord("", {}, {}, {"candidates": n}, 0.0, 0.0, 0.0)
    context = Made(config, "dedup", {"here": folder, "candidates": {"all": record}})
    for name in ("twins", "candidates", "buckets"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    np.save(folder / "twins" / "near.npy", np.arange(n))
    for k, buckets in enumerate(files):
        starts = np.cumsum([0, *(len(bucket) for bucket in buckets)])[:-1].astype(np.int64)
        np.save(folder / "buckets" / f"band-{k:05d}-0000.starts.npy", starts)
        np.save(folder / "candidates" / f"band-{k:05d}-0000.npy", np.array([x for b in buckets for x in b], np.int64))
    return context


def do_phase(context, phase):
    """Do all parts of a phase; returns their names."""
    parts = phase.parts(context)
    for part in parts:
        output = PartOutput(context.folder("dedup"))
        phase.work(context, part, output)
        for name, path in output.staged.items():
            path.replace(output.folder / name)
        record = PartRecord("", {}, output.counts, output.info, 0.0, 0.0, 0.0)
        context.folders.setdefault(phase.name, {})[part] = record
    return list(parts)
