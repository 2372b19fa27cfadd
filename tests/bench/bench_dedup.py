"""Near-duplicate removal against its peers, in one run on one core: `python tests/bench/bench_dedup.py DATA`.

DATA is a folder of Parquet files with a column ``text``; ``versioned-docs.parquet`` and its pairs are the truth.
Sections (``--only signing,kernel,...``): *signing* and *kernel* against datasketch, rensa, datatrove; *cores*, two
against one; *grouping* of synthetic signatures against MinHashLSH; *truth*, errors by a table of all pairs; *growth*
over three sizes of short texts. CPU seconds (`time.process_time`), best of several rounds in which all take turns.
Peers: the extra ``bench``. Run it as ``OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1 taskset -c 1 python ...`` (*cores*:
without taskset).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import icp
from icp.dedup.buckets import signature_buckets
from icp.dedup.minhash import make_hashing, make_scheme, to_lean_minhash
from icp.dedup.shingles import no_sets
from icp.dedup.verdicts import Rules, evidence_of, follow_twins, judge
from icp.kernels.dedup_evidence import agreement
from icp.kernels.dedup_minhash import LANES, mix, permute

NUM_PERM = 128
WORD = re.compile(r"\w+")
SHORT_TEXTS = (69_000, 138_000, 276_000)
GROUPED, INDEXED = 1_000_000, 50_000


def shingles(text: str) -> list[str]:
    """What users of datasketch and rensa write."""
    words = WORD.findall(text.lower())
    return list({" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))})


def best_of(rounds: int, tasks: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU seconds of each task, the best of several rounds in which they take turns."""
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.process_time()
            task()
            best[name] = min(best[name], time.process_time() - started)
    return best


def sample(data: Path, n_bytes: int) -> list[str]:
    """Texts of linked-docs up to `n_bytes`."""
    texts, size = [], 0
    for text in pq.read_table(data / "linked-docs.parquet", columns=["text"])["text"].to_pylist():
        texts.append(text)
        size += len(text.encode())
        if size > n_bytes:
            break
    return texts


