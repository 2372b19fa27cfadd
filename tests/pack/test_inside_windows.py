import numpy as np

from icp.data import PackPlan
from icp.pack.training_order import arrange_inside


def plan():
    columns = ([5, 6, 7, 7, 8, 9], [0, 0, 0, 3, 0, 0], [2, 4, 3, 6, 1, 2], [0, 0, 0, 1, 1, 2])
    return PackPlan(*(np.array(column) for column in columns))


LENGTHS = np.array([9] * 5 + [2, 4, 6, 1, 2])


def docs(made):
    return [made.doc[made.window == window].tolist() for window in range(3)]


def test_path_is_left_alone_and_reverse_turns_each_window():
    assert docs(arrange_inside(plan(), "path", LENGTHS)) == docs(plan()) == [[5, 6, 7], [7, 8], [9]]
    turned = arrange_inside(plan(), "reverse", LENGTHS)
    # what is left open stays last, the rest of it first
    assert docs(turned) == [[6, 5, 7], [7, 8], [9]]
    assert turned.start.tolist() == [0, 0, 0, 3, 0, 0]
    assert turned.stop.tolist() == [4, 2, 3, 6, 1, 2]


def test_random_keeps_windows_and_pieces_and_follows_the_seed():
    rng = np.random.default_rng(2)
    window = np.sort(rng.integers(0, 40, 400))
    lengths = rng.integers(9, 20, 400)
    made = PackPlan(np.arange(400), np.zeros(400, int), lengths, window)
    one, again, other = (arrange_inside(made, "random", lengths, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.window, window)
    assert np.array_equal(one.doc, again.doc)
    assert not np.array_equal(one.doc, other.doc)
    back = np.argsort(one.doc)
    for name in ("start", "stop", "window"):
        assert np.array_equal(getattr(one, name)[back], getattr(made, name))
