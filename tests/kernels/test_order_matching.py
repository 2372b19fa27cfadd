import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.order_matching import Candidates, Fragments, find_roots, join_edges, keep_best, walk_fragments

both = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "python"])


def impl(kernel, compiled):
    return kernel if compiled else kernel.py_func


def apart(n):
    return Fragments(np.full((n, 2), -1, np.int32), np.zeros(n, np.int8), np.arange(n, dtype=np.int32))


def ints(values):
    return np.array(values, dtype=np.int32)


def reference_fragments(n, edges):
    """Greedy matching with a set for each fragment."""
    owner, degree, taken = {row: {row} for row in range(n)}, [0] * n, []
    for a, b in edges:
        if degree[a] < 2 and degree[b] < 2 and owner[a] is not owner[b]:
            degree[a] += 1
            degree[b] += 1
            taken.append((a, b))
            joined = owner[a] | owner[b]
            for row in joined:
                owner[row] = joined
    return taken, owner


def reference_walk(n, taken):
    near = {row: [] for row in range(n)}
    for a, b in taken:
        near[a].append(b)
        near[b].append(a)
    order, left = [], set(range(n))
    while left:
        row = min(row for row in left if len(near[row]) < 2)
        while row is not None:
            order.append(row)
            left.remove(row)
            row = next((other for other in near[row] if other in left), None)
    return order


def test_no_document_takes_a_third_partner_and_no_ring_closes():
    fragments = apart(4)
    assert join_edges(fragments, ints([0, 1, 0, 0, 2]), ints([1, 2, 2, 3, 3])) == 3  # 0-2 would close a ring, 2-3 too
    assert fragments.degree.tolist() == [2, 2, 1, 1]
    assert walk_fragments(fragments).tolist() == [2, 1, 0, 3]  # from the lower of its ends
    assert len(set(find_roots(fragments.parent, ints(range(4))).tolist())) == 1


def test_lonely_rows_are_fragments():
    assert walk_fragments(apart(3)).tolist() == [0, 1, 2]
    assert walk_fragments(apart(0)).tolist() == []


@both
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10), st.data())
def test_fragments_match_reference(compiled, n, data):
    edges = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=30))
    fragments = apart(n)
    heads, tails = ints([a for a, _ in edges]), ints([b for _, b in edges])
    taken, owner = reference_fragments(n, edges)
    assert impl(join_edges, compiled)(fragments, heads, tails) == len(taken)
    roots = impl(find_roots, compiled)(fragments.parent, ints(range(n))).tolist()
    assert roots == [min(owner[row]) for row in range(n)]
    assert impl(walk_fragments, compiled)(fragments).tolist() == reference_walk(n, taken)


def nothing(n, k, groups):
    return Candidates(np.full((n, k), -1, np.int32), np.full((n, k), -np.inf, np.float32), ints(groups))


def test_a_query_takes_nobody_of_its_own_group():
    found = nothing(3, 2, [7, 7, 8])
    keep_best(found, np.array([[9, 5, 4]], np.float32), np.array([0]), np.arange(3), ints([7]))
    assert found.rows.tolist() == [[2, -1], [-1, -1], [-1, -1]]
    assert found.similarities[0].tolist() == [4, -np.inf]


def test_equal_similarities_go_to_the_next_row_around():
    found = nothing(4, 2, [0, 1, 2, 3])
    keep_best(found, np.ones((4, 4), np.float32), np.arange(4), np.arange(4), ints([0, 1, 2, 3]))
    assert found.rows.tolist() == [[1, 2], [2, 3], [3, 0], [0, 1]]


@both
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(1, 4), st.data())
def test_best_match_reference_however_the_base_is_cut(compiled, n, k, data):
    values = data.draw(st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=n, max_size=n))
    groups = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    cut = data.draw(st.integers(0, n))
    block, found = np.array(values, np.float32), nothing(n, k, groups)
    for base in (np.arange(cut, n), np.arange(cut)):
        impl(keep_best, compiled)(found, block[:, base], np.arange(n), base, ints(groups))
    for query in range(n):
        others = [row for row in range(n) if groups[row] != groups[query]]
        others = sorted(others, key=lambda row: (-values[query][row], (row - query) % n))[:k]
        assert found.rows[query].tolist() == others + [-1] * (k - len(others))
        assert found.similarities[query].tolist()[: len(others)] == [values[query][row] for row in others]