def signing(data: Path, rounds: int) -> None:
    """Documents a second from Python str, own tokenising included."""
    import rensa
    from datasketch import MinHash
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    step = MinhashDedupSignature(tempfile.gettempdir(), config=MinhashConfig(num_buckets=16, hashes_per_bucket=8))
    texts = sample(data, 4_000_000)
    few, arrow, size = texts[: len(texts) // 10], pa.array(texts), sum(len(text.encode()) for text in texts)
    tasks = {
        "icp": lambda: icp.minhash_signatures(texts, num_perm=NUM_PERM),
        "icp from Arrow": lambda: icp.minhash_signatures(arrow, num_perm=NUM_PERM),
        "datasketch MinHash.generator": lambda: list(
            MinHash.generator(([s.encode() for s in shingles(text)] for text in texts), num_perm=NUM_PERM)
        ),
        "rensa RMinHash": lambda: rensa.RMinHash.digest_matrix_from_token_sets(
            [shingles(text) for text in texts], num_perm=NUM_PERM, seed=42
        ),
        "the peers' shingling alone": lambda: [shingles(text) for text in texts],
    }
    seconds = best_of(rounds, tasks)
    slow = best_of(1, {"datatrove MinhashDedupSignature": lambda: [signed(step, text) for text in few]})
    rate = {name: len(texts) / value for name, value in seconds.items()}
    rate |= {name: len(few) / value for name, value in slow.items()}
    print(f"signing: {len(texts):,} documents, {size / 1e6:.1f} MB, {NUM_PERM} permutations")
    for name, value in rate.items():
        times = "" if name.startswith("icp") else f"  icp is {rate['icp'] / value:7.1f} x, from Arrow "
        times += "" if name.startswith("icp") else f"{rate['icp from Arrow'] / value:7.1f} x"
        print(f"  {name:32s} {value:10,.0f} documents/s {value * size / len(texts) / 1e6:8.2f} MB/s{times}")


def signed(step: object, text: str) -> object:
    """The signature that datatrove's step writes."""
    found = step.get_shingles(text)
    return step.get_signature(found) if found.size else None


@numba.njit(nogil=True)
def permute_all(values, bounds, a, b):
    room = np.empty(values.shape[0] + LANES, np.uint32)
    signatures = np.empty((bounds.shape[0] - 1, a.shape[0]), np.uint32)
    for i in range(bounds.shape[0] - 1):
        n = bounds[i + 1] - bounds[i]
        room[:n] = values[bounds[i] : bounds[i + 1]]
        permute(room, mix(room, n), a, b, signatures[i])
    return signatures


def permutations(data: Path, rounds: int) -> None:
    """Nanoseconds a shingle of the permutations alone, on the same hashes: of long, middle and short texts."""
    import rensa
    from datasketch import MinHash

    hashing = make_hashing(make_scheme(num_perm=NUM_PERM, ngram=5, seed=1))
    print(f"kernel: {NUM_PERM} permutations, ns a shingle hash")
    for name, texts in kernel_texts(data).items():
        hashes = [row.astype(np.uint32) for row in (icp.shingle_hashes(text) for text in texts) if row.size]
        bounds = np.concatenate([[0], np.cumsum([row.size for row in hashes])])
        values = np.concatenate(hashes)
        wide, places = values.astype(np.uint64), bounds.astype(np.uint64)
        tasks = {
            "icp": lambda: permute_all(values, bounds, hashing.a, hashing.b),  # noqa: B023
            "rensa": lambda: rensa.RMinHash.digest_matrix_from_flat_token_hashes(
                wide, places, num_perm=NUM_PERM, seed=42  # noqa: B023
            ),
        }  # fmt: skip
        best_of(1, tasks)
        rows = {peer: value / values.size for peer, value in best_of(3 * rounds, tasks).items()}
        few = hashes[:100]
        seconds = best_of(1, {"d": lambda: list(MinHash.generator(few, num_perm=NUM_PERM, hashfunc=int))})["d"]  # noqa: B023
        rows["datasketch"] = seconds / sum(row.size for row in few)
        told = ", ".join(f"{peer} {value * 1e9:.2f} ({value / rows['icp']:.2f} x)" for peer, value in rows.items())
        print(f"  {name:16s} {values.size / len(hashes):6.0f} shingles a text: {told}")


def kernel_texts(data: Path) -> dict[str, list[str]]:
    """Long, middle and short texts."""
    abstracts = pq.read_table(data / "arxiv-abstracts.parquet", columns=["text"])["text"].slice(0, 3000)
    return {
        "linked-docs": sample(data, 4_000_000),
        "arxiv-abstracts": abstracts.to_pylist(),
        "sentences": short_texts(data, 20_000),
    }


def cores(data: Path, rounds: int) -> None:
    """Wall and CPU seconds with one and two threads on the same chunks; wall means little on a busy machine."""
    texts = pq.read_table(data / "linked-docs.parquet", columns=["text"])["text"].combine_chunks()
    chunks = [texts.slice(start, 100) for start in range(0, len(texts), 100)]
    print("cores: signing linked-docs, wall seconds, best of the rounds")
    walls, cpus = {}, {}
    for _ in range(3 * rounds):
        for n in (1, 2):
            wall, cpu = time.perf_counter(), time.process_time()
            with ThreadPoolExecutor(n) as pool:
                list(pool.map(icp.minhash_signatures, chunks))
            walls[n] = min(walls.get(n, 9e9), time.perf_counter() - wall)
            cpus[n] = min(cpus.get(n, 9e9), time.process_time() - cpu)
    for n, wall in walls.items():
        print(f"  {n} threads {wall:7.3f} s ({walls[1] / wall:.2f} x), {cpus[n]:.3f} CPU s")
    print(f"  on idle cores the CPU seconds allow {2 * cpus[1] / cpus[2]:.2f} x")


def synthetic(n: int, num_perm: int) -> np.ndarray:
    """Random signatures of which 12% copy an earlier one in most values."""
    random = np.random.default_rng(0)
    signatures = random.integers(0, 2**32, (n, num_perm), dtype=np.uint32)
    copies = np.flatnonzero(random.random(n) < 0.12)[1:]
    for start in range(0, copies.size, 100_000):
        rows = copies[start : start + 100_000]
        kept = random.random((rows.size, num_perm)) < random.uniform(0.7, 1, (rows.size, 1))
        signatures[rows] = np.where(
            kept, signatures[(rows * random.random(rows.size)).astype(np.int64)], signatures[rows]
        )
    return signatures


def grouping(data: Path, rounds: int) -> None:
    """CPU seconds and memory for a million signatures, checked by estimate; MinHashLSH extrapolated from fewer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signatures.npy"
        np.save(path, synthetic(GROUPED, 120))
        own = subprocess.run(
            [sys.executable, __file__, "--group", str(path)], check=True, capture_output=True, text=True
        )
        seconds, peak, before, removed = own.stdout.split()
        few = np.load(path, mmap_mode="r")[:INDEXED].copy()
    rows = [to_lean_minhash(row) for row in few]
    theirs = best_of(2, {"lsh": lambda: insert_and_query(rows)})["lsh"] * GROUPED / INDEXED
    print(f"grouping: {GROUPED:,} signatures of 120 values, 20 bands of 6 rows")
    print(
        f"  icp, checked by estimate  {float(seconds):8.2f} s, "
        f"{peak} MiB at the peak ({before} before), {removed} removed"
    )
    print(f"  MinHashLSH insert + query {theirs:8.2f} s, extrapolated from {INDEXED:,}")
    print(f"  icp is {theirs / float(seconds):.0f} x")


def insert_and_query(rows: list) -> None:
    """What a user of datasketch does."""
    from datasketch import MinHashLSH

    index = MinHashLSH(num_perm=120, params=(20, 6))
    for number, row in enumerate(rows):
        index.insert(number, row)
    for row in rows:
        index.query(row)


def group_file(path: str) -> None:
    """In a process of its own: group the signatures in a file; print seconds, MiB at the peak and before, removed."""
    group_all(synthetic(1000, 120))
    signatures, before = np.load(path), peak_mib()
    removed = group_all(signatures)
    peak = peak_mib()
    seconds = best_of(3, {"icp": lambda: group_all(signatures)})["icp"]
    print(round(seconds, 3), peak, before, removed)


def group_all(signatures: np.ndarray) -> int:
    """How many go."""
    buckets = signature_buckets(signatures, np.arange(len(signatures)), bands=20, rows=6)
    evidence = evidence_of(no_sets(buckets.docs.size), signatures, buckets.docs)
    keepers = follow_twins(np.arange(len(signatures)), judge(buckets, evidence, Rules(0.8, 20, 6, "estimate")))
    return int(keepers.is_near.sum())


def peak_mib() -> int:
    """The most memory that this process has had."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024


def truth(data: Path, rounds: int) -> None:
    """Against the table of all pairs with word-5 Jaccard >= 0.5: pairs proposed and checked, documents removed."""
    table = pq.read_table(data / "versioned-docs.parquet", columns=["id", "text"])
    pairs = pq.read_table(data / "versioned-docs-pairs.parquet").to_pylist()
    row_of = {key: row for row, key in enumerate(table["id"].to_pylist())}
    alike = {(row_of[p["id_a"]], row_of[p["id_b"]]) for p in pairs if p["jaccard_word5"] >= 0.8}
    alike = {(min(pair), max(pair)) for pair in alike}
    texts = table["text"]
    print(f"truth: versioned-docs, {table.num_rows:,} documents, {len(alike):,} pairs of Jaccard 0.8 or more")
    signatures, sets = icp.minhash_signatures(texts), [set(icp.shingle_hashes(t).tolist()) for t in texts.to_pylist()]
    buckets = signature_buckets(signatures, np.arange(len(signatures)), bands=20, rows=6)
    proposed = set()
    for members in np.split(buckets.members, buckets.starts[1:]):
        proposed |= set(combinations(sorted(buckets.docs[members].tolist()), 2))
    checked = {
        "none": proposed,
        "estimate": {(a, b) for a, b in proposed if agreement(signatures[a], signatures[b]) >= 0.8},
        "exact": {(a, b) for a, b in proposed if sets[a] and len(sets[a] & sets[b]) >= 0.8 * len(sets[a] | sets[b])},
    }
    for verify, found in checked.items():
        right = len(found & alike)
        precision, recall, f1 = right / len(found), right / len(alike), 2 * right / (len(found) + len(alike))
        removed = set(icp.find_duplicates(texts, verify=verify)["doc"].to_pylist())
        saved = {doc for pair in alike for doc, other in (pair, pair[::-1]) if other not in removed}
        left = {doc for doc in saved if doc not in removed}
        print(
            f"  verify {verify:8s} pairs P {precision:.4f} R {recall:.4f} F1 {f1:.4f} |"
            f" removed {len(removed):,}, without a kept twin {len(removed - saved)}, left as twins {len(left)}"
        )


def short_texts(data: Path, n: int) -> list[str]:
    """Paragraphs and sentences of the corpora, in an order that says nothing."""
    found = []
    for path, cut in (
        ("linked-docs", r"\n\s*\n"),
        ("arxiv-abstracts", r"(?<=[.!?])\s+"),
        ("versioned-docs", r"\n\s*\n"),
    ):
        for text in pq.read_table(data / f"{path}.parquet", columns=["text"])["text"].to_pylist():
            found += [piece for piece in re.split(cut, text) if len(piece) >= 40]
    return [found[k] for k in np.random.default_rng(0).permutation(len(found))[:n]]


def growth(data: Path, rounds: int) -> None:
    """Total seconds and memory of `icp.find_duplicates` on short texts of three sizes, each in a process of its own."""
    print("growth: find_duplicates, short texts")
    for n in SHORT_TEXTS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "short.parquet"
            pq.write_table(pa.table({"text": pa.array(short_texts(data, n), pa.large_string())}), path)
            own = subprocess.run(
                [sys.executable, __file__, "--find", str(path)], check=True, capture_output=True, text=True
            )
        seconds, peak, before, n_bytes, exact, near = own.stdout.split()
        print(
            f"  {n:9,} texts {int(n_bytes) / 1e6:7.1f} MB {float(seconds):7.2f} s {float(seconds) / n * 1e6:6.2f} "
            f"us/text, {peak} MiB at the peak ({before} before), {exact} exact and {near} near removed"
        )


def find_file(path: str) -> None:
    """In a process of its own: remove the duplicates of a file and print what that took."""
    icp.find_duplicates(["some words in a row, no more", "some words in a row, no more than that"])
    texts = pq.read_table(path)["text"]
    before, started = peak_mib(), time.process_time()
    kinds = icp.find_duplicates(texts)["kind"].to_pylist()
    print(time.process_time() - started, peak_mib(), before, texts.nbytes, kinds.count("exact"), kinds.count("near"))


SECTIONS = {
    "signing": signing, "kernel": permutations, "cores": cores, "grouping": grouping, "truth": truth, "growth": growth
}  # fmt: skip


def main() -> None:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--group", help=argparse.SUPPRESS)
    parser.add_argument("--find", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.group or arguments.find:
        (group_file if arguments.group else find_file)(arguments.group or arguments.find)
        return
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs, python {sys.version.split()[0]}")
    for name in arguments.only.split(","):
        SECTIONS[name](arguments.data, arguments.rounds)


if __name__ == "__main__":
    main()
