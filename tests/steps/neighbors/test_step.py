from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from graph_inputs import FATAL, do, joined, make_vectors, search_and_be_killed, topics, unit
from made import finish, quiet

from icp.config import parse_config
from icp.engine import run_step
from icp.engine.executor import ProcessExecutor, SerialExecutor
from icp.engine.step import Phase
from icp.errors import ArtifactError, ConfigError, InputError, PartsFailedError
from icp.knn import cells, centroids, exact, methods
from icp.knn.expansion import PASSES
from icp.knn.groupings import EXTRA
from icp.knn.search import search_neighbors
from icp.pipeline import context_of
from icp.steps.graph.step import STEP as GRAPH
from icp.steps.neighbors import tasks
from icp.steps.neighbors.step import STEP

LEAST_RECALL = 0.9
METHODS = ["exact", "cells", "ivf", "faiss"]


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
    recall = {"recall": 1.0, "recall_low": 1.0, "recall_high": 1.0, "target_missed": False}
    assert manifest.facts == {"method": "exact", **recall}
    assert manifest.counts["vector_bytes_read"] == 89 * 32 * 2
    assert manifest.counts["exchanged_bytes"] == 90 * 8 * (1 + 4 + EXTRA)
    assert sorted(path.name for path in (tmp_path / "neighbors").iterdir()) == sorted(
        [*manifest.files, "manifest.json"]
    )


@pytest.mark.parametrize("method", METHODS)
def test_parts_and_task_ranges_change_no_row(tmp_path, method, monkeypatch):
    vectors = topics(200)
    monkeypatch.setattr(tasks, "RANGE_ROWS", 64)
    monkeypatch.setattr(exact, "TASK_ROWS", 64)
    monkeypatch.setattr(cells, "TASK_MEMBERS", (30, 30))
    monkeypatch.setattr(cells, "ROWS_PER_CELL", (20, 20))
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


@pytest.mark.parametrize("method", ["cells", "ivf"])
def test_the_recall_is_told(tmp_path, method):
    vectors = topics(1500, 16, n_topics=40, noise=0.7)
    context = make_vectors(tmp_path, vectors, parts=(400,), k=5, method=method, target_recall=0.95)
    facts = do(STEP, context).facts
    assert facts["method"] == method
    assert facts["recall_low"] <= facts["recall"] <= facts["recall_high"] <= 1
    assert facts["recall"] >= LEAST_RECALL, f"recall {facts['recall']}, at least {LEAST_RECALL} expected"
    if method == "ivf":
        assert 1 <= facts["nprobe"] <= facts["nlist"]
    else:
        assert 1 <= facts["cells_per_row"] <= facts["cells"]
        assert 0 <= facts["margin"] <= 2
    found, similarities = arrays(context)
    assert not (found == np.arange(1500)[:, None]).any()
    assert ((similarities[:, :-1] >= similarities[:, 1:]) | (found[:, 1:] < 0)).all()
    one = search_neighbors(vectors, k=5, method=method, target_recall=0.95)
    # the same cells: they are chosen by the same samples
    np.testing.assert_array_equal(found[:, :5], one.neighbors)
    truth = search_neighbors(vectors, k=5, method="exact")
    true_recall = (similarities[:, :5] >= truth.similarities[:, -1:]).mean()
    assert facts["recall_low"] <= true_recall <= facts["recall_high"]


def as_if_many(monkeypatch):
    """A few thousand rows are searched as millions are."""
    monkeypatch.setattr(cells, "MANY_ROWS", 500)
    monkeypatch.setattr(cells, "ROWS_OF_MANY", 20)
    monkeypatch.setattr(cells, "MOST_COMPARED", 30)
    monkeypatch.setattr(cells, "LEAST_JOINED", 1)


def test_passes_find_what_small_cells_leave(tmp_path, monkeypatch):
    vectors = topics(4000, 24, n_topics=40, noise=0.8)
    as_if_many(monkeypatch)
    found = []
    for number, parts in enumerate([(), (10, 1500), range(300, 4000, 300)]):
        context = make_vectors(tmp_path / str(number), vectors, parts=parts, k=5, method="cells", target_recall=0.9)
        manifest = do(STEP, context)
        found.append((*arrays(context), manifest.facts))
        assert not list((tmp_path / str(number) / "neighbors").glob("*merged*"))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0][0], other[0])
        np.testing.assert_array_equal(found[0][1], other[1])
        assert other[2] == found[0][2]
    facts = found[0][2]
    assert facts["share_in_sample"] < LEAST_RECALL - 0.1, "cells alone find nearly enough: the test shows nothing"
    assert 1 <= facts["passes"] <= PASSES
    least = search_neighbors(vectors, k=5, method="exact").similarities[:, -1:]
    recall = (found[0][1][:, :5] >= least).mean()
    assert recall >= LEAST_RECALL, f"true recall {recall}, at least {LEAST_RECALL} expected"
    np.testing.assert_array_equal(
        found[0][0][:, :5], search_neighbors(vectors, k=5, method="cells", target_recall=0.9).neighbors
    )


