"""Evidence of the dedup step: signatures and shingle sets of the candidates, and the verdict on those of a task.

In: ``signatures`` and ``documents`` part by part; the buckets of a task. Out, scratch files of the step: evidence of
each part, that of each task together, by doc, with the bounds of the tasks beside it; the `Verdict` on each task.
"""

import tempfile
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.dedup.components import task_buckets
from icp.dedup.verdicts import Verdict, compared_sets, joined_verdicts, judge
from icp.engine.step import PartOutput
from icp.kernels.dedup_components import Evidence
from icp.run.context import Context, document_parts
from icp.run.names import DOCUMENTS, SIGNATURES
from icp.run.tables import fixed_values, read_rows
from icp.steps.dedup.candidates import docs_of, load_array, rules_of, save_array, scheme_of
from icp.steps.dedup.components import load_share, task_names, tasks_of
from icp.texts import text_buffers


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
    values, bounds = compared_sets(batches, rows.size, rules_of(context.config), ngram=config.ngram)
    tasks = tasks_of(context, positions)
    order = np.argsort(tasks, kind="stable")
    indptr = np.concatenate(([0], np.cumsum(np.diff(bounds)[order])))
    save_array(output, f"evidence/{part}.signatures.npy", np.concatenate(signatures)[order])
    save_array(output, f"evidence/{part}.values.npy", _in_order(values, bounds, order))
    save_array(output, f"evidence/{part}.indptr.npy", indptr)
    n_tasks = len(task_names(context))
    save_array(output, f"evidence/{part}.bounds.npy", np.searchsorted(tasks[order], np.arange(n_tasks + 1)))


def judge_task(context: Context, part: str, output: PartOutput) -> None:
    """Write the `Verdict` on the candidates of a task."""
    buckets = task_buckets(load_array(context, "candidates/docs.npy", mapped=True), load_share(context, part))
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=context.folder("dedup"))) for _ in range(2)]
        verdict = judge(buckets, _load_evidence(context, part, buckets.docs, *files), rules_of(context.config))
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


def _load_evidence(
    context: Context, task: str, docs: NDArray[np.int64], signature_file: Any, value_file: Any
) -> Evidence:
    """The evidence of a task, in the order of `docs`, in files, so that memory need not hold it."""
    by_doc, at = np.argsort(docs), task_names(context).index(task)
    shape = docs.size, context.config.dedup.num_perm
    signatures = np.memmap(signature_file, np.uint32, "w+", shape=shape) if docs.size else np.zeros(shape, np.uint32)
    starts, stops = np.empty(docs.size, np.int64), np.empty(docs.size, np.int64)
    done = n_values = 0
    for part in document_parts(context):
        row, last = load_array(context, f"evidence/{part}.bounds.npy")[at : at + 2].tolist()
        indptr = load_array(context, f"evidence/{part}.indptr.npy", mapped=True)[row : last + 1]
        rows = by_doc[done : done + last - row]
        done += rows.size
        signatures[rows] = load_array(context, f"evidence/{part}.signatures.npy", mapped=True)[row:last]
        starts[rows], stops[rows] = n_values + indptr[:-1] - indptr[0], n_values + indptr[1:] - indptr[0]
        values = load_array(context, f"evidence/{part}.values.npy", mapped=True)[indptr[0] : indptr[-1]]
        values.tofile(value_file)
        n_values += values.size
    value_file.flush()
    sets = np.memmap(value_file, np.uint32, "r+", shape=(n_values,)) if n_values else np.zeros(0, np.uint32)
    return Evidence(np.asarray(signatures), np.arange(docs.size), np.asarray(sets), starts, stops)


def _in_order(values: NDArray[np.uint32], indptr: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Sets laid one after another, in another order."""
    return np.concatenate([values[:0], *(values[a:b] for a, b in zip(indptr[order], indptr[order + 1], strict=True))])
