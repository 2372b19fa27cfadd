"""All-pairs neighbours: `icp.search_neighbors` against FAISS, in one run, on real rows and on rows grown from them.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 1 \
        python tests/bench/bench_graph.py [--vectors A.npy B.npy] [--sizes 0,100000] [--peers hnsw,ivf,batch,exact]

Without --vectors: lexical vectors of linked-docs and arxiv-abstracts in --data, by default ../shared/data. Size 0: the
real rows as they are. Times are CPU seconds, training included; recall on the same sampled rows for all; memory is
anonymous memory at its peak above that before the search, our vectors being memory-mapped float16. Needs faiss-cpu for
the peers.
"""

import argparse
import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SAMPLE = 2000


def real_rows(data, paths):
    """The vectors of the files one after another, or lexical ones of two corpora: (n, dim) float32, norm 1."""
    if paths:
        return unit(np.concatenate([np.load(path).astype(np.float32) for path in paths]))
    import pyarrow as pa
    import pyarrow.parquet as pq

    import icp

    names = ("linked-docs", "arxiv-abstracts")
    tables = [pq.read_table(data / f"{name}.parquet", columns=["text"]) for name in names]
    columns = [table["text"].cast(pa.large_string()) for table in tables]
    return icp.embed_documents(pa.chunked_array([c for column in columns for c in column.chunks]), model="lexical")


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def grow(rows, n, path, seed=0):
    """Write n rows with the cluster structure of the real ones: pulled towards neighbours, with local noise."""
    rng = np.random.default_rng(seed)
    base = rows[: min(len(rows), 20_000)]
    near = exact_of(base, base, 17)
    out = np.lib.format.open_memmap(path, "w+", np.float16, (n, rows.shape[1]))
    out[: len(rows)] = rows[:n]
    for start in range(len(rows), n, 50_000):
        size = min(n - start, 50_000)
        i = rng.integers(0, len(base), size)
        a, b, c = base[i], base[near[i, rng.integers(1, 17, size)]], base[near[i, rng.integers(1, 17, size)]]
        u, v = rng.random((2, size, 1), dtype=np.float32)
        spread = np.linalg.norm(b - a, axis=1, keepdims=True)
        noise = rng.standard_normal(a.shape, dtype=np.float32) * (0.25 * spread / rows.shape[1] ** 0.5)
        out[start : start + size] = unit(a + u * 0.9 * (b - a) + v * 0.5 * (c - a) + noise)
    out.flush()


def exact_of(queries, base, k):
    import faiss

    return faiss.knn(queries, base, k, metric=faiss.METRIC_INNER_PRODUCT)[1]


def lists_of(rows, n_lists):
    import faiss

    means = faiss.Kmeans(
        rows.shape[1], n_lists, niter=10, spherical=True, seed=1, min_points_per_centroid=1, max_points_per_centroid=64
    )
    means.train(rows[np.sort(np.random.default_rng(1).permutation(len(rows))[: n_lists * 64])])
    quantizer = faiss.IndexFlatIP(rows.shape[1])
    quantizer.add(means.centroids)
    index = faiss.IndexIVFFlat(quantizer, rows.shape[1], n_lists, faiss.METRIC_INNER_PRODUCT)
    index.is_trained = True
    index.add(rows)
    return index


def peer_hnsw(rows, k, options):
    import faiss

    index = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 100, 64
    index.add(rows)
    return index.search(rows, k + 1)[1]


def peer_ivf(rows, k, options):
    index = lists_of(rows, options.nlist or round(1.25 * len(rows) ** 0.5))
    index.nprobe = options.nprobe
    return index.search(rows, k + 1)[1]


def peer_batch(rows, k, options):
    import faiss
    from faiss.contrib.big_batch_search import big_batch_search

    index = lists_of(rows, options.nlist or round(1.25 * len(rows) ** 0.5))
    index.nprobe = options.nprobe
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        faiss.cvar.distance_compute_blas_threshold = 20
        return big_batch_search(index, rows, k + 1, method="knn_function", threaded=0)[1]


def peer_exact(rows, k, options):
    return exact_of(rows, rows, k + 1)


PEERS = {"hnsw": peer_hnsw, "ivf": peer_ivf, "batch": peer_batch, "exact": peer_exact}


class AnonymousMemory:
    """The peak of this process's anonymous memory while open, in MiB above the start."""

    def __enter__(self):
        self.first = self.peak = self._now()
        self.open = True
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.open = False
        self.thread.join()
        self.mib = self.peak - self.first

    def _now(self):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

    def _watch(self):
        while self.open:
            self.peak = max(self.peak, self._now())
            time.sleep(0.02)


def recall(found, truth, least, rows, sample):
    similarities = np.einsum("qd,qcd->qc", rows[sample], rows[np.maximum(found[sample], 0)])
    mine = (found[sample] != sample[:, None]) & (found[sample] >= 0) & (similarities >= least[:, None] - 3e-4)
    return float(np.minimum(mine.sum(axis=1) / truth.shape[1], 1).mean())


def truth_of(rows, sample, k):
    import faiss

    values, found = faiss.knn(rows[sample], rows, k + 1, metric=faiss.METRIC_INNER_PRODUCT)
    others = found != sample[:, None]
    others[others.all(axis=1), -1] = False
    return found[others].reshape(len(sample), k), values[others].reshape(len(sample), k)[:, -1]


