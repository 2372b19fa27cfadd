"""What the parts of a run are worth, one change at a time: ``python tests/bench/bench_parts.py RUN.yaml WORK``.

RUN.yaml is the configuration of a finished run, WORK a folder with room for a copy of it. Changes of windows are packs
of a copy of the run, changes of the graph further copies of which what differs is made anew. Each is probed as
`icp probe` does it (n-gram coder, samples of ``--sample-mib`` drawn by ``--seed``), for its windows, for its path cut
and for the paper's method on its graph: a row of Markdown each, in bits a byte. ``--only`` takes rows by number.
"""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from icp.config import load_config
from icp.probe import Wanted, _context
from icp.probe.arms import OURS, PAPER, PATH_CUT, plan_arms
from icp.probe.coder import warm_coder
from icp.probe.gains import N_GRAM, gains_of
from icp.probe.intervals import estimate
from icp.probe.sample import draw_sample
from icp.run.reader import open_run
from icp.run.texts import TextReader

ARMS = (OURS, PATH_CUT, PAPER)
CHANGES = (
    (),
    ("pack.min_fill=0.95",),
    ("pack.split=never", "pack.min_fill=0.97"),
    ("pack.split=free",),
    ("pack.inside=random",),
    ("pack.mix_random=0.3",),
    ("pack.method=path-fit",),
    ("embed.model=lexical",),
    ("embed.model=static",),
    ("embed.model=minilm",),
    ("graph.k=3",),
    ("graph.k=30",),
    ("dedup.near=false", "graph.duplicate_similarity=1.0"),
)


def icp(*words: str) -> None:
    """A command, silent unless it fails."""
    done = subprocess.run([sys.executable, "-m", "icp.cli", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"icp {' '.join(words)}: {done.stderr.strip()}")


def made(config: Path, work: Path, number: int) -> tuple[Path, str]:
    """Run and pack of a change."""
    source, change = Path(load_config(config).run), CHANGES[number]
    packs, copy = work / "packs", work / f"change-{number}"
    if all(key.startswith("pack.") for key in change):
        if not packs.exists():
            shutil.copytree(source, packs)
        if not change:
            return packs, "main"
        name = f"change-{number}"
        icp("pack", "-c", str(config), "--name", name, *sets(f"run={packs}", *change))
        return packs, name
    shutil.copytree(source, copy, dirs_exist_ok=True)
    icp("run", "-c", str(config), "--fresh", "--yes", *sets(f"run={copy}", *change))
    return copy, "main"


def sets(*pairs: str) -> list[str]:
    """Overrides of a configuration."""
    return [word for pair in pairs for word in ("--set", pair)]


def row(folder: Path, pack: str, wanted: Wanted) -> list[str]:
    """Bits of each kind of windows, the pack's mean similarity, documents cut and fill."""
    run = open_run(folder, pack=pack)
    arms = plan_arms(_context(run, 1), batch=wanted.batch, seed=wanted.seed)
    arms = replace(arms, plans={name: arms.plans[name] for name in ARMS})
    sample = draw_sample(arms, TextReader(run), round(wanted.sample_mib * 2**20), seed=wanted.seed)
    coder = warm_coder(sample.texts[doc] for doc in sample.warm.tolist())

    def bytes_per_window(doc: int) -> int:
        return max(1, arms.capacity * len(sample.texts[doc]) // max(1, int(arms.lengths[doc])))

    found = estimate(gains_of(sample, coder, bytes_per_window, threads=1), N_GRAM)
    more = found.difference(OURS, PAPER)
    stats = json.loads((folder / "stats.json").read_text(encoding="utf-8"))["packs"][pack]["windows"]
    return [
        *(f"{found.of(name).value:.4f}" for name in ARMS),
        f"[{more.low:.4f}, {more.high:.4f}]",
        f"{stats['mean_similarity']:.3f}",
        f"{stats['split_documents']:,}, {stats['fill']:.3f}",
    ]


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--sample-mib", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(map(str, range(len(CHANGES)))))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    print(
        "| change | "
        + " | ".join((*ARMS, "this pack more than the paper's", "mean similarity", "documents cut, fill"))
        + " |"
    )
    print("|---|" + "---:|" * 6)
    for number in (int(word) for word in options.only.split(",")):
        folder, pack = made(options.config, options.work, number)
        cells = row(folder, pack, Wanted(sample_mib=options.sample_mib, seed=options.seed))
        print(f"| {', '.join(CHANGES[number]) or 'as it is'} | " + " | ".join(cells) + " |", flush=True)
        if folder.name.startswith("change-"):
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
