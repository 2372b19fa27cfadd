"""Candidates of the dedup step: who shares a band with whom, from files of signatures, part by part.

In: ``signatures/part-*.parquet``. Out, scratch files of the step: keys of the bands of each part; the exact copies and
the positions of all others in order of preference; the buckets of each slice of each band; who is in some bucket. What
is sorted at a time takes `KEY_PARTS` times ``corpus.part_mib``, whatever the number of documents.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from icp.config import Config
from icp.data import load_npy, with_room
from icp.dedup.buckets import Found, pick_candidates, slice_bits, slice_buckets
from icp.dedup.candidates import first_copies, length_priority, order_by_priority, pick_near, places_of
from icp.dedup.dates import seconds_of
from icp.dedup.minhash import Scheme, make_scheme
from icp.dedup.verdicts import Rules
from icp.engine.step import PartOutput
from icp.errors import ArtifactError
from icp.kernels.dedup_components import band_keys
from icp.run.context import Context, document_parts, document_paths, part_paths
from icp.run.names import SIGNATURES
from icp.run.tables import fixed_values, read_column, read_groups
from icp.steps.dedup.grown import old_first, with_new, without_removed

LISTED = "imported/listed.npy"
"""What other tools list to be removed: docs, ascending."""
KEY_PARTS = 2  # the keys sorted at a time take as much memory as that many parts


def near_parts(context: Context) -> list[str]:
    """The parts of phases that only near-duplicates need."""
    return document_parts(context) if context.config.dedup.near else []


def key_part(context: Context, part: str, output: PartOutput) -> None:
    """Write ``keys/<part>.npy``, (bands, documents of the part) uint64."""
    config = context.config.dedup
    path = context.part_path("dedup", SIGNATURES, part)
    first, stop = docs_of(context, part)
    shape, done = (config.bands, stop - first), 0
    with output.path(f"keys/{part}.npy").open("w+b") as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint64)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        keys = with_room(file, np.uint64, shape)
        for table in read_groups(path, ["signature"], scheme_of(context.config)):
            block = fixed_values(table["signature"], "<u4")
            here = np.empty((config.bands, table.num_rows), np.uint64)
            band_keys(block, 0, config.rows, here)
            keys[:, done : done + table.num_rows] = here
            done += table.num_rows
        keys.flush()


def find_twins(context: Context, part: str, output: PartOutput) -> None:
    """Write ``twins.npy``, the preferred exact copy of each document, and the positions of the others, -1: none.

    ``near.npy`` is the document of each position, ``places.npy`` the position of each document.
    """
    order = preferred(context)
    twins = first_copies(_digests(context), order)
    near = np.zeros(0, np.int64)
    if context.config.dedup.near:
        near = pick_near(order, twins, _numbers(_signature_files(context), "n_shingles"))
        near = without_removed(context, near)
    for name, array in (("twins", twins), ("near", near), ("places", places_of(near, twins.size))):
        save_array(output, f"twins/{name}.npy", array)


def bucket_parts(context: Context) -> list[str]:
    """Every band, in as many slices as keep its keys below the memory they may take."""
    if not context.config.dedup.near:
        return []
    n_slices = 1 << _slice_bits(context)
    return [f"band-{band:05d}-{k:04d}" for band in range(context.config.dedup.bands) for k in range(n_slices)]


def find_bucket_part(context: Context, part: str, output: PartOutput) -> None:
    """Write members and starts of the buckets of one slice of one band."""
    band, index = (int(number) for number in part.split("-")[1:])
    places, bits = load_array(context, "twins/places.npy", mapped=True), _slice_bits(context)
    parts = (
        (load_array(context, f"keys/{name}.npy", mapped=True)[band], places[slice(*docs_of(context, name))])
        for name in document_parts(context)
    )
    near = load_array(context, "twins/near.npy", mapped=True)
    members, starts = with_new(context, slice_buckets(parts, index, bits, near.size), near)
    save_array(output, f"buckets/{part}.members.npy", members)
    save_array(output, f"buckets/{part}.starts.npy", starts)


def gather_candidates(context: Context, part: str, output: PartOutput) -> None:
    """Write ``docs.npy``, the documents in some bucket, preferred first, and the members of each file of buckets as
    positions in it. Cost: 9 bytes a document, and one file of buckets at a time."""
    near = load_array(context, "twins/near.npy", mapped=True)
    members = (load_array(context, f"buckets/{name}.members.npy") for name in bucket_parts(context))
    docs, place = pick_candidates(near, members)
    for name in bucket_parts(context):
        save_array(output, f"candidates/{name}.npy", place[load_array(context, f"buckets/{name}.members.npy")])
    save_array(output, "candidates/docs.npy", docs)
    output.info["candidates"] = int(docs.size)


def n_candidates(context: Context) -> int:
    """How many documents `gather_candidates` found."""
    return int(context.records("candidates")["all"].info["candidates"])


def load_found(context: Context, part: str) -> Found:
    """One file of buckets, its members as positions in ``candidates/docs.npy``."""
    return load_array(context, f"candidates/{part}.npy"), load_array(context, f"buckets/{part}.starts.npy")


def rules_of(config: Config) -> Rules:
    """How near-duplicates are found and checked."""
    return Rules(config.dedup.threshold, config.dedup.bands, config.dedup.rows, config.dedup.verify)


def scheme_of(config: Config) -> Scheme | None:
    """What the signatures are made with. The default seeds of configuration and API (0, 1) give the same signatures."""
    if not config.dedup.near:
        return None
    return make_scheme(num_perm=config.dedup.num_perm, ngram=config.dedup.ngram, seed=(config.seed + 1) % 2**32)


def _slice_bits(context: Context) -> int:
    n_near = load_array(context, "twins/near.npy", mapped=True).size
    return slice_bits(n_near, KEY_PARTS * context.config.corpus.part_mib * 2**20)


def docs_of(context: Context, part: str) -> tuple[int, int]:
    """First doc of a documents part, and that of the next."""
    k = document_parts(context).index(part)
    first, stop = context.doc_bounds()[k : k + 2].tolist()
    return first, stop


def _digests(context: Context) -> NDArray[np.uint64]:
    """(n_docs, 2) uint64, equal for exact copies; filled file by file, so that nothing is held twice."""
    digests = np.empty((int(context.doc_bounds()[-1]), 2), np.uint64)
    for part, path in zip(document_parts(context), _signature_files(context), strict=True):
        column = read_column(path, "words_hash", scheme_of(context.config))
        digests[slice(*docs_of(context, part))] = fixed_values(column, "<u8")
    return digests


def preferred(context: Context) -> NDArray[np.int64]:
    """(n_docs,) int64: documents in order of preference; what other tools list to be removed comes last."""
    order = old_first(context, order_by_priority(priorities(context)))
    if getattr(context.config.dedup, "import") is None:
        return order
    is_listed = np.zeros(order.size, np.bool_)
    is_listed[load_array(context, LISTED)] = True
    return order[np.argsort(is_listed[order], kind="stable")]


def priorities(context: Context) -> NDArray[Any]:
    """(n_docs,) what documents are ranked by: the higher stays."""
    kind, _, field = context.config.dedup.keep.partition(":")
    if kind == "newest":
        return np.concatenate([seconds_of(read_column(path, field)) for path in document_paths(context)])
    if kind == "max":
        columns = (read_column(path, field) for path in document_paths(context))
        return np.concatenate([column.cast(pa.float64()).to_numpy() for column in columns])
    return length_priority(kind, _numbers(_signature_files(context), "n_bytes"))


def _numbers(paths: list[Path], column: str) -> NDArray[np.int64]:
    return np.concatenate([read_column(path, column).to_numpy() for path in paths])


def _signature_files(context: Context) -> list[Path]:
    return part_paths(context, "dedup", SIGNATURES)


def save_array(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    """Write an array as the file `name` of a part."""
    with output.path(name).open("wb") as file:
        np.save(file, array, allow_pickle=False)


def load_array(context: Context, name: str, *, mapped: bool = False) -> NDArray[Any]:
    """An array that the step wrote, read-only and left on disk if `mapped`.

    Raises: ArtifactError naming a file that cannot be read.
    """
    path = context.path("dedup", name)
    try:
        loaded: NDArray[Any] = load_npy(path, "r" if mapped else None)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); run again, only its part is redone") from None
    return loaded
