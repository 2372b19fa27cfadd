import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels import dedup_components as kernels
from icp.kernels import dedup_evidence
from icp.kernels.dedup_components import LEADERS
from icp.kernels.dedup_evidence import BY_ESTIMATE, BY_SETS, Evidence, Rule

ID_MASK = np.uint64(0xFF)


def evidence_of(sets, num_perm=8):
    """Evidence whose signatures say nothing, so that the sets decide."""
    sizes = np.cumsum([0] + [len(s) for s in sets])
    values = np.array([v for s in sets for v in sorted(s)], np.uint64)
    signatures = np.zeros((len(sets), num_perm), np.uint32)
    bounds, nothing = np.stack((sizes[:-1], sizes[1:])), np.zeros((2, len(sets)), np.int64)
    return Evidence(signatures, np.arange(len(sets)), values, bounds, np.zeros(0, np.uint8), nothing)


def jaccard(a, b):
    return len(a & b) / len(a | b)


def walked(buckets, evidence, rule, n, *, compiled=True):
    keep, index = (k if compiled else k.py_func for k in (kernels.keep_greedily, kernels.list_buckets))
    members, starts = flat(buckets)
    keeper, alike, n_checks = keep(members, starts, *index(members, starts, n), evidence, rule)
    return keeper.tolist(), alike.tolist(), n_checks


def flat(buckets):
    starts = np.cumsum([0] + [len(b) for b in buckets])[:-1].astype(np.int64)
    return np.array([x for b in buckets for x in b], np.int64), starts


def reference(buckets, sets, threshold):
    """Walk in order; who is alike to a kept one of the same bucket goes. For each: the kept ones it may name."""
    kept, twins = set(), []
    for x in range(len(sets)):
        near = {y for bucket in buckets if x in bucket for y in bucket if y in kept}
        twins.append({y for y in near if jaccard(sets[x], sets[y]) >= threshold} or {x})
        kept |= twins[-1] & {x}
    return twins


EXACT = Rule(BY_SETS, 0.5, -1.0)


def test_chain_keeps_what_is_not_like_the_kept_one():
    sets = [{1, 2, 3, 4}, {1, 3, 4, 5}, {4, 5, 1, 6}, {9}]  # 0-1 and 1-2 are alike, 0-2 are not
    keeper, alike, n_checks = walked([[0, 1, 2, 3]], evidence_of(sets), EXACT, 4)
    assert keeper == [0, 0, 2, 3]
    assert alike == [1.0, 0.6, 1.0, 1.0]
    assert n_checks == 4  # 1 and 2 with 0; 3 with 0 and 2


def test_a_pair_of_two_buckets_is_compared_once():
    assert walked([[0, 1], [0, 1]], evidence_of([{1}, {2}]), EXACT, 2) == ([0, 1], [1.0, 1.0], 1)


SETS = st.lists(st.sets(st.integers(0, 6), min_size=1, max_size=5), min_size=2, max_size=12)


@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), sets=SETS)
def test_walk_matches_reference(compiled, data, sets):
    positions = st.lists(st.integers(0, len(sets) - 1), min_size=2, max_size=6, unique=True).map(sorted)
    buckets = data.draw(st.lists(positions, max_size=5))
    keeper, alike, _ = walked(buckets, evidence_of(sets), EXACT, len(sets), compiled=compiled)
    assert all(y in twins for y, twins in zip(keeper, reference(buckets, sets, EXACT.threshold), strict=True))
    assert alike == [jaccard(sets[x], sets[y]) for x, y in enumerate(keeper)]
    assert all(keeper[y] == y for y in keeper)


def test_order_of_buckets_does_not_matter():
    random = np.random.default_rng(0)
    sets = [set(random.integers(0, 8, 5).tolist()) for _ in range(40)]
    buckets = [sorted(random.choice(40, 5, replace=False).tolist()) for _ in range(30)]
    expected = [x == y for x, y in enumerate(walked(buckets, evidence_of(sets), EXACT, 40)[0])]
    for _ in range(5):
        random.shuffle(buckets)
        assert [x == y for x, y in enumerate(walked(buckets, evidence_of(sets), EXACT, 40)[0])] == expected


def test_what_buckets_do_not_connect_is_judged_the_same_apart():
    random = np.random.default_rng(1)
    sets = [set(random.integers(0, 6, 4).tolist()) for _ in range(60)]
    buckets = [sorted(random.choice(range(k % 3, 60, 3), 4, replace=False).tolist()) for k in range(45)]
    keeper, alike, n_checks = walked(buckets, evidence_of(sets), EXACT, 60)
    assert sum(y != x for x, y in enumerate(keeper)) > 0
    checks = 0
    for k in range(3):
        mine = [[x // 3 for x in bucket] for bucket in buckets[k::3]]
        apart = walked(mine, evidence_of(sets[k::3]), EXACT, 20)
        assert [3 * y + k for y in apart[0]] == keeper[k::3]
        assert apart[1] == alike[k::3]
        checks += apart[2]
    assert checks == n_checks


def test_hot_bucket_costs_a_bounded_number_of_comparisons():
    n = 2000
    assert walked([range(n)], evidence_of([{i} for i in range(n)]), EXACT, n)[2] <= n * LEADERS


def test_modes_judge_by_what_they_say():
    evidence = evidence_of([{1, 2}, {1, 2, 3}], num_perm=4)
    evidence.signatures[1, 0] = 1  # three of four values agree, Jaccard is 2/3
    assert dedup_evidence.agreement(*evidence.signatures) == 0.75
    assert dedup_evidence.similarity(evidence, Rule(BY_ESTIMATE, 0.75, 0.0), 0, 1) == 0.75
    assert dedup_evidence.similarity(evidence, Rule(BY_ESTIMATE, 0.76, 0.0), 0, 1) == -1
    assert dedup_evidence.similarity(evidence, Rule(BY_SETS, 2 / 3, 0.75), 0, 1) == 2 / 3
    assert dedup_evidence.similarity(evidence, Rule(BY_SETS, 0.67, 0.75), 0, 1) == -1
    assert dedup_evidence.similarity(evidence, Rule(BY_SETS, 0.5, 0.76), 0, 1) == -1  # below the floor


@pytest.mark.parametrize("find", [kernels.find_buckets, kernels.find_buckets.py_func], ids=["compiled", "python"])
@settings(max_examples=40, deadline=None)
@given(keys=st.lists(st.integers(0, 4), max_size=20))
def test_buckets_are_runs_of_equal_keys(find, keys):
    packed = np.sort(np.array([key << 8 | position for position, key in enumerate(keys)], np.uint64))
    members, starts = find(packed, ID_MASK)
    found = [part.tolist() for part in np.split(members, starts[1:])] if starts.size else []
    expected = [[p for p, k in enumerate(keys) if k == key] for key in sorted(set(keys))]
    assert found == [bucket for bucket in expected if len(bucket) > 1]


def test_band_keys_are_equal_where_bands_are():
    signatures = np.random.default_rng(1).integers(0, 2**32, (50, 12), dtype=np.uint32)
    signatures[7, 4:8] = signatures[3, 4:8]
    signatures[9, 8:12] = signatures[3, 4:8]  # the same values in another band are another key
    keys = np.empty((3, 50), np.uint64)
    kernels.band_keys(signatures, 0, 4, keys)
    assert keys[1, 7] == keys[1, 3]
    assert np.unique(keys).size == 149
    some = np.empty((2, 50), np.uint64)
    with np.errstate(over="ignore"):  # numpy warns where compiled arithmetic wraps
        kernels.band_keys.py_func(signatures, 1, 4, some)
    assert (some == keys[1:]).all()
