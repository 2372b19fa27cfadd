"""The documents step: every row of the corpus is numbered once, or refused with its reason.

In: the files of `corpus.input`. Out: ``documents/part-*.parquet``, `doc` counting through them in input order, and
``documents/rejected/part-*.parquet``, one for each read task that refused rows. Phases: *list* the files, *read* each
into pieces without numbers, *repeated* and *strip* (leave out repeated paragraphs, if asked), *evaluation*, *held*,
*index* and *sift* (keep held-out documents, and text of evaluation sets, out of training, if asked), *merge* (judge
what was refused, settle the types of kept fields, count), *number*. Held-out documents, without numbers, are left in
``documents/holdout/part-*.parquet``, what others share with them or with evaluation sets in
``documents/rejected/overlaps-part-*.parquet``. Of a run that another one extends, *carry* takes the files over first.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from icp.config import Config, CorpusConfig
from icp.config.apart_models import DecontaminateConfig, HoldoutConfig
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.errors import ArtifactError, InputError
from icp.run.context import Context
from icp.run.extended import carry_parts, extended_source
from icp.run.names import DOCUMENTS, HOLDOUT, OVERLAPS, REJECTED_ROWS, STRIPPED_PARAGRAPHS, of_part, part_name
from icp.run.records import PartRecord, read_json
from icp.run.removed import tombstone_identity
from icp.run.storage import run_folder
from icp.run.tables import open_writer
from icp.steps.documents.apart import evaluation_parts, held_parts, hold_out, index_evaluation, index_held, index_parts
from icp.steps.documents.derive import detector_version
from icp.steps.documents.evaluation import evaluation_files
from icp.steps.documents.grown import carry, ids_before, next_numbers, settled_field
from icp.steps.documents.input_files import corpus_files
from icp.steps.documents.kept_fields import convert, is_json
from icp.steps.documents.read_tasks import STEP_NAME, list_files, read_files, read_parts
from icp.steps.documents.refusals import check_refused, check_seen
from icp.steps.documents.reports import report_identity
from icp.steps.documents.rows import DOCUMENT, document_keys
from icp.steps.documents.sift import sift, sift_parts, told_apart
from icp.steps.documents.stages import is_piece, rejected_of, stages
from icp.steps.documents.stores import file_identity
from icp.steps.documents.strip_tasks import find_repeated, repeated_parts, strip, strip_parts
from icp.steps.documents.telling import sampled_paragraphs, told

KEY = pa.field("key", pa.binary(16))
NOTHING_LEFT = {
    "read": "the corpus holds no document",
    "strip": "corpus.strip_repeated leaves nothing of any document; raise it",
    "sift": "holdout and decontaminate leave no document for training; look at documents/rejected, and lower them",
}
_READ_AS = {"csv": ", quotes closed", "tar": ", names to the last dot", "warc": ", types in any case"}
"""How files of a kind are read since that changed; other kinds have the bytes that they had."""


def corpus_identity(config: Config) -> list[tuple[str, str]]:
    """``(name, identity)`` of all files read: path, size and stamp; text files together as one hash."""
    files = corpus_files(config.corpus)
    rows = [
        (file.path, f"{file.size} bytes, {file.stamp}{_READ_AS.get(file.kind, '')}")
        for file in files
        if file.kind != "text"
    ]
    texts = [asdict(file) for file in files if file.kind == "text"]
    if texts:
        rows.append(("text files", f"{len(texts)}, {sha256(json.dumps(texts).encode()).hexdigest()}"))
    for path in (config.corpus.exclude, config.holdout.ids):
        if path is not None:
            rows.append((path, f"{file_identity(path)}, compared by key"))
    if config.decontaminate.is_set:
        rows += [(file.path, f"{file.size} bytes, {file.stamp}") for file in evaluation_files(config.decontaminate)]
        rows += report_identity(config.decontaminate)
    if "language" in config.corpus.derive.values():
        rows.append(("language detector", detector_version()))
    return rows + tombstone_identity(run_folder(config.run)) + extended_source(config, STEP_NAME)


def config_keys(config: Config) -> tuple[str, ...]:
    """The keys that change the bytes of documents; which files are read stands in `corpus_identity`."""
    others = ["max_rejected", "include", "ignore"]
    others += [name for name in ("derive", "strip_repeated") if not getattr(config.corpus, name)]
    # vectors are made of documents: what they keep out, the step graph leaves out
    holdout = [f"holdout.{name}" for name in HoldoutConfig.model_fields if name != "cosine"]
    evaluation = [f"decontaminate.{name}" for name in DecontaminateConfig.model_fields if name != "reports"]
    apart = [*(holdout if config.holdout.is_set else ()), *(evaluation if config.decontaminate.is_set else ())]
    return (*(f"corpus.{name}" for name in CorpusConfig.model_fields if name not in others), *apart)


def merge(context: Context, part: str, output: PartOutput) -> None:
    """Judge what was refused, settle the schema, and give each piece its first `doc`.

    Writes ``schema.arrow`` and ``numbering.json``: the name, first `doc` and rows of each piece.
    Raises: InputError for too many refused rows, for no document, for a configured field that stands nowhere.
    """
    records = context.records("read")
    config = context.config.corpus
    check_refused(config, records.values())
    check_seen(config, {name for record in records.values() for name in record.info["seen"]})
    of_rows, apart = told(config, records, ids_before(context)), told_apart(context)
    warnings, notes = (one + other for one, other in zip(of_rows, apart, strict=True))
    output.info["warnings"], output.info["notes"] = warnings, notes
    pieces, first = [], (start := next_numbers(context)[2])
    for record in context.records(stages(context.config)[-1]).values():
        for name, file in record.files.items():
            if is_piece(name):
                pieces.append((name, first, file.rows))
                first += file.rows or 0
    if first == start:
        raise InputError(NOTHING_LEFT[stages(context.config)[-1]])
    folder = context.folder(STEP_NAME)
    output.info["paragraphs"] = sampled_paragraphs(folder, [name for name, *_ in pieces])
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
    kept = [settled_field(context, name, types[name], sorted(kinds[name])) for name in config.keep]
    derived = [pa.field(name, pa.string()) for name in config.derive if name != "source"]
    return pa.schema([pa.field("doc", pa.int64()), KEY, *DOCUMENT, *kept, *derived])


def number_parts(context: Context) -> list[str]:
    """One part for each piece, and one for each file of refused rows or of paragraphs left out."""
    first, n_pieces = next_numbers(context)[0], len(_pieces(context))
    return [part_name(index) for index in range(first, first + n_pieces)] + list(_copies(context))


def _copies(context: Context) -> dict[str, tuple[str, str]]:
    """Part -> scratch file and the name that it gets: of each read task what was refused, left out, held out."""
    copies = {}
    of_others = {"paragraphs": ("strip/{}.paragraphs.parquet", STRIPPED_PARAGRAPHS)}
    of_others |= {"overlaps": ("sift/{}.overlaps.parquet", OVERLAPS), "holdout": ("held/{}.parquet", HOLDOUT)}
    last, begin = stages(context.config)[-1], next_numbers(context)[1]
    for number, part in enumerate(context.records("read"), begin):
        refused = rejected_of(context, last, part)
        if refused is not None:
            copies[f"rejected-{part}"] = (refused, of_part(REJECTED_ROWS, part_name(number)))
        for kind, (scratch, name) in of_others.items():
            record = context.records(scratch.partition("/")[0]).get(part)
            if record is not None and scratch.format(part) in record.files:
                copies[f"{kind}-{part}"] = (scratch.format(part), of_part(name, part_name(number)))
    return copies


def _pieces(context: Context) -> list[tuple[str, int, int]]:
    path = context.folder(STEP_NAME) / "numbering.json"
    try:
        return [(str(name), int(first), int(rows)) for name, first, rows in read_json(path, what="numbering")]
    except (TypeError, ValueError, OverflowError) as error:
        raise ArtifactError(f"{path}: not a numbering ({error}); redo the step with --fresh") from None


def number(context: Context, part: str, output: PartOutput) -> None:
    """Write one documents part with `doc`, `key` and the settled types, or one file of refused rows."""
    folder = context.folder(STEP_NAME)
    if not part.startswith("part-"):
        scratch, name = _copies(context)[part]
        _copy_settled(context, folder / scratch, output.path(name))
        output.rows(name, pq.read_metadata(folder / scratch).num_rows)
        return
    index = int(part.removeprefix("part-")) - next_numbers(context)[0]
    piece, first, n_rows = _pieces(context)[index]
    schema = pa.ipc.read_schema(pa.py_buffer((folder / "schema.arrow").read_bytes()))
    name = of_part(DOCUMENTS, part)
    with pq.ParquetFile(folder / piece) as file, open_writer(output.path(name), schema) as writer:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, use_threads=False)
            writer.write_table(_numbered(rows, first, schema), row_group_size=rows.num_rows)
            first += rows.num_rows
    output.rows(name, n_rows)


def _copy_settled(context: Context, source: Path, target: Path) -> None:
    """Copy a file of rows; kept fields, if it has some, get the types that they have in documents."""
    found = pq.read_schema(source)
    kept = [name for name in context.config.corpus.keep if name in found.names]
    if not kept:
        shutil.copyfile(source, target)
        return
    settled = pa.ipc.read_schema(pa.py_buffer((context.folder(STEP_NAME) / "schema.arrow").read_bytes()))
    schema = pa.schema([settled.field(field.name) if field.name in kept else field for field in found])
    with pq.ParquetFile(source) as file, open_writer(target, schema) as writer:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, use_threads=False)
            columns = [
                convert(rows[field.name], found.field(field.name), schema.field(field.name))
                if field.name in kept
                else rows[field.name]
                for field in found
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=max(1, rows.num_rows))


def _numbered(rows: pa.Table, first: int, schema: pa.Schema) -> pa.Table:
    keys = document_keys(rows["source"].to_pylist(), rows["id"].to_pylist())
    columns = [pa.array(np.arange(first, first + rows.num_rows)), pa.array(keys, KEY.type)]
    for wanted in list(schema)[len(columns) :]:
        column = rows[wanted.name]
        columns.append(column if wanted in DOCUMENT else convert(column, rows.schema.field(wanted.name), wanted))
    return pa.table(columns, schema=schema)


STEP = Step(
    name=STEP_NAME,
    format=2,
    inputs=(),
    keys=config_keys,
    phases=(
        Phase("carry", carry_parts, carry),
        Phase("list", one_part, list_files, scratch=True),
        Phase("read", read_parts, read_files, scratch=True),
        Phase("repeated", repeated_parts, find_repeated, scratch=True),
        Phase("strip", strip_parts, strip, scratch=True),
        Phase("evaluation", evaluation_parts, index_evaluation, scratch=True),
        Phase("held", held_parts, hold_out, scratch=True),
        Phase("index", index_parts, index_held, scratch=True),
        Phase("sift", sift_parts, sift, scratch=True),
        Phase("merge", one_part, merge, scratch=True),
        Phase("number", number_parts, number),
    ),
    sources=corpus_identity,
    reads=(
        *(f"corpus.{name}" for name in ("max_rejected", "include", "ignore", "derive", "strip_repeated")),
        "holdout",
        "decontaminate",
        "extends",
    ),
)
