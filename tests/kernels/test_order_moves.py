import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.order_moves import Move, start_tour, try_shift, try_turn

both = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "python"])


def impl(kernel, compiled):
    return kernel if compiled else kernel.py_func


def tour_of(path, vectors):
    """A tour along a path, nobody waiting."""
    tour, queue = start_tour(vectors, np.array(path, dtype=np.int32))
    queue.waits[:] = False
    queue.span[:] = 0
    return tour, queue


def value(vectors, path):
    rows = vectors.astype(np.int64)[path]
    return int((rows[:-1] * rows[1:]).sum())


def check(tour):
    steps = [value(tour.vectors, tour.path[i : i + 2]) for i in range(tour.path.size - 1)]
    assert tour.step.tolist() == [*steps, 0][: tour.path.size]
    assert tour.place[tour.path].tolist() == list(range(tour.path.size))


def one_hot(*pairs, n=6):
    """Rows that are alike only in the pairs given."""
    vectors = np.zeros((n, len(pairs)), dtype=np.int16)
    for column, pair in enumerate(pairs):
        vectors[list(pair), column] = 1
    return vectors


def test_a_turn_brings_two_documents_and_their_followers_together():
    tour, queue = tour_of(range(6), one_hot((1, 4), (2, 5)))
    assert try_turn(tour, queue, Move(1, 4, True, 1, False)) == 2
    assert tour.path.tolist() == [0, 1, 4, 3, 2, 5]
    assert np.flatnonzero(queue.waits).tolist() == [1, 2, 4, 5]
    assert queue.ring[: queue.span[1]].tolist() == [1, 4, 2, 5]
    check(tour)


def test_a_turn_brings_two_documents_and_those_before_them_together():
    tour, queue = tour_of(range(6), one_hot((1, 4), (0, 3)))
    assert try_turn(tour, queue, Move(1, 4, False, 1, False)) == 2
    assert tour.path.tolist() == [0, 3, 2, 1, 4, 5]
    check(tour)


def test_a_segment_is_put_behind_a_document_its_end_first():
    tour, queue = tour_of(range(6), one_hot((0, 1), (0, 1), (1, 4)))  # 0 and 1 stay together
    assert try_shift(tour, queue, Move(1, 4, True, 1, False)) == 1
    assert tour.path.tolist() == [2, 3, 4, 1, 0, 5]
    check(tour)


def test_a_segment_is_put_before_a_document():
    # behind 0 the segment would part 0 from 1
    tour, queue = tour_of(range(6), one_hot((3, 4), (3, 4), (0, 3), (0, 3), (0, 1), (0, 1)))
    assert try_shift(tour, queue, Move(3, 0, False, 2, False)) == 2
    assert tour.path.tolist() == [4, 3, 0, 1, 2, 5]
    check(tour)


def test_nothing_is_done_without_gain():
    tour, queue = tour_of(range(6), one_hot((0, 1), (1, 2), (2, 3)))
    assert try_turn(tour, queue, Move(0, 3, True, 0, False)) == 0
    assert try_shift(tour, queue, Move(1, 3, True, 0, False)) == 0
    assert tour.path.tolist() == list(range(6))
    assert not queue.waits.any()


@both
@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 9), st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.sampled_from([try_turn, try_shift])
)
def test_every_move_leaves_a_permutation_that_gained_what_it_says(compiled, n, seed, after, pinned, kernel):
    random = np.random.default_rng(seed)
    vectors = random.integers(-3, 4, (n, 2)).astype(np.int16)
    path = random.permutation(n)
    tour, queue = tour_of(path, vectors)
    at, to = random.choice(n, 2, replace=False)
    closer = value(vectors, path[[at, to]])
    current = (tour.step[at] if after else tour.step[at - 1]) if (at < n - 1 if after else at > 0) else 0
    if closer <= current:  # the search offers only closer ones
        return
    gain = impl(kernel, compiled)(tour, queue, Move(int(at), int(to), after, closer, pinned))
    assert value(vectors, tour.path) - value(vectors, path) == gain >= 0
    assert sorted(tour.path.tolist()) == list(range(n))
    beside = np.abs(tour.place[path[at]] - tour.place[path[to]]) == 1
    assert not pinned or tour.path[[0, -1]].tolist() == path[[0, -1]].tolist()
    assert (gain > 0 and beside) or tour.path.tolist() == path.tolist()
    check(tour)
