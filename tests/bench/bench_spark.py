"""The Spark engine against the engine of one machine: ``python tests/bench/bench_spark.py [--out DIR]``.

Runs the same configuration with worker processes and on a standalone cluster that it starts here (a master, one worker
for each of `--workers`), compares every byte, and prints seconds of each step with both, what Spark adds to a task, and
CPU seconds, which say more where the machine is busy. With ``--bytes`` instead: bytes that the tasks of each step read
and write for a document, from the kernel's counters of read and write calls (memory-mapped files are not in them), and
how much of that is exchanged between tasks through files that go when the step is done.
Needs the extra `spark` and Java.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from spark_cluster import running_cluster  # noqa: E402
from tiny import data_files, quiet  # noqa: E402

from icp.config import Config, parse_config  # noqa: E402
from icp.engine.executor import ProcessExecutor, SerialExecutor  # noqa: E402
from icp.pipeline import build_graph, pack  # noqa: E402
from icp.run import records  # noqa: E402
from icp.run.names import BUILD_STEPS, PACK_FOLDERS, PACK_STEPS  # noqa: E402
from icp.warm import fill_kernel_cache, run_tiny_corpus  # noqa: E402

STEPS = (*BUILD_STEPS, *PACK_STEPS)


class Counting:
    """An engine that counts tasks and phases of every step, and the bytes of their files."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.workers, self.one_machine = engine, engine.workers, engine.one_machine
        self.tasks: Counter[str] = Counter()
        self.phases: Counter[str] = Counter()
        self.scratch: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()

    def threads(self, n_parts: int) -> int:
        return self.engine.threads(n_parts)

    def map(self, task: Any, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        if not items:
            return
        step = items[0].context.step
        self.tasks[step] += len(items)
        self.phases[step] += 1
        before = _io()
        yield from self.engine.map(task, items)
        for name, value in _io().items():
            self.calls[step, name] += value - before[name]
        for item in items:
            record = records.read_record(item.record_path())
            total = sum(file.bytes for file in record.files.values()) if record else 0
            (self.scratch if item.phase.scratch else self.kept)[step] += total


def _io() -> dict[str, int]:
    rows = (line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return {name: int(value) for name, value in rows if name in ("rchar", "wchar")}


def cpu_seconds() -> float:
    """CPU of this process and of all that it started, whether they still run or were waited for."""
    parents, ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
        ticks[int(path.parent.name)] = sum(map(int, fields[11:15]))
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks[pid] for pid in family) / os.sysconf("SC_CLK_TCK")


def settings(run: Path, options: argparse.Namespace) -> Config:
    return parse_config(
        {
            "run": str(run),
            "corpus": {"input": str(options.documents.resolve()), "part_mib": options.part_mib},
            "tokenizer": {"name": "train:16384"},
            "pack": {"seq_len": 2048, "shard_mib": options.part_mib},
        }
    )


def run_all(config: Config, engine: Any) -> float:
    started = time.monotonic()
    build_graph(config, engine, quiet)
    pack(config, engine, quiet)
    return time.monotonic() - started


def seconds_of(run: Path) -> dict[str, float]:
    folders = {step: run / step for step in BUILD_STEPS}
    folders |= {step: run / "packs" / "main" / folder for step, folder in PACK_FOLDERS.items()}
    folders["tokens"] = next((run / "tokens").iterdir())
    return {step: records.read_manifest(folders[step]).seconds for step in STEPS}


def row(step: str, phases: int, tasks: int, local: float, spark: float) -> str:
    return f"{step:<12} {phases:6} {tasks:6} {local:8.1f} {spark:8.1f} {spark - local:8.1f}"


def compare(options: argparse.Namespace, out: Path) -> None:
    """Seconds of both engines, and whether their bytes are equal."""
    local, on_spark = out / "local", out / "spark"
    fill_kernel_cache()
    start = cpu_seconds()
    with ProcessExecutor(options.workers) as engine:
        counts = Counting(engine)
        local_seconds = run_all(settings(local, options), counts)
    local_cpu = cpu_seconds() - start
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    (out / "cluster").mkdir()
    with running_cluster(out / "cluster", options.workers, cores=1) as master:
        from icp.jobs.spark import SparkExecutor

        started = time.monotonic()
        with SparkExecutor(master) as engine:
            list(engine.map(abs, range(2 * options.workers)))
            ready, ready_cpu = time.monotonic() - started, cpu_seconds() - start - local_cpu
            spark_seconds = run_all(settings(on_spark, options), engine)
            spark_cpu = cpu_seconds() - start - local_cpu - ready_cpu
    first, second = seconds_of(local), seconds_of(on_spark)
    print(f"{'step':<12} {'phases':>6} {'tasks':>6} {'local s':>8} {'spark s':>8} {'added s':>8}")
    for step in STEPS:
        print(row(step, counts.phases[step], counts.tasks[step], first[step], second[step]))
    phases, tasks = sum(counts.phases.values()), sum(counts.tasks.values())
    print(row("all", phases, tasks, local_seconds, spark_seconds))
    added = 1000 * (spark_seconds - local_seconds) / tasks
    print(f"spark/local {spark_seconds / local_seconds:.2f}; {added:.0f} ms added a task; ready after {ready:.1f} s")
    print(f"CPU seconds: local {local_cpu:.1f}, spark {spark_cpu:.1f}, {ready_cpu:.1f} before the first part")
    same = data_files(local) == data_files(on_spark)
    print(f"files of both runs: {len(data_files(local))}, bytes {'equal' if same else 'DIFFERENT'}")


def count_bytes(options: argparse.Namespace, out: Path) -> None:
    """Bytes a document that the tasks of each step read and write."""
    run_tiny_corpus()  # so that no import is counted
    counts = Counting(SerialExecutor())
    config = settings(out / "bytes", options)
    run_all(config, counts)
    n_docs = records.read_json(out / "bytes" / "stats.json")["documents"]["read"]
    print(f"{n_docs:,} documents; bytes a document")
    print(f"{'step':<12} {'read':>10} {'written':>10} {'kept':>10} {'exchanged':>10}")
    for step in STEPS:
        row = (counts.calls[step, "rchar"], counts.calls[step, "wchar"], counts.kept[step], counts.scratch[step])
        print(f"{step:<12}" + "".join(f" {value / n_docs:10,.0f}" for value in row))


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ROOT.parent / "shared" / "data" / "linked-docs.parquet"
    parser.add_argument("--documents", type=Path, default=default)
    parser.add_argument("--part-mib", type=float, default=4.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--bytes", action="store_true")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        (count_bytes if options.bytes else compare)(options, out)


if __name__ == "__main__":
    main()
