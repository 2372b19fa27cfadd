import errno
import json
import logging
import os
import random
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import icp
from icp.config import parse_config
from icp.data import with_room
from icp.dedup import components, minhash
from icp.engine.executor import ProcessExecutor, SerialExecutor
from icp.errors import ArtifactError, ConfigError, PartsFailedError
from icp.pipeline import build_graph
from icp.steps.dedup import candidates, rounds
from icp.steps.dedup import step as dedup
from icp.words import WORDS_VERSION


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
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if not path.exists() or path.read_text(encoding="utf-8") != text:  # a changed file would be another corpus
        path.write_text(text, encoding="utf-8")
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
    assert table.schema.metadata[b"icp.dedup.minhash.permutation"] == b"affine32"
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


@pytest.mark.parametrize("keep", ["longest", "first", "max:score", "newest:score", "newest:day"])
def test_keep_decides_who_stays(tmp_path, keep):
    rows = [
        {"id": "0", "text": "same words in here", "score": 1.0, "lang": "en", "day": "2020-01-05"},
        {"id": "1", "text": "Same words  in here ", "score": 2.0, "lang": "en", "day": ""},
        {"id": "2", "text": "same words in here", "score": 3.0, "lang": "en", "day": "2021-02"},
        {"id": "3", "text": "same words in here", "score": None, "lang": "en", "day": "2021-02-03"},
    ]
    _, folder = run(tmp_path, rows, dedup={"keep": keep}, corpus={"keep": ["score", "lang", "day"]})
    expected = {"longest": 1, "first": 0, "max:score": 2, "newest:score": 2, "newest:day": 3}[keep]
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


