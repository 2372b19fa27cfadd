"""`icp verify`: a sound run keeps every promise, and each kind of damage is found by the check that is made for it.

Where it says so, hashes and sizes in the manifests are put right after the damage, so that only recomputing finds it.
"""

import json
import random
import re
import shutil
import unicodedata
from dataclasses import asdict
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import make_run, tiny_config, write_jsonl

from icp.audit import Finding, verify_run
from icp.audit.findings import Breaches
from icp.audit.order import share_a_window
from icp.audit.segments import TokenFiles
from icp.audit.shingles import jaccard, same_text, shingles, words
from icp.dataset.windows import WindowDataset
from icp.dedup.minhash import text_digests
from icp.dedup.shingles import shingle_hashes
from icp.errors import ArtifactError, IcpError
from icp.export import export_pack
from icp.run.records import FileRecord, hash_file, hash_json, read_manifest, write_json
from icp.run.seals import SEAL, sealed, sealed_lines
from icp.texts import text_buffers
from icp.tokenizer.engines import Reference

SHARDS = "packs/main/shards"
PLAN = "packs/main/plan"
STEP_FOLDERS = ["documents", "dedup", "embeddings", "neighbors", "graph", "tokens/*"]
STEP_FOLDERS += [f"packs/main/{name}" for name in ("order", "plan", "shards")]


def corpus_rows():
    """60 documents of random words; a copy, a near copy, a semantic copy, a conflict (words swapped), two bad rows."""
    rng = random.Random(4)
    vocabulary = ["".join(rng.choices("abcdefghij", k=rng.randint(3, 8))) for _ in range(400)]
    texts = [" ".join(rng.choices(vocabulary, k=rng.randint(60, 180))) for _ in range(60)]
    texts[5], texts[7] = (" ".join(rng.choices(vocabulary, k=100)) for _ in range(2))
    near, semantic, shuffled = texts[3].split(), texts[5].split(), texts[7].split()
    near[10] = "changed"
    for position in (30, 60):
        semantic[position : position + 2] = semantic[position + 1], semantic[position]
    shuffled[::2], shuffled[1::2] = shuffled[1::2], shuffled[::2]
    texts += [texts[1].upper(), " ".join(near), " ".join(semantic), " ".join(shuffled)]
    rows = [{"id": f"d{n}", "text": text, "source": "ab"[n % 2]} for n, text in enumerate(texts)]
    return [*rows[:20], {"id": "empty", "text": ""}, *rows[20:], {"id": "none"}]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A run of several parts and shards, with bos and eos around documents."""
    folder = tmp_path_factory.mktemp("audit")
    config = tiny_config(
        folder,
        corpus={"input": str(write_jsonl(folder / "rows.jsonl", corpus_rows())), "part_mib": 0.02},
        tokenizer={"name": "train:300", "bos": "document", "eos": "<|endoftext|>"},
        pack={"seq_len": 256, "shard_mib": 0.01},
    )
    return make_run(config)


@pytest.fixture
def run(sound, tmp_path):
    """A copy of the run, to be damaged."""
    return shutil.copytree(sound, tmp_path / "run")


def broken(run):
    """Texts of the broken promises, by promise."""
    found = {}
    for finding in verify_run(run):
        if not finding.kept:
            found.setdefault(finding.promise, []).append(finding.text)
    return found


def settle(run):
    """Put sizes, hashes and the steps' records of one another right, as a liar would."""
    digests = {}
    for pattern in STEP_FOLDERS:
        (folder,) = run.glob(pattern)
        manifest = read_manifest(folder, check_sizes=False)
        tree = json.loads((folder / "manifest.json").read_text())
        for name, record in manifest.files.items():
            path = folder / name
            tree["files"][name] = asdict(FileRecord(path.stat().st_size, hash_file(path), record.rows))
        tree["basis"]["inputs"] = {name: digests[name] for name in tree["basis"]["inputs"]}
        tree["fingerprint"] = hash_json(tree["basis"])
        write_json(folder / "manifest.json", resealed(tree))
        digests[manifest.step] = read_manifest(folder).digest


def resealed(tree):
    """The tree with the seal of what it says now."""
    return sealed({key: value for key, value in tree.items() if key != SEAL})


def edit_json(path, change):
    tree = json.loads(path.read_text())
    change(tree)
    write_json(path, resealed(tree))


def edit_manifest(folder, change):
    edit_json(folder / "manifest.json", change)


