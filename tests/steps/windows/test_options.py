"""Options of ``pack`` from the configuration to an audit: mix_random, inside, lanes, knn."""

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
from icp.audit.windows import mixed_windows
from icp.engine.executor import SerialExecutor
from icp.errors import ConfigError, IcpError
from icp.export import export_pack
from icp.inspect.windows import show_window
from icp.pipeline import pack

SHARDS = "packs/{}/shards"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    write_jsonl(folder / "rows.jsonl", documents())
    return make_run(config_for(folder, method="path-cut", shuffle="none"))


def make(run, name, **options):
    """A pack with these options, every promise of it kept; its segments and windows."""
    pack(config_for(run.parent, **options), SerialExecutor(), quiet, name=name)
    broken = [finding.line() for finding in verify_run(run, pack=name) if not finding.kept]
    assert broken == []
    folder = run / "packs" / name / "shards"
    return [pq.read_table(folder / kind).to_pylist() for kind in ("segments", "windows")]


def docs_of(segments):
    found = {}
    for row in segments:
        found.setdefault(row["window"], []).append(row["doc"])
    return [found[window] for window in sorted(found)]


def counts_of(run, name):
    return json.loads((run / f"packs/{name}/shards/manifest.json").read_text())["counts"]


def test_a_plan_emptier_than_min_fill_says_so(run):
    """Documents that fit no two to a window, and may not be cut: each opens a window of its own."""

    def warned(name, **options):
        make(run, name, method="windows", **options)
        info = json.loads((run / f"packs/{name}/plan/manifest.json").read_text())["facts"]
        return [line for line in info.get("warnings", []) if "pack.min_fill is" in line], info

    (line,), facts = warned("emptier", split="never", seq_len=64)
    assert facts["fill"] < 0.99
    assert f"windows: {facts['fill']:.4f} of their tokens are text" in line
    assert not warned("roomy", min_fill=0.5, seq_len=256)[0]


def test_inside_turns_the_documents_of_each_window_round(run):
    wide = {"shuffle": "none", "seq_len": 256}  # several whole documents a window
    straight, _ = make(run, "wide", **wide)
    turned, _ = make(run, "reverse", inside="reverse", **wide)
    mixed, _ = make(run, "random", inside="random", **wide)
    times = Counter(row["doc"] for row in straight)

    def whole(segments):  # pieces of documents that are cut keep their places: `make` has it verified
        return [[doc for doc in docs if times[doc] == 1] for docs in docs_of(segments)]

    assert whole(turned) == [docs[::-1] for docs in whole(straight)]
    assert any(len(docs) > 1 for docs in whole(straight))
    assert [sorted(docs) for docs in docs_of(mixed)] == [sorted(docs) for docs in docs_of(straight)]
    assert docs_of(mixed) != docs_of(straight)


def test_lanes_are_contiguous_and_the_reader_says_where_they_begin(run):
    _, windows = make(run, "lanes", shuffle="lanes:4")
    ranks = [row["path_rank"] for row in windows]
    assert all(after == before + 1 for before, after in zip(ranks, ranks[4:], strict=False))
    resets = [sample["reset"] for sample in WindowDataset(run, pack="lanes")]
    assert resets == [True] * 4 + [False] * (len(windows) - 4)


def least_gap(ranks, distance):
    """Least number of steps between windows so far apart on the path or less, its ends joined."""
    at, n = np.argsort(ranks), len(ranks)
    return min(abs(int(at[rank] - at[(rank + apart) % n])) for apart in range(1, distance + 1) for rank in range(n))


