"""Components by rounds of stars against one union-find: ``python tests/bench/bench_components.py``.

Chains of 10, 1,000 and 100,000 positions, in order and in random order; a million edges of pairs that share several
bands, and of triples. For each: how many rounds, the last of which changes nothing; processor seconds of all their
phases for a million edges, files among them; those of the union-find on the same buckets. Labels are compared.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bucket_files import do_phase, made_context

from icp.kernels.dedup_union_find import join_buckets
from icp.steps.dedup import rounds

CHAINS = (10, 1000, 100_000)
N = 1_000_000
RANGES = 4


def compare(name: str, pairs: np.ndarray, n: int) -> None:
    """One line on a graph, (n_edges, 2) int64."""
    rounds.UNION_FIND_POSITIONS, rounds.RANGE_POSITIONS = 0, -(-n // RANGES)
    files = [np.sort(pairs[k::2], axis=1) for k in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        context = made_context(Path(folder), [[], []], n)
        for k, found in enumerate(files):
            np.save(Path(folder) / "candidates" / f"band-{k:05d}-0000.npy", found.ravel())
            np.save(Path(folder) / "buckets" / f"band-{k:05d}-0000.starts.npy", np.arange(len(found)) * 2)
        began = time.process_time()
        phases = [phase.name for phase in rounds.star_phases() if do_phase(context, phase)]
        labels = np.concatenate([rounds.star_labels(context, part) for part in rounds.ranges(n)])
        by_stars = time.process_time() - began
    began = time.process_time()
    joined = join_buckets(np.concatenate(files).ravel(), np.arange(len(pairs)) * 2, n)
    by_union_find = time.process_time() - began
    assert (labels == joined).all(), name
    millions, n_rounds = len(pairs) / 1e6, len(phases) // 2
    print(
        f"{name:<26} {len(pairs):>9,} edges {n_rounds:>3} rounds {by_stars / millions:10.2f} s a million edges, "
        f"{by_stars / millions / n_rounds:8.2f} a round; union-find {by_union_find / millions:6.3f}"
    )


def main() -> None:
    """All graphs."""
    random = np.random.default_rng(0)
    join_buckets(np.array([0, 1]), np.array([0]), 2)  # compiled before it is timed
    for n in CHAINS:
        chain = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
        compare(f"chain of {n:,} in order", chain, n)
        compare(f"chain of {n:,} mixed", random.permutation(n)[chain], n)
    pairs = random.permutation(N).reshape(-1, 2)
    compare("pairs of several bands", np.concatenate([pairs, pairs])[random.permutation(N)], N)
    triples = random.permutation(N - N % 3).reshape(-1, 3)
    compare("triples", np.concatenate([triples[:, :2], triples[:, 1:]]), N)


if __name__ == "__main__":
    main()
