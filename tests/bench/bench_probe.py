"""How often the probe finds a difference where none is: ``python tests/bench/bench_probe.py RUN``.

RUN is a finished run. All windows of its pack are coded once. Then, a hundred times, two samples of its windows are
drawn under two seeds, neither holding a window of the other, and compared as `icp probe` compares two kinds of windows:
what the first saves more than the second must be called nothing. Likewise for random windows; and, as a check that the
comparison can tell at all, for this pack against random windows, which must be called more. CPU seconds are printed.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from icp.probe import Wanted, _context
from icp.probe.arms import OURS, RANDOM, plan_arms
from icp.probe.coder import warm_coder
from icp.probe.gains import N_GRAM, Gains, gains_of
from icp.probe.intervals import estimate
from icp.probe.sample import draw_sample
from icp.run.reader import open_run
from icp.run.texts import TextReader

WANTED = 95


def coded(folder: Path, seed: int) -> dict[str, Gains]:
    """What each scored piece of the pack's windows and of random ones saves."""
    run = open_run(folder, pack="main")
    arms = plan_arms(_context(run, 1), batch=Wanted().batch, seed=seed)
    arms = replace(arms, plans={name: arms.plans[name] for name in (OURS, RANDOM)})
    sample = draw_sample(arms, TextReader(run), 1 << 62, seed=seed)
    coder = warm_coder(sample.texts[row] for row in sample.warm.tolist())

    def bytes_per_window(row: int) -> int:
        return max(1, arms.capacity * len(sample.texts[row]) // max(1, int(arms.lengths[row])))

    return gains_of(sample, coder, bytes_per_window, threads=1)


def part(gains: Gains, windows: np.ndarray) -> Gains:
    """The pieces of some windows."""
    rows = np.isin(gains.window, windows)
    saved = {N_GRAM: gains.saved[N_GRAM][rows]}
    return Gains(gains.doc[rows], gains.n_bytes[rows], gains.tokens_before[rows], gains.window[rows], saved)


def signs(one: Gains, two: Gains, share: float, n: int) -> list[int]:
    """What is said of two samples, each of `share` of the windows of a plan, `n` times."""
    found, n_windows = [], int(max(one.window.max(), two.window.max())) + 1
    size = round(share * n_windows)
    for seed in range(n):
        order = np.random.default_rng(seed).permutation(n_windows)
        samples = {"first": part(one, order[:size]), "second": part(two, order[size : 2 * size])}
        found.append(estimate(samples, N_GRAM).difference("first", "second").sign)
    return found


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.25, help="of the windows, in each sample")
    options = parser.parse_args()
    began = time.process_time()
    found = coded(options.run, 0)
    print(f"coded in {time.process_time() - began:.1f} CPU s")
    for name, one, two in (
        ("pack, pack", OURS, OURS),
        ("random, random", RANDOM, RANDOM),
        ("pack, random", OURS, RANDOM),
    ):
        began = time.process_time()
        said = signs(found[one], found[two], options.share, options.repetitions)
        counts = {word: said.count(sign) for word, sign in (("more", 1), ("nothing", 0), ("less", -1))}
        fails = one == two and counts["nothing"] < WANTED / 100 * options.repetitions
        print(f"{name:16} {counts} {'TOO OFTEN' if fails else ''} {time.process_time() - began:.1f} CPU s", flush=True)


if __name__ == "__main__":
    main()
