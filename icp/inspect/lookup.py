"""Documents found by id or number, and short forms of them.

In: a run. Out: doc numbers, what became of a document, its text in a line or a few.
"""

import difflib
import shutil
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from icp.errors import ArtifactError, InputError
from icp.run.names import DUPLICATES, NEAR_HELD, STEPS
from icp.run.reader import Run, WrongForm, open_run, read_columns
from icp.run.removed import removed_docs
from icp.run.storage import run_folder
from icp.run.texts import TextReader
from icp.texts import key_of

WIDTH, NARROWEST = 110, 40
"""Columns of a line where there is no terminal, and of the narrowest one."""
SEARCHED_FOR_NEAR = 20_000
"""Ids that are looked at for one like an unknown id."""


UNNAMED = "removed on the word of dedup.import, which names no document that it is a copy of"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a document.

    Attributes:
        kind: kept | exact | near | semantic; unknown while the graph is not finished.
        duplicate_of: the doc that is kept in its place, -1 if it is kept, or none is named.
        jaccard: similarity of the texts, NaN if it is kept.
    """

    kind: str
    duplicate_of: int = -1
    jaccard: float = float("nan")

    def __str__(self) -> str:
        if self.duplicate_of < 0:
            return self.kind
        return f"{self.kind} duplicate of doc {self.duplicate_of}, Jaccard {self.jaccard:.4f}"


def open_documents(folder: Path, *, pack: str = "main") -> tuple[Run, TextReader]:
    """A run whose documents are there, and a reader of them."""
    run = open_run(run_folder(folder), pack=pack)
    run.require(("documents",))
    return run, TextReader(run)


def open_pack(folder: Path, *, pack: str) -> tuple[Run, TextReader]:
    """A run with a finished pack; raises ArtifactError naming the packs there are."""
    run = open_run(run_folder(folder), pack=pack)
    run.require(STEPS)
    return run, TextReader(run)


def find_docs(reader: TextReader, wanted: str) -> list[int]:
    """The docs that carry an id; for an id that none carries, the doc of that number.

    Raises: InputError naming ids that look alike and the range of the numbers.
    """
    docs: list[int] = []
    seen: list[str] = []
    first = 0
    for column in reader.column("id"):
        hits = pc.indices_nonzero(pc.equal(column, pa.scalar(wanted, column.type)))
        docs += [first + at for at in hits.to_pylist()]
        seen += column.slice(0, max(0, SEARCHED_FOR_NEAR - len(seen))).to_pylist()
        first += len(column)
    if docs:
        return docs
    if wanted.isdecimal() and int(wanted) < reader.n_docs:
        return [int(wanted)]
    for stone in reader.tombstones.rows:
        if key_of(stone.id) == key_of(wanted):
            raise InputError(f"{wanted}: no document has this id; it was removed on {stone.date} ({stone.reason})")
    near = difflib.get_close_matches(wanted, seen, n=3, cutoff=0.6)
    hint = f"ids like it: {', '.join(near)}" if near else f"ids look like {', '.join(seen[:3])}"
    raise InputError(f"{wanted}: no document has this id ({hint}), and doc numbers go from 0 to {reader.n_docs - 1:,}")


def fate_of(run: Run, doc: int) -> Fate:
    """What became of a document, as far as the run is finished."""
    if row_of(removed_docs(run.folders["documents"]), doc) >= 0:
        return Fate("removed by icp remove")
    for step in ("dedup", "graph"):
        if step not in run.manifests:
            return Fate(f"not decided yet: step {step} is not finished")
        for name in run.names(step, DUPLICATES):
            table = read_columns(run.path(step, name), ("doc", "duplicate_of", "jaccard", "kind"))
            for row in table.filter(pc.equal(table.column("doc"), doc)).to_pylist():
                kind = UNNAMED if row["duplicate_of"] < 0 else str(row["kind"])
                return Fate(kind, int(row["duplicate_of"]), float(row["jaccard"]))
    for name in run.names("graph", NEAR_HELD):
        table = read_columns(run.path("graph", name), ("doc", "held", "cosine"))
        for row in table.filter(pc.equal(table.column("doc"), doc)).to_pylist():
            return Fate(f"left out: near to the held-out document {row['held'] or '-'}, cosine {row['cosine']:.4f}")
    return Fate("kept")


def copies_of(run: Run, doc: int) -> list[int]:
    """The docs that were removed in favour of a doc."""
    found: list[int] = []
    for step in ("dedup", "graph"):
        for name in run.names(step, DUPLICATES) if step in run.manifests else ():
            table = read_columns(run.path(step, name), ("doc", "duplicate_of"))
            found += table.filter(pc.equal(table.column("duplicate_of"), doc)).column("doc").to_pylist()
    return sorted(found)


def row_of(values: Any, wanted: int) -> int:
    """Where an ascending array holds a value, -1 if it does not."""
    at = int(np.searchsorted(values, wanted))
    return at if at < len(values) and values[at] == wanted else -1


def excerpt(text: str, n_chars: int) -> str:
    """The beginning of a text in one line."""
    line = " ".join(text[: 2 * n_chars].split())
    return line if len(line) <= n_chars and len(text) <= 2 * n_chars else line[: n_chars - 3] + "..."


def width() -> int:
    """Columns of a line: those of the terminal, if there is one."""
    if not sys.stdout.isatty():
        return WIDTH
    return max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns - 1)


def wrapped(label: str, line: str) -> list[str]:
    """A line after its label, on as many lines of `width` columns as it needs."""
    return textwrap.wrap(
        line, width(), initial_indent=label, subsequent_indent=" " * len(label), break_on_hyphens=False
    ) or [label.rstrip()]


def readable(error: WrongForm, folder: Path) -> ArtifactError:
    """An error a user can act on, for files that do not fit together."""
    return ArtifactError(f"{folder}: {error}; `icp verify {folder}` tells what is wrong")
