"""Evidence of the dedup step: signatures and shingle sets of the candidates, and the verdict on those of a task.

In: ``signatures`` and ``documents`` part by part; the buckets of a task. Out, scratch files of the step: evidence of
each part, that of each task together, by doc, with the bounds of the tasks beside it; the `Verdict` on each task.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.data import with_room
from icp.dedup.components import task_buckets
from icp.dedup.verdicts import Verdict, compared_sets, joined_verdicts, judge
from icp.engine.step import PartOutput
from icp.kernels.dedup_evidence import Evidence
from icp.run.context import Context, document_parts
from icp.run.names import DOCUMENTS, SIGNATURES
from icp.run.tables import fixed_values, read_rows
from icp.steps.dedup.candidates import docs_of, load_array, rules_of, save_array, scheme_of
from icp.steps.dedup.components import load_share, task_names, tasks_of
from icp.texts import text_buffers

SETS, WORDS = ("values", "indptr"), ("letters", "spelled")
"""Files of a part: hashes of the sets, and words of small ones; where those of each candidate begin."""


def gather_evidence(context: Context, part: str, output: PartOutput) -> None:
    """Write signatures and shingle sets of the candidates of a part: ``evidence/<part>.*.npy``."""
    config, scheme = context.config.dedup, scheme_of(context.config)
    docs = load_array(context, "candidates/docs.npy", mapped=True)
    first, stop = docs_of(context, part)
    positions = np.flatnonzero((docs >= first) & (docs < stop))
    positions = positions[np.argsort(docs[positions])]
    rows = docs[positions] - first
    signatures = [np.zeros((0, config.num_perm), np.uint32)]
    if rows.size:
        path = context.part_path("dedup", SIGNATURES, part)
        signatures += [fixed_values(chosen, "<u4") for chosen in read_rows(path, "signature", rows, scheme)]
    texts = read_rows(context.part_path("documents", DOCUMENTS, part), "text", rows) if rows.size else ()
    batches = (text_buffers(chosen) for chosen in texts)
    sets = compared_sets(batches, rows.size, rules_of(context.config), ngram=config.ngram)
    tasks = tasks_of(context, positions)
    order = np.argsort(tasks, kind="stable")
    save_array(output, f"evidence/{part}.signatures.npy", np.concatenate(signatures)[order])
    for names, items, indptr in ((SETS, sets.values, sets.indptr), (WORDS, sets.letters, sets.spelled)):
        ordered = (_in_order(items, indptr, order), np.concatenate(([0], np.cumsum(np.diff(indptr)[order]))))
        for name, array in zip(names, ordered, strict=True):
            save_array(output, f"evidence/{part}.{name}.npy", array)
    n_tasks = len(task_names(context))
    save_array(output, f"evidence/{part}.bounds.npy", np.searchsorted(tasks[order], np.arange(n_tasks + 1)))


def judge_task(context: Context, part: str, output: PartOutput) -> None:
    """Write the `Verdict` on the candidates of a task."""
    buckets = task_buckets(load_array(context, "candidates/docs.npy", mapped=True), load_share(context, part))
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=context.folder("dedup"))) for _ in range(3)]
        evidence = _load_evidence(_Task(context, part, buckets.docs), *files)
        verdict = judge(buckets, evidence, rules_of(context.config))
    for name in ("docs", "keepers", "jaccard"):
        save_array(output, f"verdicts/{part}.{name}.npy", getattr(verdict, name))
    output.info["checks"] = verdict.n_checks


def load_verdict(context: Context) -> Verdict:
    """The verdicts on all tasks as one."""
    return joined_verdicts([_load_verdict(context, task) for task in task_names(context)])


def _load_verdict(context: Context, task: str) -> Verdict:
    docs, keepers, jaccard = (
        load_array(context, f"verdicts/{task}.{name}.npy") for name in ("docs", "keepers", "jaccard")
    )
    return Verdict(docs, keepers, jaccard, context.records("verdicts")[task].info["checks"])


@dataclass(frozen=True, slots=True)
class _Task:
    """A task and its candidates, whose evidence lies in the files of the parts, by doc.

    Attributes:
        docs: (n,) int64, preferred first.
    """

    context: Context
    name: str
    docs: NDArray[np.int64]

    def parts(self) -> Iterator[tuple[str, int, int, NDArray[np.int64]]]:
        """Each part, its first and last row of this task, and the places of these in `docs`."""
        by_doc, at, done = np.argsort(self.docs), task_names(self.context).index(self.name), 0
        for part in document_parts(self.context):
            row, last = load_array(self.context, f"evidence/{part}.bounds.npy")[at : at + 2].tolist()
            yield part, row, last, by_doc[done : done + last - row]
            done += last - row

    def array(self, part: str, name: str) -> NDArray[Any]:
        return load_array(self.context, f"evidence/{part}.{name}.npy", mapped=True)


def _load_evidence(task: _Task, *files: Any) -> Evidence:
    """The evidence of a task, in the order of its candidates, in files, so that memory need not hold it."""
    shape = task.docs.size, task.context.config.dedup.num_perm
    signatures = with_room(files[0], np.uint32, shape)
    for part, row, last, places in task.parts():
        signatures[places] = task.array(part, "signatures")[row:last]
    values, bounds = _load_items(task, SETS, np.uint64, files[1])
    letters, spelled = _load_items(task, WORDS, np.uint8, files[2])
    return Evidence(np.asarray(signatures), np.arange(task.docs.size), values, bounds, letters, spelled)


def _load_items(task: _Task, names: tuple[str, str], dtype: Any, file: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Items of a task's candidates, part after part, and (2, n) int64, where those of each begin and end."""
    bounds, n = np.empty((2, task.docs.size), np.int64), 0
    for part, row, last, places in task.parts():
        indptr = task.array(part, names[1])[row : last + 1]
        bounds[:, places] = n + indptr[:-1] - indptr[0], n + indptr[1:] - indptr[0]
        items = task.array(part, names[0])[indptr[0] : indptr[-1]]
        items.tofile(file)
        n += items.size
    file.flush()
    items = np.memmap(file, dtype, "r+", shape=(n,)) if n else np.zeros(0, dtype)
    return np.asarray(items), bounds


def _in_order(values: NDArray[Any], indptr: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[Any]:
    """Sets laid one after another, in another order."""
    return np.concatenate([values[:0], *(values[a:b] for a, b in zip(indptr[order], indptr[order + 1], strict=True))])
