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
def test_order_is_a_permutation_whose_rows_go_on(n_windows, batch):
    order = lane_order(n_windows, batch)
    assert sorted(order.tolist()) == list(range(n_windows))
    assert np.all(order[batch:] == order[:-batch] + 1) if n_windows > batch else True
    windows = np.arange(n_windows)
    assert np.array_equal(lane_windows(order, n_windows, batch), windows)
    assert np.array_equal(lane_places(windows, n_windows, batch), order)
