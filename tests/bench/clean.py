"""Nothing that is to be kept out of training is left, and nothing else is missing: proved by a reader of its own.

    python tests/bench/clean.py FOLDER [--docs 100000] [--data ../shared/data]

Plants copies of held-out documents, text of evaluation sets and documents to be removed (`planted`) in a corpus, of
real paragraphs if DATA is given (`make_corpus`); runs `icp run`, `export`, `remove` and `verify`; then reads what is
left with pyarrow and tokenizers (`plain_reader`). Prints what it found and how long each command took.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plain_reader as reader
from make_corpus import document, make_corpus
from planted import FRACTION, Planted, plant
from removal import make_documents

EXPORT = "packs/main/exports/parquet"
GONE = r"(?:gone|twin)-\d+-[0-9a-f]{6}|gone\.example/\d+/[0-9a-f]{6}"
TOMBSTONES = ("removed.jsonl", "validation/removed.jsonl")
SHARED_BY_COPIES = 0.8
"""Of five words in a row: what a copy shares with a removed document, `dedup.threshold`."""


@dataclass(slots=True)
class Report:
    """What was found: `wrong` must be empty, `told` are figures."""

    wrong: dict[str, list[str]] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    def check(self, what: str, found: list[str]) -> None:
        """Note what should not be there."""
        if found:
            self.wrong[what] = sorted(found)


def base_rows(n_docs: int, data: Path | None) -> list[dict[str, str]]:
    """Documents of topics, a few of them copies of others: of real paragraphs, or of words without meaning."""
    if data is None:
        return make_documents(n_docs)
    corpus = make_corpus(data, n_docs=n_docs, duplicates=0.05, seed=0)
    made = ((number, *document(corpus, number)) for number in range(n_docs))
    return [{"id": f"d{number}", "text": text, "source": source} for number, text, source, _ in made]


def write_files(folder: Path, planted: Planted, *, apart: bool = True) -> Path:
    """The corpus, the lists and the evaluation set; returns the configuration, which keeps that out if `apart`."""
    folder.mkdir(parents=True)
    corpus = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in planted.rows)
    (folder / "corpus.jsonl").write_text(corpus, encoding="utf-8")
    quoted = (f'"{one}",' if number % 3 else f" {one}\r" for number, one in enumerate(planted.listed))
    (folder / "held.txt").write_text("\ufeff" + "\n".join(quoted), encoding="utf-8")
    (folder / "gone-ids.txt").write_text("\n".join(planted.gone_ids))
    (folder / "gone-urls.txt").write_text("\n".join(planted.gone_urls))
    (folder / "evaluation.jsonl").write_text("".join(json.dumps(one) + "\n" for one in planted.evaluation))
    config: dict[str, Any] = {
        "run": str(folder / "run"), "corpus": {"input": str(folder / "corpus.jsonl"), "keep": ["url"]},
        "tokenizer": {"name": "train:8192"}, "pack": {"seq_len": 2048, "shard_mib": 4},
    }  # fmt: skip
    if apart:
        config["holdout"] = {"fraction": FRACTION, "ids": str(folder / "held.txt")}
        config["decontaminate"] = {"input": str(folder / "evaluation.jsonl")}
    (folder / "config.yaml").write_text(json.dumps(config))
    return folder / "config.yaml"


def command(*arguments: str) -> None:
    """Do a command of icp."""
    subprocess.run([sys.executable, "-m", "icp.cli", *arguments], check=True)


def run_all(folder: Path, config: Path, do: Callable[..., None]) -> dict[str, float]:
    """Do the commands; returns the seconds of each."""
    place, seconds = str(folder / "run"), {}
    for name, arguments in {
        "run": ("run", "-c", str(config)),
        "export": ("export", place, "--format", "parquet", "--out", f"{place}/{EXPORT}"),
        "verify": ("verify", place),
        "remove --ids": ("remove", place, "--ids", str(folder / "gone-ids.txt")),
        "remove --urls": ("remove", place, "--urls", str(folder / "gone-urls.txt")),
        "verify --removed": ("verify", place, "--removed", str(folder / "gone-ids.txt")),
        "verify again": ("verify", place),
    }.items():
        started = time.monotonic()
        do(*arguments)
        seconds[name] = round(time.monotonic() - started, 1)
    return seconds


def look(run: Path, planted: Planted, passages: reader.Passages) -> Report:
    """Look for everything that should not be left, and for everything that should."""
    report = Report()
    ids = {row["doc"]: row["id"] for row in reader.table(run, "documents/part-*.parquet")}
    trained = {ids[doc]: text for doc, text in reader.documents_in_shards(run, "main").items()}
    report.told["documents"], report.told["trained on"] = len(planted.rows), len(trained)
    texts = {row["id"]: row["text"] for row in planted.rows}
    _look_for_held(report, trained, texts, planted)
    _look_for_passages(report, trained, passages, planted, run)
    _look_for_gone(report, trained, texts, planted, run)
    _look_for_missing(report, trained, texts, planted, run)
    return report


def is_near(nearest: tuple[str, float, float]) -> bool:
    """Whether a document is as near to a held-out one as `holdout.jaccard` and `holdout.containment` say."""
    return nearest[1] >= 0.5 or nearest[2] >= 0.8


def _look_for_held(report: Report, trained: dict[str, str], texts: dict[str, str], planted: Planted) -> None:
    held = {*planted.listed, *planted.by_hash} - planted.contaminated.keys()  # these are refused, not held out
    likes = reader.Likes({one: texts[one] for one in held})
    report.check("held-out documents in training", list(held & trained.keys()))
    # a disguise may have changed more than it should: what counts is how near this reader finds the copy
    copies = [one for one in planted.near.keys() & trained.keys() if is_near(likes.nearest(texts[one]))]
    report.check("planted copies of held-out documents in training", copies)
    near = {one: likes.nearest(text) for one, text in trained.items()}
    found = [one for one, nearest in near.items() if is_near(nearest)]
    report.check("documents like a held-out one in training", found)
    report.told |= {"held out": len(held), "copies planted": dict(Counter(planted.near.values()))}


def _look_for_passages(
    report: Report, trained: dict[str, str], passages: reader.Passages, planted: Planted, run: Path
) -> None:
    report.check("planted contamination in training", list(planted.contaminated.keys() & trained.keys()))
    found = [one for one, text in trained.items() if passages.found_in(text)]
    report.check("documents with text of an evaluation set", found)
    validation = [text for pack in ("main", "main-documents") for text in documents_of_validation(run, pack)]
    rows = [text for text in validation if passages.found_in(text)]
    report.check("text of an evaluation set in validation", rows)
    report.told["contaminations planted"] = dict(Counter(planted.contaminated.values()))


def documents_of_validation(run: Path, pack: str) -> list[str]:
    """The texts in a pack of the validation run, if there is one."""
    return (
        [] if not (run / "validation").exists() else list(reader.documents_in_shards(run / "validation", pack).values())
    )


def _look_for_gone(report: Report, trained: dict[str, str], texts: dict[str, str], planted: Planted, run: Path) -> None:
    urls = {row["url"]: row["id"] for row in planted.rows}
    gone = {*planted.gone_ids, *(urls[url] for url in planted.gone_urls)}
    report.check("removed documents in training", list(gone & trained.keys()))
    report.check("copies of removed documents in training", list(planted.twins.keys() & trained.keys()))
    likes = reader.Likes({one: texts[one] for one in gone})
    near = {one: likes.nearest(text) for one, text in trained.items()}
    report.check("documents like a removed one", [k for k, found in near.items() if found[1] >= SHARED_BY_COPIES])
    exact = {" ".join(reader.words(texts[one])) for one in gone}
    validation = documents_of_validation(run, "main-documents")
    report.check("removed texts in validation", [t[:40] for t in validation if " ".join(reader.words(t)) in exact])
    # of a document that was refused, the run does not know the copies: they are in its list of refused rows alone
    overlaps = reader.table(run, "documents/rejected/overlaps-part-*.parquet")
    refused = {row["id"] for row in overlaps if row["of"] and row["id"] in planted.twins}
    named = [hit for hit in reader.files_with(run, GONE, besides=TOMBSTONES) if hit.rpartition(": ")[2] not in refused]
    report.check("files that name a removed document", named)
    eights = set().union(*(reader.ngrams(texts[one], 8) for one in gone))
    excerpts = reader.table(run, "documents/rejected/part-*.parquet")
    shown = [row["excerpt"] for row in excerpts if reader.ngrams(row["excerpt"] or "", 8) & eights]
    report.check("excerpts that show removed text", shown)
    rows = zip(reader.rows_of_shards(run, "main"), reader.rows_of_export(run / EXPORT), strict=True)
    report.check("rows of an export that are none of the shards", [str(k) for k, (a, b) in enumerate(rows) if a != b])
    report.told |= {"removed": len(gone), "twins planted": dict(Counter(planted.twins.values()))}


def _look_for_missing(
    report: Report, trained: dict[str, str], texts: dict[str, str], planted: Planted, run: Path
) -> None:
    """What was not planted is there, word for word, or has a reason that this reader sees too."""
    urls = {row["url"]: row["id"] for row in planted.rows}
    out = {*planted.listed, *planted.by_hash, *planted.near, *planted.contaminated, *planted.twins, *planted.gone_ids}
    out |= {urls[url] for url in planted.gone_urls}
    report.check("documents that are not as they were", [k for k, text in trained.items() if text != texts[k]])
    docs = {row["doc"]: row["id"] for row in reader.table(run, "documents/part-*.parquet")}
    listed = [row for step in ("dedup", "graph") for row in reader.table(run, f"{step}/duplicates/part-*.parquet")]
    copies = {docs[row["doc"]]: docs[row["duplicate_of"]] for row in listed}
    refused: dict[str, dict[str, Any]] = {}
    for row in reader.table(run, "documents/rejected/overlaps-part-*.parquet"):
        refused.setdefault(row["id"], row)
    missing = set(texts) - out - set(trained) - {one for one in copies if one}
    held, gone = reader.Likes({one: texts[one] for one in {*planted.listed, *planted.by_hash}}), []
    false = []
    for one in sorted(missing):
        reason = refused[one]["reason"] if one in refused else "none"
        if reason.startswith("near") and is_near(held.nearest(texts[one])):
            continue
        gone.append(one)
        false.append(f"{one}: {reason}")
    of_gone = reader.Likes({one: texts[one] for one in {*planted.gone_ids, *(urls[u] for u in planted.gone_urls)}})
    false = [told for told, one in zip(false, gone, strict=True) if of_gone.nearest(texts[one])[1] < SHARED_BY_COPIES]
    report.check("documents missing without a reason", false)
    gone_too = planted.stays.keys() - trained.keys() - set(planted.by_hash) - copies.keys()
    wrong = [one for one in gone_too if not is_near(held.nearest(texts[one]))]
    report.check("planted documents missing though they should stay", wrong)
    report.told |= {
        "planted to stay": dict(Counter(planted.stays.values())),
        "copies among the others": len(copies),
        "refused though not planted, and rightly": len(missing) - len(gone),
        "gone as copies of removed ones": len(gone) - len(false),
    }


def passages_of(planted: Planted) -> reader.Passages:
    """Every string of the evaluation set, and each short question with its answer."""
    texts = []
    for record in planted.evaluation:
        texts += [(str(record["id"]), record[name]) for name in ("question", "short", "quiz", "answer")]
        texts.append((str(record["id"]), record["choices"][1]["text"]))
        texts.append((str(record["id"]), f"{record['quiz']} {record['answer']}"))
    return reader.Passages(texts)


def check(
    folder: Path, n_docs: int, data: Path | None, n_planted: int, do: Callable[..., None] = command
) -> tuple[Report, dict[str, float]]:
    """Plant, run, and look; what was found, and the seconds of each command."""
    rows = [{name: row[name] for name in ("id", "text", "source")} for row in base_rows(n_docs, data)]
    random.Random(5).shuffle(rows)
    planted = plant(rows, n_planted)
    seconds = run_all(folder, write_files(folder, planted), do)
    return look(folder / "run", planted, passages_of(planted)), seconds


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", type=int, default=100_000)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--planted", type=int, default=300, help="of each kind")
    asked = parser.parse_args()
    report, seconds = check(asked.folder, asked.docs, asked.data, asked.planted)
    print(json.dumps({"seconds": seconds, **report.told}, indent=1))
    for what, found in report.wrong.items():
        print(f"WRONG: {what}: {len(found)}: {', '.join(found[:8])[:600]}")
    sys.exit(1 if report.wrong else 0)


if __name__ == "__main__":
    main()
