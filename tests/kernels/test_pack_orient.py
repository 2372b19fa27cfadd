"""Heads and rests of documents that are cut: every way tried on small plans."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icp.kernels import pack_orient

IMPLS = pytest.mark.parametrize("mode", ["compiled", "python"])


def oriented(monkeypatch, mode, cuts, n_windows):
    if mode == "python":
        monkeypatch.setattr(pack_orient, "_put", pack_orient._put.py_func)
    kernel = pack_orient.orient if mode == "compiled" else pack_orient.orient.py_func
    first, second = np.array(cuts, np.int64).reshape(-1, 2).T.copy()
    return kernel(first, second, n_windows).tolist()


def heads_and_rests(cuts, heads):
    """Windows with a head, and with a rest, as often as they have one."""
    pairs = list(zip(cuts, heads, strict=True))
    ends = [a if head else b for (a, b), head in pairs]
    begins = [b if head else a for (a, b), head in pairs]
    return [w for w in ends if w >= 0], [w for w in begins if w >= 0]


@IMPLS
def test_a_path_points_away_from_its_lower_end_and_single_pieces_take_what_is_free(monkeypatch, mode):
    cuts = [(1, 2), (0, 2), (0, -1), (1, -1), (3, -1), (3, -1)]
    # 0 - 2 - 1: the document of 0 and 2 ends window 0, that of 2 and 1 ends window 2
    assert oriented(monkeypatch, mode, cuts, 4) == [False, True, False, True, False, True]


@IMPLS
@given(st.data())
def test_a_window_begins_with_one_rest_and_ends_with_one_head(mode, data):
    n_windows = data.draw(st.integers(2, 7))
    free, cuts = [2] * n_windows, []
    for _ in range(data.draw(st.integers(0, 8))):
        a, b = (data.draw(st.integers(low, n_windows - 1)) for low in (0, -1))
        if a != b and free[a] and (b < 0 or free[b]):
            cuts.append((min(a, b), max(a, b)) if b >= 0 else (a, -1))
            for window in {a, b} - {-1}:
                free[window] -= 1
    with pytest.MonkeyPatch.context() as patch:
        heads = oriented(patch, mode, cuts, n_windows)
    ends, begins = heads_and_rests(cuts, heads)
    assert len(ends) == len(set(ends))
    assert len(begins) == len(set(begins))
    if len(cuts) < 6:  # every way that obeys: what was found is one of them
        ways = [
            way
            for way in product([True, False], repeat=len(cuts))
            if all(len(side) == len(set(side)) for side in heads_and_rests(cuts, way))
        ]
        assert tuple(heads) in ways