def test_windows_close_on_the_path_are_spread_over_training(run):
    _, windows = make(run, "spread", shuffle="spread")
    ranks = [row["path_rank"] for row in windows]
    stated = json.loads((run / "packs/spread/shards/manifest.json").read_text())["facts"]["spread"]["gaps"]
    assert stated["1"] > 4
    for distance, least in stated.items():
        assert least_gap(ranks, int(distance)) >= least
    rank_of = {
        sample["input_ids"].tobytes(): rank
        for sample, rank in zip(WindowDataset(run, pack="spread"), ranks, strict=True)
    }
    later = [rank_of[sample["input_ids"].tobytes()] for sample in WindowDataset(run, pack="spread", epoch=3)]
    assert later != ranks
    assert all(least_gap(later, int(distance)) >= least for distance, least in stated.items())


def test_windows_nearer_than_stated_are_found(run):
    make(run, "near", shuffle="spread")
    path = next((run / "packs/near/shards/windows").glob("part-00000.parquet"))
    table = pq.read_table(path)
    ranks = sorted(table["path_rank"].to_pylist())
    pq.write_table(table.set_column(table.schema.get_field_index("path_rank"), "path_rank", [ranks]), path)
    texts = [finding.text for finding in verify_run(run, pack="near") if finding.promise == 6 and not finding.kept]
    assert any("apart on the path, fewer than" in text for text in texts)


@pytest.mark.parametrize("method", ["path-cut", "windows", "path-fit", "best-fit", "random", "source"])
def test_windows_never_mix_groups(run, method):
    segments, _ = make(run, f"grouped-{method}", method=method, group_by=["source"], min_fill=0.9)
    assert all(len({doc % 2 for doc in docs}) == 1 for docs in docs_of(segments)), "the source is a or b by turns"
    mixed, _ = make(run, f"mixing-{method}", method=method, min_fill=0.9)
    assert any(len({doc % 2 for doc in docs}) == 2 for docs in docs_of(mixed)) or method == "source"


def test_windows_of_several_groups_are_named():
    bounds, groups = np.array([0, 2, 2, 5, 6]), np.array([1, 1, 0, 2, 0, 1])
    assert mixed_windows(bounds, groups).tolist() == [2]
    assert mixed_windows(np.array([0]), groups[:0]).tolist() == []


def test_broken_lanes_are_found(run):
    make(run, "broken", shuffle="lanes:3")
    path = next((run / "packs/broken/shards/windows").glob("part-00000.parquet"))
    table = pq.read_table(path)
    ranks = table["path_rank"].to_pylist()
    ranks[3], ranks[4] = ranks[4], ranks[3]
    pq.write_table(table.set_column(table.schema.get_field_index("path_rank"), "path_rank", [ranks]), path)
    texts = [finding.text for finding in verify_run(run, pack="broken") if finding.promise == 6 and not finding.kept]
    assert any("windows that do not continue their lane" in text for text in texts)


def test_a_share_of_windows_is_packed_at_random(run):
    _, windows = make(run, "mixed", mix_random=0.4, shuffle="none")
    ranks = np.array([row["path_rank"] for row in windows])
    assert sorted(ranks.tolist()) == list(range(len(windows)))
    falls = np.flatnonzero(np.diff(ranks) < 0)
    assert falls.size > 5, "two kinds of windows take turns"


def test_a_schedule_begins_with_random_windows(run):
    _, windows = make(run, "ramp", mix_random={"from": 1.0, "to": 0.0, "over": 0.6}, shuffle="none")
    ranks = np.array([row["path_rank"] for row in windows])
    tail = ranks[int(len(ranks) * 0.65) :]
    assert np.all(np.diff(tail) == 1)


def test_knn_repeats_documents_and_counts_them(run):
    segments, _ = make(run, "knn", method="knn")
    counts = counts_of(run, "knn")
    assert counts["repeated"] > 0
    assert sum(counts[name] for name in ("documents_in", "repeated", "specials", "padding")) == counts["written"]
    assert counts["documents_in"] == counts_of(run, "main")["documents_in"]
    for docs in docs_of(segments):
        assert len(set(docs)) == len(docs)
    stats = json.loads((run / "stats.json").read_text())["packs"]["knn"]
    assert stats["tokens"]["repeated"] == counts["repeated"]
    assert 0 < stats["windows"]["mean_similarity"] < 1