def measure(path, options):
    """One size: ours, then the peers; returns our rows and seconds."""
    from icp.knn.search import search_neighbors

    stored, k = np.load(path, mmap_mode="r"), options.k
    n = len(stored)
    results = []
    for method in options.methods.split(";"):
        begin, wall = time.process_time(), time.perf_counter()
        with AnonymousMemory() as memory:
            method, _, factory = method.partition(":")
            more = {"faiss": factory} if factory else {}
            found = search_neighbors(stored, k=k, method=method, target_recall=options.target, **more).neighbors
        wall = time.perf_counter() - wall
        results.append([f"icp {factory or method}", time.process_time() - begin, wall, found, memory.mib])
    rows = np.asarray(stored, dtype=np.float32)
    sample = np.sort(np.random.default_rng(7).choice(n, min(SAMPLE, n), replace=False))
    truth, least = truth_of(rows, sample, k)
    for name in [name for name in options.peers.split(",") if name]:
        begin, wall = time.process_time(), time.perf_counter()
        found = PEERS[name](rows, k, options)
        wall = time.perf_counter() - wall
        results.append([name, time.process_time() - begin, wall, found, float("nan")])
    first = results[0][1]
    print(f"\n{n:,} rows of {rows.shape[1]}, k = {k}; float16 vectors {stored.nbytes / 2**20:.0f} MiB")
    print(f"{'':26}{'CPU s':>9}{'wall s':>9}{'recall':>9}{'x icp':>8}{'MiB':>8}")
    for name, seconds, wall, found, mib in results:
        share = recall(found, truth, least, rows, sample)
        print(f"{name:26}{seconds:9.2f}{wall:9.2f}{share:9.4f}{seconds / first:8.2f}{mib:8.0f}", flush=True)
    return n, first


def measure_steps(path, folder, options):
    """The steps neighbors and graph over files, in parts, with worker processes: what a run does."""
    import sys

    import pyarrow as pa
    import pyarrow.parquet as pq

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from made import finish, quiet, save

    from icp.config import parse_config
    from icp.engine import run_step
    from icp.engine.executor import ProcessExecutor
    from icp.pipeline import context_of
    from icp.steps.graph import step as graph
    from icp.steps.neighbors import step as neighbors

    stored, run, rows = np.load(path, mmap_mode="r"), folder / "run", {}
    for number, start in enumerate(range(0, len(stored), 65_536)):
        part = stored[start : start + 65_536]
        save(run / "embeddings" / f"part-{number:05}.npy", part)
        columns = {"doc": np.arange(start, start + len(part)), "text": pa.array(["a"] * len(part), pa.large_string())}
        (run / "documents").mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), run / "documents" / f"part-{number:05}.parquet")
        rows[f"part-{number:05}.parquet"] = len(part)
    save(run / "dedup" / "survivors.npy", np.arange(len(stored)))
    for name in ("documents", "dedup", "embeddings"):
        finish(run / name, rows)
    section = {"k": options.k, "method": options.methods.split(";")[0], "duplicate_similarity": 1.1}
    tree = {"run": str(run), "corpus": {"input": "none"}, "graph": section}
    print(f"\n{len(stored):,} rows of {stored.shape[1]}, steps over files, {options.workers} workers")
    with ProcessExecutor(options.workers) as executor:
        for step in (neighbors.STEP, graph.STEP):
            wall = time.perf_counter()
            manifest = run_step(step, context_of(parse_config(tree)), executor, quiet)
            wall = time.perf_counter() - wall
            print(f"{step.name}: {wall:.1f} s wall, peak {manifest.peak_rss_mib:.0f} MiB of a worker")
            print(f"  {manifest.facts}\n  {manifest.counts}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the development corpora")
    parser.add_argument("--vectors", nargs="*", default=[])
    parser.add_argument("--sizes", default="0")
    parser.add_argument("--peers", default="hnsw,ivf,batch,exact")
    parser.add_argument("--methods", default="cells", help="e.g. 'cells;faiss:IVF1024,PQ64x4fs,RFlat'")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--steps", action="store_true", help="the steps over files instead of the function")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--nlist", type=int, default=0)
    parser.add_argument("--nprobe", type=int, default=12)
    options = parser.parse_args()
    with contextlib.suppress(ImportError):
        import faiss

        faiss.omp_set_num_threads(1)
        faiss.cvar.distance_compute_blas_threshold = 20
    from icp.knn.search import search_neighbors

    rows, times = real_rows(options.data, options.vectors), []
    for method in options.methods.split(";"):  # compiled, and FAISS warm, before anything is timed
        search_neighbors(rows[:2000], method=method.partition(":")[0])
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for size in (int(size) for size in options.sizes.split(",")):
            path = Path(folder) / f"{size}.npy"
            if size:
                grow(rows, size, path)
            else:
                np.save(path, rows.astype(np.float16))
            if options.steps:
                measure_steps(path, Path(folder), options)
            else:
                times.append(measure(path, options))
            path.unlink()
    if len(times) > 1:
        n, seconds = np.log(np.array(times)).T
        print(f"\ngrowth: CPU seconds ~ rows ** {np.polyfit(n, seconds, 1)[0]:.2f}")


if __name__ == "__main__":
    main()