@pytest.mark.parametrize("method", [*METHODS, "auto", "passes", "split"])
def test_files_in_uneven_parts_and_memory_give_the_same_neighbours(tmp_path, method, monkeypatch):
    """In tasks of other sizes too, and where some rows are zero or equal."""
    vectors = np.concatenate([topics(1500, 24, n_topics=40, noise=0.8), unit(np.ones((400, 24))), topics(300, 24)])
    vectors[[0, 700, 2199]] = 0
    monkeypatch.setattr(tasks, "RANGE_ROWS", 170)
    monkeypatch.setattr(exact, "TASK_ROWS", 300)
    monkeypatch.setattr(cells, "TASK_MEMBERS", (400, 400))
    if method == "auto":
        monkeypatch.setattr(methods, "WORTH_SECONDS", -1e9)
    elif method == "passes":
        as_if_many(monkeypatch)
    elif method == "split":
        monkeypatch.setattr(cells, "BASE_TILE", 150)
        monkeypatch.setattr(cells, "LARGEST", 1)
        monkeypatch.setattr(cells, "ROWS_PER_CELL", (40, 40))
    chosen = {"passes": "cells", "split": "cells"}.get(method, method)
    memory = search_neighbors(vectors, k=5, method=chosen, target_recall=0.9, seed=3)
    graph = {"k": 5, "method": chosen, "target_recall": 0.9}
    context = make_vectors(tmp_path, vectors, parts=(1, 90, 91, 1400), dropped=(90, 2000), seed=3, **graph)
    facts = do(STEP, context).facts
    assert method != "passes" or facts["passes"] > 0
    assert method != "split" or facts["split_cells"] > 0
    neighbors, similarities = arrays(context)
    np.testing.assert_array_equal(neighbors[:, :5], memory.neighbors)
    np.testing.assert_array_equal(similarities[:, :5], memory.similarities)


def test_similarities_of_passes_are_those_of_all_pairs(tmp_path, monkeypatch):
    vectors = topics(1500, 24, n_topics=20, noise=0.8)
    as_if_many(monkeypatch)
    context = make_vectors(tmp_path, vectors, parts=(700,), k=4, method="cells")
    assert do(STEP, context).facts["passes"] > 0
    found, similarities = arrays(context)
    exact = search_neighbors(vectors, k=1400, method="exact")
    for row in range(0, 1500, 37):
        known = dict(zip(exact.neighbors[row].tolist(), exact.similarities[row].tolist(), strict=True))
        for other, similarity in zip(found[row].tolist(), similarities[row].tolist(), strict=True):
            assert known.get(other, similarity) == similarity
        assert len(set(found[row].tolist())) == found.shape[1]


def test_a_lost_pass_is_done_again_and_no_earlier_one(tmp_path, monkeypatch):
    vectors = topics(2000, 24, n_topics=20, noise=0.8)
    as_if_many(monkeypatch)
    monkeypatch.setattr(cells, "TASK_MEMBERS", (300, 300))
    whole = do(STEP, make_vectors(tmp_path / "whole", vectors, parts=(900,), k=3, method="cells"))
    context = make_vectors(tmp_path / "broken", vectors, parts=(900,), k=3, method="cells")
    with pytest.raises(PartsFailedError):
        do(replace(STEP, phases=(*STEP.phases[:-1], Phase("facts", lambda context: ["all"], fail))), context)
    records = sorted((tmp_path / "broken" / "neighbors" / ".parts").glob("expand-1.*.json"))
    assert len(records) > 2
    records[1].unlink()
    executor = Counting()
    manifest = run_step(STEP, context, executor, quiet)
    assert [row for row in executor.parts if row[0] != "facts"] == [("expand-1", records[1].name.split(".")[1])]
    assert manifest.files == whole.files


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows(tmp_path, n, method):
    vectors = topics(n) if n else np.zeros((0, 8), np.float16)
    context = make_vectors(tmp_path, vectors, dropped=() if n else (0,), k=2, method=method)
    do(STEP, context)
    assert arrays(context)[0].tolist() == [[[-1] * 8], [[1] + [-1] * 7, [0] + [-1] * 7]][n - 1] if n else True
    assert arrays(context)[0].shape == (n, 8)


@pytest.mark.parametrize("method", METHODS)
def test_only_zero_rows(tmp_path, method):
    context = make_vectors(tmp_path, np.zeros((5, 8), np.float16), k=2, method=method)
    assert do(STEP, context).facts["recall"] == 1
    assert (arrays(context)[0] == -1).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_wrong_row_is_named(tmp_path, method, value):
    vectors = topics(80)
    vectors[66, 2] = value
    context = make_vectors(tmp_path, vectors, parts=(50,), dropped=(3,), method=method)
    with pytest.raises(InputError, match=r"embeddings: row 66 \(document 67\) has NaN or infinity"):
        do(STEP, context)


