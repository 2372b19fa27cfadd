import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.dedup.buckets import MAX_SLICE_BITS, band_buckets, gather_buckets, in_slice, slice_bits

KEYS = st.lists(st.sampled_from([k << 40 | k << 61 for k in range(8)]), max_size=30)


def found(keys, positions, n):
    members, starts = band_buckets(np.array(keys, np.uint64), np.array(positions, np.int64), n)
    return [part.tolist() for part in np.split(members, starts[1:])] if starts.size else []


def test_equal_keys_share_a_bucket_in_order_of_position():
    keys = [7 << 40, 9 << 40, 7 << 40, 8 << 40, 9 << 40, 9 << 40]
    assert found(keys, [5, 4, 3, 2, 1, 0], 6) == [[3, 5], [0, 1, 4]]
    assert found([], [], 0) == []
    assert found([1 << 40], [0], 1) == []


@settings(max_examples=60, deadline=None)
@given(keys=KEYS, bits=st.integers(0, 4), data=st.data())
def test_slices_give_together_what_the_whole_band_gives(keys, bits, data):
    n = len(keys)
    positions = np.array(data.draw(st.permutations(range(n))), np.int64)
    keys = np.array(keys, np.uint64)
    whole = found(keys, positions, n)
    sliced = []
    for index in range(1 << bits):
        mine = in_slice(keys, index, bits)
        sliced += found(keys[mine], positions[mine], n)
    assert sliced == whole


@pytest.mark.parametrize(
    ("n_documents", "n_bytes", "bits"), [(0, 1, 0), (100, 800, 0), (101, 800, 1), (400, 800, 2), (10**9, 1, 12)]
)
def test_slices_are_as_many_as_the_memory_asks_for(n_documents, n_bytes, bits):
    assert slice_bits(n_documents, n_bytes) == bits <= MAX_SLICE_BITS


def test_gathered_buckets_speak_of_candidates_alone():
    near = np.array([9, 4, 7, 2])  # documents by preference
    bands = [(np.array([1, 3]), np.array([0])), (np.array([], np.int64),) * 2, (np.array([0, 1]), np.array([0]))]
    buckets = gather_buckets(near, bands)
    assert buckets.docs.tolist() == [9, 4, 2]
    assert buckets.members.tolist() == [1, 2, 0, 1]
    assert buckets.starts.tolist() == [0, 2]
    assert gather_buckets(near, []).docs.size == 0
