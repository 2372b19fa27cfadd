"""Vectors of the user's own, by document id.

Two forms, and a glob may match both. Parquet: a column `id` (strings or integers) and one column of lists of floats,
whatever its name. ``NAME.npy``, (n, dim) float16, float32 or float64, beside ``NAME.ids.txt``: n lines, one id each,
read like the list of `corpus.exclude`: without byte order mark, and without blanks and quotes around it.
`convert_file` checks a file and leaves unit rows and hashes of ids; `merge_hashes` and `find_rows` look ids up.
"""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config.addresses import expanded
from icp.errors import InputError
from icp.texts import cleaned_id, id_hashes

BLOCK_ROWS = 1 << 13
HOW = "give Parquet with a column id and one of lists of floats, or NAME.npy beside NAME.ids.txt (one id a line)"


def vector_files(pattern: str) -> list[Path]:
    """The files that match, sorted.

    Raises: InputError if there are none, or one is neither ``.npy`` nor ``.parquet``.
    """
    paths = sorted(Path(name) for name in glob.glob(expanded(pattern), recursive=True))  # noqa: PTH207
    paths = [path for path in paths if path.is_file() and not path.name.endswith(".ids.txt")]
    if not paths:
        raise InputError(f"embed.model files:{pattern}: no such file; {HOW}")
    for path in paths:
        if path.suffix not in (".npy", ".parquet"):
            raise InputError(f"{path}: neither .npy nor .parquet; {HOW}")
    return paths


def convert_file(path: Path) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.float16]]]:
    """The rows of a file in blocks: hashes of their ids, (n,) uint64; (n, dim) float16, length 1 or all zero.

    Raises: InputError naming the file, and the row or id, of a wrong shape or type, another number of ids than rows,
        a vector that is not finite.
    """
    n_read = 0
    for ids, vectors in _npy_blocks(path) if path.suffix == ".npy" else _parquet_blocks(path):
        rows = vectors.astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if bad.size:
            raise InputError(
                f"{path}: the vector of {ids[int(bad[0])]!r} (row {n_read + int(bad[0])}) is not finite; "
                "make it again, or all zero for none"
            )
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        n_read += len(ids)
        yield id_hashes(ids), (rows / np.where(lengths == 0, 1.0, lengths)).astype(np.float16)


def merge_hashes(names: Sequence[str], hashes: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Hash and row of every id, by hash: (2, n) uint64; rows go on from one file to the next.

    Raises: InputError naming the places of an id that stands twice.
    """
    together = np.concatenate([np.zeros(0, np.uint64), *hashes])
    order = np.argsort(together, kind="stable")
    ordered = together[order]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if twice.size:
        first, second = (_place(names, hashes, int(order[twice[0] + side])) for side in (0, 1))
        raise InputError(f"{first} and {second} have the same id; leave one vector an id")
    return np.stack([ordered, order.astype(np.uint64)])


def find_rows(index: NDArray[np.uint64], ids: Sequence[str]) -> NDArray[np.int64]:
    """The row of every id in an index of `merge_hashes`, -1 where there is none: (n,) int64."""
    wanted = id_hashes(ids)
    places = np.searchsorted(index[0], wanted)
    is_there = places < index.shape[1]
    is_there[is_there] = index[0][places[is_there]] == wanted[is_there]
    rows = np.full(len(ids), -1, np.int64)
    rows[is_there] = index[1][places[is_there]].astype(np.int64)
    return rows


def _place(names: Sequence[str], hashes: Sequence[NDArray[np.uint64]], row: int) -> str:
    for name, part in zip(names, hashes, strict=True):
        if row < part.size:
            return f"{name} row {row}"
        row -= part.size
    raise AssertionError(row)


def _npy_blocks(path: Path) -> Iterator[tuple[list[str], NDArray[Any]]]:
    ids_path = path.with_name(f"{path.stem}.ids.txt")
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        lines = ids_path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        ids = [cleaned_id(line) for line in lines]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:200]}); {HOW}") from None
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or vectors.shape[1] == 0:
        raise InputError(f"{path}: {vectors.dtype} of shape {vectors.shape}, expected floats of shape (n, dim)")
    if len(ids) != len(vectors) and not (ids == [""] and not len(vectors)):
        raise InputError(f"{ids_path}: {len(ids)} ids for {len(vectors)} vectors; one line a vector")
    for first in range(0, len(vectors), BLOCK_ROWS):
        yield ids[first : first + BLOCK_ROWS], vectors[first : first + BLOCK_ROWS]


def _parquet_blocks(path: Path) -> Iterator[tuple[list[str], NDArray[Any]]]:
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:200]}); {HOW}") from None
    with file:
        found = [field.name for field in file.schema_arrow if _is_vector(field.type)]
        if "id" not in file.schema_arrow.names or len(found) != 1:
            raise InputError(f"{path}: columns {file.schema_arrow.names}, lists of floats {found}; {HOW}")
        dim = -1
        for batch in file.iter_batches(batch_size=BLOCK_ROWS, columns=["id", found[0]], use_threads=False):
            if batch.num_rows == 0:
                continue
            column = batch.column(found[0])
            lengths = column.value_lengths().to_numpy(zero_copy_only=False)
            dim = int(lengths[0]) if dim < 0 and not column.null_count else dim
            if column.null_count or batch.column("id").null_count or dim < 1 or (lengths != dim).any():
                raise InputError(f"{path}: a null, or vectors of different lengths, in id or {found[0]}; {HOW}")
            values = column.flatten().to_numpy(zero_copy_only=False)
            yield [str(name) for name in batch.column("id").to_pylist()], values.reshape(-1, dim)


def _is_vector(kind: Any) -> bool:
    is_list: bool = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and bool(pa.types.is_floating(kind.value_type))
