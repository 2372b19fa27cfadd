import numpy as np
import pytest
from graph_inputs import topics, unit

from icp.knn import centroids
from icp.knn.centroids import k_means, nearest_centroids, train_centroids


def test_k_means_finds_clear_topics():
    rows = topics(400, 16, n_topics=4, noise=0.05).astype(np.float32)
    means = k_means(rows, 12, 0)
    assert means.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(means.astype(np.float32), axis=1), 1, atol=2e-3)
    assert (rows @ means.T.astype(np.float32)).max(axis=1).min() > 0.9


def test_the_sample_is_not_the_first_rows(monkeypatch):
    rows = np.concatenate([unit(np.tile([[1, 0, 0]], (500, 1))), unit(np.tile([[0, 1, 0]], (500, 1)))])
    monkeypatch.setattr(centroids, "SAMPLE_PER_CENTROID", 16)
    means = train_centroids(rows, wanted=4, seed=0).means.astype(np.float32)
    assert {tuple(mean) for mean in means.round(2)} == {(1, 0, 0), (0, 1, 0)}


@pytest.mark.parametrize("flat", [1, 1000])
def test_grouped_centroids_are_found_like_flat_ones(flat, monkeypatch):
    monkeypatch.setattr(centroids, "FLAT_CENTROIDS", flat)
    rows = topics(4000, 16, n_topics=60, noise=0.4)
    found = train_centroids(rows, wanted=64, seed=1)
    assert 50 <= len(found) <= 80
    assert (len(found.leaders) > 0) == (flat == 1)
    wide = rows.astype(np.float32)
    near, similarities = nearest_centroids(wide, found, keep=3)
    best = (wide @ found.means.T.astype(np.float32)).max(axis=1)
    assert (similarities[:, 0] >= best - 1e-3).mean() > 0.95
    assert ((similarities[:, :-1] >= similarities[:, 1:]) | (near[:, 1:] < 0)).all()


def test_wrong_and_zero_rows_do_not_count():
    rows = topics(300)
    rows[:100] = 0
    rows[100:120] = np.nan
    assert np.isfinite(train_centroids(rows, wanted=8, seed=0).means).all()
    nothing = train_centroids(np.zeros((10, 4), np.float16), wanted=3, seed=0)
    assert nearest_centroids(np.ones((2, 4), np.float32), nothing, keep=2)[0].tolist() == [[-1, -1]] * 2


def test_more_centroids_than_points_are_not_made():
    assert len(train_centroids(topics(5), wanted=9, seed=0)) == 5
