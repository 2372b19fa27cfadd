"""What near-duplicates are judged by: signatures, sets of shingle hashes, and of small sets the words themselves.

In: `Evidence`, `Rule`, two positions. Out: their similarity. Nothing is checked. A collision of two hashes of 64 bits
moves the Jaccard similarity of sets by less than one in their size: it cannot decide where sets are large, and where
they are small, words do.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel

BY_ESTIMATE, BY_SETS = 1, 2  # `Rule.mode`


class Evidence(NamedTuple):
    """What similarity is judged by.

    Attributes:
        signatures: (any, num_perm) uint32.
        rows: (n,) int64, the row of each position in `signatures`.
        values: (total,) uint64, shingle hashes, ascending and distinct inside a set; used by `BY_SETS` alone.
        bounds: (2, n) int64, where the set of each position begins and ends in `values`.
        letters: (bytes,) uint8, the words of small sets, of `icp.kernels.dedup_shingles.spell_shingles`.
        spelled: (2, n) int64, where the words of each position begin and end in `letters`; nowhere: its set is not
            small.
    """

    signatures: NDArray[np.uint32]
    rows: NDArray[np.int64]
    values: NDArray[np.uint64]
    bounds: NDArray[np.int64]
    letters: NDArray[np.uint8]
    spelled: NDArray[np.int64]


class Rule(NamedTuple):
    """When two documents are alike.

    Attributes:
        mode: `BY_ESTIMATE` (share of equal signature values) or `BY_SETS` (Jaccard similarity of the sets).
        threshold: least Jaccard similarity, or its estimate.
        floor: with `BY_SETS`, the share of equal signature values below which sets are not looked at.
    """

    mode: int
    threshold: float
    floor: float


@kernel
def similarity(evidence, rule, i, j):
    """Jaccard similarity of i and j (by `rule`, its estimate) if they are alike, else -1."""
    estimate = agreement(evidence.signatures[evidence.rows[i]], evidence.signatures[evidence.rows[j]])
    if rule.mode == BY_ESTIMATE:
        return estimate if estimate >= rule.threshold else -1.0
    if estimate < rule.floor:
        return -1.0
    bounds, spelled = evidence.bounds, evidence.spelled
    exact = set_jaccard(evidence.values, bounds[0, i], bounds[1, i], bounds[0, j], bounds[1, j])
    if exact >= rule.threshold and spelled[0, i] < spelled[1, i] and spelled[0, j] < spelled[1, j]:
        one = evidence.letters[spelled[0, i] : spelled[1, i]]
        other = evidence.letters[spelled[0, j] : spelled[1, j]]
        exact = spelled_jaccard(one, other)
    return exact if exact >= rule.threshold else -1.0


@kernel
def agreement(first, second):
    """Share of equal values of two signatures, (num_perm,) uint32 each."""
    equal = 0
    for p in range(first.shape[0]):
        equal += first[p] == second[p]
    return equal / first.shape[0]


@kernel
def agreements(evidence, keeper):
    """(n,) float64: `agreement` of the signature of each position with that of its keeper."""
    shares = np.empty(keeper.shape[0], np.float64)
    for x in range(keeper.shape[0]):
        shares[x] = agreement(evidence.signatures[evidence.rows[x]], evidence.signatures[evidence.rows[keeper[x]]])
    return shares


@kernel
def set_jaccard(values, p, p_stop, q, q_stop):
    """Jaccard similarity of two ascending sets values[p:p_stop] and values[q:q_stop], not both empty."""
    total = (p_stop - p) + (q_stop - q)
    common = 0
    while p < p_stop and q < q_stop:
        left, right = values[p], values[q]
        common += left == right
        p += left <= right
        q += right <= left
    return common / (total - common)


@kernel
def spelled_jaccard(one, other):
    """Jaccard similarity of two small sets by the words of their shingles, (bytes,) uint8, a zero after each."""
    n_one = n_other = common = 0
    for byte in other:
        n_other += byte == 0
    begin = 0
    for end in range(one.shape[0]):
        if one[end] == 0:
            n_one += 1
            common += holds_shingle(other, one[begin : end + 1])
            begin = end + 1
    return common / (n_one + n_other - common)


@kernel
def holds_shingle(letters, shingle):
    """Is a shingle, its zero byte included, one of those in `letters`?"""
    begin = 0
    while begin < letters.shape[0]:
        k = 0
        while k < shingle.shape[0] and begin + k < letters.shape[0] and letters[begin + k] == shingle[k]:
            k += 1
        if k == shingle.shape[0]:
            return True
        begin += k
        while letters[begin] != 0:
            begin += 1
        begin += 1
    return False