def edit_table(path, change):
    """Rewrite a Parquet file; `change` gets and returns columns as lists."""
    table = pq.read_table(path)
    columns = change(table.to_pydict())
    pq.write_table(pa.table(columns, schema=table.schema), path)


def rows_of(run, shard=0):
    """The rows of a shard, to be written to."""
    path = run / SHARDS / f"shard-{shard:05d}.bin"
    return np.memmap(path, dtype=np.uint16, mode="r+").reshape(-1, 256)


def only(found, promise, *words_of_text):
    """Exactly this promise is broken, and the first text says these words."""
    assert list(found) == [promise], found
    for word in words_of_text:
        assert re.search(word, " ".join(found[promise])), found


def test_a_sound_run_keeps_every_promise_and_says_what_was_compared(sound):
    findings = list(verify_run(sound))
    assert [finding.promise for finding in findings] == [1, 2, 3, 4, 5, 6, 7]
    assert all(finding.kept for finding in findings), [finding.line() for finding in findings]
    lines = [finding.line() for finding in findings]
    assert lines[0] == "1 holds   rows in = rows out: 66 read from 1 file = 64 documents + 2 rejected"
    assert "removed as duplicates of a kept document: 2 by dedup (" in lines[1]
    assert "), 1 by graph; kept: " in lines[1]
    assert "61 documents encoded again are equal and decode to their text" in lines[2]
    assert re.search(r"windows spread; steps between two of them, at least: \d+ if 1 apart on the path", lines[5])
    assert "1 conflicting pairs" in lines[6]


def test_the_run_has_several_parts_and_shards_to_audit(sound):
    assert len(list((sound / "documents").glob("part-*.parquet"))) > 1
    assert len(list((sound / SHARDS).glob("shard-*.bin"))) > 2


@pytest.mark.parametrize("policy", [{"bos": "window"}, {"bos": "none"}], ids=["window", "none"])
def test_other_policies_are_audited_too(tmp_path, policy):
    config = tiny_config(
        tmp_path,
        tokenizer={"name": "train:300", "eos": "<|endoftext|>", **policy},
        pack={"seq_len": 63, "stride": "seq_len+1", "shuffle": "none", "method": "source"},
    )
    assert broken(make_run(config)) == {}


def test_a_flipped_token_is_named_with_document_and_position(run):
    rows = rows_of(run)
    rows[0, 7] ^= 1
    rows.flush()
    settle(run)
    only(broken(run), 3, r"tokens in shards differ", r"doc \d+: token \d+ is \d+, expected \d+, window 0 position 7")


def test_a_flipped_token_breaks_the_hash_too(run):
    rows = rows_of(run)
    rows[0, 7] ^= 1
    rows.flush()
    found = broken(run)
    assert sorted(found) == [3, 5]
    assert "hash: 1 (packs/main/shards/shard-00000.bin)" in found[5][0]


def test_swapped_rows_are_found(run):
    rows = rows_of(run)
    rows[[0, 1]] = rows[[1, 0]]
    rows.flush()
    settle(run)
    assert "tokens in shards differ" in broken(run)[3][0]


def test_a_repeated_window_is_found_though_its_segments_say_so(run):
    rows = rows_of(run)
    rows[1] = rows[0]
    rows.flush()

    def repeat(columns):
        kept = [at for at, window in enumerate(columns["window"]) if window != 1]
        again = [at for at, window in enumerate(columns["window"]) if window == 0]
        order = [(at, False) for at in kept if columns["window"][at] == 0] + [(at, True) for at in again]
        order += [(at, False) for at in kept if columns["window"][at] > 1]
        made = {name: [values[at] for at, _ in order] for name, values in columns.items()}
        for name in ("window", "row"):
            made[name] = [1 if is_new else value for value, (_, is_new) in zip(made[name], order, strict=True)]
        return made

    edit_table(run / SHARDS / "segments/part-00000.parquet", repeat)
    settle(run)
    assert "not all there exactly once" in broken(run)[3][0]


def test_a_lost_segment_is_found(run):
    path = run / SHARDS / "segments/part-00000.parquet"
    edit_table(path, lambda columns: {name: values[:-1] for name, values in columns.items()})
    edit_manifest(run / SHARDS, lambda tree: tree["files"]["segments/part-00000.parquet"].update(rows=None))
    settle(run)
    found = broken(run)
    assert any("not all there exactly once" in text for text in found[3])
    assert any("segments other than the plan's" in text for text in found[5])


