import numpy as np
import pytest

from icp.pack.training_order import Mix, merge_orders, random_documents


def order(n_related, n_loose, mix):
    return merge_orders(np.arange(n_related), np.arange(n_related, n_related + n_loose), mix)


def test_half_and_half_takes_turns():
    windows, is_loose = order(3, 3, Mix(0.5, 0.5))
    assert windows.tolist() == [0, 3, 1, 4, 2, 5]
    assert is_loose.tolist() == [False, True] * 3


def test_a_start_on_random_windows_gives_way_to_related_ones():
    mix = Mix(1.0, 0.0, 0.5)
    assert mix.mean == 0.25
    _, is_loose = order(750, 250, mix)
    assert is_loose[:20].sum() >= 18
    assert not is_loose[500:].any()
    tenths = is_loose[:500].reshape(5, 100).sum(axis=1)
    assert np.abs(tenths - [90, 70, 50, 30, 10]).max() <= 2


@pytest.mark.parametrize(
    ("mix", "mean"),
    [(Mix(0, 0), 0), (Mix(1, 1), 1), (Mix(0.3, 0.3, 0.2), 0.3), (Mix(0, 1), 0.5), (Mix(1, 0, 0.3), 0.15)],
)
def test_mean_is_the_share_over_all_of_training(mix, mean):
    assert mix.mean == pytest.approx(mean)
    assert mix.until(np.array([0.0, 1.0])).tolist() == pytest.approx([0, mean])


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (0, 1), (5, 1), (1, 5), (97, 31)])
@pytest.mark.parametrize("mix", [Mix(0, 0), Mix(1, 1), Mix(0.25, 0.25), Mix(1, 0, 0.3), Mix(0, 1, 1)])
def test_every_window_comes_once_and_kinds_keep_their_order(counts, mix):
    windows, is_loose = order(*counts, mix)
    assert sorted(windows.tolist()) == list(range(sum(counts)))
    assert np.all(np.diff(windows[is_loose]) == 1)
    assert np.all(np.diff(windows[~is_loose]) == 1)
    assert is_loose.sum() == counts[1]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_random_documents_hold_their_share_of_tokens(share):
    lengths = np.random.default_rng(1).integers(0, 50, 4000)
    chosen = random_documents(lengths, share, seed=3)
    assert lengths[chosen].sum() / lengths.sum() == pytest.approx(share, abs=0.002)
    assert not chosen[lengths == 0].any()
    assert chosen[lengths > 0].all() == (share == 1.0)
    assert np.array_equal(chosen, random_documents(lengths, share, seed=3))
    if 0 < share < 1:
        assert not np.array_equal(chosen, random_documents(lengths, share, seed=4))
