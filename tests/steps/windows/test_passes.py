"""`pack.epochs` and `pack.sources` from the configuration to an audit, a reader and an export."""

import json
import shutil
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from loader_packs import config_for, documents
from tiny import make_run, quiet, write_jsonl

from icp import WindowDataset
from icp.audit import verify_run
from icp.engine.executor import SerialExecutor
from icp.errors import ConfigError, InputError
from icp.export import export_pack
from icp.pipeline import pack
from icp.report import write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("passes")
    write_jsonl(folder / "rows.jsonl", documents())
    return make_run(config_for(folder, method="path-cut", shuffle="none"))


def broken(run, name):
    return [finding.text for finding in verify_run(run, pack=name) if not finding.kept]


def make(run, name, **options):
    """The segments of a pack with these options, every promise of it kept."""
    pack(config_for(run.parent, **options), SerialExecutor(), quiet, name=name)
    assert broken(run, name) == []
    return pq.read_table(run / "packs" / name / "shards/segments").to_pylist()


def facts_of(run, name, step="shards"):
    return json.loads((run / f"packs/{name}/{step}/manifest.json").read_text())


def tokens_by_pass(run, name, segments):
    firsts = facts_of(run, name)["facts"]["passes"]
    found = [Counter() for _ in firsts[1:]]
    for row in segments:
        found[np.searchsorted(firsts, row["window"], side="right") - 1][row["doc"]] += (
            row["doc_stop"] - row["doc_start"]
        )
    return found


