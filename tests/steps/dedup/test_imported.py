"""Duplicates of other tools: what one run found, given to another, gives the same."""

import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import quiet, write_jsonl

from icp.audit import verify_run
from icp.config import parse_config
from icp.dedup.components import connected_pairs
from icp.engine.executor import SerialExecutor
from icp.errors import InputError
from icp.pipeline import build_graph, pack
from icp.run.reader import open_run


def rows(n=60):
    rng = random.Random(5)
    found = []
    for k in range(n):
        text = " ".join(f"w{rng.randrange(400)}" for _ in range(40))
        found.append({"id": f"d{k}", "text": text})
    for k in range(0, n, 6):
        for more in range(1 + k % 4):
            found.append({"id": f"n{k}-{more}", "text": f"{found[k]['text']} x{more} y"})
    found.append({"id": "same", "text": found[6]["text"].upper()})
    rng.shuffle(found)
    return found


def config_of(folder, name, **dedup):
    return parse_config({
        "run": str(folder / name), "corpus": {"input": str(folder / "corpus.jsonl"), "part_mib": 0.005},
        "dedup": dedup, "tokenizer": {"name": "bytes"}, "pack": {"seq_len": 256},
    })  # fmt: skip


def survivors_of(folder, name, **dedup):
    build_graph(config_of(folder, name, **dedup), SerialExecutor(), quiet, until="dedup")
    ids = [one for path in sorted((folder / name / "documents").glob("*.parquet"))
           for one in pq.read_table(path)["id"].to_pylist()]  # fmt: skip
    found = pa.concat_tables([pq.read_table(path) for path in sorted((folder / name / "dedup/duplicates").glob("*"))])
    pairs = {ids[row["doc"]]: ids[row["duplicate_of"]] for row in found.to_pylist()}
    return {ids[doc] for doc in np.load(folder / name / "dedup/survivors.npy")}, pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported")
    write_jsonl(folder / "corpus.jsonl", rows())
    return folder


@pytest.fixture(scope="module")
def own(folder):
    """What dedup finds itself: who stays, and of whom each of the others is a copy."""
    return survivors_of(folder, "own")


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "parquet", "cluster", "nemo", "curator", "dups"])
def test_what_one_run_found_gives_the_same_in_another(folder, own, form):
    _, pairs = own
    assert len(pairs) > 20
    groups = dict(pairs) | {of: of for of in pairs.values()}
    number = {of: k for k, of in enumerate(sorted(set(groups.values())))}
    path = folder / f"pairs-{form}.{'dups' if form == 'dups' else 'parquet'}"
    if form == "jsonl":
        path = write_jsonl(folder / "pairs.jsonl", [{"id": a, "duplicate_of": b} for a, b in pairs.items()])
    elif form == "jsonl.gz":
        path = folder / "pairs.jsonl.gz"
        with pa.CompressedOutputStream(str(path), "gzip") as stream:
            stream.write("".join(json.dumps({"id": a, "duplicate_of": b}) + "\n" for a, b in pairs.items()).encode())
    elif form == "parquet":
        pq.write_table(pa.table({"id": list(pairs), "duplicate_of": list(pairs.values())}), path)
    elif form in ("cluster", "nemo", "curator"):
        name = "cluster" if form == "cluster" else "_duplicate_group_id"
        key = "_curator_dedup_id" if form == "curator" else "id"
        pq.write_table(pa.table({key: list(groups), name: [number[of] for of in groups.values()]}), path)
    else:  # datatrove: file and row of both
        at = {row["id"]: k for k, row in enumerate(rows())}
        np.array([(0, at[a], 0, at[b]) for a, b in pairs.items()], "<u4").tofile(path)
    found = survivors_of(folder, f"other-{form}", near=False, **{"import": str(path)})
    assert found == own
    counts = open_run(folder / f"other-{form}").manifests["dedup"].counts
    assert counts["exact_duplicates"] + counts["imported_duplicates"] == len(pairs)
    assert counts.get("imported_unknown", 0) == 0


def test_the_audit_says_what_is_taken_on_trust(folder):
    path = write_jsonl(
        folder / "wrong.jsonl", [{"id": "d1", "duplicate_of": "d2"}, {"id": "gone", "duplicate_of": "d3"}]
    )
    config = config_of(folder, "trusting", **{"import": str(path)})
    build_graph(config, SerialExecutor(), quiet)
    pack(config, SerialExecutor(), quiet)
    findings = list(verify_run(folder / "trusting"))
    assert [finding.text for finding in findings if not finding.kept] == []
    assert "1 on the word of dedup.import" in findings[1].text
    assert open_run(folder / "trusting").manifests["dedup"].counts["imported_unknown"] == 1
    stats = json.loads((folder / "trusting/stats.json").read_text())["documents"]
    assert stats["imported_duplicates"] == 1


def test_a_changed_import_is_noticed(folder):
    path = write_jsonl(folder / "changing.jsonl", [{"id": "d1", "cluster": 4}, {"id": "d2", "cluster": 4}])
    survivors_of(folder, "changing", **{"import": str(path)})
    write_jsonl(path, [{"id": "d1", "cluster": 4}, {"id": "d20", "cluster": 4}])
    with pytest.raises(Exception, match=r"changing.jsonl has changed"):
        survivors_of(folder, "changing", **{"import": str(path)})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"id": "a", "text": "x"}\n', r"bad.jsonl: .*has id, text; give Parquet or JSONL with a column id"),
        ('{"id": "a", "cluster": 1}\nnonsense\n', r"bad.jsonl: line 2: "),
        ('{"id": "a", "cluster": 1}\n{"id": "b", "cluster": 1}\n', r"none of its 2 ids stands in documents"),
    ],
)
def test_files_that_cannot_be_used(folder, lines, message):
    (folder / "bad.jsonl").write_text(lines)
    with pytest.raises(InputError, match=message):
        survivors_of(folder, "bad", **{"import": str(folder / "bad.jsonl")})
    with pytest.raises(InputError, match=r"dedup.import .*: no such file"):
        survivors_of(folder, "none", **{"import": str(folder / "no-*.jsonl")})


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(
    st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=14))))  # fmt: skip
def test_labels_are_the_least_of_what_is_connected(drawn):
    n, pairs = drawn
    wanted = list(range(n))
    for _ in range(n):
        for a, b in pairs:
            wanted[a] = wanted[b] = min(wanted[a], wanted[b])
    assert connected_pairs(n, np.array(pairs, np.int64).reshape(-1, 2)).tolist() == wanted