def test_an_extra_eos_in_place_of_padding_is_found(run):
    tables = [pq.read_table(path) for path in sorted((run / SHARDS / "windows").glob("*.parquet"))]
    shard, row = next(
        (shard, row) for shard, table in enumerate(tables) for row, n in enumerate(table["n_pad"].to_pylist()) if n
    )
    eos = json.loads((run / SHARDS / "manifest.json").read_text())["eos_id"]
    rows = rows_of(run, shard)
    rows[row, -1] = eos + 1
    rows.flush()
    settle(run)
    only(broken(run), 4, "specials or padding differ", rf"position 255 is {eos + 1}")


def test_ids_beyond_the_vocabulary_are_found(run):
    rows = rows_of(run)
    rows[2, 3] = 4000
    rows.flush()
    settle(run)
    assert "ids beyond the vocabulary: 1 (shard 0: 4000 of 300)" in broken(run)[4][0]


def test_a_wrong_dtype_is_found(run):
    path = run / "graph/nodes.npy"
    np.save(path, np.load(path).astype(np.int32))
    settle(run)
    only(broken(run), 5, r"arrays of another type: 1 \(graph/nodes.npy: int32")


def test_shards_written_with_another_dtype_are_found(run):
    path = run / SHARDS / "shard-00000.bin"
    path.write_bytes(np.fromfile(path, dtype=np.uint16).astype(np.uint32).tobytes())
    settle(run)
    found = broken(run)
    assert any("shards of another size than their windows" in text for text in found[4])
    assert any("files with other rows" in text for text in found[5])


@pytest.mark.parametrize("name", ["n_docs", "n_pad", "mean_similarity", "max_pair_similarity"])
def test_an_edited_figure_of_a_window_is_found(run, name):
    def raise_first(columns):
        columns[name][0] += 1
        return columns

    edit_table(run / SHARDS / "windows/part-00000.parquet", raise_first)
    settle(run)
    only(broken(run), 5, f"windows with a wrong {name}: 1 ", "window 0")


def test_an_edited_source_of_a_window_is_found(run):
    edit_table(run / SHARDS / "windows/part-00000.parquet", lambda c: {**c, "source": ["x", *c["source"][1:]]})
    settle(run)
    only(broken(run), 5, r"windows with a wrong source: 1 \(window 0: x\)")


def test_a_path_rank_that_comes_twice_is_found(run):
    edit_table(
        run / SHARDS / "windows/part-00000.parquet",
        lambda c: {**c, "path_rank": [c["path_rank"][1], *c["path_rank"][1:]]},
    )
    settle(run)
    assert "no permutation" in broken(run)[6][0]


def test_an_order_that_is_no_permutation_is_found(run):
    path = run / "packs/main/order/order.npy"
    order = np.load(path)
    order[0] = order[1]
    np.save(path, order)
    settle(run)
    only(broken(run), 6, "order.npy is no permutation")


def test_a_hidden_conflict_is_found(run):
    path = run / "graph/conflicts.npy"
    conflicts = np.load(path)
    assert len(conflicts)
    np.save(path, conflicts[:-1])
    edit_manifest(run / "graph", lambda tree: tree["files"]["conflicts.npy"].update(rows=len(conflicts) - 1))
    edit_manifest(run / "graph", lambda tree: tree["counts"].update(conflicts=len(conflicts) - 1))
    settle(run)
    assert "too alike to share a window that graph/conflicts.npy lacks: 1 (docs" in broken(run)[7][0]


def test_a_wrong_count_of_broken_conflicts_is_found(run):
    edit_manifest(run / PLAN, lambda tree: tree["facts"].update(conflicts_broken=40))
    only(broken(run), 7, "conflicts that share a window: 1", "manifest says 40")


def test_conflicts_that_share_a_window_are_counted_by_hand():
    conflicts = np.array([[0, 1], [0, 2], [3, 4]])
    together = np.array([[0, 5], [1, 6], [0, 7], [2, 7], [3, 5], [4, 6]])
    assert share_a_window(conflicts, together).tolist() == [False, True, False]
    assert share_a_window(conflicts, together[:0]).tolist() == [False, False, False]


def test_a_duplicate_that_names_no_survivor_is_found(run):
    paths = sorted((run / "dedup/duplicates").glob("*.parquet"))
    (path,) = [path for path in paths if "near" in pq.read_table(path)["kind"].to_pylist()]
    edit_table(path, lambda columns: {**columns, "duplicate_of": columns["doc"]})
    settle(run)
    assert "duplicates whose kept document is no survivor" in broken(run)[2][0]


