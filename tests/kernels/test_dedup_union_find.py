import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels import dedup_union_find as kernels

BUCKETS = st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=4, unique=True).map(sorted), max_size=6)


def flat(buckets):
    starts = np.cumsum([0] + [len(b) for b in buckets])[:-1].astype(np.int64)
    return np.array([x for b in buckets for x in b], np.int64), starts


def components(buckets, n):
    """The smallest member of what buckets connect, for each position."""
    roots = list(range(n))
    for bucket in buckets:
        joined = {roots[x] for x in bucket}
        roots = [min(joined) if root in joined else root for root in roots]
    return roots


@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=40, deadline=None)
@given(buckets=BUCKETS)
def test_groups_are_what_buckets_connect(compiled, buckets):
    join = kernels.join_buckets if compiled else kernels.join_buckets.py_func
    assert join(*flat(buckets), 10).tolist() == components(buckets, 10)


@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=40, deadline=None)
@given(buckets=BUCKETS, cut=st.integers(0, 6))
def test_buckets_may_come_some_after_others(compiled, buckets, cut):
    join, settle = (k if compiled else k.py_func for k in (kernels.join_more, kernels.settle_roots))
    parent = np.arange(10)
    for some in (buckets[cut:], buckets[:cut]):
        join(parent, *flat(some))
    settle(parent)
    assert parent.tolist() == components(buckets, 10)


@pytest.mark.parametrize("find", [kernels.find_root, kernels.find_root.py_func], ids=["compiled", "python"])
def test_root_of_a_long_chain_stays_the_root_of_all(find):
    parent = np.maximum(np.arange(20) - 1, 0)
    assert [int(find(parent, x)) for x in (19, 7, 19, 12, 1)] == [0] * 5
    assert [int(find(parent, x)) for x in range(20)] == [0] * 20
