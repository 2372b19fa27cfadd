"""Edges that are not vectors, read: links in files, neighbours in a directory or in time.

In: the files of `graph.edges`, documents/, the lists of removed documents. Out, for each entry: pairs of nodes, lower
and higher, once each and sorted, and their weights. A link to a removed document leads to the one it is a copy of.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from icp.config.addresses import expanded
from icp.config.graph_models import EdgesConfig
from icp.dedup.dates import is_datable, seconds_of
from icp.engine.step import PartOutput
from icp.errors import InputError
from icp.run.arrays import load_nodes
from icp.run.context import Context, document_paths
from icp.run.ids import docs_of_ids, found_ids, ranks
from icp.run.tables import read_column, read_schema
from icp.steps.graph.arrays import save
from icp.steps.graph.link_files import HOW, read_links
from icp.texts import id_hashes

SHOWN = 3


def entries(context: Context) -> list[str]:
    """One part for each entry of `graph.edges`."""
    return [f"edges-{number:02}" for number in range(len(context.config.graph.edges))]


def find_links(context: Context, part: str, output: PartOutput) -> None:
    """Write pairs int64 (m, 2) and shares float32 (m,) of an entry; counts of what was read and left out."""
    entry = context.config.graph.edges[int(part.rpartition("-")[2])]
    if entry.file is not None:
        one, other, weights = _of_file(context, entry, output)
    else:
        one, other = _of_kind(context, entry, output)
        weights = np.ones(one.size)
    loops = one == other
    output.info |= {"of": entry.name, "loops": int(loops.sum())}
    low, high = np.minimum(one, other)[~loops], np.maximum(one, other)[~loops]
    order = np.lexsort((-weights[~loops], high, low))
    pairs = np.stack((low, high), axis=1)[order]
    first = np.ones(len(pairs), np.bool_)
    first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    save(output, f"{part}.pairs.npy", pairs[first])
    save(output, f"{part}.shares.npy", (weights[~loops][order][first] * entry.weight).astype(np.float32))


def _of_file(
    context: Context, entry: EdgesConfig, output: PartOutput
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Nodes at both ends of the links of a file, those of unknown ids left out, and what the file gives them."""
    path, (hashes, nodes) = Path(expanded(str(entry.file))), _node_of_id(context)
    some: list[str] = []
    found, n_links, unknown = [], 0, 0
    for sources, targets, weights in read_links(path, entry):
        ends = []
        for ids in (sources, targets):
            ends.append(found_ids(hashes, nodes, id_hashes(ids)))
        is_known = (ends[0] >= 0) & (ends[1] >= 0)
        n_links, unknown = n_links + is_known.size, unknown + int((~is_known).sum())
        for at in np.flatnonzero(~is_known)[: SHOWN - len(some)].tolist():
            some.append(sources[at] if ends[0][at] < 0 else targets[at])
        found.append((ends[0][is_known], ends[1][is_known], weights[is_known]))
    output.info |= {"links": n_links, "unknown": unknown}
    if not n_links:
        raise InputError(f"graph.edges: {path}: holds no link; take it out, or {HOW}")
    text = (
        f"graph.edges: {path}: {unknown:,} of {n_links:,} links name an id that no document has, or several have, "
        f"e.g. {', '.join(map(repr, some))}"
    )
    if unknown > entry.max_unknown * n_links:
        raise InputError(f"{text}; give ids of documents (corpus.id), or raise its max_unknown ({entry.max_unknown})")
    if unknown:
        output.info["warnings"] = [text]
    one, other, weights = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return one, other, weights


def _node_of_id(context: Context) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of ids, sorted, and the node of each; -1 of an id that several documents have."""
    hashes, docs = docs_of_ids(context, ("dedup", "graph"))
    return hashes, ranks(docs, load_nodes(context))


def _of_kind(context: Context, entry: EdgesConfig, output: PartOutput) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Nodes and those that follow them in their directory or in time: half of k, rounded up, on either side."""
    is_date = entry.kind == "date"
    groups, keys = _dates(context, str(entry.field)) if is_date else _directories(context, entry.field)
    output.info |= {"links": 0, "unknown": int((groups < 0).sum())}
    order = np.lexsort((np.arange(keys.size), keys, groups))
    order = order[groups[order] >= 0]
    one, other = [order[:0]], [order[:0]]
    for apart in range(1, -(-context.config.graph.k // 2) + 1):
        together = groups[order[apart:]] == groups[order[:-apart]]
        one.append(order[:-apart][together])
        other.append(order[apart:][together])
    output.info["links"] = sum(map(len, one))
    return np.concatenate(one), np.concatenate(other)


def _dates(context: Context, field: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """(n_nodes,) each: 0, or -1 of a document without a date; seconds."""
    found = read_schema(document_paths(context)[0]).field(field).type
    if not is_datable(found):
        raise InputError(f"graph.edges: kind date goes by {field}, but {field} is {found}; name a field of dates")
    seconds = np.concatenate([seconds_of(column) for column in _columns(context, field)])
    if not np.isfinite(seconds).any():
        raise InputError(f"graph.edges: kind date goes by {field}, which holds no date; name another field")
    return np.where(np.isfinite(seconds), 0, -1), np.nan_to_num(seconds)


def _directories(context: Context, field: str | None) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """(n_nodes,) each: a number of the directory, -1 of a document without a path; the rank of the path."""
    if field is None:
        there = read_schema(document_paths(context)[0]).names
        field = next((name for name in ("url", "path") if name in there), "file")
    paths = [value for column in _columns(context, field) for value in column.to_pylist()]
    names = np.array([str(path or "") for path in paths], dtype=object)
    folders = np.array([directory_of(name) for name in names], dtype=object)
    groups = np.unique(folders, return_inverse=True)[1].astype(np.int64)
    return np.where(names == "", -1, groups), np.unique(names, return_inverse=True)[1].astype(np.int64)


def directory_of(path: str) -> str:
    """What stands before the last slash of a path or URL, without query and fragment; empty where there is none."""
    protocol, mark, rest = path.partition("://")
    if not mark:
        return path.replace("\\", "/").rpartition("/")[0]
    rest = rest.partition("#")[0].partition("?")[0]
    return f"{protocol}://{rest.rpartition('/')[0] or rest}"


def _columns(context: Context, field: str) -> Iterator[Any]:
    """The values of a column in the nodes of each documents part."""
    nodes, bounds = load_nodes(context), context.doc_bounds()
    for number, path in enumerate(document_paths(context)):
        begin, end = np.searchsorted(nodes, bounds[number : number + 2])
        yield read_column(path, field).take(pa.array(nodes[begin:end] - bounds[number]))
