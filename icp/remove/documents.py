"""The step `documents` of a run without the text of removed documents: their rows stay, and are empty.

In: the copy of a run, and what goes. Out: the copy. A row keeps its number, its source and its place in the corpus, so
that all rows are accounted for; its id, text and kept fields go. Held-out documents, which have no number, become
refused rows. Of refused rows and of what is left of removed documents elsewhere, the excerpts go.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.dedup.overlap import folded, references_of
from icp.remove.lists import URL
from icp.remove.stage import Patch
from icp.remove.wanted import Gone
from icp.run.names import (
    DOCUMENTS,
    HOLDOUT,
    OVERLAPS,
    REJECTED_ROWS,
    REMOVED_DOCS,
    STRIPPED_PARAGRAPHS,
    of_part,
    part_of,
)
from icp.run.reader import Run, read_columns
from icp.run.removed import among
from icp.run.tables import open_writer
from icp.steps.documents.read_tasks import REMOVED
from icp.steps.documents.rows import REJECTED, document_keys
from icp.texts import key_of

_STAY = ("doc", "source", "file", "row")
_NGRAM = 8
"""Words in a row that an excerpt shares with a removed text, so that it goes."""


def purge_documents(run: Run, patch: Patch, gone: Gone) -> None:
    """Empty the rows of removed documents, in all files of the step; `gone.docs` are all rows, earlier ones too."""
    bounds = run.doc_bounds()
    for first, name in zip(bounds.tolist(), run.names("documents", DOCUMENTS), strict=False):
        _empty_rows(patch, name, first, gone.docs)
    lines = _purge_holdout(run, patch, gone)
    _purge_rejected(run, patch, gone, lines)
    _purge_overlaps(run, patch, gone)
    with patch.replacing(REMOVED_DOCS, gone.docs.size) as path, path.open("wb") as stream:
        np.save(stream, gone.docs, allow_pickle=False)
    patch.counts["removed"] = int(gone.docs.size)
    told = patch.info.get("merge", {}).get("all", {})
    if told.get("paragraphs"):
        kept = [row for row in told["paragraphs"] if not any(str(row[1]) in " ".join(t.split()) for t in gone.texts)]
        patch.info["merge"]["all"] = {**told, "paragraphs": kept}


def rewritten(path: Path, target: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables, a row group each, with the schema of a file; returns their rows."""
    n_rows = 0
    with open_writer(target, pq.read_schema(path)) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            n_rows += table.num_rows
    return n_rows


