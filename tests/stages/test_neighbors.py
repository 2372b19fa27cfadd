from itertools import pairwise

import numpy as np
import pytest
from graph_inputs import do, joined, make_vectors, topics
from made import quiet

from icp import inverted
from icp.config import parse_config
from icp.errors import InputError
from icp.executor import ProcessExecutor
from icp.knn import search_neighbors
from icp.pipeline import context_of
from icp.runner import run_step
from icp.stages import neighbors
from icp.stages.neighbors import EXTRA, STEP

LEAST_RECALL = 0.9


def arrays(context):
    return joined(context, "neighbors", "neighbors"), joined(context, "neighbors", "similarities")


def test_rows_of_all_parts_find_each_other(tmp_path):
    vectors = topics(90)
    vectors[5] = 0
    context = make_vectors(tmp_path, vectors, parts=(20, 20, 80), dropped=(3, 50), k=4)
    manifest = do(STEP, context)
    found, similarities = arrays(context)
    expected = search_neighbors(vectors, k=4 + EXTRA, method="exact")
    np.testing.assert_array_equal(found, expected.neighbors)
    np.testing.assert_array_equal(similarities, expected.similarities)
    assert (found.dtype, similarities.dtype) == (np.int32, np.float16)
    assert [record.rows for record in manifest.files.values()] == [19, 19, 0, 0, 59, 59, 12, 12]
    assert manifest.facts == {"method": "exact", "recall": 1.0, "recall_low": 1.0, "recall_high": 1.0}
    assert sorted(path.name for path in (tmp_path / "neighbors").iterdir()) == sorted(
        [*manifest.files, "manifest.json"]
    )


@pytest.mark.parametrize("method", ["exact", "ivf"])
def test_parts_and_task_ranges_change_no_row(tmp_path, method, monkeypatch):
    vectors = topics(200)
    monkeypatch.setattr(inverted, "QUERY_ROWS", 64)
    monkeypatch.setattr(neighbors, "QUERY_ROWS", 64)
    found = []
    for number, parts in enumerate([(), (10, 150), range(30, 200, 30)]):
        context = make_vectors(tmp_path / str(number), vectors, parts=parts, k=3, method=method)
        do(STEP, context)
        found.append(arrays(context))
        assert joined(context, "neighbors", "neighbors").shape == (200, 9)
        sizes = [0, *parts, 200]
        paths = sorted((tmp_path / str(number) / "neighbors").glob("*.neighbors.npy"))
        assert [len(np.load(path)) for path in paths] == [b - a for a, b in pairwise(sizes)]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0][0], other[0])
        np.testing.assert_array_equal(found[0][1], other[1])


def test_inverted_lists_tell_their_recall(tmp_path):
    vectors = topics(1500, 16, n_topics=40, noise=0.7)
    context = make_vectors(tmp_path, vectors, parts=(400,), k=5, method="ivf", target_recall=0.95)
    facts = do(STEP, context).facts
    assert facts["method"] == "ivf"
    assert facts["recall_low"] <= facts["recall"] <= facts["recall_high"] <= 1
    assert facts["recall"] >= LEAST_RECALL, f"recall {facts['recall']}, at least {LEAST_RECALL} expected"
    assert 1 <= facts["nprobe"] <= facts["nlist"]
    found, similarities = arrays(context)
    assert not (found == np.arange(1500)[:, None]).any()
    assert ((similarities[:, :-1] >= similarities[:, 1:]) | (found[:, 1:] < 0)).all()
    one = search_neighbors(vectors, k=5, method="ivf", target_recall=0.95)
    np.testing.assert_array_equal(found[:, 0], one.neighbors[:, 0])


@pytest.mark.parametrize("method", ["exact", "ivf"])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows(tmp_path, n, method):
    vectors = topics(n) if n else np.zeros((0, 8), np.float16)
    context = make_vectors(tmp_path, vectors, dropped=() if n else (0,), k=2, method=method)
    do(STEP, context)
    assert arrays(context)[0].tolist() == [[[-1] * 8], [[1] + [-1] * 7, [0] + [-1] * 7]][n - 1] if n else True
    assert arrays(context)[0].shape == (n, 8)


@pytest.mark.parametrize("method", ["exact", "ivf"])
def test_only_zero_rows(tmp_path, method):
    context = make_vectors(tmp_path, np.zeros((5, 8), np.float16), k=2, method=method)
    assert do(STEP, context).facts["recall"] == 1
    assert (arrays(context)[0] == -1).all()


@pytest.mark.parametrize("method", ["exact", "ivf"])
def test_a_wrong_row_is_named(tmp_path, method):
    vectors = topics(80)
    vectors[66, 2] = np.nan
    context = make_vectors(tmp_path, vectors, parts=(50,), method=method)
    with pytest.raises(InputError, match="embeddings: row 66 has NaN or infinity"):
        do(STEP, context)


def test_two_workers_leave_the_same_bytes(tmp_path):
    vectors = topics(4500, 8)
    manifests = []
    for name, n_workers in (("one", 1), ("two", 2)):
        make_vectors(tmp_path / name, vectors, parts=(3000,), k=3, method="ivf")
        config = parse_config(
            {"run": str(tmp_path / name), "corpus": {"input": "x"}, "graph": {"k": 3, "method": "ivf"}}
        )
        with ProcessExecutor(n_workers) as executor:
            manifests.append(run_step(STEP, context_of(config), executor, quiet))
    assert manifests[0].files == manifests[1].files
    assert manifests[0].facts == manifests[1].facts
