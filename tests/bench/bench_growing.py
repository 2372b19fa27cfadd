"""What `icp add` costs, and what it leaves: ``python tests/bench/bench_growing.py DATA WORK --docs 100000``.

DATA is the folder of development corpora, WORK a folder with room (about 20 KB a document). A corpus is made
(`make_corpus`), one run goes over all of it; for each share (``--shares``) one goes over all but the new documents,
which `icp add` then adds. Told are processor seconds of the tasks of each step, by the manifests; how many duplicates
were removed, and how many of them by the one run too; the recall of the lists; the mean similarity inside windows by
the vectors of the one run. New documents are chosen at random; ``dedup.keep`` is ``first``.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from make_corpus import make_corpus, write_corpus
from numpy.typing import NDArray

from icp.run.names import STEPS
from icp.run.reader import open_run

PART = 25_000


def split_corpus(corpus: Path, folder: Path, n_new: int) -> None:
    """Write the documents that come later, chosen at random, and the others, each in their order."""
    table = pq.read_table(sorted(corpus.glob("part-*.parquet")))
    is_new = np.zeros(table.num_rows, np.bool_)
    is_new[np.random.default_rng(1).choice(table.num_rows, n_new, replace=False)] = True
    for name, chosen in (("old", ~is_new), ("new", is_new)):
        (folder / name).mkdir(parents=True)
        rows = table.filter(pa.array(chosen))
        for first in range(0, rows.num_rows, PART):
            pq.write_table(rows.slice(first, PART), folder / name / f"part-{first // PART:03}.parquet")


def command(*arguments: object) -> None:
    """Run `icp`, in a process of its own."""
    subprocess.run([sys.executable, "-m", "icp.cli", *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


def configuration(folder: Path, run: str, inputs: Sequence[Path]) -> Path:
    """The configuration of a run over some folders."""
    tree = {"run": str(folder / run), "corpus": {"input": [str(path) for path in inputs]}, "dedup": {"keep": "first"}}
    (folder / f"{run}.yaml").write_text(yaml.safe_dump(tree))
    return folder / f"{run}.yaml"


def seconds(run: Path) -> dict[str, float]:
    """Processor seconds of the tasks of each step."""
    found = open_run(run).manifests
    return {step: sum(cost["cpu_seconds"] for cost in found[step].costs.values()) for step in STEPS}


def ids_of(run: Path) -> NDArray[np.object_]:
    """The id of each document."""
    paths = open_run(run).paths("documents", "part-*.parquet")
    return np.array(pq.read_table(paths, columns=["id"])["id"].to_pylist(), dtype=object)


def removed(run: Path) -> set[str]:
    """The ids of the duplicates."""
    opened, ids = open_run(run), ids_of(run)
    paths = [path for step in ("dedup", "graph") for path in opened.paths(step, "duplicates/part-*.parquet")]
    return {ids[doc] for path in paths for doc in pq.read_table(path, columns=["doc"])["doc"].to_pylist()}


def similarity(run: Path, full: Path) -> float:
    """Mean cosine of a document to the others of its window, by the vectors of another run."""
    opened, judge = open_run(run), open_run(full)
    survivors = judge.array("dedup", "survivors.npy")
    row_of = {name: row for row, name in enumerate(ids_of(full)[survivors].tolist())}
    vectors = np.concatenate([np.load(path) for path in judge.paths("embeddings", "part-*.npy")])
    table = pq.read_table(opened.paths("shards", "segments/part-*.parquet"), columns=["window", "doc"])
    window, ids = table["window"].to_numpy(), ids_of(run)
    rows = np.array([row_of.get(name, -1) for name in ids[table["doc"].to_numpy()].tolist()])
    total, count = 0.0, 0
    for mine in np.split(rows, np.flatnonzero(np.diff(window)) + 1):
        here = vectors[np.unique(mine[mine >= 0])].astype(np.float64)
        if len(here) > 1:
            whole = here.sum(axis=0)
            total += float(whole @ whole - (here * here).sum()) / (len(here) - 1)
            count += len(here)
    return total / count


def main() -> None:
    """Make the corpus and the runs, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--docs", type=int, default=100_000)
    parser.add_argument("--shares", default="0.01,0.1,0.5")
    parser.add_argument("--workers", default=str(len(os.sched_getaffinity(0))))
    given = parser.parse_args()
    corpus, full = given.work / "corpus", given.work / "full"
    if not corpus.exists():
        write_corpus(make_corpus(given.data, n_docs=given.docs, duplicates=0.05, seed=0), corpus, docs_per_file=PART)
    command("run", "-c", configuration(given.work, "full", [corpus]), "--workers", given.workers)
    wanted, whole, mean = removed(full), seconds(full), similarity(full, full)
    print("| run | " + " | ".join(STEPS) + " | in all | removed, of these by both | recall | similarity |")
    tell("one over everything", whole, full, wanted, wanted, mean)
    for share in map(float, given.shares.split(",")):
        folder = given.work / f"share-{share}"
        split_corpus(corpus, folder, round(share * given.docs))
        command("run", "-c", configuration(folder, "base", [folder / "old"]), "--workers", given.workers)
        more = folder / "more.yaml"
        more.write_text(yaml.safe_dump({"corpus": {"input": [str(folder / "new")]}}))
        for windows in ("all", "new"):
            to = folder / f"added-{windows}"
            options = ("--to", to, "--windows", windows, "--workers", given.workers)
            command("add", folder / "base", "-c", more, *options)
            tell(f"{share:.0%} added, {windows}", seconds(to), to, removed(to), wanted, similarity(to, full))


def tell(name: str, costs: dict[str, float], run: Path, found: set[str], wanted: set[str], mean: float) -> None:
    """One row of the table."""
    recall = open_run(run).manifests["neighbors"].facts["recall"]
    cells = [f"{costs[step]:.1f}" for step in STEPS]
    cells += [f"{sum(costs.values()):.1f}", f"{len(found):,}, {len(found & wanted):,}", f"{recall:.3f}", f"{mean:.4f}"]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