def test_duplicates_of_another_text_are_found(run):
    for path in (run / "dedup/duplicates").glob("*.parquet"):
        edit_table(path, lambda columns: {**columns, "duplicate_of": [0] * len(columns["doc"])})
    settle(run)
    found = broken(run)
    only(found, 2, "Jaccard similarity below 0.8: 1", r"of doc 0: 0\.", "exact duplicates with another text: 1")


def test_a_semantic_duplicate_that_is_not_alike_is_found(run):
    (path,) = [path for path in (run / "graph/duplicates").glob("*.parquet") if pq.read_table(path).num_rows]
    edit_table(path, lambda columns: {**columns, "duplicate_of": [0]})
    settle(run)
    only(broken(run), 2, "Jaccard similarity below 0.7", "similarity below 0.97")


def test_a_document_that_is_neither_kept_nor_removed_is_found(run):
    path = run / "dedup/survivors.npy"
    survivors = np.load(path)
    np.save(path, survivors[1:])
    settle(run)
    assert "documents neither kept nor removed: 1 (doc 0)" in broken(run)[2][0]


def test_without_exact_verification_the_share_is_printed(tmp_path):
    config = tiny_config(tmp_path, dedup={"verify": "none", "bands": 60, "rows": 2})
    run = make_run(config)
    text = next(finding for finding in verify_run(run) if finding.promise == 2).line()
    assert re.search(r"2 holds .*verify is none: \d+ of \d+ near ones have Jaccard >= 0.8", text)


def test_a_changed_text_is_found_by_encoding_it_again(run):
    path = run / "documents/part-00000.parquet"
    edit_table(path, lambda columns: {**columns, "text": ["abc " + columns["text"][0], *columns["text"][1:]]})
    settle(run)
    only(broken(run), 3, r"text gives other tokens: 1 \(doc 0: token 0 is \d+, encoding gives \d+")


def test_a_document_that_the_tokenizer_refuses_must_have_no_tokens(sound, monkeypatch):
    encode = Reference._encode

    def refuse(self, strings):
        if any(text.startswith(corpus_rows()[0]["text"]) for text in strings):
            raise BaseException("a panic")
        return encode(self, strings)

    monkeypatch.setattr(Reference, "_encode", refuse)
    only(broken(sound), 3, r"tokens on which the tokenizer fails: 1 \(doc 0: BaseException: a panic\)")
    monkeypatch.setattr(TokenFiles, "document", lambda self, node: np.empty(0, np.uint16))
    told = " ".join(text for texts in broken(sound).values() for text in texts)
    assert "the tokenizer fails" not in told


def test_a_changed_row_number_and_id_are_found(run):
    path = run / "documents/part-00000.parquet"
    edit_table(path, lambda c: {**c, "row": [1, *c["row"][1:]], "id": ["x", *c["id"][1:]]})
    settle(run)
    found = broken(run)
    only(
        found, 1, r"in neither documents/ nor rejected/: 1 \(.*rows.jsonl row 0\)", "more than once: 1", "keys that are"
    )


def test_a_lost_document_is_found(run):
    paths = sorted((run / "documents").glob("part-*.parquet"))
    table = pq.read_table(paths[-1])
    pq.write_table(table.slice(0, table.num_rows - 1), paths[-1])
    settle(run)
    assert "rows in neither documents/ nor rejected/: 1" in broken(run)[1][0]


FACTS = {
    "seed": 5,
    "shuffle": "random",
    "policy": {"bos": "none", "eos": "document"},
    "spread": {"gaps": {"1": 1}},
    "tokenizer_sha256": "0" * 64,
    "dtype": "uint32",
    "pad_id": 7,
    "shards": 99,
}


