import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels import dedup_evidence as kernels
from icp.kernels.dedup_evidence import BY_SETS, Evidence, Rule

RUNS = st.sets(st.sampled_from(["a b", "a", "ab", "b a", "a b c", "é", ""]).filter(bool), min_size=1)


def written(runs):
    return np.frombuffer("".join(run + "\0" for run in runs).encode(), np.uint8)


@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=60, deadline=None)
@given(one=RUNS, other=RUNS)
def test_words_are_compared_as_sets(compiled, one, other):
    jaccard = kernels.spelled_jaccard if compiled else kernels.spelled_jaccard.py_func
    assert jaccard(written(one), written(sorted(other))) == len(one & other) / len(one | other)


def evidence(spelled):
    """Two sets of equal hashes; `spelled`: their words, or nothing."""
    letters = [written(runs) for runs in spelled]
    ends = np.cumsum([part.size for part in letters])
    bounds = np.array([[0, 2], [2, 4]])
    places = np.array([ends - [part.size for part in letters], ends])
    values = np.array([1, 2, 1, 2], np.uint64)
    return Evidence(np.zeros((2, 4), np.uint32), np.arange(2), values, bounds, np.concatenate(letters), places)


@pytest.mark.parametrize("compiled", [True, False])
def test_words_decide_where_both_sets_have_them(compiled):
    similarity = kernels.similarity if compiled else kernels.similarity.py_func
    rule = Rule(BY_SETS, 0.3, -1.0)
    assert similarity(evidence([["a b", "b c"], ["a b", "b c"]]), rule, 0, 1) == 1.0
    assert similarity(evidence([["a b", "b c"], ["a b", "b d"]]), rule, 0, 1) == 1 / 3
    assert similarity(evidence([["a b", "b c"], ["x y", "y z"]]), rule, 0, 1) == -1.0
    assert similarity(evidence([["a b", "b c"], []]), rule, 0, 1) == 1.0  # a large set has only hashes
