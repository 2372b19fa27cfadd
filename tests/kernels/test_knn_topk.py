import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels._intrinsics import at_least, lowest_bit
from icp.kernels.knn_topk import (
    NO_KEY,
    count_members,
    falling_rank,
    holds_row,
    improve_keys,
    insert_key,
    mean_rows,
    merge_keys,
    place_members,
    score_keys,
    similarity_of,
)


def both(kernel):
    return pytest.mark.parametrize("impl", [kernel, kernel.py_func], ids=["compiled", "python"])


def rank_of(value):
    bits = int((np.float16(np.clip(value, -1, 1)) + np.float16(0)).view(np.uint16))
    return bits if bits & 0x8000 else 0x7FFF - bits


SPECIAL = [0.0, -0.0, 1.0, -1.0, 1.5, -1.5, 2.0**-14, 2.0**-24, 2.0**-25, -(2.0**-25), 6.1e-5, 0.33337402, 1e-9]


@both(falling_rank)
def test_ranks_are_those_of_float16(impl):
    rng = np.random.default_rng(0)
    values = np.concatenate([SPECIAL, rng.uniform(-1.1, 1.1, 3000), rng.normal(0, 1e-5, 2000)]).astype(np.float32)
    # halfway between two float16: to the even one
    halves = np.arange(0x3800, 0x3A00, dtype=np.uint16).view(np.float16).astype(np.float32)
    values = np.concatenate([values, (halves[1:] + halves[:-1]) / 2, -(halves[1:] + halves[:-1]) / 2])
    assert [impl(value) for value in values] == [rank_of(value) for value in values]


@both(similarity_of)
def test_a_key_tells_its_similarity(impl):
    halves = np.arange(0, 0x3C01, 7, dtype=np.uint16).view(np.float16)
    for half in np.concatenate([halves, -halves[1:]]):
        assert impl(rank_of(half) << 32 | 5) == np.float32(half)


def test_bits_tell_which_numbers_are_large_enough():
    row = np.random.default_rng(0).standard_normal(200).astype(np.float32)
    row[70] = np.nan
    for start in (0, 6, 136):
        bits = at_least(row, start, np.float32(row[start + 3]))
        assert [bits >> lane & 1 for lane in range(64)] == (row[start : start + 64] >= row[start + 3]).tolist()
    assert [lowest_bit(np.uint64(bits)) for bits in (1, 6, 1 << 63, 5 << 40)] == [0, 1, 63, 40]


@both(insert_key)
def test_keys_stay_sorted_and_stand_once(impl):
    mine = np.full(3, NO_KEY)
    for key in (7, 5, 7, 9, 5, 6, 8):
        impl(mine, key)
    assert mine.tolist() == [5, 6, 7]


@both(holds_row)
def test_a_row_is_known_by_its_number_whatever_its_similarity(impl):
    mine = np.array([3 << 32 | 7, 9 << 32 | 2, NO_KEY])
    assert [impl(mine, row) for row in (7, 2, 3, 0)] == [True, True, False, False]


def reference_keys(queries, query_rows, base, base_rows, keep):
    rows = []
    for query, mine in zip(queries, query_rows, strict=True):
        exact = [np.float32((query * other).sum(dtype=np.float32)) for other in base]
        keys = {rank_of(v) << 32 | int(r) for v, r in zip(exact, base_rows, strict=True) if r != mine}
        rows.append([*sorted(keys)[:keep], *[NO_KEY] * keep][:keep])
    return rows


@both(improve_keys)
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 140), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_improved_keys_are_those_of_all_rows_whatever_the_products_err(impl, n, m, keep, seed, in_two):
    rng = np.random.default_rng(seed)
    # products of such small whole numbers are exact in any order
    queries = rng.integers(-2, 3, (n, 4)).astype(np.float32) / 4
    base = rng.integers(-2, 3, (m, 4)).astype(np.float32) / 4
    base_rows = rng.permutation(m).astype(np.int64)
    query_rows = np.arange(n)
    keys = np.full((n, keep), NO_KEY)
    error = rng.uniform(-1, 1, (n, m)).astype(np.float32) * np.float32(4 * 2.0**-24)
    for part in (slice(0, m // 2), slice(m // 2, m)) if in_two else (slice(0, m),):
        products = np.ascontiguousarray((queries @ base[part].T) + error[:, part])
        impl(keys, products, queries, query_rows, base[part], base_rows[part])
    assert keys.tolist() == reference_keys(queries, query_rows, base, base_rows, keep)


@both(score_keys)
def test_proposed_rows_get_their_keys(impl):
    base = np.array([[1, 0], [0, 1], [0.5, 0.5]], dtype=np.float32)
    keys = np.full((1, 2), NO_KEY)
    impl(keys, np.array([[2, -1, 0, 1]]), base[:1], np.array([10]), base, np.array([10, 11, 12]))
    assert keys.tolist() == [[rank_of(0.5) << 32 | 12, rank_of(0) << 32 | 11]]


@both(merge_keys)
def test_merged_keys_are_the_least_of_both(impl):
    keys = np.array([[1, 5, NO_KEY], [2, 3, 4]])
    impl(keys, np.array([1, 0]), np.array([[1, 3], [5, 6]]))
    assert keys.tolist() == [[1, 5, 6], [1, 2, 3]]


@both(mean_rows)
def test_means_have_norm_one_and_stay_where_nobody_is(impl):
    rows = np.array([[3, 0], [0, 4], [1, 0]], dtype=np.float32)
    means = np.array([[9, 9], [7, 7]], dtype=np.float32)
    impl(rows, np.array([0, 0, -1], dtype=np.int32), means)
    assert means.tolist() == [pytest.approx([0.6, 0.8]), [7, 7]]


@both(place_members)
def test_rows_join_their_nearest_cell_and_those_within_the_margin(impl):
    cells = np.array([[2, 0, 1], [0, 2, -1], [-1, -1, -1]], dtype=np.int32)
    gaps = np.array([[0, 0.1, 0.3], [0, 0.2, np.inf], [np.inf] * 3], dtype=np.float32)
    counts = np.zeros(3, dtype=np.int64)
    count_members(cells, gaps, 0.15, counts)
    assert counts.tolist() == [2, 0, 1]
    filled, members = np.array([0, 2, 2]), np.zeros(3, dtype=np.int32)
    impl(cells, gaps, 0.15, 10, filled, members)
    assert members.tolist() == [10, 11, 10]
    assert filled.tolist() == [2, 2, 3]