class ShuffledExecutor(SerialExecutor):
    """Parts in another order every time."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def map(self, task, items):
        order = self.random.sample(range(len(items)), len(items))
        for place, outcome in super().map(task, [items[k] for k in order]):
            yield order[place], outcome


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.*") if p.suffix in (".parquet", ".npy")}


@pytest.mark.slow
def test_parts_workers_and_their_order_change_nothing(tmp_path, done):
    found = []
    executors = {"one": SerialExecutor(), "shuffled": ShuffledExecutor(0), "two": ProcessExecutor(2)}
    for name, executor in {**executors, "seven": ProcessExecutor(7)}.items():
        (tmp_path / name).mkdir()
        with executor if isinstance(executor, ProcessExecutor) else nullcontext():
            folder = run(tmp_path / name, executor=executor, corpus={"part_mib": 0.01})[1]
        found.append(files_of(folder))
        assert table_of(folder).equals(table_of(done[1]))
        assert (folder / "survivors.npy").read_bytes() == (done[1] / "survivors.npy").read_bytes()
    assert len(found[0]) > 10
    assert all(files == found[0] for files in found)


def test_keys_in_slices_change_nothing(tmp_path, done, monkeypatch):
    monkeypatch.setattr(candidates, "KEY_PARTS", 5e-7)  # about 100 bytes of keys at a time
    _, folder = run(tmp_path)
    assert files_of(folder) == files_of(done[1])


LIMITS = {"tasks": (4, 1 << 28, 1 << 22), "stars": (4, 3, 7), "stars, one range": (4, 3, 1000)}


def limit(monkeypatch, name):
    """Few candidates a task; their components by union-find, or by stars over ranges."""
    for module, key, value in zip(
        (components, rounds, rounds),
        ("TASK_CANDIDATES", "UNION_FIND_POSITIONS", "RANGE_POSITIONS"),
        LIMITS[name],
        strict=True,
    ):
        monkeypatch.setattr(module, key, value)


@pytest.mark.parametrize("name", LIMITS)
def test_components_judged_apart_change_nothing(tmp_path, done, monkeypatch, name):
    limit(monkeypatch, name)
    manifest, folder = run(tmp_path, executor=ShuffledExecutor(1))
    assert files_of(folder) == files_of(done[1])
    assert manifest.counts == done[0].counts
    assert manifest.info["group"] == done[0].info["group"]
    assert manifest.costs["verdicts"]["parts"] > 3
    assert ("small-00" in manifest.costs) == (name != "tasks")
    assert {path.name for path in folder.iterdir()} == {"signatures", "duplicates", "survivors.npy", "manifest.json"}


@pytest.mark.parametrize("verify", ["estimate", "none"])
@pytest.mark.parametrize("name", ["tasks", "stars"])
def test_components_judged_apart_obey_other_checks(tmp_path, monkeypatch, name, verify):
    texts = [row["text"] for row in corpus()]
    at_once = icp.find_duplicates(texts, verify=verify, bands=40, rows=3)
    limit(monkeypatch, name)
    _, folder = run(tmp_path, dedup={"verify": verify, "bands": 40, "rows": 3}, corpus={"part_mib": 0.01})
    assert table_of(folder).equals(at_once)
    assert icp.find_duplicates(texts, verify=verify, bands=40, rows=3).equals(at_once)


def test_few_candidates_are_judged_in_one_task(done):
    phases = ["signatures", "keys", "twins", "buckets", "candidates", "evidence", "verdicts", "group"]
    assert list(done[0].costs) == phases
    assert done[0].costs["verdicts"]["parts"] == 1
    assert done[0].costs["verdicts"]["serial"] == 0  # as there are more of them in a larger corpus


def interrupted(folder, work, monkeypatch, **sections):
    """A run that fails in the phase `work`."""
    phases = [replace(p, work=fail if p.work is work else p.work) for p in dedup.STEP.phases]
    with monkeypatch.context() as patch:
        patch.setattr(dedup, "STEP", replace(dedup.STEP, phases=tuple(phases)))
        with pytest.raises(PartsFailedError):
            run(folder, corpus={"part_mib": 0.01}, **sections)
    return folder / "run" / "dedup"


def fail(context, part, output):
    raise RuntimeError("stopped by the test")


def test_truncated_signature_file_is_named_and_only_its_part_redone(tmp_path, monkeypatch, caplog):
    folder = interrupted(tmp_path, dedup.gather_candidates, monkeypatch)
    names = sorted(path.name for path in (folder / "signatures").iterdir())
    stamps = {name: (folder / "signatures" / name).stat().st_ino for name in names}
    whole = (folder / "signatures" / names[1]).read_bytes()
    (folder / "signatures" / names[1]).write_bytes(whole[:-200])
    signed = []
    real = dedup.write_signatures
    monkeypatch.setattr(dedup, "write_signatures", lambda path, *rest: signed.append(path.name) or real(path, *rest))
    _, folder = run(tmp_path, corpus={"part_mib": 0.01})
    assert f"signatures/{names[1]}: {len(whole) - 200} bytes" in caplog.text
    assert [name.rsplit("-part", 1)[1] for name in signed] == [names[1].removeprefix("part")]
    assert (folder / "signatures" / names[1]).read_bytes() == whole
    assert all((folder / "signatures" / name).stat().st_ino == stamps[name] for name in names if name != names[1])


def test_file_truncated_while_the_step_runs_is_named(tmp_path, monkeypatch):
    real = dedup.find_twins

    def truncate(context, part, output):
        path = context.folder("dedup") / "signatures" / "part-00001.parquet"
        path.write_bytes(path.read_bytes()[:-200])
        real(context, part, output)

    phases = [replace(p, work=truncate if p.work is real else p.work) for p in dedup.STEP.phases]
    with monkeypatch.context() as patch:
        patch.setattr(dedup, "STEP", replace(dedup.STEP, phases=tuple(phases)))
        with pytest.raises(ArtifactError, match=r"signatures/part-00001\.parquet: cannot be read"):
            run(tmp_path, corpus={"part_mib": 0.01})
    assert run(tmp_path, corpus={"part_mib": 0.01})[0].counts["survivors"] > 0


def test_signatures_of_another_normaliser_are_refused_with_both_named(tmp_path, monkeypatch):
    interrupted(tmp_path, dedup.gather_candidates, monkeypatch)
    folder = tmp_path / "run" / "dedup"
    for record in (folder / ".parts").glob("twins.*"):
        record.unlink()  # as a machine with another Python would go on
    monkeypatch.setattr(minhash.Scheme.__init__, "__defaults__", ("affine32", "words-1/unicode-99"))
    expected = rf"part-00000.*made with words {re.escape(WORDS_VERSION)}, this run has words words-1/unicode-99"
    with pytest.raises(ArtifactError, match=expected):
        run(tmp_path, corpus={"part_mib": 0.01})


def test_another_seed_is_refused_with_both_named(tmp_path):
    run(tmp_path)
    with pytest.raises(ConfigError, match="step dedup was made otherwise: seed was 0, is 3"):
        run(tmp_path, seed=3)


def test_settings_that_cost_are_warned_of_when_the_step_starts(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="icp"):
        run(tmp_path, dedup={"bands": 9, "rows": 13, "verify": "none"})
        assert "dedup.verify is none: whatever shares a band is removed unread" in caplog.text
        assert "60% of the pairs of Jaccard 0.8 share no band" in caplog.text
        caplog.clear()
        run(tmp_path, dedup={"bands": 9, "rows": 13, "verify": "none"})  # done already
        assert caplog.text == ""
    (tmp_path / "other").mkdir()
    run(tmp_path / "other")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("error", [None, errno.EOPNOTSUPP])
def test_what_is_mapped_has_its_room_before_it_is_written(tmp_path, monkeypatch, error):
    """A page without room is SIGBUS when it is written, on a disk that is full by then."""
    if error:
        monkeypatch.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(error, "not here")))
    with (tmp_path / "keys").open("w+b") as file:
        file.write(b"header")
        array = with_room(file, np.uint64, (20, 5000))
        assert not array.any()
        assert Path(file.name).stat().st_blocks * 512 >= array.nbytes
        array[19, 4999] = 1
        assert with_room(file, np.uint64, (20, 0)).shape == (20, 0)
    assert (tmp_path / "keys").read_bytes()[6:] == array.tobytes()


def test_a_disk_without_room_is_an_error_of_the_disk(tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(PartsFailedError, match="No space left on device"):
        run(tmp_path)
