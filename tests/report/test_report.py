"""What a report says, of runs that are whole, unfinished or damaged."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from icp.cli import main
from icp.config import parse_config
from icp.errors import ArtifactError, ConfigError
from icp.report import write_report
from icp.report.copies import differences
from icp.report.corpus import Labels, load_corpus
from icp.report.headline import cards
from icp.report.opening import open_partly
from icp.report.sampling import Vectors
from icp.report.sources import domains, tables_of, top_tenth
from icp.report.writing import embedded, page


def data_of(text):
    """What the page's script reads."""
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S).group(1))


def rows_of(run, step, pattern):
    return [row for path in sorted((run / step).glob(pattern)) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def text(hostile_page):
    return hostile_page.read_text(encoding="utf-8")


def test_json_in_a_page_cannot_end_it():
    tree = {"a": "</script><!-- & \u2028", "b": ["\ud800", "é"]}
    found = embedded(tree)
    assert not set("<>&\u2028") & set(found)
    assert json.loads(found) == tree


def test_markup_of_documents_is_escaped_outside_the_data_too(text):
    assert text.count("<script") == 2
    assert "window.broken = 1</script>" not in text
    assert "it &lt;b&gt;does" in text


def test_the_page_asks_for_nothing_from_elsewhere(text):
    head = text[: text.index("<body>")]
    assert "default-src 'none'" in head
    assert not re.search(r'(src|href)="(https?:)?//', text)


def test_windows_hold_their_documents_in_order_with_their_text(text, hostile_run):
    shown = data_of(text)["windows"]
    segments = rows_of(hostile_run, "packs/main/shards", "segments/*.parquet")
    texts = {row["doc"]: row["text"] for row in rows_of(hostile_run, "documents", "part-*.parquet")}
    assert len(shown) > 20
    for window in shown:
        own = sorted((row for row in segments if row["window"] == window["window"]), key=lambda row: row["position"])
        assert [piece["doc"] for piece in window["pieces"]] == [row["doc"] for row in own]
        for piece in window["pieces"]:
            whole = texts[piece["doc"]].encode()[piece["from"] : piece["to"]].decode(errors="ignore")
            assert whole.startswith(piece["text"].strip("\ufffd"))
            assert len(piece["text"]) + piece["more"] == piece["to"] - piece["from"] or not whole.isascii()


def test_neighbours_come_with_the_windows_they_stand_in(text, hostile_run):
    segments = rows_of(hostile_run, "packs/main/shards", "segments/*.parquet")
    where = {}
    for row in segments:
        where.setdefault(row["doc"], set()).add(row["window"])
    pieces = [piece for window in data_of(text)["windows"] for piece in window["pieces"]]
    for piece in pieces:
        similarities = [near[1] for near in piece["near"]]
        assert similarities == sorted(similarities, reverse=True)
        for doc, _, windows in piece["near"]:
            assert windows == sorted(where[doc])[:6]
    split = next(piece for piece in pieces if len(where[piece["doc"]]) > 1)
    assert {rest[0] for rest in split["rest"]} <= where[split["doc"]]


def test_removed_documents_stand_beside_the_kept_ones(text, hostile_run):
    removed = {row["doc"]: row for row in rows_of(hostile_run, "dedup", "duplicates/*.parquet")}
    removed |= {row["doc"]: row for row in rows_of(hostile_run, "graph", "duplicates/*.parquet")}
    pairs = data_of(text)["copies"]
    assert {pair["doc"]: pair["kept"] for pair in pairs} == {doc: row["duplicate_of"] for doc, row in removed.items()}
    assert {pair["kind"] for pair in pairs} >= {"exact", "near"}


def test_differences_rebuild_both_texts():
    found = differences("a b c d", "a x c d e")["parts"]
    assert found == [["=", "a"], ["-", "b"], ["+", "x"], ["=", "c d"], ["+", "e"]]
    assert differences("w " * 5000, "w")["cut"]


def test_figures_by_source_are_those_of_the_files(hostile_run):
    partly = open_partly(hostile_run, pack="main")
    corpus = load_corpus(partly)
    rows = rows_of(hostile_run, "documents", "part-*.parquet")
    wanted = Counter(row["source"] for row in rows)
    by_source, by_language, by_domain = tables_of(corpus)
    assert {row["name"]: row["documents"] for row in by_source.rows} == {name[:200]: n for name, n in wanted.items()}
    assert sum(row["tokens"] for row in by_source.rows) == int(corpus.n_tokens.sum())
    assert sum(row["removed"] for row in by_source.rows) == int((corpus.fate > 0).sum())
    assert {row["name"] for row in by_language.rows} == {"en", "de"}
    assert {row["name"] for row in by_domain.rows} <= {"example.co.uk", "other.org"}
    assert partly.problems == []


def test_documents_alone_are_those_whose_windows_hold_no_other(hostile_run):
    corpus = load_corpus(open_partly(hostile_run, pack="main"))
    segments = rows_of(hostile_run, "packs/main/shards", "segments/*.parquet")
    docs = {}
    for row in segments:
        docs.setdefault(row["window"], set()).add(row["doc"])
    wanted = {row["doc"] for row in segments} - {doc for inside in docs.values() if len(inside) > 1 for doc in inside}
    assert set(np.flatnonzero(corpus.alone).tolist()) == wanted


def test_registered_domains_join_hosts_below_public_suffixes():
    names = [
        "https://en.wikipedia.org/x",
        "http://de.wikipedia.org:80",
        "https://a.b.co.uk/",
        "ftp://[::1]/x",
        "none",
        "",
    ]
    found = domains(Labels(np.array([0, 1, 2, 3, 4, 5, -1], np.int32), names))
    got = [found.names[code] if code >= 0 else None for code in found.codes.tolist()]
    assert got == ["wikipedia.org", "wikipedia.org", "b.co.uk", "[::1]", None, None, None]


def test_the_top_tenth_of_domains_is_a_tenth_of_them(hostile_run):
    corpus = load_corpus(open_partly(hostile_run, pack="main"))
    one = tables_of(corpus)[0]
    many = top_tenth(type(one)("domain", [dict(one.rows[0], name=str(n)) for n in range(250)], 250))
    assert "250 registered domains; the top tenth by tokens: 25, listed first" in many.note
    assert len(many.rows) == 25


def test_the_same_run_gives_the_same_report(hostile_run, text):
    again = page(open_partly(hostile_run, pack="main"), verdict=["1 holds   it <b>does</b>"])
    assert again == text


@pytest.mark.parametrize("kept", ["documents", "dedup", "embeddings", "neighbors", "graph", "tokens"])
def test_an_unfinished_run_gives_a_report_of_what_is_there(tiny_run, tmp_path, kept):
    steps = ["documents", "dedup", "embeddings", "neighbors", "graph", "tokens", "packs"]
    run = shutil.copytree(tiny_run, tmp_path / "run")
    for step in steps[steps.index(kept) + 1 :]:
        shutil.rmtree(run / step)
    text = page(open_partly(run, pack="main"))
    assert "step shards is not finished" in text
    assert "documents in" in text
    assert ("Neighbours are not random" in text) == (kept in ("graph", "tokens"))
    assert 'id="viewer"' not in text


DAMAGE = {
    "graph/weights.npy": b"no array",
    "packs/main/shards/segments/part-00000.parquet": b"no table",
    "documents/part-00000.parquet": b"no table",
    "packs/main/plan/manifest.json": b"{",
    "graph/manifest.json": b'{"step": 3}',
    "config.yaml": b"run: [",
    "dedup/survivors.npy": None,
    "packs/main/shards/shard-00000.bin": None,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_gives_a_report_that_names_the_damage(tiny_run, tmp_path, name):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    if DAMAGE[name] is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(DAMAGE[name])
    if name == "config.yaml":
        shutil.copy(run / name, run / "packs/main/config.yaml")
    text = page(open_partly(run, pack="main"))
    assert "This report is not whole" in text
    problems = re.search(r'<details class="problems".*?</details>', text, re.S).group(0)
    assert Path(name).name in problems or "step windows" in problems or "graph" in problems


def test_no_run_and_no_file_are_refused(tiny_run, tmp_path):
    with pytest.raises(ArtifactError, match="holds no run of icp"):
        write_report(tmp_path)
    with pytest.raises(ConfigError, match="is a folder; name a file"):
        write_report(tiny_run, tmp_path)


def test_the_command_writes_a_page_with_the_verdict(tiny_run, tmp_path):
    out = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["report", str(tiny_run), "--out", str(out), "--verify"])
    assert done.exit_code == 0, done.output
    assert "7 holds" in done.output
    assert "7 holds" in out.read_text(encoding="utf-8")
    assert done.output.splitlines()[-1].startswith(f"report      {out} (")


def test_the_map_lies_in_the_directions_in_which_most_varies(hostile_run):
    vectors = Vectors(load_corpus(open_partly(hostile_run, pack="main")), 0)
    rng = np.random.default_rng(3)
    points = rng.standard_normal((500, 40)).astype(np.float32) * np.linspace(1, 3, 40, dtype=np.float32) ** 2
    spread = points.T @ points
    found = vectors._widest(spread)[:, :2]
    true = np.linalg.eigh(spread)[1][:, :-3:-1]
    assert np.trace(found.T @ spread @ found) > 0.99 * np.trace(true.T @ spread @ true)
    assert np.allclose(found.T @ found, np.eye(2), atol=1e-4)


@pytest.mark.parametrize(
    ("pack", "told"),
    [
        ({}, "each stands in the windows once"),
        ({"epochs": 3}, "each stands once in each of 3 passes"),
        ({"documents": "new"}, "each stands in the windows once; those before stand in the shards of old"),
    ],
)
def test_the_card_of_kept_documents_says_how_often_each_is_read(tiny_run, pack, told):
    partly = open_partly(tiny_run, pack="main")
    extends = {"extends": "old"} if "documents" in pack else {}
    tree = {"run": "run", "corpus": {"input": "x"}, "pack": {"seq_len": 64, **pack}, **extends}
    partly.run = replace(partly.run, config=parse_config(tree))
    found = {card["name"]: card for card in cards(partly, load_corpus(partly))}
    assert told in found["documents kept"].values()


def test_the_card_of_kept_documents_counts_those_that_are_left_out_of_the_graph(tiny_run):
    partly = open_partly(tiny_run, pack="main")
    found = {card["name"]: card for card in cards(partly, load_corpus(partly))}
    kept = int(found["documents kept"]["value"].replace(",", ""))
    graph = partly.run.manifests["graph"]
    fewer = replace(graph, counts={**graph.counts, "near_held": 3, "removed": 2})
    partly.run = replace(partly.run, manifests={**partly.run.manifests, "graph": fewer})
    found = {card["name"]: card for card in cards(partly, load_corpus(partly))}
    assert int(found["documents kept"]["value"].replace(",", "")) == kept - 5
    assert found["documents kept"]["below"].endswith("; 3 left out, near to held-out ones; 2 left out, on request")
