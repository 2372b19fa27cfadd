"""The steps from `dedup` to `tokens` without removed documents: rows stay, and hold nothing.

In: the copy of a run, which documents go. Out: the copy. A removed document keeps its row, so that all other rows keep
theirs: its signature is that of an empty text, its vector is zero, it is no neighbour and has none, and it has no
tokens.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.data import load_npy
from icp.remove.documents import groups_of, masked
from icp.remove.stage import Patch
from icp.remove.wanted import Gone
from icp.run.names import (
    CONFLICTS,
    HELD_VECTORS,
    HOLDOUT,
    INDICES,
    INDPTR,
    LENGTHS,
    NEAR_COPIES,
    NEAR_HELD,
    NEIGHBORS,
    OFFSETS,
    REJECTED_ROWS,
    SIGNATURES,
    SIMILARITIES,
    TOKEN_IDS,
    VECTORS,
    WEIGHTS,
    of_part,
    part_of,
)  # fmt: skip
from icp.run.reader import Run
from icp.run.removed import among
from icp.texts import key_of


def purge_signatures(run: Run, patch: Patch, docs: NDArray[np.int64]) -> None:
    """Signatures of removed documents become those of empty texts."""
    for name in run.names("dedup", SIGNATURES):
        path = patch.folder / name
        with pq.ParquetFile(path) as file:
            schema, found = file.schema_arrow, file.read(columns=["doc"])["doc"].to_numpy()
        if not among(found, docs).any():
            continue
        with (
            patch.replacing(name) as target,
            pq.ParquetWriter(
                target, schema, compression="zstd", use_dictionary=False, write_page_checksum=True
            ) as writer,
        ):
            for table in groups_of(path):
                writer.write_table(_unsigned(table, docs), row_group_size=max(1, table.num_rows))


def _unsigned(table: pa.Table, docs: NDArray[np.int64]) -> pa.Table:
    mask = pa.array(among(table["doc"].to_numpy(), docs))
    columns = []
    for field in table.schema:
        column = table[field.name].combine_chunks()
        if field.name != "doc":
            width = field.type.byte_width
            nothing: Any = 0
            if pa.types.is_fixed_size_binary(field.type):
                nothing = (b"\xff" if field.name == "signature" else b"\0") * width
            column = pa.compute.if_else(mask, pa.scalar(nothing, field.type), column)
        columns.append(column)
    return pa.table(columns, schema=table.schema)


def purge_vectors(run: Run, patch: Patch, rows: NDArray[np.int64]) -> None:
    """Vectors of removed survivors become zero; `rows` are theirs, ascending."""
    first = 0
    for name in run.names("embeddings", VECTORS):
        vectors = load_npy(patch.folder / name, "r")
        here = rows[(rows >= first) & (rows < first + len(vectors))] - first
        if here.size:
            found = np.array(vectors)
            found[here] = 0
            replace_array(patch, name, found)
        first += len(vectors)


def purge_held_vectors(run: Run, patch: Patch, gone: Gone) -> None:
    """Vectors of held-out documents that are removed go with their rows; there are none but for `holdout.cosine`."""
    for name in run.names("embeddings", HELD_VECTORS):
        held = run.path("documents", of_part(HOLDOUT, part_of(name, HELD_VECTORS)))
        out = np.concatenate([gone.is_held(table) for table in groups_of(held)])
        if out.all():
            patch.drop(name)
        elif out.any():
            left = np.array(load_npy(patch.folder / name, "r"))[~out]
            replace_array(patch, name, left, rows=len(left))


def purge_near_held(run: Run, patch: Patch, gone: Gone) -> None:
    """Removed held-out documents are named no more by those that were left out because of them."""
    for name in run.names("graph", NEAR_HELD):
        tables = list(groups_of(patch.folder / name))
        chosen = [
            np.array([key_of(value or "") in gone.keys for value in t["held"].to_pylist()], np.bool_) for t in tables
        ]
        if any(one.any() for one in chosen):
            with patch.replacing(name) as path:
                _write(path, [masked(table, one, {"held": ""}) for table, one in zip(tables, chosen, strict=True)])


def purge_neighbors(run: Run, patch: Patch, rows: NDArray[np.int64]) -> None:
    """Removed survivors have no neighbours, and are none; those that follow close up."""
    first = 0
    for name in run.names("neighbors", NEIGHBORS):
        values = of_part(SIMILARITIES, part_of(name, NEIGHBORS))
        neighbors, similarities = (np.array(load_npy(patch.folder / file, "r")) for file in (name, values))
        out = among(neighbors.astype(np.int64), rows)
        own = rows[(rows >= first) & (rows < first + len(neighbors))] - first
        out[own] = True
        out &= neighbors >= 0
        first += len(neighbors)
        if not out.any():
            continue
        neighbors[out], similarities[out] = -1, 0
        order = np.argsort(out, axis=1, kind="stable")
        replace_array(patch, name, np.take_along_axis(neighbors, order, axis=1))
        replace_array(patch, values, np.take_along_axis(similarities, order, axis=1))


def purge_graph(patch: Patch, gone: NDArray[np.bool_]) -> None:
    """Removed nodes, (n_nodes,) bool, have no edges and are in no conflict; they stay nodes."""
    indptr, indices, weights, conflicts = (
        np.array(load_npy(patch.folder / name, "r")) for name in (INDPTR, INDICES, WEIGHTS, CONFLICTS)
    )
    owner = np.repeat(np.arange(gone.size), np.diff(indptr))
    stays = ~(gone[owner] | gone[indices])
    degrees = np.bincount(owner[stays], minlength=gone.size)
    left = conflicts[~gone[conflicts].any(axis=1)] if conflicts.size else conflicts
    replace_array(patch, INDPTR, np.concatenate(([0], np.cumsum(degrees))).astype(np.int64))
    replace_array(patch, INDICES, indices[stays], rows=int(stays.sum()))
    replace_array(patch, WEIGHTS, weights[stays], rows=int(stays.sum()))
    replace_array(patch, CONFLICTS, left, rows=len(left))
    if NEAR_COPIES in patch.files:
        near = np.array(load_npy(patch.folder / NEAR_COPIES, "r"))
        near = near[~gone[near].any(axis=1)] if near.size else near
        replace_array(patch, NEAR_COPIES, near, rows=len(near))
    figures = {"edges": int(stays.sum()) // 2, "isolated": int((degrees == 0).sum()), "removed": int(gone.sum())}
    patch.counts.update(figures | {"conflicts": len(left)})
    patch.facts.update(degree_mean=float(stays.sum() / max(1, gone.size)), degree_max=int(degrees.max(initial=0)))


def purge_tokens(patch: Patch, gone: NDArray[np.bool_], docs: NDArray[np.int64], dtype: np.dtype[Any]) -> None:
    """Removed nodes, (n_nodes,) bool, have no tokens."""
    first, n_out = 0, 0
    lengths: list[NDArray[np.int64]] = []
    names = sorted(name for name in patch.files if "/" not in name and name.startswith(TOKEN_IDS.partition("*")[0]))
    for name in names:
        of_nodes = of_part(LENGTHS, part_of(name, TOKEN_IDS))
        found = np.array(load_npy(patch.folder / of_nodes, "r"))
        out = gone[first : first + found.size]
        first += found.size
        if (found[out] > 0).any():
            n_out += int(found[out].sum())
            stays = np.repeat(~out, found)
            found[out] = 0
            replace_array(patch, of_nodes, found)
            tokens = np.fromfile(patch.folder / name, dtype)
            with patch.replacing(name, int(found.sum())) as path:
                tokens[stays].tofile(path)
        lengths.append(found)
    if n_out:
        offsets = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum(dtype=np.int64)
        replace_array(patch, OFFSETS, offsets)
        patch.counts["tokens"] -= n_out
    _purge_failed(patch, docs)


def _purge_failed(patch: Patch, docs: NDArray[np.int64]) -> None:
    """Clear the ids of removed documents on which the tokenizer failed."""
    head, _, tail = REJECTED_ROWS.partition("*")
    for name in [name for name in patch.files if name.startswith(head) and name.endswith(tail)]:
        tables = list(groups_of(patch.folder / name))
        chosen = [among(table["doc"].to_numpy(), docs) for table in tables]
        if any(one.any() for one in chosen):
            with patch.replacing(name) as path:
                _write(path, [masked(table, one, {"id": ""}) for table, one in zip(tables, chosen, strict=True)])


def _write(path: Path, tables: Iterable[pa.Table]) -> None:
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def replace_array(patch: Patch, name: str, array: NDArray[Any], *, rows: int | None = None) -> None:
    """Write another array in the place of a file."""
    with patch.replacing(name, rows) as path, path.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
