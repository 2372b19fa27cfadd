import json
import logging
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import icp
from icp.config import parse_config
from icp.errors import ConfigError
from icp.executor import ProcessExecutor, SerialExecutor
from icp.pipeline import build_graph


def quiet(label, done, total):
    """Progress that nobody watches."""


def corpus(n=60):
    """Rows of which every fifth is a near-duplicate of the one before, every seventh a copy in capitals."""
    random = np.random.default_rng(7)
    rows = []
    for number in range(n):
        text = " ".join(f"w{value}" for value in random.integers(0, 3000, 150))
        if number % 5 == 4:
            text = rows[-1]["text"] + " and a little more"
        elif number % 7 == 6:
            text = rows[-1]["text"].upper()
        rows.append({"id": f"id-{number}", "text": text, "score": float(number % 4), "lang": "en"})
    rows += [{"id": f"blank-{k}", "text": "...", "score": None, "lang": "en"} for k in range(2)]
    return rows


def config_of(folder, rows, **sections):
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tree = {"run": str(folder / "run"), "corpus": {"input": str(path), "keep": ["score", "lang"]}}
    for name, values in sections.items():
        tree[name] = {**tree.get(name, {}), **values} if isinstance(values, dict) else values
    return parse_config(tree)


def run(folder, rows=None, executor=None, **sections):
    config = config_of(folder, corpus() if rows is None else rows, **sections)
    manifest = build_graph(config, executor or SerialExecutor(), quiet, until="dedup")["dedup"]
    return manifest, Path(config.run) / "dedup"


def table_of(folder):
    return pa.concat_tables([pq.read_table(path) for path in sorted((folder / "duplicates").glob("part-*.parquet"))])


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(tmp_path_factory.mktemp("dedup"))


def test_step_removes_what_the_function_removes(done):
    _, folder = done
    assert table_of(folder).equals(icp.find_duplicates([row["text"] for row in corpus()]))


def test_survivors_are_what_is_not_removed(done):
    manifest, folder = done
    survivors = np.load(folder / "survivors.npy", allow_pickle=False)
    removed = table_of(folder)["doc"].to_numpy()
    assert survivors.dtype == np.int64
    assert sorted([*survivors.tolist(), *removed.tolist()]) == list(range(62))
    assert (np.diff(survivors) > 0).all()
    kinds = table_of(folder)["kind"].to_pylist()
    assert manifest.counts == {
        "survivors": survivors.size,
        "near_duplicates": kinds.count("near"),
        "exact_duplicates": kinds.count("exact"),
    }
    assert min(manifest.counts.values()) > 0


def test_signatures_are_those_of_the_function_with_their_scheme(done):
    _, folder = done
    table = pq.read_table(folder / "signatures" / "part-00000.parquet")
    found = np.frombuffer(b"".join(table["signature"].to_pylist()), "<u4").reshape(-1, 120)
    assert (found == icp.minhash_signatures([row["text"] for row in corpus()])).all()
    assert table.schema.field("signature").type == pa.binary(480)
    assert table.schema.metadata[b"icp.minhash.permutation"] == b"affine32"
    assert table["doc"].to_pylist() == list(range(62))
    assert table["n_shingles"].to_pylist()[-1] == 0


def test_scratch_is_gone_and_only_the_artifacts_stay(done):
    _, folder = done
    names = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert names == {"signatures", "duplicates", "survivors.npy", "manifest.json"}


def test_facts_name_the_largest_groups(done):
    manifest, _ = done
    facts = manifest.info["group"]["all"]
    assert facts["candidates"] > 0
    assert facts["checks"] > 0
    sizes = [group["documents"] for group in facts["largest_groups"]]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) > 1


def test_parts_and_workers_change_nothing(tmp_path, done):
    _, whole = done
    found = {}
    for name, workers in (("serial", nullcontext(SerialExecutor())), ("two", ProcessExecutor(2))):
        (tmp_path / name).mkdir()
        with workers as executor:
            _, folder = run(tmp_path / name, executor=executor, corpus={"part_mib": 0.01})
        assert len(list((folder / "duplicates").glob("*"))) > 3
        assert table_of(folder).equals(table_of(whole))
        assert (folder / "survivors.npy").read_bytes() == (whole / "survivors.npy").read_bytes()
        found[name] = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.parquet")}
    assert found["serial"] == found["two"]


@pytest.mark.parametrize("keep", ["longest", "first", "max:score"])
def test_keep_decides_who_stays(tmp_path, keep):
    rows = [
        {"id": "0", "text": "same words in here", "score": 1.0, "lang": "en"},
        {"id": "1", "text": "same words, in here!", "score": 2.0, "lang": "en"},
        {"id": "2", "text": "same words in here", "score": 3.0, "lang": "en"},
        {"id": "3", "text": "same words in here", "score": None, "lang": "en"},
    ]
    _, folder = run(tmp_path, rows, dedup={"keep": keep})
    expected = {"longest": 1, "first": 0, "max:score": 2}[keep]
    assert np.load(folder / "survivors.npy").tolist() == [expected]


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("max:lang", r"dedup.keep is max:lang, but lang is (large_)?string; name a field of numbers"),
        ("max:quality", "dedup.keep is max:quality, but corpus.keep does not carry quality"),
    ],
)
def test_field_that_cannot_rank_is_refused(tmp_path, keep, message):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, dedup={"keep": keep})


def test_without_near_only_exact_copies_go(tmp_path):
    manifest, folder = run(tmp_path, dedup={"near": False})
    assert set(table_of(folder)["kind"].to_pylist()) == {"exact"}
    assert manifest.counts["near_duplicates"] == 0
    assert "signature" not in pq.read_schema(folder / "signatures" / "part-00000.parquet").names


@pytest.mark.parametrize("verify", ["estimate", "none"])
def test_other_checks_give_what_the_function_gives(tmp_path, verify):
    _, folder = run(tmp_path, dedup={"verify": verify})
    assert table_of(folder).equals(icp.find_duplicates([row["text"] for row in corpus()], verify=verify))


def test_settings_reach_the_signatures(tmp_path):
    _, folder = run(tmp_path, seed=4, dedup={"ngram": 2, "bands": 5, "rows": 3, "threshold": 0.5})
    texts = [row["text"] for row in corpus()]
    expected = icp.find_duplicates(texts, seed=5, ngram=2, bands=5, rows=3, threshold=0.5)
    assert table_of(folder).equals(expected)


def test_one_document_survives(tmp_path):
    manifest, folder = run(tmp_path, corpus(1))
    assert manifest.counts["survivors"] == len(np.load(folder / "survivors.npy")) == 2  # with one of the blank ones
    assert table_of(folder).num_rows == 1


def test_large_group_is_warned_of(tmp_path, caplog):
    rows = [{"id": str(k), "text": "all of one kind", "score": 0.0, "lang": "en"} for k in range(20)]
    with caplog.at_level(logging.WARNING, logger="icp"):
        manifest, folder = run(tmp_path, rows)
    assert manifest.info["group"]["all"]["largest_groups"] == [{"doc": 0, "documents": 20}]
    assert np.load(folder / "survivors.npy").tolist() == [0]
    assert "20 documents (100.0% of the corpus) count as copies of doc 0" in caplog.text
