"""Speed claims of the documents in one go: ``python tests/bench/table.py DATA --out docs/bench-table.md``.

DATA is the folder of development corpora. Each bench below runs in a process of its own, one core, against the peers
that are installed; what it prints becomes a section of the table, under its command and the CPU seconds it took. The
head names machine and versions. A bench that fails is shown as failed, and the command ends with 1. ``--only`` takes
some sections and leaves those of an earlier table as they were; ``--list`` shows them. ``make bench`` takes the whole.
"""

import argparse
import os
import platform
import re
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = (
    *("numpy", "numba", "pyarrow", "datasketch", "rensa", "datatrove", "faiss-cpu", "scikit-learn", "tokenizers"),
    *("gigatoken", "sentence-transformers", "torch", "luxical", "pyspark"),
)
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables of a machine that change how fast its BLAS is."""
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
HEAD = "# Speed, measured in one go"


@dataclass(frozen=True)
class Bench:
    """A section of the table.

    Attributes:
        claim: what of the documents it stands behind.
        script: in this folder. arguments: ``{data}`` and ``{work}`` stand for folders.
        cores: that it may use.
    """

    claim: str
    script: str
    arguments: str
    cores: int = 1


BENCHES = {
    "dedup": Bench(
        "signing and grouping against datasketch, rensa, datatrove", "bench_dedup.py", "{data} --only signing,grouping"
    ),
    "truth": Bench("duplicates against all pairs", "bench_dedup.py", "{data} --only truth"),
    "embeddings": Bench(
        "documents a CPU second against scikit-learn and MiniLM", "bench_embed.py", "{data} --only speed"
    ),
    "luxical": Bench(
        "against Luxical, taught by MiniLM on the same texts",
        "bench_embed.py",
        "{data} --only luxical --corpus quickstart --rounds 1 --vectors {work}/vectors",
    ),
    "neighbours": Bench(
        "all-pairs neighbours against FAISS",
        "bench_graph.py",
        "--data {data} --sizes 0,100000 --peers batch,hnsw --nprobe 40",
    ),
    "path": Bench("the path against its bounds and Algorithm 1", "bench_path.py", "{data} --only bounds"),
    "windows": Bench(
        "windows against the paper's and peers",
        "bench_windows.py",
        "{data} --only table --sets quickstart,linked-docs --seq-lens 8192 --embeddings hybrid --scratch {work}",
    ),
    "scale": Bench(
        "the whole pipeline from 10,000 to 100,000 documents", "bench_scale.py", "{data} {work} --docs 10000,100000", 2
    ),
}


def measured(bench: Bench, data: Path, work: Path) -> tuple[str, bool]:
    """The section of a bench, and whether it went well."""
    arguments = bench.arguments.format(data=data, work=work).split()
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    environment |= ONE_CORE if bench.cores == 1 else {}
    cores = sorted(os.sched_getaffinity(0))[-bench.cores :]
    before = _spent()
    done = subprocess.run(
        [sys.executable, str(HERE / bench.script), *arguments],
        env=environment,
        text=True,
        capture_output=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        check=False,
    )
    shown = " ".join(["tests/bench/" + bench.script, *bench.arguments.format(data="DATA", work="WORK").split()])
    lines = [f"`python {shown}`: {_spent() - before:.0f} CPU seconds, {bench.cores} core{'s' * (bench.cores > 1)}.", ""]
    if done.returncode:
        lines += ["FAILED:", "", "```", *done.stderr.splitlines()[-5:], "```"]
    else:
        lines += [tables_of(done.stdout)]
    return "\n".join(lines) + "\n", not done.returncode


def tables_of(output: str) -> str:
    """What a bench printed: tables of Markdown, with a rule under the head, and other lines as they stand."""
    blocks: list[str] = []
    for block in re.split(r"\n\s*\n", output.strip("\n")):
        lines = block.splitlines()
        if all(line.startswith("|") for line in lines):
            if len(lines) > 1 and not set(lines[1]) <= set("|-: "):
                lines.insert(1, "|" + "---|" * (lines[0].count("|") - 1))
            blocks.append("\n".join(lines))
        elif block.startswith("## "):
            blocks.append("#" + block)
        else:
            blocks.append("```\n" + block + "\n```")
    return "\n\n".join(blocks)


def head() -> str:
    """Machine, versions and date."""
    names = [f"{name} {_version(name)}" for name in PEERS]
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return (
        f"{HEAD}\n\n`make bench`, {datetime.now(UTC):%B %Y}: {cpu}, {len(os.sched_getaffinity(0))} cores, "
        f"load {os.getloadavg()[0]:.0f} at the end; Python {platform.python_version()}, {', '.join(names)}.\n"
        "Times are CPU seconds, which a busy machine lengthens too; ratios are of one run.\n"
    )


def sections_of(page: Path) -> dict[str, str]:
    """The sections of an earlier table by name."""
    parts = re.split(r"^## (\w+): .*\n", page.read_text(encoding="utf-8"), flags=re.M) if page.exists() else [""]
    return {name: text.strip("\n") + "\n" for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("docs/bench-table.md"))
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="folder for what benches keep")
    parser.add_argument("--only", default=",".join(BENCHES))
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for name, bench in BENCHES.items():
            print(f"{name:12} {bench.claim}")
        return 0
    if options.data is None or not options.data.is_dir():
        parser.error("DATA must be the folder of the development corpora")
    options.work.mkdir(parents=True, exist_ok=True)
    found, sound = sections_of(options.out), True
    for name in options.only.split(","):
        print(f"{name} ...", flush=True)
        found[name], went = measured(BENCHES[name], options.data.resolve(), options.work.resolve())
        sound &= went
        page = [head(), *(f"## {key}: {BENCHES[key].claim}\n\n{found[key]}" for key in BENCHES if key in found)]
        options.out.write_text("\n".join(page), encoding="utf-8")
    return 0 if sound else 1


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(absent)"


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


if __name__ == "__main__":
    sys.exit(main())
