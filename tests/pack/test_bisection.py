import numpy as np

from icp.pack import bisection
from icp.pack.bisection import window_directions


def reference(vectors, doc, window):
    sums = np.zeros((max(window, default=-1) + 1, vectors.shape[1]))
    for one, at in zip(doc, window, strict=True):
        sums[at] += np.rint(vectors[one].astype(float) * 4096)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.where(norms > 0, norms, 1)).astype(np.float16)


def test_directions_are_of_the_sums_whatever_the_blocks(monkeypatch):
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    vectors[3] = 0
    doc, window = random.integers(0, 50, 200), random.integers(0, 30, 200)
    window[window == 7] = 8  # a window without documents
    window[doc == 3] = 9
    window[(window == 9) & (doc != 3)] = 10
    wanted = reference(vectors, doc, window)
    for rows in (1, 7, 8192):
        monkeypatch.setattr(bisection, "BLOCK_ROWS", rows)
        assert np.array_equal(window_directions(vectors, doc, window), wanted)
    assert not wanted[7].any()
    assert not wanted[9].any()


def test_no_windows_have_no_directions():
    assert window_directions(np.zeros((3, 4)), np.empty(0, np.int64), np.empty(0, np.int64)).shape == (0, 4)
