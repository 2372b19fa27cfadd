"""Runs whose graph has edges that are not vectors: sound, whatever parts and workers; each kind of damage is found."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_parts import topic_documents
from tiny import assert_same, data_files, make_run, quiet, tiny_config, write_jsonl

from icp.audit import verify_run
from icp.config import parse_config
from icp.engine.executor import ProcessExecutor, SerialExecutor
from icp.errors import ConfigError
from icp.remove import Asked, Wanted, remove_documents
from icp.run.stats import read_stats, summary


def documents():
    rows = topic_documents()
    for number, row in enumerate(rows):
        row |= {"url": f"https://x/{number % 9}/{number}.md", "day": f"2020-{1 + number % 12:02}-{1 + number % 28:02}"}
    return rows


def links():
    """Each document is linked to one of another topic, and to one that is not there."""
    return [
        {"source": f"d{number}", "target": f"d{(number * 7 + 5) % 200}", "weight": 0.5 + number % 4 / 8}
        for number in range(200)
    ] + [{"source": "d3", "target": "nobody"}]


def linked_config(folder, corpus, *, part_mib=256, **graph):
    entries = [
        {"file": str(corpus / "links.jsonl"), "weight": 0.9},
        {"kind": "directory", "weight": 0.4},
        {"kind": "date", "field": "day", "weight": 0.3},
    ]
    folder.mkdir(exist_ok=True)
    return tiny_config(
        folder,
        corpus={"input": str(corpus / "rows.jsonl"), "keep": ["url", "day"], "part_mib": part_mib},
        dedup={"near": False},
        graph={"k": 4, "edges": entries, **graph},
        pack={"seq_len": 512},
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linked")
    write_jsonl(folder / "rows.jsonl", documents())
    write_jsonl(folder / "links.jsonl", links())
    return folder


@pytest.fixture(scope="module")
def sound(corpus):
    return make_run(linked_config(corpus / "sound", corpus))


@pytest.fixture(scope="module")
def alone(corpus):
    return make_run(linked_config(corpus / "alone", corpus, similarity=False))


@pytest.fixture
def run(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "run")


def broken(run):
    return "\n".join(finding.text for finding in verify_run(run) if not finding.kept)


def test_a_sound_run_keeps_its_promises_and_says_what_edges_came_of(sound, alone):
    for made, similar in ((sound, True), (alone, False)):
        assert broken(made) == ""
        figures = read_stats(made)["graph"]
        assert [entry["of"] for entry in figures["links"]] == ["links.jsonl", "directory", "date of day"]
        assert [entry["unknown"] for entry in figures["links"]] == [1, 0, 0]
        assert all(entry["edges"] > 100 for entry in figures["links"])
        assert (figures["edges_of_similarity"] > 0) == similar
        assert figures["edges"] <= figures["edges_of_similarity"] + figures["edges_of_links"]
        lines = "\n".join(summary(read_stats(made), made, "main"))
        assert f"edges of {figures['edges_of_similarity']:,} similarity, " in lines
        assert f"{figures['links'][1]['edges']:,} directory" in lines


def test_parts_and_workers_change_nothing(corpus, sound, tmp_path):
    other = linked_config(tmp_path / "other", corpus, part_mib=0.01)
    with ProcessExecutor(2) as workers:
        made = make_run(other, workers)
    assert len(list((made / "documents").glob("part-*.parquet"))) > 2

    def of_nodes(run):
        folders = ("graph/", "packs/main/order", "packs/main/plan", "packs/main/shards/shard-")
        return {
            name: data
            for name, data in data_files(run).items()
            if name.startswith(folders) and "duplicates" not in name
        }

    assert_same(of_nodes(made), of_nodes(sound))


def test_links_alone_decide_order_and_windows(sound, alone, corpus, tmp_path):
    # other vectors of the texts, the same links: the same order and windows
    rows = documents()
    vectors = np.random.default_rng(5).standard_normal((len(rows), 6)).astype(np.float32)
    np.save(tmp_path / "own.npy", vectors)
    (tmp_path / "own.ids.txt").write_text("".join(f"{row['id']}\n" for row in rows))
    config = linked_config(tmp_path / "other", corpus, similarity=False)
    tree = config.model_dump(mode="json") | {"embed": {"model": f"files:{tmp_path}/own.npy"}}
    tree["graph"] = {**tree["graph"], "duplicate_similarity": 2.0}
    base = linked_config(tmp_path / "base", corpus, similarity=False, duplicate_similarity=2.0)
    made, wanted = make_run(parse_config(tree)), make_run(base)
    for name in (
        "graph/links.npy",
        "packs/main/order/order.npy",
        "packs/main/plan/doc.npy",
        "packs/main/plan/window.npy",
    ):
        np.testing.assert_array_equal(np.load(made / name), np.load(wanted / name))
    # the links of the file lead to other topics: beside similarities they hardly bring documents together
    assert linked_share(alone) > max(0.3, 1.2 * linked_share(sound))
    assert broken(made) == ""


def linked_share(run):
    """The share of the links of the file whose documents share a window."""
    pairs, shares = (np.load(run / "graph" / f"{name}.npy") for name in ("links", "link_shares"))
    return met(run, pairs[shares[:, 0] > 0])


def met(run, pairs):
    doc, window = (np.load(run / "packs/main/plan" / f"{name}.npy") for name in ("doc", "window"))
    windows = {}
    for node, number in zip(doc.tolist(), window.tolist(), strict=True):
        windows.setdefault(node, set()).add(number)
    return np.mean([bool(windows[a] & windows[b]) for a, b in pairs.tolist()])


def change(run, name, edit):
    path = run / "graph" / f"{name}.npy"
    array = np.load(path)
    found = edit(array)
    np.save(path, array if found is None else found)


def heavier(array):
    array[3] = array[3] + 0.25 if array[3] < 0.6 else array[3] - 0.25


def more_of_date(array):
    array[np.flatnonzero(array[:, 2] == 0)[0], 2] = 0.3


def of_directory(array):
    array[np.flatnonzero(array[:, 1] == 0)[0], 1] = 0.4


def without_last(array):
    return array[:-1]


DAMAGE = {
    "link_weights": (heavier, "edges that do not weigh what their link does"),
    "link_shares": (more_of_date, "counts of edges of links that are not those of the graph"),
    "indices": (lambda array: array.__setitem__(0, (array[0] + 57) % 200), "edges that do not stand at both ends"),
    "weights": (lambda array: array.__setitem__(slice(None), 0.25), "edges that do not weigh what their link does"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_to_links_is_found(run, name):
    edit, message = DAMAGE[name]
    change(run, name, edit)
    assert message in broken(run)


def test_links_that_weigh_something_else_together_are_found(run):
    change(run, "link_shares", of_directory)
    found = broken(run)
    assert "links of kind directory that are none" in found
    assert "links that do not weigh what graph.edges says" in found


def test_a_link_that_is_no_edge_and_an_edge_that_is_no_link_are_found(run):
    def other_end(array):
        array[0, 1] = next(n for n in range(199, 0, -1) if [array[0, 0], n] not in array.tolist())

    change(run, "links", other_end)
    found = broken(run)
    assert "links that are no edges" in found
    assert "edges that are neither links nor of neighbours" in found


def test_a_figure_that_is_wrong_is_found(run):
    path = run / "graph" / "manifest.json"
    tree = json.loads(path.read_text())
    tree["facts"]["links"][1]["edges"] += 1
    path.write_text(json.dumps(tree))
    assert "counts of edges of links that are not those of the graph" in broken(run)


def test_removed_documents_have_no_links(corpus, tmp_path):
    for name, graph in (("mixed", {}), ("alone", {"similarity": False})):
        config = linked_config(tmp_path / name, corpus, **graph)
        run = make_run(config)
        before = read_stats(run)["graph"]
        remove_documents(run, Wanted(frozenset({"d3", "d17"})), Asked("replan"), SerialExecutor(), quiet)
        assert broken(run) == ""
        after = read_stats(run)["graph"]
        links = np.load(run / "graph/links.npy")
        assert not np.isin(links, [3, 17]).any()
        assert 0 < after["edges_of_links"] == len(links) < before["edges_of_links"]
        assert all(0 < one["edges"] < two["edges"] for one, two in zip(after["links"], before["links"], strict=True))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"similarity": False}, "similarity is false and edges is empty"),
        ({"edges": [{}]}, "graph.edges.0 needs a file of links, or kind: directory or date"),
        ({"edges": [{"file": "a.jsonl", "kind": "date", "field": "day"}]}, "and not both"),
        ({"edges": [{"kind": "date"}]}, "graph.edges.0 is of kind date without field"),
        ({"edges": [{"kind": "date", "field": "year"}]}, "kind date goes by 'year', which .* add it to corpus.keep"),
        ({"edges": [{"kind": "folder"}]}, "graph.edges.0.kind is 'folder'"),
        ({"edges": [{"file": "s3://bucket/a.parquet"}]}, "must lie on this machine"),
        ({"edges": [{"file": "a.parquet", "weight": 0}]}, "graph.edges.0.weight is 0"),
        ({"edges": [{"file": "a.parquet", "field": "x"}]}, "has a field, which belongs to kind"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, graph, message):
    with pytest.raises(ConfigError, match=message):
        tiny_config(tmp_path, graph=graph)


@pytest.mark.shared
def test_true_links_come_into_windows(shared_data, tmp_path):
    table = pq.read_table(shared_data / "linked-docs.parquet").slice(0, 3000)
    pq.write_table(table, tmp_path / "docs.parquet")
    entry = {"file": str(tmp_path / "docs.parquet"), "columns": {"source": "id", "target": "links"}, "max_unknown": 1.0}
    shares = {}
    for name, graph in (
        ("mixed", {"edges": [entry]}),
        ("alone", {"edges": [entry], "similarity": False}),
        ("plain", {}),
    ):
        (tmp_path / name).mkdir()
        corpus = {"input": str(tmp_path / "docs.parquet")}
        run = make_run(tiny_config(tmp_path / name, corpus=corpus, graph=graph, pack={"seq_len": 32768}))  # bytes
        links = np.load(tmp_path / "mixed/run/graph/links.npy")
        shares[name] = met(run, links)
    assert shares["alone"] > 1.2 * shares["plain"]
    assert shares["mixed"] > 1.1 * shares["plain"]
