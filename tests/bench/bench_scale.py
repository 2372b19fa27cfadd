"""The whole pipeline at several sizes: ``python tests/bench/bench_scale.py DATA WORK --docs 10000,100000,1000000``.

DATA is the folder of development corpora, WORK a folder with room (about 6 KB a document). For each size a corpus is
made (`make_corpus`), ``icp run`` and ``icp verify`` go over it, and the manifests tell what each step took: wall
seconds, processor seconds of all its tasks, memory of its largest process with the files it maps (*MiB*) and without
(*own*, looked at twice a second: what the system cannot take back), bytes left. Last come the exponents: how a step's
processor time and memory grow from one size to the next, where it took a second.
``--phases`` shows the phases of each step, ``--set`` overrides the configuration, ``--workers`` is passed on.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import log
from pathlib import Path

from make_corpus import make_corpus, write_corpus

STEPS = ("documents", "dedup", "embeddings", "neighbors", "graph", "tokens", "order", "windows", "shards")
LEAST_SECONDS = 1.0
"""Exponents of what took less say nothing."""
STEEP = 1.2
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step, or a phase of it, took."""

    wall: float
    cpu: float
    peak_mib: float
    n_bytes: float
    parts: int = 1
    own_mib: float = 0.0


def run_command(command: Sequence[str]) -> tuple[Cost, list[tuple[float, float]]]:
    """A child's cost, it and its children counted; and at which time the largest of them held how many MiB."""
    started, seen = time.monotonic(), []
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]  # its summary names folders of this machine
    process = os.posix_spawnp(command[0], list(command), os.environ, file_actions=silent)
    while True:
        done, status, usage = os.wait4(process, os.WNOHANG)
        if done:
            break
        seen.append((time.time(), max((own_mib(number) for number in family(process)), default=0.0)))
        time.sleep(LOOK_SECONDS)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}")
    wall, cpu = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    return Cost(wall, cpu, usage.ru_maxrss / 1024, 0, own_mib=max((mib for _, mib in seen), default=0.0)), seen


def family(process: int) -> list[int]:
    """A process and its children."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        children = []
    return [process, *(int(child) for child in children)]


def own_mib(process: int) -> float:
    """Memory of a process without the files it maps; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def costs_of(run: Path, seen: Sequence[tuple[float, float]]) -> dict[str, Cost]:
    """The steps of a run, in the order they ended, and ``step: phase`` of each."""
    found, begin = {}, 0.0
    for path in sorted(run.rglob("manifest.json"), key=lambda path: path.stat().st_mtime):
        tree, end = json.loads(path.read_text()), path.stat().st_mtime
        own, begin = max((mib for at, mib in seen if begin < at <= end), default=0.0), end
        phases = {
            name: Cost(cost["seconds"], cost["cpu_seconds"], cost["peak_rss_mib"], cost["bytes"], int(cost["parts"]))
            for name, cost in tree["costs"].items()
        }
        left = sum(file["bytes"] for file in tree["files"].values())
        cpu = sum(cost.cpu for cost in phases.values())
        found[tree["step"]] = Cost(tree["seconds"], cpu, tree["peak_rss_mib"], left, own_mib=own)
        found |= {f"{tree['step']}: {name}": cost for name, cost in phases.items()}
    return found


def measure(options: argparse.Namespace, n_docs: int) -> dict[str, Cost]:
    """Make a corpus unless it is there, run from the start, verify."""
    corpus, run = options.work / f"corpus-{n_docs}", options.work / f"{options.name}-{n_docs}"
    if not corpus.exists():
        made = make_corpus(options.data, n_docs=n_docs, duplicates=0.05, seed=0)
        write_corpus(made, corpus, docs_per_file=100_000)
    if (run / "stats.json").exists():
        shutil.rmtree(run)
    config = options.work / f"{options.name}-{n_docs}.yaml"
    config.write_text(json.dumps({"run": str(run), "corpus": {"input": [f"{corpus}/*.parquet"]}}))
    icp = [sys.executable, "-m", "icp.cli"]
    overrides = [word for pair in options.set for word in ("--set", pair)]
    workers = ["--workers", str(options.workers)] if options.workers else []
    commands = {
        "icp run": [*icp, "run", "-c", str(config), *overrides, *workers],
        "icp verify": [*icp, "verify", str(run)],
    }
    ran, seen = run_command(commands["icp run"])
    audited, _ = run_command(commands["icp verify"])
    return {"icp run": ran, "icp verify": audited} | costs_of(run, seen)


def show(n_docs: int, found: Mapping[str, Cost], phases: bool) -> None:
    """One table."""
    heads = ("wall s", "CPU s", "CPU us/doc", "MiB", "own", "bytes/doc")
    print(f"\n{n_docs:,} documents\n{'':<26} " + " ".join(f"{head:>10}" for head in heads))
    for name in ordered(found, phases):
        cost = found[name]
        print(
            f"{name:<26} {cost.wall:10.1f} {cost.cpu:10.1f} {cost.cpu / n_docs * 1e6:10.1f} {cost.peak_mib:10.0f} "
            f"{cost.own_mib:10.0f} {cost.n_bytes / n_docs:10.1f}"
            f"{f'  {cost.parts} parts' if ':' in name and cost.parts > 1 else ''}"
        )


def ordered(found: Mapping[str, Cost], phases: bool) -> list[str]:
    """Names in the order of the pipeline."""
    names = [name for step in STEPS for name in found if name == step or (phases and name.startswith(f"{step}: "))]
    return [*names, *(name for name in found if name.startswith("icp "))]


def show_growth(sizes: Sequence[int], results: Mapping[int, Mapping[str, Cost]], phases: bool) -> None:
    """Exponents of processor time, and of memory, between sizes that follow one another."""
    spans = list(pairwise(sizes))
    head = "".join(f"{f'{small:,} to {large:,}':>24}" for small, large in spans)
    print(f"\ngrowth: n to the power of (processor time, memory)\n{'':<26} {head}")
    for name in ordered(results[sizes[-1]], phases):
        cells = []
        for small, large in spans:
            one, two = results[small].get(name), results[large].get(name)
            if one is None or two is None or min(one.cpu, two.cpu) < LEAST_SECONDS:
                cells.append(f"{'-':>24}")
                continue
            time_power = log(two.cpu / one.cpu) / log(large / small)
            memory_power = log(two.peak_mib / one.peak_mib) / log(large / small)
            steep = " !" if time_power > STEEP else ""
            cells.append(f"{f'{time_power:.2f}{steep}, {memory_power:.2f}':>24}")
        if any(cell.strip() != "-" for cell in cells):
            print(f"{name:<26} {''.join(cells)}")


def main() -> None:
    """Print the tables; leave the figures in ``WORK/scale.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--docs", default="10000,100000")
    parser.add_argument("--name", default="scale", help="of the runs in WORK")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--phases", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    sizes = sorted(int(size) for size in options.docs.split(","))
    results = {}
    for size in sizes:
        results[size] = measure(options, size)
        show(size, results[size], options.phases)
        kept = {size: {name: asdict(cost) for name, cost in found.items()} for size, found in results.items()}
        (options.work / f"{options.name}.json").write_text(json.dumps(kept, indent=1))
    show_growth(sizes, results, options.phases)


if __name__ == "__main__":
    main()
