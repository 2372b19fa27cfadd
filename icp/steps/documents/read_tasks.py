"""The read tasks of the documents step: input files as accepted rows without numbers, and refused rows.

In: the files of `corpus.input`. Out: ``list.json``, the files of each task; ``read/<task>-NNNNN.parquet``, the accepted
rows in pieces of the size of a part; ``read/<task>.rejected.parquet``, the refused rows with their reasons.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from icp.config import CorpusConfig
from icp.dedup.minhash import text_digests
from icp.engine.step import PartOutput
from icp.errors import ArtifactError, InputError
from icp.run.context import Context
from icp.run.records import read_json
from icp.run.removed import Tombstones, read_tombstones
from icp.run.storage import run_folder
from icp.run.tables import open_writer, write_parts
from icp.steps.documents.archives import read_tar, read_warc
from icp.steps.documents.derive import with_derived
from icp.steps.documents.field_types import missing_text
from icp.steps.documents.grown import check_new
from icp.steps.documents.input_files import InputFile, corpus_files
from icp.steps.documents.jsonl_and_text import read_csv, read_jsonl, read_texts
from icp.steps.documents.kinds import PACKINGS
from icp.steps.documents.lines import listed_ids
from icp.steps.documents.paragraphs import ParagraphCount
from icp.steps.documents.parquet_and_arrow import read_arrow, read_parquet
from icp.steps.documents.repeated_ids import IdCount
from icp.steps.documents.rows import REJECTED, Batch, Findings, Rules
from icp.texts import key_of, text_buffers

STEP_NAME = "documents"
REMOVED = "removed"
"""Why a row is refused that `icp remove` took out of the run before."""
TEXTS_PER_TASK = 2000
TEXT_BYTES_PER_TASK = 64 << 20
PARTS, SMALLEST_PART = 32, 4 << 20
"""A corpus of fewer parts of `corpus.part_mib` is cut finer, though not finer than `SMALLEST_PART` bytes."""
PACKED = 3
"""Bytes of text in a byte of a compressed file, about."""


def list_files(context: Context, part: str, output: PartOutput) -> None:
    """Write ``list.json``: for each read task its files. The list is made once, so that all tasks see the same."""
    tasks: list[list[InputFile]] = []
    n_bytes = 0
    told: list[str] = []
    for file in corpus_files(context.config.corpus, told):
        fits = tasks and len(tasks[-1]) < TEXTS_PER_TASK and n_bytes + file.size <= TEXT_BYTES_PER_TASK
        if fits and file.kind == tasks[-1][-1].kind == "text":
            tasks[-1].append(file)
            n_bytes += file.size
        else:
            tasks.append([file])
            n_bytes = file.size
    if told:
        output.info["warnings"] = told
    check_new(context, (file.path for task in tasks for file in task))
    rows = [[asdict(file) for file in task] for task in tasks]
    output.path("list.json").write_text(json.dumps(rows), encoding="utf-8")


def part_bytes_of(context: Context) -> int:
    """Bytes of a part of this corpus."""
    files = (file for task in _tasks(context) for file in task)
    return part_bytes(files, context.config.corpus.part_mib)


def part_bytes(files: Iterable[InputFile], part_mib: float) -> int:
    """Bytes of a part: `part_mib` at most, less for a corpus that would give too few parts to keep cores busy.

    It depends on the corpus alone, not on workers: so do the parts.
    """
    text = sum(max(0, file.size) * (PACKED if _is_packed(file) else 1) for file in files)
    most = max(1, int(part_mib * 2**20))
    return min(most, max(SMALLEST_PART, text // PARTS))


def _is_packed(file: InputFile) -> bool:
    return file.kind in ("parquet", "arrow") or file.path.lower().partition("?")[0].endswith(PACKINGS)


def read_parts(context: Context) -> list[str]:
    """One part for each read task: 00000, 00001, ..."""
    return [f"{index:05d}" for index in range(len(_tasks(context)))]


def _tasks(context: Context) -> list[list[InputFile]]:
    path = context.folder(STEP_NAME) / "list.json"
    try:
        return [[InputFile(**file) for file in task] for task in read_json(path, what="list of input files")]
    except TypeError as error:
        raise ArtifactError(f"{path}: not a list of input files ({error}); redo the step with --fresh") from None


def read_files(context: Context, part: str, output: PartOutput) -> None:
    """Write accepted rows as ``read/<part>-NNNNN.parquet`` and refused ones as ``read/<part>.rejected.parquet``.

    Raises: InputError for a file that is damaged or has no text field.
    """
    config = context.config.corpus
    tasks = _tasks(context)
    files = tasks[int(part)]
    findings = Findings()
    rules = rules_of(config)
    reasons: Counter[str] = Counter()
    n_bytes = part_bytes_of(context)
    ids, paragraphs = IdCount(), ParagraphCount()
    with ExitStack() as stack:
        removed = read_tombstones(run_folder(context.config.run))
        batches = _without_removed(batches_of(files, rules, findings), removed)
        documents = _accepted(batches, reasons, stack, output, f"read/{part}.rejected.parquet")
        documents = _looked_at(documents, config, ids, paragraphs)
        pieces = write_parts(documents, n_bytes, lambda k: output.path(f"read/{part}-{k:05d}.parquet"))
    for k, n in enumerate(pieces):
        output.rows(f"read/{part}-{k:05d}.parquet", n)
    n_rows = sum(pieces)
    if n_rows == 0 and findings.names and config.text not in findings.seen:
        raise InputError(missing_text(files[0].path, config.text, findings.names))
    n_rejected = sum(reasons.values())
    output.count("read", n_rows + n_rejected)
    output.count("documents", n_rows)
    output.count("rejected", n_rejected)
    for reason, n in sorted(reasons.items()):
        output.count(f"rejected.{reason}", n)
    text = files[0].kind == "text"
    output.info["rows"] = {file.path: 1 if text else n_rows + n_rejected for file in files}
    output.info["seen"] = sorted(findings.seen)
    output.info["kinds"] = {name: sorted(kinds) for name, kinds in sorted(findings.kinds.items())}
    output.info["text_files"] = text
    output.info["left_out"] = dict(sorted(findings.left_out.items()))
    output.info["unread"] = dict(sorted(findings.unread.items()))
    output.info["excluded"] = sorted(xxhash.xxh3_64_intdigest(doc_id.encode()) for doc_id in findings.excluded)
    output.info["ids"] = ids.figures()
    if config.strip_repeated:
        counts = paragraphs.counts()
        output.count("paragraphs", counts.size)
        with output.path(f"read/{part}.paragraphs.npy").open("wb") as file:
            np.save(file, counts)


def _looked_at(
    documents: Iterable[pa.Table], config: CorpusConfig, ids: IdCount, paragraphs: ParagraphCount
) -> Iterator[pa.Table]:
    """The documents with their derived fields; their ids and paragraphs are counted."""
    for table in documents:
        ids.add(table["id"])
        if config.strip_repeated:
            paragraphs.add(table["text"])
        yield with_derived(table, config.derive)


def _without_removed(batches: Iterable[Batch], removed: Tombstones) -> Iterator[Batch]:
    """The batches, documents that were removed from the run before among the refused rows, without a word of them."""
    for batch in batches:
        table = batch.documents
        if removed.rows and table.num_rows:
            digests = text_digests(text_buffers(table["text"]))
            rows = zip(table["id"].to_pylist(), digests, strict=True)
            out = np.array([key_of(name) in removed.keys or row.tobytes() in removed.texts for name, row in rows])
            chosen = table.filter(pa.array(out))
            told = [chosen["file"], chosen["row"], [REMOVED] * chosen.num_rows, [""] * chosen.num_rows]
            refused = pa.concat_tables([batch.rejected, pa.table(told, schema=REJECTED)])
            batch = Batch(table.filter(pa.array(~out)), refused)
        yield batch


def rules_of(config: CorpusConfig) -> Rules:
    """What a row of this corpus must be."""
    names = ("text", "id", "source", "keep", "min_chars", "max_chars")
    excluded = listed_ids(config.exclude, "corpus.exclude") if config.exclude is not None else frozenset()
    values = {name: getattr(config, name) for name in names} | ({"source": None} if "source" in config.derive else {})
    return Rules(**values, excluded=excluded)


def batches_of(files: Sequence[InputFile], rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of the files of one read task."""
    path = files[0].path
    match files[0].kind:
        case "text":
            return read_texts([file.path for file in files], rules, findings)
        case "jsonl":
            return read_jsonl(path, rules, findings)
        case "csv":
            return read_csv(path, rules, findings)
        case "warc":
            return read_warc(path, rules, findings)
        case "tar":
            return read_tar(path, rules, findings)
        case "parquet":
            return read_parquet(path, rules, findings)
    return read_arrow(path, rules, findings)


def _accepted(
    batches: Iterable[Batch], reasons: Counter[str], stack: ExitStack, output: PartOutput, name: str
) -> Iterator[pa.Table]:
    """The accepted rows; refused ones are counted and written to a file that is made for the first of them."""
    writer: Any = None
    n_rows = 0
    for batch in batches:
        if batch.rejected.num_rows:
            writer = writer or stack.enter_context(open_writer(output.path(name), REJECTED))
            writer.write_table(batch.rejected)
            for row in pc.value_counts(batch.rejected["reason"]).to_pylist():
                reasons[row["values"]] += row["counts"]
            n_rows += batch.rejected.num_rows
            output.rows(name, n_rows)
        yield batch.documents
