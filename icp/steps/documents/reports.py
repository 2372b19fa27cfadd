"""What other tools reported as contaminated: documents by id, or by file and line.

In: JSON lines, packed or not, as `decontaminate.reports` names them. A line is one hit, in one of these forms. Reports
of allenai/decon: ``training_file`` and ``training_line`` (from 0, of a file by its name without ``.gz`` or ``.zst``),
``eval_key`` or ``eval_dataset``, ``eval_line``, ``contamination_score``. Attributes of Dolma: ``id`` and
``attributes``, each a list of spans ``[start, end, score]`` or a number, where a score above 0 is a hit. Or ``id`` with
the ``eval_*`` names or none. Out: `Reports`.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from icp.config import Config, DecontaminateConfig
from icp.dedup.imported import import_files
from icp.errors import InputError
from icp.steps.documents.input_files import corpus_files
from icp.steps.documents.lines import json_blocks
from icp.steps.documents.rows import LONGEST_LINE
from icp.steps.documents.stores import file_identity
from icp.texts import key_of

KEY = "decontaminate.reports"
_PACKED = re.compile(r"\.(gz|zst|zstd)$")


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of a report: what the document is contaminated with, and the score that the tool gave, if any."""

    number: int
    of: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Reports:
    """All hits, by the key of an id, and by the name of a file and a line; `n_named`: how many lines are hits."""

    by_id: dict[str, list[Hit]]
    by_place: dict[tuple[str, int], list[Hit]]
    n_named: int

    def found_in(self, table: pa.Table) -> Iterator[tuple[int, Hit]]:
        """Row and hit of each document of a table with ``id``, ``file`` and ``row``."""
        columns = (table[name].to_pylist() for name in ("id", "file", "row"))
        for at, (doc_id, file, row) in enumerate(zip(*columns, strict=True)):
            for hit in self.by_id.get(key_of(doc_id), ()) if self.by_id else ():
                yield at, hit
            for hit in self.by_place.get((base_name(file), row), ()) if self.by_place else ():
                yield at, hit


def base_name(path: str) -> str:
    """The name of a file as decon reports it: without folders, and without the suffix of what packs it."""
    return _PACKED.sub("", path.rpartition("/")[2])


def report_files(config: DecontaminateConfig) -> list[Path]:
    """The files of reports; raises InputError for a name that matches none."""
    return [path for pattern in config.reports for path in import_files(pattern, KEY)]


def report_identity(config: DecontaminateConfig) -> list[tuple[str, str]]:
    """Name and identity of each report, for the basis of the step."""
    return [(str(path), file_identity(str(path))) for path in report_files(config)]


def read_reports(config: DecontaminateConfig) -> Reports:
    """All reports; kept from one part to the next.

    Raises: InputError for a line that is no hit in a form that is known.
    """
    return _read(tuple(report_identity(config)))


@lru_cache(maxsize=2)
def _read(files: tuple[tuple[str, str], ...]) -> Reports:
    by_id: dict[str, list[Hit]] = defaultdict(list)
    by_place: dict[tuple[str, int], list[Hit]] = defaultdict(list)
    number = 0
    for path, _ in files:
        for row, record in _records(path):
            for where, of, score in _hits(record, f"{path}: row {row}"):
                hit = Hit(number, of, score)
                if isinstance(where, str):
                    by_id[key_of(where)].append(hit)
                else:
                    by_place[where].append(hit)
                number += 1
    return Reports(dict(by_id), dict(by_place), number)


def _records(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    row = 0
    for lines, is_long in json_blocks(path, LONGEST_LINE):
        for line in lines:
            try:
                record = json.loads(line) if line.strip() and not is_long else None
            except (ValueError, RecursionError):
                record = None
            if isinstance(record, dict):
                yield row, record
            elif line.strip():
                raise InputError(f"{path}: row {row} is no JSON object; a report must be whole: make it again")
            row += 1


def _hits(record: dict[str, Any], where: str) -> Iterator[tuple[str | tuple[str, int], str, float | None]]:
    """Id, or name of a file and line; what it holds; score."""
    file, line, doc_id = record.get("training_file"), record.get("training_line"), record.get("id")
    attributes = record.get("attributes")
    if isinstance(file, str) and isinstance(line, int) and not isinstance(line, bool):
        yield (base_name(file), line), f"decon: {_evaluation(record)}", _score(record)
    elif isinstance(doc_id, str | int) and not isinstance(doc_id, bool) and isinstance(attributes, dict):
        for name, value in attributes.items():
            score = _highest(value, f"{where}: attribute {name}")
            if score > 0:
                yield str(doc_id), f"dolma: {name}", score
    elif isinstance(doc_id, str | int) and not isinstance(doc_id, bool):
        yield str(doc_id), f"{record.get('method') or 'report'}: {_evaluation(record)}", _score(record)
    else:
        raise InputError(
            f"{where} names no document; {KEY} takes lines with training_file and training_line (allenai/decon), id "
            "and attributes (Dolma), or id alone"
        )


def _evaluation(record: dict[str, Any]) -> str:
    name = str(record.get("eval_key") or record.get("eval_dataset") or "an evaluation set")
    return f"{name}:{record['eval_line']}" if isinstance(record.get("eval_line"), int) else name


def _score(record: dict[str, Any]) -> float | None:
    score = record.get("contamination_score")
    return float(score) if isinstance(score, int | float) else None


def _highest(value: Any, where: str) -> float:
    """The highest score of an attribute: of its spans, or itself."""
    spans = value if isinstance(value, list) else [[0, 0, value]]
    try:
        return max((float(span[2]) for span in spans), default=0.0)
    except (TypeError, ValueError, LookupError):
        raise InputError(f"{where} is neither a list of [start, end, score] nor a number") from None


def check_places(config: Config, reports: Reports) -> None:
    """Raise InputError if a report names a file by a name that several files of the corpus have."""
    named = {name for name, _ in reports.by_place}
    found: dict[str, str] = {}
    for file in corpus_files(config.corpus) if named else ():
        name = base_name(file.path)
        if name in named and name in found:
            raise InputError(
                f"{KEY} names lines of {name}, and both {found[name]} and {file.path} have that name; rename one of "
                "them and make the report again, or give it by id"
            )
        found[name] = file.path
