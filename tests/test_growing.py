"""Documents added to a finished run: `icp add`, beside one run over everything."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from tiny import assert_same, data_files, make_run

from icp.cli import main
from icp.config import parse_config
from icp.data import load_npy
from icp.dedup.buckets import buckets_beyond
from icp.errors import ConfigError, InputError
from icp.growing import added_config
from icp.knn.vectors import pack, unpack
from icp.run.extended import check_extended
from icp.steps.neighbors.grown import compares_new, tasks

QUICKSTART = Path(__file__).resolve().parents[1] / "configs" / "quickstart.parquet"
OLD, NEW, LATER = slice(0, 400), slice(400, 560), slice(560, 600)
COPIES = 12
K = 10
RECALL, SIMILARITY = 0.01, 0.02
"""How far a run with added documents may be from one over everything."""


def settings(folder: Path, run: str, files, **sections):
    tree = {
        "run": str(folder / run),
        "corpus": {"input": [str(folder / name) for name in files], "part_mib": 0.5},
        "dedup": {"keep": "first"},
        "embed": {"model": "lexical"},
        "tokenizer": {"name": "train:600"},
        "pack": {"seq_len": 1024},
    }
    return parse_config({**tree, **sections})


def write_corpora(folder: Path) -> None:
    """Old, new and later documents; some of the new ones repeat old ones, word for word or all but a word."""
    table = pq.read_table(QUICKSTART, columns=["id", "text", "source"])
    texts = table["text"].to_pylist()
    long = [row for row in range(*OLD.indices(400)) if len(texts[row].split()) > 200][:COPIES]
    changed = [texts[row] if at % 2 else texts[row].replace(" ", " indeed ", 1) for at, row in enumerate(long)]
    copies = pa.table(
        {
            "id": [f"copy-{row}" for row in long],
            "text": pa.array(changed, table["text"].type),
            "source": ["copies"] * COPIES,
        }
    ).cast(table.schema)
    for name, rows in (("old", OLD), ("new", NEW), ("later", LATER)):
        part = table.slice(rows.start, rows.stop - rows.start)
        pq.write_table(pa.concat_tables([part, copies]) if name == "new" else part, folder / f"{name}.parquet")


def add(run, more: Path, *options) -> object:
    return CliRunner().invoke(main, ["add", str(run), "-c", str(more), "--workers", "1", *map(str, options)])


def more_file(folder: Path, name: str, **tree) -> Path:
    path = folder / f"more-{name}.yaml"
    path.write_text(yaml.safe_dump({"corpus": {"input": [str(folder / f"{name}.parquet")]}, **tree}))
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the corpora, a run over the old ones, and one over all."""
    folder = tmp_path_factory.mktemp("growing")
    write_corpora(folder)
    make_run(settings(folder, "base", ["old.parquet"]))
    make_run(settings(folder, "full", ["old.parquet", "new.parquet"]))
    return folder


@pytest.fixture(scope="module")
def before(place):
    """The files of the run over the old documents, with when they were written, before anything is added."""
    return every_file(place / "base")


@pytest.fixture(scope="module")
def added(place, before):
    """The run over the old documents with the new ones."""
    done = add(place / "base", more_file(place, "new"))
    assert done.exit_code == 0, done.output
    return place / "base-added"


@pytest.fixture(scope="module")
def only_new(place, before):
    """The same, with windows of the new documents alone."""
    done = add(place / "base", more_file(place, "new"), "--to", place / "only-new", "--windows", "new")
    assert done.exit_code == 0, done.output
    return place / "only-new"


def every_file(run: Path):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.rglob("*") if path.is_file()}


def ids_of(run: Path) -> list[str]:
    return pq.read_table(sorted((run / "documents").glob("part-*.parquet")), columns=["id"])["id"].to_pylist()