def test_a_missed_target_is_warned_of(tmp_path, monkeypatch, caplog):
    vectors = topics(1500, 64, n_topics=1, noise=5)
    monkeypatch.setattr(cells, "RANKS", 1)
    context = make_vectors(tmp_path, vectors, k=5, method="cells", target_recall=0.99)
    facts = do(STEP, context).facts
    assert facts["target_missed"]
    assert facts["margin"] is None
    assert (
        "misses graph.target_recall 0.990; with graph.method exact it is 1, after about 1 s of one core" in caplog.text
    )
    met = int(100 * facts["recall_low"])
    assert f"graph.target_recall 0.{met:02} would have been met" in caplog.text


def test_what_cells_gave_up_is_told_where_the_choice_was_ours(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", logger="icp")
    monkeypatch.setattr(methods, "WORTH_SECONDS", -1e9)
    for method, told in (("auto", 1), ("cells", 0)):
        caplog.clear()
        context = make_vectors(tmp_path / method, topics(1500, 16, n_topics=40, noise=0.7), k=5, method=method)
        facts = do(STEP, context).facts
        said = (
            f"cells found {facts['recall']:.1%} of the nearest; graph.method exact finds all, in about 1 s of one core"
        )
        assert (facts["method"], caplog.text.count(said)) == ("cells", told)
        assert "notes" not in facts


def test_auto_gives_way_to_all_pairs_where_cells_overlap_too_much(tmp_path, monkeypatch):
    vectors = unit(np.random.default_rng(0).standard_normal((1200, 64)))
    monkeypatch.setattr(methods, "WORTH_SECONDS", -1e9)
    context = make_vectors(tmp_path, vectors, parts=(500,), k=4)
    facts = do(STEP, context).facts
    assert (facts["method"], facts["recall"]) == ("exact", 1.0)
    assert facts["cells"] > 1
    np.testing.assert_array_equal(arrays(context)[0], search_neighbors(vectors, k=4 + EXTRA, method="exact").neighbors)


def test_parts_of_other_dimensions_are_named(tmp_path):
    context = make_vectors(tmp_path, topics(40), parts=(20,))
    np.save(tmp_path / "embeddings" / "part-00001.npy", topics(20, 16))
    (tmp_path / "embeddings" / "manifest.json").unlink()
    finish(tmp_path / "embeddings", {})
    with pytest.raises(ArtifactError, match=r"different dimensions \(part-00000.npy of 32, part-00001.npy of 16\)"):
        do(STEP, context)


def test_more_neighbours_are_kept_where_the_graph_passes_over_some(tmp_path):
    context = make_vectors(tmp_path, topics(60), k=3, same_source="across")
    do(STEP, context)
    assert arrays(context)[0].shape == (60, 4 * 3 + EXTRA)


def test_a_partial_result_of_another_configuration_is_refused(tmp_path):
    context = make_vectors(tmp_path, topics(300), k=3, method="cells")
    broken = replace(STEP, phases=(*STEP.phases[:-1], Phase("facts", lambda context: ["all"], fail)))
    with pytest.raises(PartsFailedError):
        do(broken, context)
    tree = {"run": str(tmp_path), "corpus": {"input": "none.jsonl"}, "graph": {"k": 4, "method": "cells"}}
    with pytest.raises(ConfigError, match=r"graph\.k was 3, is 4"):
        do(STEP, context_of(parse_config(tree)))


def fail(context, part, output):
    raise RuntimeError("on purpose")


class Counting(SerialExecutor):
    """Notes which parts it is given."""

    def __init__(self):
        self.parts = []

    def map(self, task, items):
        self.parts += [(item.phase.name, item.part) for item in items]
        return super().map(task, items)


def test_only_the_lost_task_is_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "TASK_MEMBERS", (50, 50))
    monkeypatch.setattr(cells, "ROWS_PER_CELL", (20, 20))
    vectors = topics(300)
    context = make_vectors(tmp_path / "whole", vectors, k=3, method="cells")
    whole = do(STEP, context)
    context = make_vectors(tmp_path / "broken", vectors, k=3, method="cells")
    broken = replace(STEP, phases=(*STEP.phases[:-2], Phase("parts", lambda context: ["part-00000"], fail)))
    with pytest.raises(PartsFailedError):
        do(broken, context)
    # as after a kill between two files and the record of a task
    records = sorted((tmp_path / "broken" / "neighbors" / ".parts").glob("search.*.json"))
    assert len(records) > 2
    records[1].unlink()
    executor = Counting()
    manifest = run_step(STEP, context, executor, quiet)
    assert [part for phase, part in executor.parts if phase == "search"] == [records[1].name.split(".")[1]]
    assert {phase for phase, _ in executor.parts} == {"search", "parts", "facts"}
    assert manifest.files == whole.files