def groups_of(path: Path) -> Iterator[pa.Table]:
    """The row groups of a file, whole."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, use_threads=False)


def masked(table: pa.Table, chosen: NDArray[np.bool_], empty: dict[str, str]) -> pa.Table:
    """The table with these columns of chosen rows set to a value each."""
    for name, value in empty.items():
        at, kind = table.schema.get_field_index(name), table.schema.field(name).type
        values = pa.array(np.where(chosen, value, np.array(table[name].to_pylist(), object)), kind, from_pandas=True)
        table = table.set_column(at, table.schema.field(name), values)
    return table


def _empty_rows(patch: Patch, name: str, first: int, docs: NDArray[np.int64]) -> None:
    path = patch.folder / name
    n_rows = patch.files[name].rows or 0
    if not np.any((docs >= first) & (docs < first + n_rows)):
        return
    with patch.replacing(name) as target:
        rewritten(path, target, (_emptied(table, among(table["doc"].to_numpy(), docs)) for table in groups_of(path)))


def _emptied(table: pa.Table, chosen: NDArray[np.bool_]) -> pa.Table:
    if not chosen.any():
        return table
    mask, columns = pa.array(chosen), []
    keys = [None if not is_gone else document_keys([source], [""])[0]
            for is_gone, source in zip(chosen.tolist(), table["source"].to_pylist(), strict=True)]  # fmt: skip
    for field in table.schema:
        column = table[field.name].combine_chunks()
        if field.name in ("id", "text"):
            column = pa.compute.if_else(mask, pa.scalar("", field.type), column)
        elif field.name == "key":
            old = column.to_pylist()
            column = pa.array([new or was for new, was in zip(keys, old, strict=True)], field.type)
        elif field.name not in _STAY:
            column = column.filter(pa.array(~chosen)).take(pa.array(_places(chosen), pa.int64()))
        columns.append(column)
    return pa.table(columns, schema=table.schema)


def _places(chosen: NDArray[np.bool_]) -> list[int | None]:
    """Where each row stands among those that are not chosen; null for the others."""
    ranks = np.cumsum(~chosen) - 1
    return [None if out else rank for out, rank in zip(chosen.tolist(), ranks.tolist(), strict=True)]


def _purge_holdout(run: Run, patch: Patch, gone: Gone) -> dict[str, list[tuple[str, int]]]:
    """Take held-out documents out; file and row of each, by the part that they were of."""
    lines: dict[str, list[tuple[str, int]]] = {}
    for name in run.names("documents", HOLDOUT):
        path = patch.folder / name
        found = [(table, gone.is_held(table)) for table in groups_of(path)]
        n_out = sum(int(out.sum()) for _, out in found)
        if not n_out:
            continue
        part = part_of(name, HOLDOUT)
        for table, out in found:
            chosen = table.filter(pa.array(out))
            rows = zip(chosen["file"].to_pylist(), chosen["row"].to_pylist(), strict=True)
            lines.setdefault(part, []).extend(rows)
        left = sum(table.num_rows for table, _ in found) - n_out
        if left:
            with patch.replacing(name, left) as target:
                rewritten(path, target, (table.filter(pa.array(~out)) for table, out in found))
        else:
            patch.drop(name)
        for count, n in (("held_out", -n_out), ("rejected", n_out), (f"rejected.{REMOVED}", n_out)):
            patch.counts[count] = patch.counts.get(count, 0) + n
    return lines


def _purge_rejected(run: Run, patch: Patch, gone: Gone, lines: dict[str, list[tuple[str, int]]]) -> None:
    """Clear the excerpts of refused rows that show something removed, and add rows that were held out."""
    places = gone.places | {place for rows in lines.values() for place in rows}
    texts = [text for text in (*gone.texts, *gone.held_texts, *_refused_excerpts(run, gone)) if text]
    references = references_of([folded(texts)], ngram=_NGRAM) if texts else None
    added = {of_part(REJECTED_ROWS, part): rows for part, rows in lines.items()}

    def cleared(name: str, column: str) -> None:
        tables = list(groups_of(patch.folder / name)) if name in patch.files else []
        shows = False
        for at, table in enumerate(tables):
            values = [value or "" for value in table[column].to_pylist()]
            rows = zip(table["file"].to_pylist(), table["row"].to_pylist(), strict=True)
            chosen = np.array([place in places for place in rows], np.bool_)
            chosen |= np.array([gone.is_named_in(value) for value in values], np.bool_)
            if references is not None and values:
                chosen[np.unique(references.overlaps(folded(values)).text)] = True
            tables[at], shows = masked(table, chosen, {column: ""}), shows or bool(chosen.any())
        more = added.get(name, [])
        if more:
            files, numbers = [file for file, _ in more], [row for _, row in more]
            tables.append(pa.table([files, numbers, [REMOVED] * len(more), [""] * len(more)], schema=REJECTED))
        if shows or more:
            n_rows = sum(table.num_rows for table in tables)
            with patch.replacing(name, n_rows) as target, open_writer(target, tables[0].schema) as writer:
                for table in tables:
                    writer.write_table(table)

    for name in sorted({*run.names("documents", REJECTED_ROWS), *added}):
        cleared(name, "excerpt")
    for name in run.names("documents", STRIPPED_PARAGRAPHS):
        cleared(name, "excerpt")


def _refused_excerpts(run: Run, gone: Gone) -> Iterator[str]:
    """What is known of the texts of refused rows that go."""
    for name in run.names("documents", REJECTED_ROWS):
        for row in read_columns(run.path("documents", name), ("file", "row", "excerpt")).to_pylist():
            if (row["file"], row["row"]) in gone.places:
                yield row["excerpt"] or ""


def _purge_overlaps(run: Run, patch: Patch, gone: Gone) -> None:
    for name in run.names("documents", OVERLAPS):
        path = patch.folder / name
        tables = list(groups_of(path))
        ids = [[key_of(value or "") in gone.keys for value in table["id"].to_pylist()] for table in tables]
        of = [[key_of(value or "") in gone.keys for value in table["of"].to_pylist()] for table in tables]
        if any(map(any, ids)) or any(map(any, of)):
            with patch.replacing(name) as target:
                rewritten(path, target, (
                    _without_url(masked(masked(table, np.array(one), {"id": ""}), np.array(other), {"of": ""}), one)
                    for table, one, other in zip(tables, ids, of, strict=True)
                ))  # fmt: skip


def _without_url(table: pa.Table, chosen: list[bool]) -> pa.Table:
    if URL not in table.column_names:
        return table
    at, column = table.schema.get_field_index(URL), table[URL].combine_chunks()
    return table.set_column(at, table.schema.field(URL), pa.compute.if_else(pa.array(chosen), None, column))
