"""The texts of evaluation sets, which no training document may hold.

In: JSON lines or Parquet, compressed or not, as `decontaminate.input` names them. Out: the strings of every record,
each by itself, with where it stands: ``FILE:ROW:FIELD``; and each string too short to be looked for by itself with
those around it in its record, as a question of five words is followed by its answer: ``FILE:ROW:FIELD+``.
"""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from icp.config import CorpusConfig, DecontaminateConfig
from icp.dedup.shingles import word_counts
from icp.errors import ConfigError, InputError
from icp.steps.documents.input_files import InputFile, corpus_files
from icp.steps.documents.lines import json_blocks
from icp.steps.documents.rows import LONGEST_LINE, open_source, reading
from icp.texts import text_buffers

_DEEPEST = 32
TOGETHER = "+"
"""Ends the name of a string that is looked for together with those around it."""


def evaluation_files(config: DecontaminateConfig) -> list[InputFile]:
    """The files of the evaluation sets.

    Raises: InputError, ConfigError, for what is not there, and for other kinds of files.
    """
    if not config.input:
        return []
    try:
        files = corpus_files(CorpusConfig(input=config.input))
    except (InputError, ConfigError) as error:
        raise type(error)(str(error).replace("corpus.input", "decontaminate.input")) from None
    for file in files:
        if file.kind not in ("jsonl", "parquet"):
            raise InputError(f"decontaminate.input: {file.path} is {file.kind}; save it as JSON lines or Parquet")
    return files


def evaluation_texts(config: DecontaminateConfig) -> Iterator[tuple[str, str]]:
    """``(where, text)`` of every string of every record, or of those under `fields` alone.

    Raises: InputError for a file that cannot be read, and if a field of `fields` stands in no record.
    """
    missing = set(config.fields)
    for file in evaluation_files(config):
        for row, record in enumerate(_records(file)):
            if config.fields:
                missing -= record.keys()
                record = {name: record[name] for name in config.fields if name in record}
            found = list(_strings(record, ""))
            for name, text in [*found, *_with_neighbors(found, config)]:
                yield f"{file.path}:{row}:{name}", text
    if missing:
        raise InputError(f"decontaminate.fields: no evaluation set has a field {min(missing)!r}; correct the name")


def _records(file: InputFile) -> Iterator[dict[str, Any]]:
    if file.kind == "parquet":
        with reading(file.path), open_source(file.path) as source, pq.ParquetFile(source) as table:
            for batch in table.iter_batches(1000, use_threads=False):
                yield from batch.to_pylist()
        return
    row = 0
    for lines, is_long in json_blocks(file.path, LONGEST_LINE):
        for line in lines:
            if line.strip():
                yield _record(line, file.path, row, is_long=is_long)
            row += 1


def _record(line: bytes, path: str, row: int, *, is_long: bool) -> dict[str, Any]:
    try:
        record = json.loads(line, parse_int=bool) if not is_long else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise InputError(f"{path}: row {row} is no JSON object; an evaluation set must be whole: mend it")
    return record


def _with_neighbors(found: list[tuple[str, str]], config: DecontaminateConfig) -> Iterator[tuple[str, str]]:
    """Strings of fewer than `least_words` words, each with as many words of those around it as an n-gram can reach."""
    reach = config.ngram - 1
    sizes = word_counts(text_buffers([text for _, text in found])).tolist()
    for at, (name, text) in enumerate(found):
        if 0 < sizes[at] < config.least_words and len(found) > 1:
            before = " ".join(one for _, one in found[max(0, at - reach) : at]).split()[-reach:]
            after = " ".join(one for _, one in found[at + 1 : at + 1 + reach]).split()[:reach]
            yield f"{name}{TOGETHER}", " ".join([*before, text, *after])


def _strings(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every string in a record, with the names of the fields that lead to it."""
    if isinstance(value, str):
        yield name, value.encode("utf-8", "replace").decode()
    elif depth < _DEEPEST and isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, f"{name}.{key}" if name else str(key), depth + 1)
    elif depth < _DEEPEST and isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _strings(item, f"{name}[{at}]", depth + 1)
