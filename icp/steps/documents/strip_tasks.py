"""The tasks that leave out paragraphs which stand in more than `corpus.strip_repeated` documents.

In: what read tasks left. Out: ``repeated/<k>.npy``, hashes of such paragraphs; ``strip/<task>-NNNNN.parquet``, the rows
without them; ``strip/<task>.paragraphs.parquet``, each paragraph left out with its file and row; rows of which too
little is left join the refused ones in ``strip/<task>.rejected.parquet``.
There are no such tasks without `corpus.strip_repeated`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from icp.engine.step import PartOutput
from icp.run.context import Context
from icp.run.tables import write_parts
from icp.steps.documents.paragraphs import merge_counts, without_repeated
from icp.steps.documents.read_tasks import STEP_NAME, read_parts
from icp.steps.documents.rows import EXCERPT, REJECTED
from icp.steps.documents.stages import groups_of, rejected_before, write_tables

REASON, EMPTIED = "repeated paragraph", "only repeated paragraphs"
_PER_TASK = 1 << 24
"""Counts of paragraphs that are merged together."""


def repeated_parts(context: Context) -> list[str]:
    """One part for each range of hashes."""
    if not context.config.corpus.strip_repeated:
        return []
    n_counts = sum(record.counts.get("paragraphs", 0) for record in context.records("read").values())
    return [f"{index:05d}" for index in range(-(-n_counts // _PER_TASK) or 1)]


def find_repeated(context: Context, part: str, output: PartOutput) -> None:
    """Write the hashes of one range that stand in too many documents, sorted."""
    folder, n_parts = context.folder(STEP_NAME), len(repeated_parts(context))
    low, high = (round(2**64 * edge / n_parts) for edge in (int(part), int(part) + 1))
    pieces = []
    for task in context.records("read"):
        counts = np.load(folder / f"read/{task}.paragraphs.npy", mmap_mode="r")
        first = np.searchsorted(counts["hash"], np.uint64(low))
        last = np.searchsorted(counts["hash"], np.uint64(high)) if high < 2**64 else counts.size
        pieces.append(np.array(counts[first:last]))
    merged = merge_counts(pieces)
    with output.path(f"repeated/{part}.npy").open("wb") as file:
        np.save(file, merged["hash"][merged["docs"] > context.config.corpus.strip_repeated])


def strip_parts(context: Context) -> list[str]:
    """One part for each read task."""
    return read_parts(context) if context.config.corpus.strip_repeated else []


def strip(context: Context, part: str, output: PartOutput) -> None:
    """Write the rows of one read task without repeated paragraphs."""
    folder, config = context.folder(STEP_NAME), context.config.corpus
    repeated = np.concatenate([np.load(folder / f"repeated/{name}.npy") for name in repeated_parts(context)])
    emptied: list[pa.Table] = []
    lost: list[pa.Table] = []
    groups = _stripped(groups_of(context, "strip", part), repeated, config.min_chars, emptied, lost)
    part_bytes = max(1, int(config.part_mib * 2**20))
    pieces = write_parts(groups, part_bytes, lambda k: output.path(f"strip/{part}-{k:05d}.parquet"))
    for k, n in enumerate(pieces):
        output.rows(f"strip/{part}-{k:05d}.parquet", n)
    name = f"strip/{part}.paragraphs.parquet"
    n_lost, n_emptied = (sum(table.num_rows for table in tables) for tables in (lost, emptied))
    output.count("stripped_paragraphs", n_lost)
    if n_lost:
        write_tables(output, name, lost)
    if n_emptied:
        for key, n in (("documents", -n_emptied), ("rejected", n_emptied), (f"rejected.{EMPTIED}", n_emptied)):
            output.count(key, n)
        before = rejected_before(context, "strip", part)
        write_tables(output, f"strip/{part}.rejected.parquet", [*before, *emptied])


def _stripped(
    groups: Iterator[pa.Table], repeated: Any, min_chars: int, emptied: list[pa.Table], lost: list[pa.Table]
) -> Iterator[pa.Table]:
    for group in groups:
        texts, short, out = [], [], []
        for row, text in enumerate(group["text"].to_pylist()):
            left, gone = without_repeated(text, repeated)
            texts.append(left)
            out += [(row, REASON, paragraph) for paragraph in gone]
            if gone and len(left) < max(1, min_chars):
                short.append((row, EMPTIED, text))
        lost.append(_refused(group, out))
        emptied.append(_refused(group, short))
        at = group.schema.get_field_index("text")
        group = group.set_column(at, group.schema.field(at), pa.array(texts, pa.large_string()))
        is_kept = np.ones(group.num_rows, np.bool_)
        is_kept[[row for row, *_ in short]] = False
        yield group.filter(pa.array(is_kept))


def _refused(group: pa.Table, rows: list[tuple[int, str, str]]) -> pa.Table:
    at = pa.array([row for row, *_ in rows], pa.int64())
    excerpts = pa.array([text[:EXCERPT] for *_, text in rows], pa.string())
    reasons = pa.array([reason for _, reason, _ in rows], pa.string())
    columns = [group["file"].take(at), group["row"].take(at), reasons, excerpts]
    return pa.table(columns, schema=REJECTED)