@pytest.mark.parametrize("options", [
    {"method": "windows"}, {"method": "best-fit"}, {"inside": "random", "mix_random": 0.3}, {"shuffle": "lanes:4"},
], ids=str)  # fmt: skip
def test_room_is_filled_with_tokens_that_are_counted_and_listed(run, tmp_path, options):
    name = "filled"
    segments, windows = make(run, name, tail="repeat", **{"method": "path-cut", **options})
    counts = counts_of(run, name)
    assert counts["padding"] == 0 == sum(row["n_pad"] for row in windows)
    assert counts["documents_in"] == counts_of(run, "main")["documents_in"]
    assert counts["repeated"] > 0
    again = np.load(run / f"packs/{name}/plan/tail.npy")
    cut = sum(times > 1 for times in Counter(row["doc"] for row in segments).values())
    figures = json.loads((run / "stats.json").read_text())["packs"][name]["windows"]
    assert figures["split_documents"] <= cut
    assert figures["fill"] == 1
    assert (again[:, 3] >= 0).all()
    export_pack(run, "litdata", tmp_path / "litdata", pack=name, allow_reshuffle=True)
    shutil.rmtree(run / "packs" / name)


def test_windows_that_are_not_full_are_left_out_and_their_documents_counted(run):
    _, windows = make(run, "dropped", method="path-cut", tail="drop")
    counts, before = counts_of(run, "dropped"), counts_of(run, "main")
    assert counts["padding"] == 0
    lost = before["documents_in"] - counts["documents_in"]
    tokens = json.loads((run / "stats.json").read_text())["packs"]["dropped"]["tokens"]
    assert tokens["left_out"] == lost > 0
    assert tokens["left_out_documents"] > 0
    assert len(windows) < len(make(run, "whole", method="path-cut")[1])


@pytest.mark.parametrize("how", ["drop", "repeat"])
def test_a_tail_that_hides_more_than_it_says_is_found(run, how):
    name = f"hidden-{how}"
    make(run, name, method="path-cut", tail=how)
    path = run / f"packs/{name}/plan/tail.npy"
    np.save(path, np.load(path)[:-1])
    found = [finding.text for finding in verify_run(run, pack=name) if not finding.kept and finding.promise == 3]
    assert any("not all there exactly once" in text for text in found)


@pytest.mark.parametrize(("options", "message"), [
    ({"method": "windows", "tail": "drop"}, "leaves a few tokens of room in many windows"),
    ({"method": "knn", "tail": "repeat"}, "repeats documents itself"),
    ({"method": "path-cut", "tail": "drop", "seq_len": 100_000}, "no window of 100,000 tokens is full"),
], ids=str)  # fmt: skip
def test_tails_that_cannot_be_are_refused(run, options, message):
    with pytest.raises(IcpError, match=message):
        make(run, "never", **options)


@pytest.mark.parametrize("options", [{"shuffle": "lanes:4"}, {"method": "knn"}])
def test_what_cannot_go_together_is_refused(run, options):
    with pytest.raises(ConfigError, match="random windows would break the lanes, and knn is a baseline of its own"):
        config_for(run.parent, mix_random=0.5, **options)


@pytest.mark.parametrize("method", ["windows", "path-fit", "best-fit"])
def test_windows_under_a_floor_are_counted_and_the_count_is_audited(run, method):
    name = f"floor-{method}"
    options = {"method": method, "seq_len": 256, "min_fill": 0.97}
    _, plain = make(run, f"{name}-none", **options)
    _, windows = make(run, name, least_fill=0.96, **options)
    low = [sum(256 - row["n_pad"] < 0.96 * 256 for row in rows) for rows in (plain, windows)]
    stated = json.loads((run / "stats.json").read_text())["packs"][name]["windows"]
    assert stated["below_least_fill"] == low[1] <= low[0]
    assert stated["lowest_fill"] == min(256 - row["n_pad"] for row in windows) / 256
    path = run / f"packs/{name}/plan/manifest.json"
    path.write_text(path.read_text().replace(f'"below_least_fill": {low[1]}', f'"below_least_fill": {low[1] + 1}'))
    assert any("below_least_fill" in finding.text for finding in verify_run(run, pack=name) if not finding.kept)


