"""The documents step: every row of the corpus is numbered once, or refused with its reason.

In: the files of `corpus.input`. Out: ``documents/part-*.parquet``, `doc` counting through them in input order, and
``documents/rejected/part-*.parquet``, one for each read task that refused rows. Phases: *list* the files, *read* each
into pieces without numbers, *merge* (judge what was refused, settle the types of kept fields, count), *number*.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from icp.config import Config, CorpusConfig
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.errors import InputError
from icp.run.context import Context
from icp.run.records import PartRecord, read_json
from icp.run.tables import open_writer, write_parts
from icp.steps.documents.input_files import InputFile, corpus_files
from icp.steps.documents.jsonl_and_text import read_jsonl, read_texts
from icp.steps.documents.kept_fields import common_field, convert, is_json
from icp.steps.documents.parquet_and_arrow import missing_text, read_arrow, read_parquet
from icp.steps.documents.refusals import check_refused, check_seen
from icp.steps.documents.rows import DOCUMENT, REJECTED, Batch, Findings, Rules, document_keys, load_excluded
from icp.steps.documents.stores import file_identity

STEP_NAME = "documents"
TEXTS_PER_TASK = 2000
TEXT_BYTES_PER_TASK = 64 << 20
KEY = pa.field("key", pa.binary(16))


def corpus_identity(config: Config) -> list[tuple[str, str]]:
    """``(name, identity)`` of all files read: path, size and stamp; text files together as one hash."""
    files = corpus_files(config.corpus)
    rows = [(file.path, f"{file.size} bytes, {file.stamp}") for file in files if file.kind != "text"]
    texts = [asdict(file) for file in files if file.kind == "text"]
    if texts:
        rows.append(("text files", f"{len(texts)}, {sha256(json.dumps(texts).encode()).hexdigest()}"))
    if config.corpus.exclude is not None:
        rows.append((config.corpus.exclude, file_identity(config.corpus.exclude)))
    return rows


def config_keys(config: Config) -> tuple[str, ...]:
    """The keys that change the bytes of documents: all of `corpus` but `max_rejected`."""
    return tuple(f"corpus.{name}" for name in CorpusConfig.model_fields if name != "max_rejected")


def list_files(context: Context, part: str, output: PartOutput) -> None:
    """Write ``list.json``: for each read task its files. The list is made once, so that all tasks see the same."""
    tasks: list[list[InputFile]] = []
    n_bytes = 0
    for file in corpus_files(context.config.corpus):
        fits = tasks and len(tasks[-1]) < TEXTS_PER_TASK and n_bytes + file.size <= TEXT_BYTES_PER_TASK
        if fits and file.kind == tasks[-1][-1].kind == "text":
            tasks[-1].append(file)
            n_bytes += file.size
        else:
            tasks.append([file])
            n_bytes = file.size
    rows = [[asdict(file) for file in task] for task in tasks]
    output.path("list.json").write_text(json.dumps(rows), encoding="utf-8")


def read_parts(context: Context) -> list[str]:
    """One part for each read task: 00000, 00001, ..."""
    return [f"{index:05d}" for index in range(len(_tasks(context)))]


def _tasks(context: Context) -> list[list[InputFile]]:
    rows = read_json(context.folder(STEP_NAME) / "list.json", what="list of input files")
    return [[InputFile(**file) for file in task] for task in rows]


def read_files(context: Context, part: str, output: PartOutput) -> None:
    """Write accepted rows as ``read/<part>-NNNNN.parquet`` and refused ones as ``read/<part>.rejected.parquet``.

    Raises: InputError for a file that is damaged or has no text field.
    """
    config = context.config.corpus
    files = _tasks(context)[int(part)]
    findings = Findings()
    rules = _rules(config)
    reasons: Counter[str] = Counter()
    part_bytes = max(1, int(config.part_mib * 2**20))
    with ExitStack() as stack:
        documents = _accepted(_batches(files, rules, findings), reasons, stack, output, f"read/{part}.rejected.parquet")
        pieces = write_parts(documents, part_bytes, lambda k: output.path(f"read/{part}-{k:05d}.parquet"))
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


def _rules(config: CorpusConfig) -> Rules:
    names = ("text", "id", "source", "keep", "min_chars", "max_chars")
    path = config.exclude
    excluded = _excluded(path, file_identity(path)) if path is not None else frozenset()
    return Rules(**{name: getattr(config, name) for name in names}, excluded=excluded)


@lru_cache(maxsize=1)
def _excluded(path: str, identity: str) -> frozenset[str]:
    return load_excluded(path)


def _batches(files: Sequence[InputFile], rules: Rules, findings: Findings) -> Iterator[Batch]:
    path = files[0].path
    match files[0].kind:
        case "text":
            return read_texts([file.path for file in files], rules)
        case "jsonl":
            return read_jsonl(path, rules, findings)
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


def merge(context: Context, part: str, output: PartOutput) -> None:
    """Judge what was refused, settle the schema, and give each piece its first `doc`.

    Writes ``schema.arrow`` and ``numbering.json``: the name, first `doc` and rows of each piece.
    Raises: InputError for too many refused rows, for no document, for a configured field that stands nowhere.
    """
    records = context.records("read")
    config = context.config.corpus
    check_refused(config, records.values())
    check_seen(config, {name for record in records.values() for name in record.info["seen"]})
    pieces, first = [], 0
    for record in records.values():
        for name, file in record.files.items():
            if not name.endswith(".rejected.parquet"):
                pieces.append([name, first, file.rows])
                first += file.rows or 0
    schema = _schema(context, config, records)
    output.path("schema.arrow").write_bytes(schema.serialize().to_pybytes())
    output.path("numbering.json").write_text(json.dumps(pieces), encoding="utf-8")


def _schema(context: Context, config: CorpusConfig, records: Mapping[str, PartRecord]) -> pa.Schema:
    types: dict[str, list[pa.DataType]] = {name: [] for name in config.keep}
    kinds: dict[str, set[str]] = {name: set() for name in config.keep}
    for part, record in records.items() if config.keep else ():
        for name, found in record.info["kinds"].items():
            kinds[name].update(found)
        if f"read/{part}-00000.parquet" in record.files:
            schema = pq.read_schema(context.folder(STEP_NAME) / f"read/{part}-00000.parquet")
            for name in config.keep:
                if not is_json(schema.field(name)):
                    types[name].append(schema.field(name).type)
    kept = [common_field(name, types[name], sorted(kinds[name])) for name in config.keep]
    return pa.schema([pa.field("doc", pa.int64()), KEY, *DOCUMENT, *kept])


def number_parts(context: Context) -> list[str]:
    """One part for each piece, and one for each file of refused rows."""
    refused = [
        f"rejected-{part}"
        for part, record in context.records("read").items()
        if f"read/{part}.rejected.parquet" in record.files
    ]
    return [f"part-{index:05d}" for index in range(len(_pieces(context)))] + refused


def _pieces(context: Context) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = read_json(context.folder(STEP_NAME) / "numbering.json", what="numbering")
    return found


def number(context: Context, part: str, output: PartOutput) -> None:
    """Write one documents part with `doc`, `key` and the settled types, or one file of refused rows."""
    folder = context.folder(STEP_NAME)
    kind, _, index = part.partition("-")
    if kind == "rejected":
        name = f"rejected/part-{index}.parquet"
        scratch = folder / f"read/{index}.rejected.parquet"
        shutil.copyfile(scratch, output.path(name))
        output.rows(name, pq.read_metadata(scratch).num_rows)
        return
    piece, first, n_rows = _pieces(context)[int(index)]
    schema = pa.ipc.read_schema(pa.py_buffer((folder / "schema.arrow").read_bytes()))
    with pq.ParquetFile(folder / piece) as file, open_writer(output.path(f"{part}.parquet"), schema) as writer:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, use_threads=False)
            writer.write_table(_numbered(rows, first, schema), row_group_size=rows.num_rows)
            first += rows.num_rows
    output.rows(f"{part}.parquet", n_rows)


def _numbered(rows: pa.Table, first: int, schema: pa.Schema) -> pa.Table:
    keys = document_keys(rows["source"].to_pylist(), rows["id"].to_pylist())
    columns = [pa.array(np.arange(first, first + rows.num_rows)), pa.array(keys, KEY.type)]
    for wanted in list(schema)[len(columns) :]:
        column = rows[wanted.name]
        columns.append(column if wanted in DOCUMENT else convert(column, rows.schema.field(wanted.name), wanted))
    return pa.table(columns, schema=schema)


STEP = Step(
    name=STEP_NAME,
    format=1,
    inputs=(),
    keys=config_keys,
    phases=(
        Phase("list", one_part, list_files, scratch=True),
        Phase("read", read_parts, read_files, scratch=True),
        Phase("merge", one_part, merge, scratch=True),
        Phase("number", number_parts, number),
    ),
    sources=corpus_identity,
    reads=("corpus.max_rejected",),
)