def removed(run: Path, step: str) -> set[tuple[str, str | None, float, str]]:
    ids, rows = ids_of(run), set()
    for path in sorted((run / step / "duplicates").glob("part-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            kept = ids[row["duplicate_of"]] if row["duplicate_of"] >= 0 else None
            rows.add((ids[row["doc"]], kept, round(row["jaccard"], 9), row["kind"]))
    return rows


def joined(run: Path, pattern: str):
    return np.concatenate([load_npy(path, None) for path in sorted(run.glob(pattern))])


def survivor_ids(run: Path) -> list[str]:
    ids = ids_of(run)
    return [ids[doc] for doc in load_npy(run / "dedup" / "survivors.npy", None)]


def window_ids(run: Path) -> list[list[str]]:
    ids = ids_of(run)
    table = pq.read_table(sorted((run / "packs/main/shards/segments").glob("part-*.parquet")))
    found: dict[int, list[str]] = {}
    for window, doc in zip(table["window"].to_pylist(), table["doc"].to_pylist(), strict=True):
        found.setdefault(window, []).append(ids[doc])
    return list(found.values())


def mean_similarity(windows, vectors, row_of) -> float:
    """Of the documents of a window to one another, a mean over documents."""
    total = count = 0
    for window in windows:
        rows = vectors[sorted({row_of[name] for name in window if name in row_of})]
        if len(rows) > 1:
            total += ((rows @ rows.T).sum() - (rows * rows).sum()) / (len(rows) - 1)
            count += len(rows)
    return total / count


def test_the_same_documents_are_removed_as_by_one_run_over_everything(place, added):
    assert removed(added, "dedup") == removed(place / "full", "dedup")
    assert sum(name.startswith("copy-") for name, *_ in removed(added, "dedup")) == COPIES
    assert removed(added, "graph") == removed(place / "full", "graph")


def test_the_old_documents_come_first_and_as_they_were(place, added):
    assert ids_of(added)[: OLD.stop] == ids_of(place / "base")
    assert len(ids_of(added)) == len(ids_of(place / "full"))
    for step in ("documents", "dedup/signatures", "embeddings"):
        for path in (place / "base" / step).glob("part-*"):
            assert (added / step / path.name).samefile(path), "neither copied nor made again"


def test_the_old_run_stays_byte_for_byte(place, before, added, only_new):
    assert every_file(place / "base") == before


def test_neighbours_are_those_of_a_search_among_all(added):
    vectors = joined(added, "embeddings/part-*.npy").astype(np.float64)
    cosines = (vectors @ vectors.T).astype(np.float16).astype(np.float64)
    np.fill_diagonal(cosines, -2)
    found = joined(added, "neighbors/part-*.similarities.npy")[:, :K].astype(np.float64)
    best = -np.sort(-cosines, axis=1)[:, :K]
    alive = vectors.any(axis=1)
    recall = (found[alive] >= best[alive][:, -1:] - 2**-10).mean()
    assert recall >= 1 - RECALL, f"recall {recall}"


def test_windows_are_as_related_as_those_of_one_run_over_everything(place, added):
    full = place / "full"
    vectors = joined(full, "embeddings/part-*.npy").astype(np.float64)
    row_of = {name: row for row, name in enumerate(survivor_ids(full))}
    one, other = (mean_similarity(window_ids(run), vectors, row_of) for run in (full, added))
    assert other >= (1 - SIMILARITY) * one, f"{other} beside {one}"


@pytest.mark.parametrize("name", ["added", "only_new"])
def test_every_promise_holds(name, request):
    checked = CliRunner().invoke(main, ["verify", str(request.getfixturevalue(name))])
    assert checked.exit_code == 0, checked.output
    old = f"({len(survivor_ids(request.getfixturevalue('place') / 'base')):,} others stand in the shards of "
    assert (old in checked.output) == (name == "only_new")


def test_new_windows_hold_the_new_documents_and_no_others(place, only_new, added):
    told = {name for window in window_ids(only_new) for name in window}
    kept = {name for window in window_ids(added) for name in window}
    assert told == kept - set(ids_of(place / "base"))
    assert told
    card = (only_new / "packs/main/shards/README.md").read_text()
    assert f"each document that is not in {place / 'base'} stands in the" in card
    assert "each document stands in the" in (added / "packs/main/shards/README.md").read_text()


def test_verify_finds_an_old_document_in_new_windows(place, only_new, tmp_path):
    shutil.copytree(only_new, tmp_path / "run")
    plan = tmp_path / "run/documents/manifest.json"
    text = plan.read_text()
    assert f'"n_docs": {OLD.stop}' in text
    plan.write_text(text.replace(f'"n_docs": {OLD.stop}', f'"n_docs": {OLD.stop + 40}'))
    checked = CliRunner().invoke(main, ["verify", str(tmp_path / "run")])
    assert checked.exit_code == 5
    assert "not all there exactly once" in checked.output


def test_removal_from_a_run_names_the_one_that_it_extends(place, only_new, tmp_path):
    (tmp_path / "gone.txt").write_text(ids_of(place / "base")[0])
    told = CliRunner().invoke(main, ["remove", str(only_new), "--ids", str(tmp_path / "gone.txt"), "--dry-run"])
    assert f"{place / 'base'}, which this run extends: remove them from it too" in told.output
    told = CliRunner().invoke(main, ["remove", str(place / "base"), "--ids", str(tmp_path / "gone.txt"), "--dry-run"])
    assert "extends" not in told.output


def test_two_workers_give_the_same_bytes(place, added):
    done = add(place / "base", more_file(place, "new"), "--to", place / "two", "--workers", "2")
    assert done.exit_code == 0, done.output
    assert_same(data_files(place / "two"), data_files(added))


@pytest.mark.parametrize("point", ["dedup/.parts/basis.json", "neighbors/.parts/basis.json", "graph/manifest.json"])
def test_killed_in_the_middle_the_same_command_goes_on(place, added, tmp_path, point):
    run = tmp_path / "killed"
    command = [sys.executable, "-P", "-m", "icp.cli", "add", str(place / "base"), "-c", str(more_file(place, "new"))]
    command += ["--to", str(run), "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    while not (run / point).exists() and process.poll() is None:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (run / point).exists()
    done = add(place / "base", more_file(place, "new"), "--to", run)
    assert done.exit_code == 0, done.output
    assert_same(data_files(run), data_files(added))


def test_a_run_with_added_documents_is_extended_again(place, added):
    done = add(added, more_file(place, "later"))
    assert done.exit_code == 0, done.output
    again = place / "base-added-added"
    make_run(settings(place, "whole", ["old.parquet", "new.parquet", "later.parquet"]))
    assert removed(again, "dedup") == removed(place / "whole", "dedup")
    assert removed(again, "graph") == removed(place / "whole", "graph")
    assert CliRunner().invoke(main, ["verify", str(again)]).exit_code == 0


def test_a_second_pack_and_the_same_command_again_redo_nothing(place, added):
    files = data_files(added)
    done = add(place / "base", more_file(place, "new"))
    assert done.exit_code == 0, done.output
    assert "nothing to do" in done.output
    config = str(added / "config.yaml")
    packed = CliRunner().invoke(
        main, ["pack", "-c", config, "--workers", "1", "--name", "short", "--set", "pack.seq_len=512"]
    )
    assert packed.exit_code == 0, packed.output
    assert {name: data for name, data in data_files(added).items() if "/short/" not in name} == files


def test_what_the_old_run_keeps_stays_though_a_new_copy_is_longer(tmp_path):
    words = " ".join(f"word{number}" for number in range(300))
    rows = {"id": ["short", "other"], "text": [words, "something else entirely " * 20], "source": ["a", "a"]}
    pq.write_table(pa.table(rows), tmp_path / "old.parquet")
    longer = {"id": ["long", "exact"], "text": [f"{words} and more", words.upper()], "source": ["b", "b"]}
    pq.write_table(pa.table(longer), tmp_path / "new.parquet")
    make_run(settings(tmp_path, "base", ["old.parquet"], dedup={"keep": "longest"}, tokenizer={"name": "bytes"}))
    done = add(tmp_path / "base", more_file(tmp_path, "new"))
    assert done.exit_code == 0, done.output
    rows = removed(tmp_path / "base-added", "dedup")
    assert {(name, of, kind) for name, of, _, kind in rows} == {("long", "short", "near"), ("exact", "short", "exact")}


def test_held_out_documents_of_the_old_run_hold_for_new_ones(place, tmp_path):
    held = ids_of(place / "base")[0]
    table = pq.read_table(place / "old.parquet")
    text = pc.filter(table["text"], pc.equal(table["id"], held))[0].as_py()
    (tmp_path / "held.txt").write_text(f"{held}\nlisted\n")
    texts = [f"{text} more", "a b c " * 40, "d e f " * 40]
    rows = {"id": ["near", "listed", "free"], "text": texts, "source": ["n"] * 3}
    pq.write_table(pa.table(rows), tmp_path / "new.parquet")
    apart = {"ids": str(tmp_path / "held.txt")}
    pq.write_table(table.slice(0, 60), tmp_path / "old.parquet")
    make_run(settings(tmp_path, "base", ["old.parquet"], holdout=apart, tokenizer={"name": "bytes"}))
    done = add(tmp_path / "base", more_file(tmp_path, "new"))
    assert done.exit_code == 0, done.output
    assert "free" in ids_of(tmp_path / "base-added")
    refused = pq.read_table(sorted((tmp_path / "base-added/documents/rejected").glob("part-*.parquet"))[-1])
    reasons = refused["reason"].to_pylist()
    assert sorted(reason.partition(",")[0] for reason in reasons) == ["held out", "near to a held-out document"]
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "base-added")]).exit_code == 0


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"graph": {"k": 7}}, "graph.k was 10, is 7"),
        ({"seed": 3}, "seed was 0, is 3"),
        ({"pack": {"seq_len": 512}}, "pack.seq_len was 1024, is 512"),
        ({"corpus": {"input": ["new.parquet"], "keep": ["source2"]}}, "corpus.keep was [], is ['source2']"),
    ],
)
def test_other_settings_are_refused_by_name(place, tmp_path, tree, words):
    path = tmp_path / "more.yaml"
    path.write_text(yaml.safe_dump({"corpus": {"input": [str(place / "new.parquet")]}, **tree}))
    done = add(place / "base", path, "--to", tmp_path / "run")
    assert done.exit_code == 2
    assert words in done.output
    assert not (tmp_path / "run").exists()