@pytest.mark.parametrize("name", list(FACTS))
def test_a_fact_by_which_readers_go_is_compared_with_what_gives_it(run, name, tmp_path):
    def change(tree):
        tree[name] = tree["facts"][name] = FACTS[name]

    edit_manifest(run / SHARDS, change)
    assert f"shards manifest, {name} is {FACTS[name]!r}, counted" in " ".join(broken(run)[5])
    with pytest.raises(IcpError, match=rf"shards/manifest.json: says {name} is .*expected"):
        export_pack(run, "parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_manifest_that_says_two_things_is_damaged(run):
    edit_manifest(run / SHARDS, lambda tree: tree.update(seed=5))
    with pytest.raises(ArtifactError, match=r"shards/manifest.json: says seed is 5, and 0 elsewhere"):
        broken(run)
    with pytest.raises(ArtifactError, match=r"shards/manifest.json: says seed is 5, and 0 elsewhere"):
        WindowDataset(run)


@pytest.mark.parametrize("name", ["config.yaml", "packs/main/config.yaml"])
@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "older"])
def test_a_configuration_that_is_not_the_one_of_the_steps_is_found(run, name, is_sealed):
    path = run / name
    text = path.read_text().rpartition("# sha256")[0].replace("seed: 0", "seed: 1")
    path.write_text(sealed_lines(text) if is_sealed else text)
    told = " ".join(broken(run)[5])
    assert "seed was 0, is 1" in told
    assert name in told


@pytest.mark.parametrize("name", ["config.yaml", "packs/main/config.yaml"])
def test_a_configuration_changed_where_no_step_looks_is_found(run, name):
    path = run / name
    path.write_text(path.read_text().replace("workers: null", "workers: 2").replace("/run", "/rum"))
    only(broken(run), 5, rf"files changed since icp wrote them: 1 \({name}\)")


SMALL = ["stats.json", "graph/manifest.json", "tokens/*/manifest.json"]


@pytest.mark.parametrize(
    ("name", "key"), [*((name, key) for name in SMALL for key in ("seal", "made_up")), (".icp-run.json", "made_up")]
)
def test_small_files_are_as_icp_wrote_them(run, name, key):
    (path,) = run.glob(name)
    tree = json.loads(path.read_text())
    tree.pop(key, None) or tree.update(made_up=1)
    write_json(path, tree)
    only(broken(run), 5, rf"files changed since icp wrote them: .*{path.relative_to(run)}")


def test_a_run_of_the_time_before_seals_needs_none(run):
    for path in run.rglob("*.json"):
        tree = json.loads(path.read_text())
        if tree.pop("seal", None):
            write_json(path, tree)
    for path in (run / "config.yaml", run / "packs/main/config.yaml"):
        path.write_text(path.read_text().rpartition("# sha256")[0])
    assert broken(run) == {}


def test_a_file_that_became_a_link_is_found(run, tmp_path):
    path = run / "graph/nodes.npy"
    shutil.copy(path, tmp_path / "elsewhere.npy")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere.npy")
    only(broken(run), 5, r"links in the place of files: 1 \(graph/nodes.npy\)")


def test_figures_of_stats_json_are_counted_again(run):
    def change(stats):
        stats["documents"]["kept"] += 1
        stats["packs"]["main"]["windows"]["mean_similarity"] += 0.1

    edit_json(run / "stats.json", change)
    only(broken(run), 5, "documents.kept is", "windows.mean_similarity is")


def test_a_file_that_no_manifest_names_is_found_but_temporary_ones_are_let_be(run):
    (run / "graph/.tmp-abc-nodes.npy").write_bytes(b"x")
    assert broken(run) == {}
    (run / "graph/extra.npy").write_bytes(b"x")
    only(broken(run), 5, r"files that no manifest names: 1 \(graph/extra.npy\)")


def test_a_step_made_of_other_files_is_found(run):
    path = run / "graph/conflicts.npy"
    edit_manifest(run / "graph", lambda tree: tree["files"]["conflicts.npy"].update(sha256=hash_file(path)[::-1]))
    found = broken(run)
    assert any("made of other files than are there" in text for text in found[5])


def test_missing_and_unreadable_files_are_named_and_end_the_audit(run):
    (run / SHARDS / "shard-00001.bin").unlink()
    with pytest.raises(ArtifactError, match=r"shard-00001.bin: missing"):
        list(verify_run(run))


@pytest.mark.parametrize("name", ["documents/part-00000.parquet", "graph/nodes.npy", f"{SHARDS}/manifest.json"])
def test_an_unreadable_file_is_named_and_ends_the_audit(run, name):
    (run / name).write_bytes(b"rubbish")
    with pytest.raises(ArtifactError, match=re.escape(name.rpartition("/")[2])):
        list(verify_run(run))


