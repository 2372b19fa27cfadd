"""Documents kept out of training: held-out ones, what is near to them, what evaluation sets hold."""

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from document_rows import jsonl
from tiny import make_run, tiny_config

from icp.audit.shingles import shingles
from icp.config import parse_config
from icp.errors import ConfigError, InputError
from icp.run.reader import open_run

NEAR, CONTAMINATED = "near to a held-out document", "text of an evaluation set"


def words(rng, n):
    return " ".join(f"w{rng.randrange(400)}" for _ in range(n))


@pytest.fixture
def corpus(tmp_path):
    """Rows of a corpus, written in two files, with copies, near-copies and parts of one another."""
    rng = random.Random(5)
    rows = [{"id": f"d{k}", "text": words(rng, rng.randrange(3, 60)), "source": f"s{k % 3}"} for k in range(120)]
    for k in range(40):
        text = rows[k]["text"].split()
        changed = [text, text[: len(text) // 2], [*text, *words(rng, 30).split()], [*text[:-2], "other"]][k % 4]
        rows.append({"id": f"e{k}", "text": " ".join(changed).upper(), "source": None})
    (tmp_path / "a.jsonl").write_bytes(jsonl(rows[:90]) + b"broken\n")
    (tmp_path / "b.jsonl").write_bytes(jsonl(rows[90:]))
    return rows


def documents_of(folder, **sections):
    """The documents step of the corpus, and what it left: training, held out, refused, overlaps."""
    from icp.engine.executor import SerialExecutor
    from icp.pipeline import build_graph

    files = [str(folder / "a.jsonl"), str(folder / "b.jsonl")]
    config = tiny_config(folder, corpus={"input": files, "max_rejected": 0.1, "part_mib": 0.005}, **sections)
    build_graph(config, SerialExecutor(), lambda *_: None, until="documents")
    run = open_run(folder / "run")
    tables = {}
    for name in ("part-*", "holdout/part-*", "rejected/part-*", "rejected/overlaps-part-*"):
        found = [pq.read_table(path) for path in run.paths("documents", f"{name}.parquet")]
        tables[name.rpartition("part-*")[0]] = pa.concat_tables(found).to_pylist() if found else []
    return tables, run.manifests["documents"]


def test_held_out_documents_and_their_likes_are_those_of_a_plain_comparison(corpus, tmp_path):
    (tmp_path / "ids.txt").write_text("\ufeffd3\n 'd4' \nnobody\n")
    tables, manifest = documents_of(tmp_path, holdout={"fraction": 0.1, "ids": str(tmp_path / "ids.txt"), "ngram": 3})
    edge = 0.1 * 2**64
    held = {row["id"] for row in corpus if xxhash.xxh3_64_intdigest(row["id"].encode()) < edge} | {"d3", "d4"}
    sets = {row["id"]: set(shingles(row["text"], ngram=3).tolist()) for row in corpus}

    def is_near(one):
        return any(
            shared and (shared / len(sets[one] | sets[other]) >= 0.5
                        or shared / min(len(sets[one]), len(sets[other])) >= 0.8)
            for other in held if (shared := len(sets[one] & sets[other]))
        )  # fmt: skip

    near = {row["id"] for row in corpus if row["id"] not in held and is_near(row["id"])}
    assert 5 < len(held) < 40
    assert near
    assert {row["id"] for row in tables["holdout/"]} == held
    assert {row["id"] for row in tables["rejected/overlaps-"]} == near
    assert {row["of"] for row in tables["rejected/overlaps-"]} <= held
    assert [row["id"] for row in tables[""]] == [row["id"] for row in corpus if row["id"] not in held | near]
    assert [row["doc"] for row in tables[""]] == list(range(len(tables[""])))
    reasons = [row["reason"] for row in tables["rejected/"]]
    assert (reasons.count(NEAR), len(reasons)) == (len(near), len(near) + 1)  # and the broken line
    counts = manifest.counts
    assert (counts["held_out"], counts["rejected"], counts["documents"]) == (
        len(held), len(reasons), len(corpus) - len(held) - len(near)
    )  # fmt: skip


def test_what_evaluation_sets_hold_is_refused_and_each_hit_listed(corpus, tmp_path):
    rng = random.Random(8)
    question, answer = words(rng, 30), words(rng, 9)
    records = [
        {"question": question, "choices": ["yes", {"text": answer}], "n": 10**400},
        {"question": words(rng, 30), "context": corpus[119]["text"] + " " + words(rng, 20), "short": "d3 d4 d5"},
    ]
    (tmp_path / "eval.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    pq.write_table(pa.table({"prompt": [answer.upper()], "other": [words(rng, 40)]}), tmp_path / "eval.parquet")
    inside = [
        {"id": "quotes", "text": f"Before. {question.replace(' ', ', ')} After."},
        {"id": "twelve", "text": "Before. " + " ".join(question.split()[:12])},
        {"id": "answers", "text": f"{answer} and more"},
        {"id": "d-all", "text": corpus[119]["text"]},
    ]
    with (tmp_path / "b.jsonl").open("ab") as file:
        file.write(jsonl(inside))
    files = [str(tmp_path / "eval.*")]
    (tmp_path / "ids.txt").write_text("answers\nd7\n")
    held = {"ids": str(tmp_path / "ids.txt")}
    tables, manifest = documents_of(tmp_path, decontaminate={"input": files}, holdout=held)
    hits = {(row["id"], row["of"].rpartition("/")[2]) for row in tables["rejected/overlaps-"] if row["reason"] != NEAR}
    thirteen = len(corpus[119]["text"].split()) >= 13
    assert hits == {
        ("quotes", "eval.jsonl:0:question"),
        ("answers", "eval.jsonl:0:choices[1].text"),
        ("answers", "eval.parquet:0:prompt"),
        *({("d-all", "eval.jsonl:1:context"), ("d119", "eval.jsonl:1:context")} if thirteen else ()),
    }
    assert manifest.counts[f"rejected.{CONTAMINATED}"] == len({name for name, _ in hits})
    assert {row["id"] for row in tables["holdout/"]} == {"d7"}  # a contaminated one is not held out either
    trained = {row["id"] for row in tables[""]}
    assert "twelve" in trained
    assert not trained & {name for name, _ in hits}


def test_without_either_nothing_is_left_beside_the_documents(corpus, tmp_path):
    tables, manifest = documents_of(tmp_path)
    assert (tables["holdout/"], tables["rejected/overlaps-"]) == ([], [])
    assert "held_out" not in manifest.counts
    assert not any("holdout" in key or "decontaminate" in key for key in manifest.basis["config"])


@pytest.mark.parametrize(
    ("section", "error", "message"),
    [
        ({"decontaminate": {"input": "nowhere.jsonl"}}, InputError, "decontaminate.input: no file matches nowhere"),
        ({"decontaminate": {"input": "eval.txt"}}, InputError, "eval.txt is text; save it as JSON lines or Parquet"),
        ({"decontaminate": {"input": "broken.jsonl"}}, InputError, "row 1 is no JSON object"),
        ({"decontaminate": {"input": "eval.jsonl", "fields": "q"}}, InputError, "no evaluation set has a field 'q'"),
        ({"holdout": {"ids": "none.txt"}}, InputError, "none.txt"),
        ({"holdout": {"fraction": 0.5, "jaccard": 0.001}}, InputError, "leave no document for training"),
    ],
)
def test_what_cannot_be_kept_apart_is_told(corpus, tmp_path, monkeypatch, section, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eval.txt").write_text("some text")
    (tmp_path / "broken.jsonl").write_text('{"a": "b"}\n[1]\n')
    (tmp_path / "eval.jsonl").write_text('{"question": "b"}\n')
    if "jaccard" in str(section):
        rows = jsonl([{"id": f"d{k}", "text": "the same words again and again"} for k in range(30)])
        (tmp_path / "a.jsonl").write_bytes(rows)
        (tmp_path / "b.jsonl").write_bytes(rows)
    with pytest.raises(error, match=message):
        documents_of(tmp_path, **section)


def test_settings_that_do_not_go_together_are_refused():
    tree = {"run": "r", "corpus": {"input": "c"}, "decontaminate": {"ngram": 6}}
    with pytest.raises(ConfigError, match="least_words is 8, must be up to ngram, which is 6"):
        parse_config(tree)


def test_repeated_paragraphs_are_left_out_before_documents_are_compared(tmp_path):
    licence = "licensed to all who read it under the terms of this very long line"
    rows = [{"id": f"d{k}", "text": f"{licence}\n\n{words(random.Random(k), 20)}"} for k in range(12)]
    (tmp_path / "a.jsonl").write_bytes(jsonl(rows))
    (tmp_path / "b.jsonl").write_bytes(jsonl([{"id": "x", "text": licence}]))
    (tmp_path / "ids.txt").write_text("d2\n")
    section = {"ids": str(tmp_path / "ids.txt"), "containment": 0.3, "jaccard": 0.3}
    with pytest.raises(InputError, match="leave no document for training"):  # the licence makes documents alike
        documents_of(tmp_path, holdout=section)
    files = {"input": [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")], "strip_repeated": 5, "max_rejected": 1}
    config = tiny_config(tmp_path, corpus=files, holdout=section, run=str(tmp_path / "stripped"))
    run = open_run(make_run(config))
    kept = [name for path in run.paths("documents", "part-*.parquet") for name in pq.read_table(path)["id"].to_pylist()]
    assert kept == [f"d{k}" for k in range(12) if k != 2]


def wide(text):
    """ASCII letters and digits in the wide forms of East Asian typography, and a ligature."""
    return text.replace("fi", "\ufb01").translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})


def test_forms_of_characters_that_stand_for_others_hide_nothing(corpus, tmp_path):
    question = "fifteen words of a question that nobody should ever find in what a model reads"
    (tmp_path / "eval.jsonl").write_text(json.dumps({"question": wide(question)}) + "\n")
    hidden = [
        {"id": "wide", "text": wide(corpus[9]["text"])},
        {"id": "quote", "text": f"Before. {question.replace('fi', chr(0xFB01))} \ufdfa After."},
    ]
    corpus[9]["text"] += " \u2460"  # a circled one
    (tmp_path / "a.jsonl").write_bytes(jsonl(corpus[:90]))
    (tmp_path / "b.jsonl").write_bytes(jsonl([*corpus[90:], *hidden]))
    (tmp_path / "ids.txt").write_text("d9\n")
    section = {"ids": str(tmp_path / "ids.txt")}
    tables, _ = documents_of(tmp_path, holdout=section, decontaminate={"input": str(tmp_path / "eval.jsonl")})
    found = {row["id"]: row["reason"] for row in tables["rejected/overlaps-"]}
    assert found["wide"] == NEAR
    assert found["quote"] == CONTAMINATED
    assert not {"wide", "quote"} & {row["id"] for row in tables[""]}


def test_a_short_string_is_looked_for_with_those_around_it(corpus, tmp_path, caplog):
    rng = random.Random(9)
    quiz, answer, long, last = words(rng, 5), words(rng, 4), words(rng, 30), words(rng, 3)
    records = [{"quiz": quiz, "answer": answer}, {"long": long, "yes": last}, {"alone": words(rng, 6)}]
    (tmp_path / "eval.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    inside = [
        {"id": "both", "text": f"Before. {quiz}?\n\n{answer.upper()}! After."},
        {"id": "one", "text": f"Before. {quiz}? After."},
        {"id": "tail", "text": f"Before. {' '.join(long.split()[-10:])}: {last}. After."},
        {"id": "twelve", "text": f"Before. {' '.join(long.split()[-9:])}: {last}. After."},
    ]
    with (tmp_path / "b.jsonl").open("ab") as file:
        file.write(jsonl(inside))
    with caplog.at_level("WARNING"):
        tables, _ = documents_of(tmp_path, decontaminate={"input": str(tmp_path / "eval.jsonl")})
    hits = {(row["id"], row["of"].rpartition("/")[2]) for row in tables["rejected/overlaps-"]}
    assert hits == {
        ("both", "eval.jsonl:0:quiz+"),
        ("both", "eval.jsonl:0:answer+"),
        ("tail", "eval.jsonl:1:yes+"),
    }
    assert "4 of 5 strings have fewer than 8 words and are looked for only together with those around" in caplog.text
    assert "1 have too few words even so, and are not looked for" in caplog.text


@pytest.mark.parametrize("content", ["", "{}\n", '{"n": 1}\n'])
def test_evaluation_sets_without_a_string_are_told(corpus, tmp_path, caplog, content):
    (tmp_path / "eval.jsonl").write_text(content)
    with caplog.at_level("WARNING"):
        tables, _ = documents_of(tmp_path, decontaminate={"input": str(tmp_path / "eval.jsonl")})
    assert "the evaluation sets hold no string, so that nothing is looked for" in caplog.text
    assert len(tables[""]) == len(corpus)


def test_kept_fields_of_what_is_kept_apart_are_those_of_documents(corpus, tmp_path):
    rows = [{**row, "url": f"https://a.org/{row['id']}", "n": at} for at, row in enumerate(corpus)]
    (tmp_path / "a.jsonl").write_bytes(jsonl(rows[:90]))
    pq.write_table(pa.Table.from_pylist(rows[90:]), tmp_path / "b.parquet")
    (tmp_path / "ids.txt").write_text("d0\nd100\n")
    files = {"input": [str(tmp_path / "a.jsonl"), str(tmp_path / "b.parquet")], "keep": ["url", "n"]}
    config = tiny_config(tmp_path, corpus=files, holdout={"ids": str(tmp_path / "ids.txt")})
    run = open_run(make_run(config))
    held = [row for path in run.paths("documents", "holdout/part-*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {(row["id"], row["url"], row["n"]) for row in held} == {
        ("d0", "https://a.org/d0", 0),
        ("d100", "https://a.org/d100", 100),
    }
    names = run.paths("documents", "rejected/overlaps-part-*.parquet")
    near = [row for path in names for row in pq.read_table(path).to_pylist()]
    assert near
    assert all(row["url"] == f"https://a.org/{row['id']}" for row in near)


def test_what_other_tools_report_is_refused_and_listed_with_their_name(corpus, tmp_path, caplog):
    decon = [
        {"training_file": "a.jsonl", "training_line": 4, "eval_key": "mmlu", "eval_line": 17, "eval_dataset": "mmlu",
         "contamination_score": 0.93, "method": "simple", "doc_id": 5},
        {"training_file": "a.jsonl", "training_line": 4, "eval_key": "sciq", "eval_line": 1},
        {"training_file": "b.jsonl.gz", "training_line": 0, "eval_dataset": "gsm8k_test"},
        {"training_file": "b.jsonl", "training_line": 99_999, "eval_key": "mmlu"},
        {"training_file": "elsewhere.jsonl", "training_line": 0, "eval_key": "mmlu"},
    ]  # fmt: skip
    dolma = [
        {"id": "d9", "attributes": {"bff_spans": [[0, 10, 0.0], [10, 20, 0.8]], "other": []}},
        {"id": "d10", "attributes": {"bff_spans": [[0, 10, 0.0]], "score": 0}},
        {"id": "d11", "attributes": {"score": 0.25}},
        {"id": "nobody", "attributes": {"score": 1}},
    ]
    (tmp_path / "decon.jsonl").write_bytes(jsonl(decon))
    (tmp_path / "dolma.jsonl").write_bytes(jsonl(dolma) + b'{"id": "d12"}\n')
    (tmp_path / "ids.txt").write_text("d9\nd13\n")
    section = {"reports": [str(tmp_path / "decon.jsonl"), str(tmp_path / "dolma*")]}
    with caplog.at_level("WARNING"):
        tables, manifest = documents_of(tmp_path, decontaminate=section, holdout={"ids": str(tmp_path / "ids.txt")})
    hits = {(row["id"], row["of"], row["containment"]) for row in tables["rejected/overlaps-"] if row["reason"] != NEAR}
    assert hits == {
        ("d4", "decon: mmlu:17", 0.93),
        ("d4", "decon: sciq:1", None),
        ("d90", "decon: gsm8k_test", None),
        ("d9", "dolma: bff_spans", 0.8),
        ("d11", "dolma: score", 0.25),
        ("d12", "report: an evaluation set", None),
    }
    assert manifest.counts["rejected.reported as contaminated"] == 5
    assert {row["id"] for row in tables["holdout/"]} == {"d13"}  # what is reported is not held out either
    kept = {row["id"] for row in tables[""]}
    assert not kept & {"d4", "d90", "d9", "d11", "d12"}
    assert "d10" in kept
    assert "6 of 9 hits are of documents of the corpus, which are refused; the others name no document" in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"training_file": "a.jsonl"}', "row 0 names no document; decontaminate.reports takes lines with"),
        ('{"id": "a", "attributes": {"x": "much"}}', "attribute x is neither a list of"),
        ("[1]", "row 0 is no JSON object; a report must be whole"),
    ],
)
def test_reports_in_no_known_form_are_refused(corpus, tmp_path, line, message):
    (tmp_path / "report.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        documents_of(tmp_path, decontaminate={"reports": str(tmp_path / "report.jsonl")})


def test_a_report_of_a_file_whose_name_two_files_have_is_refused(corpus, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.jsonl").write_bytes(jsonl([{"id": "x", "text": "some other text"}]))
    (tmp_path / "report.jsonl").write_bytes(jsonl([{"training_file": "a.jsonl", "training_line": 0}]))
    files = {"input": [str(tmp_path / "a.jsonl"), str(tmp_path / "other/a.jsonl")], "max_rejected": 1}
    config = tiny_config(tmp_path, corpus=files, decontaminate={"reports": str(tmp_path / "report.jsonl")})
    with pytest.raises(InputError, match=r"both .*a.jsonl and .*other/a.jsonl have that name"):
        make_run(config)


def test_verify_finds_reported_documents_in_training(corpus, tmp_path):
    from icp.audit import verify_run

    (tmp_path / "report.jsonl").write_bytes(jsonl([{"id": "d4"}, {"training_file": "a.jsonl", "training_line": 5}]))
    files = {"input": [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")], "max_rejected": 0.1}
    section = {"reports": str(tmp_path / "report.jsonl")}
    run = make_run(tiny_config(tmp_path, corpus=files, decontaminate=section))
    assert all(finding.kept for finding in verify_run(run))
    (tmp_path / "report.jsonl").write_bytes(jsonl([{"id": "d6"}, {"training_file": "a.jsonl", "training_line": 7}]))
    broken = [finding.text for finding in verify_run(run) if finding.promise == 8 and not finding.kept]
    assert "documents reported as contaminated: 2" in broken[0]
