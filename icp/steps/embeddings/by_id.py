"""Phases of own vectors: files checked and copied one by one, ids looked up."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.data import RowParts
from icp.embed import FILES, by_id
from icp.engine.step import PartOutput
from icp.errors import InputError
from icp.run.arrays import survivors
from icp.run.context import Context
from icp.steps.embeddings.survivors import load_array, survivor_batches, write_rows


def copy_vectors(context: Context, part: str, output: PartOutput) -> None:
    """A file of own vectors, checked."""
    path = own_files(context.config)[int(part.rpartition("-")[2])]
    hashes, blocks = [], []
    for names, rows in by_id.convert_file(path):
        hashes.append(names)
        blocks.append(rows)
    if not blocks:
        raise InputError(f"{path}: holds no vectors; take it out of embed.model")
    if len({block.shape[1] for block in blocks}) > 1:
        raise InputError(f"{path}: vectors of different lengths; {by_id.HOW}")
    n_rows = sum(len(block) for block in blocks)
    write_rows(output.path(f"own/{part}.npy"), n_rows, blocks[0].shape[1], np.float16, blocks)
    np.save(output.path(f"hashes/{part}.npy"), np.concatenate(hashes), allow_pickle=False)
    output.info["dim"] = int(blocks[0].shape[1])


def index_vectors(context: Context, part: str, output: PartOutput) -> None:
    """Where the vector of each id is."""
    parts = own_parts(context)
    names = [str(path) for path in own_files(context.config)]
    dims = [context.records("copy")[name].info["dim"] for name in parts]
    for name, dim in zip(names, dims, strict=True):
        if dim != dims[0]:
            raise InputError(f"{name}: vectors of {dim} dimensions, but {names[0]} has {dims[0]}; use one model")
    hashes = [np.array(load_array(context, f"hashes/{name}.npy")) for name in parts]
    np.save(output.path("index.npy"), by_id.merge_hashes(names, hashes), allow_pickle=False)


def found_vectors(context: Context, part: str, vectors: RowParts, output: PartOutput) -> Iterator[NDArray[np.float16]]:
    """The vectors of a part, in blocks; zero where an id has none, which is counted."""
    index = load_array(context, "index.npy")
    output.count("missing", 0)
    for batch in survivor_batches(context, part, "id"):
        ids = batch.column("id").to_pylist()
        places = by_id.find_rows(index, ids)
        is_there = places >= 0
        rows = np.zeros((len(ids), vectors.shape[1]), np.float16)
        rows[is_there] = vectors[places[is_there]]
        output.count("missing", int((~is_there).sum()))
        output.info["missing_ids"] = (output.info.get("missing_ids", []) + [ids[n] for n in np.flatnonzero(~is_there)])[
            :3
        ]
        yield rows


def own_files(config: Config) -> list[Path]:
    """The files that hold the vectors, sorted."""
    return by_id.vector_files(config.embed.model.removeprefix(FILES))


def own_rows(context: Context) -> RowParts:
    """All copied vectors, one after another."""
    return RowParts([context.folder("embeddings") / f"own/{name}.npy" for name in own_parts(context)])


def own_parts(context: Context) -> list[str]:
    """One part a file of own vectors; none for other models."""
    if not context.config.embed.model.startswith(FILES):
        return []
    return [f"file-{number:05d}" for number in range(len(own_files(context.config)))]


def check_missing(context: Context) -> None:
    """Raise InputError if more documents have no vector than `corpus.max_rejected` allows."""
    records = context.records("embed")
    missing = sum(record.counts.get("missing", 0) for record in records.values())
    limit, n_rows = context.config.corpus.max_rejected, survivors(context).size
    if missing > limit * n_rows:
        some = [name for record in records.values() for name in record.info.get("missing_ids", ())][:3]
        raise InputError(
            f"embed.model {context.config.embed.model}: {missing} of {n_rows} documents have no vector, e.g. "
            f"{', '.join(map(repr, some))}; give vectors for these ids, or raise corpus.max_rejected ({limit})"
        )
