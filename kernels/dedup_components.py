"""Groups of near-duplicates: band keys, buckets, and who is kept.

In: signatures and, for the exact check, sets of shingle hashes. Everything here speaks of positions 0..n-1 in order of
preference: the caller has sorted the documents so that the lower of two positions is the one to keep. Nothing is
checked. `keep_greedily` removes what is alike to a kept one: no chain of pairs removes what is unlike all that stays.
It does not depend on the order of the buckets, but for which of several twins it names; what buckets connect
(`union_find`) does not depend on what they do not.
"""

import numpy as np

from icp.kernels._jit import kernel
from icp.kernels.dedup_evidence import similarity

LEADERS = 64  # kept members of a bucket that each further one is compared with: m members cost 64 m at most
BLOCK = 512  # signatures whose bands are hashed together, so that they stay in the cache


@kernel
def band_keys(signatures, first_band, rows, keys):
    """Hash of some bands of each signature.

    Args:
        signatures: (n, num_perm) uint32, bands of `rows` values each.
        keys: (n_bands, n) uint64, gets those from first_band on; bands of equal values have equal keys, others hardly.

    Source: multilinear hashing mod 2^64, whose products do not wait for one another; then one round of mixing.
    """
    n = signatures.shape[0]
    multipliers = np.empty(rows, np.uint64)
    for j in range(rows):  # splitmix64
        state = np.uint64(j + 1) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        multipliers[j] = (mixed ^ (mixed >> np.uint64(31))) | np.uint64(1)
    for begin in range(0, n, BLOCK):
        end = min(n, begin + BLOCK)
        for k in range(keys.shape[0]):
            first = (first_band + k) * rows
            for i in range(begin, end):
                h = np.uint64(first)
                for j in range(rows):
                    h += np.uint64(signatures[i, first + j]) * multipliers[j]
                h = (h ^ (h >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
                keys[k, i] = h ^ (h >> np.uint64(32))


@kernel
def find_buckets(packed, id_mask):
    """The positions that share a key with another.

    Args:
        packed: (n,) uint64, ascending: key in the high bits, position in those of `id_mask`.
        id_mask: uint64.

    Returns:
        members: (n_members,) int64, positions, ascending inside a bucket.
        starts: (n_buckets,) int64, where each bucket begins in `members`; a bucket has two members or more.
    """
    n = packed.shape[0]
    n_members, n_buckets, joins = 0, 0, False
    for i in range(1, n):  # count first: what is not allocated need not be cleared
        joined = joins
        joins = (packed[i] ^ packed[i - 1]) <= id_mask  # no bit of the keys differs
        n_members += joins
        n_buckets += joins and not joined
    members = np.empty(n_members + n_buckets, np.int64)
    starts = np.empty(n_buckets, np.int64)
    at = bucket = 0
    joins = False
    for i in range(1, n):
        joined, joins = joins, (packed[i] ^ packed[i - 1]) <= id_mask
        if not joins:
            continue
        if not joined:
            starts[bucket], members[at] = at, np.int64(packed[i - 1] & id_mask)
            bucket, at = bucket + 1, at + 1
        members[at] = np.int64(packed[i] & id_mask)
        at += 1
    return members, starts


@kernel
def keep_greedily(members, starts, bounds, buckets, evidence, rule):
    """Walk along the positions and remove those that are alike to a kept one with which they share a bucket.

    Args:
        members, starts: buckets as `find_buckets` gives them, of one or more bands.
        bounds, buckets: the buckets of each position, of `list_buckets`.
        evidence, rule: `Evidence`, `Rule`.

    Returns:
        keeper: (n,) int64, a kept position each one is alike to, itself if it is kept.
        alike: (n,) float64, `similarity` to it; 1.0 for kept ones.
        n_checks: pairs compared.
    """
    n = bounds.shape[0] - 1
    keeper = np.arange(n)
    alike = np.ones(n, np.float64)
    kept = np.empty_like(members)  # the first kept members of each bucket, from its start on
    n_kept = np.zeros(starts.shape[0], np.int64)
    compared = np.full(n, -1, np.int64)
    n_checks = 0
    for x in range(n):
        for bucket in buckets[bounds[x] : bounds[x + 1]]:
            for y in kept[starts[bucket] : starts[bucket] + n_kept[bucket]]:
                if compared[y] == x:
                    continue
                compared[y] = x
                n_checks += 1
                found = similarity(evidence, rule, x, y)
                if found >= 0:
                    keeper[x] = y
                    alike[x] = found
                    break
            if keeper[x] != x:
                break
        if keeper[x] != x:
            continue
        for bucket in buckets[bounds[x] : bounds[x + 1]]:
            if n_kept[bucket] < LEADERS:
                kept[starts[bucket] + n_kept[bucket]] = x
                n_kept[bucket] += 1
    return keeper, alike, n_checks


@kernel
def list_buckets(members, starts, n):
    """The buckets of each of `n` positions.

    Returns: bounds (n + 1,) int64; buckets (n_members,) int64, those of position x are
        ``buckets[bounds[x]:bounds[x + 1]]``, ascending.
    """
    bounds = np.zeros(n + 1, np.int64)
    for x in members:
        bounds[x + 1] += 1
    for x in range(n):
        bounds[x + 1] += bounds[x]
    ends = bounds[:-1].copy()
    buckets = np.empty_like(members)
    for bucket in range(starts.shape[0]):
        stop = starts[bucket + 1] if bucket + 1 < starts.shape[0] else members.shape[0]
        for x in members[starts[bucket] : stop]:
            buckets[ends[x]] = bucket
            ends[x] += 1
    return bounds, buckets