def config_of(run, **graph):
    return parse_config({"run": str(run), "corpus": {"input": "none.jsonl"}, "graph": graph, "dedup": {"ngram": 2}})


def test_after_a_killed_worker_its_task_alone_is_done_again(tmp_path):
    vectors = topics(12_000, 16)
    context = make_vectors(tmp_path / "whole", vectors, k=3, method="cells")
    whole = do(STEP, context)
    make_vectors(tmp_path / "killed", vectors, k=3, method="cells")
    context = context_of(config_of(tmp_path / "killed", k=3, method="cells"))
    dying = replace(
        STEP, phases=tuple(replace(p, work=search_and_be_killed) if p.name == "search" else p for p in STEP.phases)
    )
    tried = {}

    def tries():
        return {path.name: len(list(path.iterdir())) for path in (tmp_path / "tried").iterdir()}

    # killed at every attempt: the others are done, and a later run does this one alone
    (tmp_path / "kill").write_text("always")
    with ProcessExecutor(2) as executor:
        with pytest.raises(PartsFailedError, match="killed by signal 9"):
            run_step(dying, context, executor, quiet)
        tried = tries()
        assert tried.pop(FATAL) == 3
        assert tried
        assert set(tried.values()) == {1}
        # killed once: another worker does it, within the run
        (tmp_path / "kill").write_text("once")
        manifest = run_step(dying, context, executor, quiet)
    assert not (tmp_path / "kill").exists()
    assert tries() == {**tried, FATAL: 5}
    assert manifest.files == whole.files
    assert manifest.facts == whole.facts


def test_workers_and_parts_leave_the_same_neighbours_and_graph(tmp_path):
    vectors, found = topics(9000, 16), []
    for workers, parts in ((1, ()), (2, (3000,)), (7, (700, 1400, 2100, 2800, 8500))):
        run = tmp_path / str(workers)
        make_vectors(run, vectors, parts=parts)
        with ProcessExecutor(workers) as executor:
            context = context_of(config_of(run, k=3, method="cells"))
            facts = run_step(STEP, context, executor, quiet).facts
            graph = run_step(GRAPH, context, executor, quiet)
        files = {name: record for name, record in graph.files.items() if name.endswith(".npy")}
        found.append((*(array.tobytes() for array in arrays(context)), facts, files, graph.facts, graph.counts))
    assert found[0] == found[1] == found[2]


def test_two_workers_leave_the_same_lists(tmp_path):
    vectors, manifests = topics(4500, 8), []
    for workers in (1, 2):
        make_vectors(tmp_path / str(workers), vectors, parts=(3000,))
        with ProcessExecutor(workers) as executor:
            context = context_of(config_of(tmp_path / str(workers), k=3, method="ivf"))
            manifests.append(run_step(STEP, context, executor, quiet))
    assert manifests[0].files == manifests[1].files
    assert manifests[0].facts == manifests[1].facts


def test_equal_rows_that_no_cell_parts_find_each_other_by_rising_row(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "ROWS_PER_CELL", (100, 100))
    monkeypatch.setattr(cells, "BASE_TILE", 150)
    monkeypatch.setattr(cells, "LARGEST", 0.1)
    context = make_vectors(tmp_path, unit(np.ones((600, 8))), parts=(250,), k=2, method="cells")
    facts = do(STEP, context).facts
    assert facts["split_cells"] >= 1
    assert (facts["recall"], facts["target_missed"]) == (1.0, False)
    found, similarities = arrays(context)
    assert found[[0, 1, 599], :3].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 2]]
    assert (similarities == 1).all()


def test_grouped_centroids_and_split_cells_reach_the_target(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "ROWS_PER_CELL", (40, 40))
    monkeypatch.setattr(centroids, "FLAT_CENTROIDS", 10)
    monkeypatch.setattr(cells, "BASE_TILE", 150)
    monkeypatch.setattr(cells, "LARGEST", 1)
    vectors = np.concatenate([topics(1500, 16, n_topics=40, noise=0.5), topics(500, 16, n_topics=1, noise=0.3, seed=9)])
    context = make_vectors(tmp_path, vectors, k=5, method="cells", target_recall=0.9)
    facts = do(STEP, context).facts
    assert facts["split_cells"] >= 1
    least = search_neighbors(vectors, k=5, method="exact").similarities[:, -1:]
    recall = (arrays(context)[1][:, :5] >= least).mean()
    assert recall >= LEAST_RECALL, f"true recall {recall}, at least {LEAST_RECALL} expected"