def test_a_file_that_the_old_run_read_is_refused(place, tmp_path):
    done = add(place / "base", more_file(place, "old"), "--to", tmp_path / "run")
    assert done.exit_code == 2
    assert "old.parquet is read by" in done.output


def test_what_is_no_finished_run_is_refused(place, tmp_path):
    assert "holds no run" in add(tmp_path, more_file(place, "new")).output
    config = settings(tmp_path, "one", ["x"], extends=str(place / "nowhere"))
    with pytest.raises(InputError, match="no finished graph"):
        check_extended(config)
    with pytest.raises(ConfigError, match="is this run itself"):
        check_extended(settings(place, "base", ["new.parquet"], extends=str(place / "base")))
    path = tmp_path / "none.yaml"
    path.write_text("seed: 0\n")
    with pytest.raises(ConfigError, match="names no new documents"):
        added_config(str(place / "base"), str(path))


def test_a_full_configuration_names_the_new_run(place, tmp_path):
    path = tmp_path / "more.yaml"
    path.write_text(yaml.safe_dump({"run": str(tmp_path / "next"), "corpus": {"input": [str(place / "new.parquet")]}}))
    config = added_config(str(place / "base"), str(path))
    assert (config.run, config.extends) == (str(tmp_path / "next"), str(place / "base"))
    assert config.tokenizer.name == "train:600"
    path.write_text(yaml.safe_dump({"run": str(place / "base"), "corpus": {"input": [str(place / "new.parquet")]}}))
    assert added_config(str(place / "base"), str(path)).run == str(place / "base-added")