def test_tokens_that_are_cut_short_are_found_and_what_needs_them_is_not_called_kept(run):
    (path,) = run.glob("tokens/*/part-00000.bin")
    path.write_bytes(path.read_bytes()[:-2])
    settle(run)
    found = broken(run)
    assert "does not rise from 0 to the" in found[3][0]
    assert [found[promise] for promise in (4, 6, 7)] == [["not checked to the end, see promise 3: 1"]] * 3
    assert "files with other rows" in found[5][0]


def test_tokens_changed_with_their_manifest_are_found(run):
    (folder,) = run.glob("tokens/*")
    tokens = np.memmap(folder / "part-00000.bin", dtype=np.uint16, mode="r+")
    tokens[5] ^= 1
    tokens.flush()
    record = FileRecord(tokens.nbytes, hash_file(folder / "part-00000.bin"), tokens.size)
    edit_manifest(folder, lambda tree: tree["files"].update({"part-00000.bin": asdict(record)}))
    found = broken(run)
    assert sorted(found) == [3, 5]
    assert "of tokens" in " ".join(found[5])


def test_an_unknown_pack_is_refused_with_the_names_of_those_there(run):
    with pytest.raises(ArtifactError, match=r"pack other is not there or not finished \(finished packs: main\)"):
        list(verify_run(run, pack="other"))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="holds no run of icp"):
        list(verify_run(tmp_path))


def test_an_unfinished_step_is_named(run):
    (run / "graph/manifest.json").unlink()
    with pytest.raises(ArtifactError, match="step graph is not finished"):
        list(verify_run(run))


def test_findings_name_a_few_places_and_count_the_rest():
    found = Breaches(3)
    found.add_all("odd", np.arange(5), lambda at: f"place {at}")
    assert [finding.line() for finding in found.findings("")] == ["3 BROKEN  odd: 5 (place 0; place 1; place 2; ...)"]
    assert Finding(1, True, "fine").line() == "1 holds   fine"


def test_words_are_as_defined():
    assert words("Hello, hello_2 wörld! 東京 ไทย İa") == [
        "hello",
        "hello_2",
        "wörld",
        "東",
        "京",
        "ไ",
        "ท",
        "ย",
        "i\u0307a",
    ]
    assert words("दिन e\u0301t co\u00adop ปี") == ["दिन", "ét", "coop", "ปี"]
    assert same_text(" A  b.", "a\nB.")
    assert not same_text("A b.", "a b")
    assert same_text("One two three four five.", "one two three four five")
    assert not same_text("C", "C++")
    assert not same_text("...", "!!!")
    assert same_text("...", "...")


def test_the_plain_words_and_copies_are_those_of_the_kernels():
    texts = [
        "",
        ".",
        "Ünï  co\u00adop दिन ปีใหม่ 日本 한국어 \u1112\u1161\u11ab q\u0307\u0323. ΑΣ",
        "a b c d e.",
        "=\u0338 x²",
    ]
    digests = text_digests(text_buffers([*texts, *(unicodedata.normalize("NFD", text) for text in texts)]))
    assert (digests[: len(texts)] == digests[len(texts) :]).all()
    for a, b in product(range(len(texts)), repeat=2):
        assert same_text(texts[a], texts[b]) == bool((digests[a] == digests[b]).all())


def test_shingles_are_sets_of_word_ngrams():
    assert shingles("a b a b a", ngram=2).size == 2
    assert shingles("a b", ngram=5).size == 1
    assert shingles("...", ngram=5).size == 0
    assert jaccard(shingles("a b c", ngram=2), shingles("b c d", ngram=2)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "text", ["a b c d e f g a b c d e", "東京 ไทย und Ähnliches ΣΑΣ", "İstanbul I i", "x" * 50, ""]
)
def test_the_plain_shingles_are_as_many_as_those_of_the_kernels(text):
    for ngram in (1, 2, 5):
        assert shingles(text, ngram=ngram).size == shingle_hashes(text, ngram=ngram).size


def test_a_lost_marker_and_a_lost_summary_of_an_export_are_named(run):
    (run / ".icp-run.json").unlink()
    only(broken(run), 5, r"files that are missing: 1 \(\.icp-run\.json\)")
    assert "seal" in json.loads((run / "graph/manifest.json").read_text())


def test_an_export_beside_the_pack_without_its_summary_is_not_whole(run):
    export_pack(run, "parquet", run / "packs/main/exports/parquet")
    assert broken(run) == {}
    (run / "packs/main/exports/parquet/export.json").unlink()
    only(broken(run), 5, r"exports that are not whole: 1 \(packs/main/exports/parquet/export\.json: is missing\)")
