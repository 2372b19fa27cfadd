"""Documents planted in a corpus, removed from its run, and looked for by a reader of this file's own.

    python tests/bench/removal.py FOLDER [--docs 100000] [--share 0.005] [--windows replan]

Makes documents without meaning but with topics, copies and near-copies of some, runs them, removes a share of them by
id, decodes every row of every shard with the tokenizers library, and looks for any eight words in a row of what was
removed. Prints what it found and how long each command took.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

NGRAM = 8


def make_documents(n_docs: int, seed: int = 1) -> list[dict[str, str]]:
    """Documents of 20 to 300 words in 200 topics; every tenth has a copy or a near-copy."""
    rng = random.Random(seed)
    vocabulary = [f"w{k}" for k in range(20_000)]
    topics = [rng.sample(vocabulary, 300) for _ in range(200)]
    rows = []
    for k in range(n_docs * 10 // 11):
        text = " ".join(rng.choices(topics[rng.randrange(200)], k=rng.randrange(20, 300)))
        rows.append({"id": f"doc-{k}", "text": text, "source": f"s{k % 5}"})
    for k in range(0, len(rows), 10):
        rows.append({"id": f"copy-{k}", "text": rows[k]["text"] + " also" * (k % 20 == 0), "source": "copies"})
    rng.shuffle(rows)
    return rows


def ngrams(text: str) -> set[int]:
    """Hashes of each eight words in a row."""
    words = text.split()
    return {hash(tuple(words[at : at + NGRAM])) for at in range(len(words) - NGRAM + 1)}


def run(*arguments: str) -> float:
    """Do a command of icp; returns its seconds."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "icp.cli", *arguments], check=True)
    return time.monotonic() - started


def left_in_shards(folder: Path, unwanted: set[int]) -> tuple[int, int]:
    """Rows, and those that hold eight words in a row of what is unwanted."""
    facts = json.loads((folder / "packs/main/shards/manifest.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / facts["tokens"] / "tokenizer.json"))
    n_rows = n_hits = 0
    for path in sorted((folder / "packs/main/shards").glob("shard-*.bin")):
        rows = np.fromfile(path, facts["dtype"]).reshape(-1, facts["stride"])
        for text in tokenizer.decode_batch(rows.tolist(), skip_special_tokens=True):
            n_rows += 1
            n_hits += bool(ngrams(text.replace("<|endoftext|>", " ")) & unwanted)
    return n_rows, n_hits


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", type=int, default=100_000)
    parser.add_argument("--share", type=float, default=0.005)
    parser.add_argument("--windows", default="replan")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True)
    rows = make_documents(asked.docs)
    named = random.Random(2).sample([row["id"] for row in rows], int(asked.share * len(rows)))
    groups = {one.partition("-")[2] for one in named}
    unwanted = set().union(*(ngrams(row["text"]) for row in rows if row["id"].partition("-")[2] in groups))
    corpus, listed, place = asked.folder / "corpus.jsonl", asked.folder / "ids.txt", str(asked.folder / "run")
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    listed.write_text("\n".join(named))
    config = {"run": place, "corpus": {"input": str(corpus)}, "tokenizer": {"name": "train:8192"},
              "pack": {"seq_len": 2048, "shard_mib": 4}}  # fmt: skip
    (asked.folder / "config.yaml").write_text(json.dumps(config))
    seconds = {"run": run("run", "-c", str(asked.folder / "config.yaml"))}
    before = left_in_shards(asked.folder / "run", unwanted)
    seconds["remove"] = run("remove", place, "--ids", str(listed), "--windows", asked.windows)
    after = left_in_shards(asked.folder / "run", unwanted)
    seconds["verify --removed"] = run("verify", place, "--removed", str(listed))
    seconds["verify"] = run("verify", place)
    print(json.dumps({"rows with removed text before": before, "after": after, "seconds": seconds}))
    assert after[1] == 0


if __name__ == "__main__":
    main()