def test_keys_of_rows_and_similarities_are_those_they_came_from():
    similarities = np.array([0.75, 0.5, 0.0, -0.25], np.float16)
    rows = np.array([[5, 2, 9, 1], [7, -1, -1, -1], [-1, -1, -1, -1]], np.int32)
    found = np.where(rows < 0, np.float16(0), similarities)
    keys = pack(rows, found)
    assert (np.diff(keys.astype(object), axis=1)[0] > 0).all(), "most similar first"
    again = unpack(keys)
    assert np.array_equal(again[0], rows)
    assert np.array_equal(again[1], found)


def test_buckets_of_old_positions_alone_are_left_out():
    members, starts = np.array([0, 3, 1, 2, 2, 4, 5]), np.array([0, 2, 4])
    kept = buckets_beyond((members, starts), 3)
    assert [part.tolist() for part in np.split(kept[0], kept[1][1:])] == [[0, 3], [2, 4, 5]]
    assert buckets_beyond((members, starts), 6)[0].size == 0


@pytest.mark.parametrize(("n_old", "n_new"), [(0, 5), (20000, 1), (20000, 9000), (5, 40000)])
def test_every_pair_with_a_new_row_is_compared_once(n_old, n_new):
    pairs = tasks(range(n_old, n_old + n_new)).values()
    among = sum(len(one) * len(two) if one != two else len(one) * (len(one) - 1) // 2 for one, two in pairs)
    assert among == n_new * n_old + n_new * (n_new - 1) // 2
    assert all(one == two or one.stop <= two.start for one, two in pairs)


def test_few_new_rows_are_compared_and_many_searched_anew():
    assert compares_new(100_000, 99_000, 512, planned="cells")
    assert not compares_new(100_000, 50_000, 512, planned="cells")
    assert compares_new(1000, 500, 512, planned="exact")
