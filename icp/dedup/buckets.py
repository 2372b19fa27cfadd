"""Buckets: documents that share a band of their signatures, and so are candidates to be duplicates.

In: band keys, uint64, of one band at a time, and the position of each document in order of preference. Out: `Buckets`
over positions. All keys of a band need not be in memory together: slices by the highest bits of the key, one after
another, give what the whole band gives.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from icp.dedup.candidates import places_of
from icp.kernels.dedup_components import band_keys, find_buckets

KEY_BYTES = 1 << 26  # memory for the keys that are computed, or sorted, at a time where signatures are in memory
MAX_SLICE_BITS = 12
Found = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Members (n,) int64, positions, ascending in a bucket; starts (n_buckets,) int64, where each bucket begins there."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """Documents that share a band with another.

    Attributes:
        docs: (n_candidates,) int64, the documents in some bucket, preferred first.
        members: (n_members,) int64, positions in `docs`, bucket after bucket, ascending in each.
        starts: (n_buckets,) int64, where each bucket begins in `members`.
    """

    docs: NDArray[np.int64]
    members: NDArray[np.int64]
    starts: NDArray[np.int64]


def band_buckets(keys: NDArray[np.uint64], positions: NDArray[np.int64], n_positions: int) -> Found:
    """The buckets of one band, or of one slice of its keys.

    Args:
        keys: (n,) uint64, used up; their high bits count, as many as `n_positions` leaves: 38 for 2^26 documents.
        positions: (n,) int64, of each key, below `n_positions`.
        n_positions: of all slices.

    Cost: one sort in place of 8 bytes a document, as the position takes the low bits of the key.
    """
    id_mask = np.uint64((1 << _id_bits(n_positions)) - 1)
    keys &= ~id_mask
    keys |= positions.view(np.uint64)
    keys.sort()
    members, starts = find_buckets(keys, id_mask)
    return members, starts


def slice_bits(n_documents: int, n_bytes: float) -> int:
    """How many of the highest bits of a key tell its slice, so that the keys of a slice take about `n_bytes`."""
    bits = 0
    while bits < MAX_SLICE_BITS and 8 * n_documents / (1 << bits) > n_bytes:
        bits += 1
    return bits


def in_slice(keys: NDArray[np.uint64], index: int, bits: int) -> NDArray[np.bool_]:
    """(n,) bool: the keys of slice `index` of ``2 ** bits``."""
    if bits == 0:
        return np.ones(keys.shape, np.bool_)
    mine: NDArray[np.bool_] = keys >> np.uint64(64 - bits) == np.uint64(index)
    return mine


def slice_buckets(
    parts: Iterable[tuple[NDArray[np.uint64], NDArray[np.int64]]], index: int, bits: int, n_positions: int
) -> Found:
    """The buckets of slice `index` of ``2 ** bits`` of one band.

    Args:
        parts: keys of the band, (n,) uint64, and positions, (n,) int64, -1 for a document that is not looked at.
        n_positions: of all parts.
    """
    keys, positions = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for here, of_part in parts:
        mine = (of_part >= 0) & in_slice(here, index, bits)
        keys.append(here[mine])
        positions.append(of_part[mine])
    return band_buckets(np.concatenate(keys), np.concatenate(positions), n_positions)


def signature_buckets(signatures: NDArray[np.uint32], near: NDArray[np.int64], *, bands: int, rows: int) -> Buckets:
    """The buckets of all bands of signatures in memory.

    Args:
        signatures: (n, bands * rows) uint32.
        near: (n_near,) int64, the rows looked at, preferred first.

    Cost: besides the result, `KEY_BYTES` or 8 bytes a signature, whichever is more, and some 30 bytes a signature.
    """
    n = signatures.shape[0]
    places, bits = places_of(near, n), slice_bits(near.size, KEY_BYTES)
    step = min(bands, max(1, KEY_BYTES // max(1, 8 * n)))
    room = np.empty((step, n), np.uint64)
    found: list[Found] = []
    for first in range(0, bands, step):
        keys = room[: min(step, bands - first)]
        band_keys(signatures, first, rows, keys)
        slices = product(keys, range(1 << bits))
        found += [slice_buckets([(band, places)], index, bits, near.size) for band, index in slices]
    return gather_buckets(near, found)


def gather_buckets(near: NDArray[np.int64], found: Sequence[Found]) -> Buckets:
    """The buckets of all bands together; `found` speaks of positions in `near`, (n,) int64, documents by preference."""
    docs, place = pick_candidates(near, (members for members, _ in found))
    members, starts = join_found(found)
    return Buckets(docs, place[members], starts)


def pick_candidates(
    near: NDArray[np.int64], members: Iterable[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The documents in some bucket.

    Args: near (n_near,) int64, documents by preference; members (any,) int64 each, positions there.

    Returns: docs (n_candidates,) int64, preferred first; place (n_near,) int64, of each that is a candidate, in `docs`.
    """
    is_candidate = np.zeros(near.size, np.bool_)
    for found in members:
        is_candidate[found] = True
    docs = near[is_candidate]
    place = np.cumsum(is_candidate, dtype=np.int64)
    place -= 1
    return docs, place


def buckets_beyond(found: Found, first: int) -> Found:
    """The buckets with a position of `first` or more."""
    members, starts = found
    sizes = np.diff(np.append(starts, members.size))
    kept = members[starts + sizes - 1] >= first
    ends = np.cumsum(sizes[kept])
    return members[np.repeat(kept, sizes)], ends - sizes[kept]


def join_found(found: Sequence[Found]) -> Found:
    """Buckets of several files as those of one, in their order."""
    sizes = np.cumsum([0] + [members.size for members, _ in found])
    empty = np.zeros(0, np.int64)
    members = np.concatenate([empty, *(members for members, _ in found)])
    starts = np.concatenate([empty, *(starts + size for (_, starts), size in zip(found, sizes, strict=False))])
    return members, starts


def _id_bits(n_positions: int) -> int:
    return max(1, (n_positions - 1).bit_length())