OPTIONS = [
    {"method": "windows"}, {"method": "path-fit"}, {"method": "path-cut"}, {"method": "random"},
    {"shuffle": "random"}, {"shuffle": "none"}, {"group_by": ["source"], "min_fill": 0.9}, {"tail": "repeat"},
    {"method": "path-cut", "continuation": "restart"}, {"split": "never", "min_fill": 0.9, "inside": "random"},
    {"least_fill": 0.8, "min_fill": 0.9},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_document_stands_once_in_each_pass_and_in_other_company(run, tmp_path, options):
    name = "passes"
    segments = make(run, name, epochs=3, **{"seq_len": 256, "method": "windows", **options})
    manifest = facts_of(run, name)
    firsts = manifest["facts"]["passes"]
    once = tokens_by_pass(run, name, segments)
    if options.get("tail") != "repeat" and "continuation" not in options:
        assert once[0] == once[1] == once[2]
        assert manifest["counts"]["repeated"] == 2 * manifest["counts"]["documents_in"]
    assert sum(once[0].values()) >= facts_of(run, "main")["counts"]["documents_in"]
    windows = [set() for _ in range(3)]
    of = {}
    for row in segments:
        of.setdefault(row["window"], set()).add(row["doc"])
    for window, docs in of.items():
        windows[np.searchsorted(firsts, window, side="right") - 1].add(frozenset(docs))
    assert len(windows[0] & windows[1]) < len(windows[0]) / 2
    export_pack(run, "parquet", tmp_path / "parquet", pack=name, allow_reshuffle=True, allow_padding=True)
    write_report(run, tmp_path / "report.html", pack=name)
    shutil.rmtree(run / "packs" / name)


def test_an_epoch_reads_one_pass(run):
    segments = make(run, "read", epochs=2, method="path-fit", split="never", min_fill=0.5, seq_len=256)
    firsts = facts_of(run, "read")["facts"]["passes"]
    data = WindowDataset(run, pack="read")
    assert data.n_windows == firsts[-1] == max(row["window"] for row in segments) + 1
    seen = []
    for epoch in range(4):
        data.set_epoch(epoch)
        first, stop = firsts[epoch % 2], firsts[epoch % 2 + 1]
        assert len(data) == stop - first
        rows = [sample["input_ids"].tobytes() for sample in data]
        stored = [data.window(window)["input_ids"].tobytes() for window in range(first, stop)]
        assert sorted(rows) == sorted(stored)
        assert (rows == stored) == (epoch < 2), "the first time in training order"
        seen.append(rows)
    assert set(seen[0]) != set(seen[1])
    per_rank = [len(WindowDataset(run, pack="read", rank=rank, world_size=3, epoch=1, even=False)) for rank in range(3)]
    assert sum(per_rank) == firsts[2] - firsts[1]
    ahead = WindowDataset(run, pack="read", start=firsts[1] + 2)
    assert (ahead.epoch, ahead.start) == (1, 2)
    state = WindowDataset(run, pack="read").state_dict(firsts[2] + 3)
    assert (state["epoch"], state["start"]) == (2, 3)


@pytest.mark.parametrize("method", ["windows", "path-cut", "path-fit", "best-fit", "single", "random", "source"])
def test_half_of_a_source_is_left_out_by_ids_and_counted(run, method):
    name = f"half-{method}"
    segments = make(run, name, method=method, sources={"a": {"epochs": 0.5}})
    found = {row["doc"] for row in segments}
    table = pq.read_table(sorted((run / "documents").glob("part-*.parquet")), columns=["doc", "source"]).to_pydict()
    of_a = {doc for doc, source in zip(table["doc"], table["source"], strict=True) if source == "a"}
    others = set(table["doc"]) - of_a
    assert 0.2 < len(found & of_a) / len(of_a) < 0.8
    everything = {row["doc"] for row in pq.read_table(run / "packs/main/shards/segments").to_pylist()}
    assert found & others == everything & others
    stats = json.loads((run / "stats.json").read_text())["packs"][name]["tokens"]
    assert stats["left_out"] == facts_of(run, "main")["counts"]["documents_in"] - stats["documents_in"] > 0
    assert stats["left_out_documents"] == len(everything - found)
    again = {row["doc"] for row in make(run, f"{name}-seed", method="path-cut", sources={"a": {"epochs": 0.5}})}
    assert again == found, "whatever the method"


def test_a_source_of_one_and_a_half_passes(run):
    segments = make(run, "more", epochs=2, sources={"a": {"epochs": 1.5}, "b": {"epochs": 1}})
    first, second = tokens_by_pass(run, "more", segments)
    assert len(first) == len({row["doc"] for row in pq.read_table(run / "packs/main/shards/segments").to_pylist()})
    table = pq.read_table(sorted((run / "documents").glob("part-*.parquet")), columns=["doc", "source"]).to_pydict()
    source = dict(zip(table["doc"], table["source"], strict=True))
    assert {source[doc] for doc in second} == {"a"}
    assert 0.2 < len(second) / sum(name == "a" for name in source.values()) < 0.8


def test_passes_that_say_otherwise_than_they_are_are_found(run):
    make(run, "wrong", epochs=2, method="path-cut")
    path = run / "packs/wrong/plan/manifest.json"
    firsts = facts_of(run, "wrong")["facts"]["passes"]
    manifest = json.loads(path.read_text())
    manifest["facts"]["passes"][1] = firsts[1] + 1
    path.write_text(json.dumps(manifest))
    assert any("not all there exactly once" in line for line in broken(run, "wrong"))


@pytest.mark.parametrize(("options", "message"), [
    ({"method": "best-fit", "epochs": 2}, "would make the same windows in each pass"),
    ({"method": "single", "epochs": 2}, "use pack.method windows, path-cut, path-fit or random"),
    ({"method": "source", "epochs": 2}, "would make the same windows"),
    ({"method": "knn", "epochs": 2}, "repeats documents itself"),
    ({"method": "knn", "sources": {"a": {"epochs": 0.5}}}, "repeats documents itself; leave it empty"),
    ({"epochs": 2, "mix_random": 0.5}, "mix_random is set, a schedule along one pass"),
    ({"epochs": 2, "shuffle": "lanes:4"}, "whose lanes would end with each"),
    ({"epochs": 2, "method": "path-cut", "tail": "drop"}, "use pad or repeat"),
    ({"sources": {"a": {"epochs": 2.0}}}, "sources.a.epochs is 2, more than the passes of pack.epochs, 1"),
], ids=str)  # fmt: skip
def test_what_cannot_be_combined_is_refused(run, options, message):
    with pytest.raises(ConfigError, match=message):
        config_for(run.parent, **options)


def test_a_source_that_is_not_there_is_named(run):
    with pytest.raises(InputError, match=r"pack\.sources names 'c', which is the source of no document .*a, b"):
        make(run, "none", sources={"c": {"epochs": 0.5}})