@pytest.mark.parametrize("method", ["path-cut", "single", "random", "source", "knn"])
def test_a_floor_that_a_method_cannot_hold_is_refused(run, method):
    with pytest.raises(ConfigError, match=f"least_fill is set, but pack.method {method} "):
        config_for(run.parent, method=method, least_fill=0.9)
    with pytest.raises(ConfigError, match=r"least_fill is 0\.999, the floor of each window, above min_fill 0\.995"):
        config_for(run.parent, method="windows", least_fill=0.999)


@pytest.mark.parametrize("options", [
    {}, {"method": "source"}, {"tail": "repeat"}, {"group_by": ["source"]}, {"mix_random": 0.4},
    {"inside": "reverse"}, {"shuffle": "lanes:4"}, {"seq_len": 256},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("how", ["restart", "pad"])
def test_a_document_goes_on_as_asked_and_what_is_repeated_is_counted(run, tmp_path, how, options):
    name = "goes-on"
    segments, windows = make(run, name, continuation=how, **{"method": "path-cut", **options})
    length = {row["doc"]: row["doc_stop"] for row in sorted(segments, key=lambda row: row["doc_stop"])}
    short = [doc for doc, n_tokens in length.items() if n_tokens < options.get("seq_len", 64)]
    wholes = Counter(row["doc"] for row in segments if row["doc_stop"] - row["doc_start"] == length[row["doc"]])
    assert short
    assert all(wholes[doc] == 1 for doc in short) or options.get("tail") == "repeat"
    counts, stats = counts_of(run, name), json.loads((run / "stats.json").read_text())["packs"][name]
    total = sum(row["doc_stop"] - row["doc_start"] for row in segments)
    assert counts["repeated"] == total - counts_of(run, "main")["documents_in"] == stats["tokens"]["repeated"]
    assert (counts["repeated"] > 0) == (how == "restart" or options.get("tail") == "repeat")
    assert stats["windows"]["cuts"] == 0
    if how == "restart":
        shown = "\n".join(line for at in range(len(windows)) for line in show_window(run, at, pack=name))
        assert "repeated to fill the window" in shown
    export_pack(run, "olmo", tmp_path / "olmo", pack=name, allow_reshuffle=True, allow_padding=True)
    assert len(list(WindowDataset(run, pack=name))) == len(windows)
    shutil.rmtree(run / "packs" / name)


def test_repeated_beginnings_that_are_not_listed_are_found(run):
    make(run, "unlisted", method="path-cut", continuation="restart")
    path = run / "packs/unlisted/plan/tail.npy"
    np.save(path, np.load(path)[:-1])
    found = [finding.text for finding in verify_run(run, pack="unlisted") if not finding.kept and finding.promise == 3]
    assert any("not all there exactly once" in text for text in found)


@pytest.mark.parametrize(("options", "message"), [
    ({"method": "windows", "continuation": "pad"}, "use pack.split: never, which cuts no document"),
    ({"method": "path-fit", "continuation": "restart"}, "with pack.tail: repeat, which fills the room"),
    ({"method": "knn", "continuation": "pad"}, "leave it at cut, or use pack.method path-cut, random or source"),
    ({"method": "path-cut", "continuation": "pad", "tail": "drop"}, "would leave out all windows with room"),
], ids=str)  # fmt: skip
def test_continuations_that_cannot_be_are_refused(run, options, message):
    with pytest.raises(ConfigError, match=message):
        config_for(run.parent, **options)
