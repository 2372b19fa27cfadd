from itertools import pairwise

import numpy as np
import pytest

from icp.pack.lanes import lane_order, lane_places, lane_starts, lane_windows, lanes_of


def test_batch_is_read_from_the_setting():
    assert lanes_of("lanes:16") == 16
    assert [lanes_of(text) for text in ("spread", "lanes:", "lanes:0", "lanes:4x", "lanes:-1")] == [None] * 5


def test_seven_windows_in_three_lanes_by_hand():
    assert lane_starts(7, 3).tolist() == [0, 3, 5, 7]
    # batches of places on the path: (0 3 5), (1 4 6), (2)
    assert lane_order(7, 3).tolist() == [0, 3, 5, 1, 4, 6, 2]


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7, 12, 13, 20])
@pytest.mark.parametrize("n_windows", [0, 1, 2, 11, 12, 13])
def test_batches_take_one_window_of_each_lane_and_lanes_follow_the_path(n_windows, batch):
    bounds = lane_starts(n_windows, batch).tolist()
    lanes = [list(range(begin, end)) for begin, end in pairwise(bounds)]
    sizes = [len(lane) for lane in lanes]
    assert (bounds[0], bounds[-1], len(lanes)) == (0, n_windows, batch)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1
    order = lane_order(n_windows, batch)
    assert order.tolist() == [lane[row] for row in range(sizes[0]) for lane in lanes if row < len(lane)]
    windows = np.arange(n_windows)
    assert np.array_equal(lane_windows(order, n_windows, batch), windows)
    assert np.array_equal(lane_places(windows, n_windows, batch), order)
