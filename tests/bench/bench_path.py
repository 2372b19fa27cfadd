"""The path against its bounds, LKH and Algorithm 1, and how it grows: ``python tests/bench/bench_path.py DATA``.

DATA is a folder of Parquet files with a column ``text``. Sections (``--only bounds,lkh,...``): *bounds*, certificates
and CPU seconds of every method on each set; *lkh*, subsets of 2,000 documents against LKH (`elkai`); *partitions*, what
work in pieces loses; *spread*, windows of 8 documents in training order; *growth*, time and memory from 100,000 to
1,000,000 synthetic documents. Neighbours are exact (k = 20; growth: 10 among the own 4,000, far from all others).
CPU seconds (`time.process_time`) after everything was compiled. Vectors come from ``--vectors NAME=FILE.npy`` or are
made by ``--model``. Run it as ``OMP_NUM_THREADS=1 taskset -c 1 python ...``.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from corpora import ALIKE, K, Rows, neighbors_of, timed, vectors_of
from numpy.typing import NDArray
from order_pieces import improved_in_stretches, joined_in_pieces

import icp
from icp import DocGraph, KnnGraph
from icp.order.bounds import dual_bound, raw_upper_bound
from icp.order.matching import improve_order, matching_order
from icp.order.visit_order import greedy_order, order_similarity
from icp.pack.spread import DISTANCES, best_stride, strided, window_path

SUBSET = 2000
PER_WINDOW = 8
SIZES = (100_000, 316_000, 1_000_000)
CLUSTER, SECTOR, NOISE = 10, 4000, 0.7


def load_rows(data: Path, name: str, given: dict[str, Path], model: str) -> Rows:
    """Vectors of a corpus; a row as alike as a copy to an earlier kept one is left out, zero rows too."""
    rows = vectors_of(data, name, given, model)
    rows = rows[rows.any(axis=1)]
    kept = np.ones(len(rows), dtype=bool)
    knn = icp.search_neighbors(rows, k=K, method="exact")
    for row in range(len(rows)):
        alike = knn.neighbors[row][(knn.similarities[row] >= ALIKE) & (knn.neighbors[row] >= 0)]
        kept[row] = not kept[alike[alike < row]].any()
    return rows[kept]


def orders_of(graph: DocGraph, rows: Rows) -> dict[str, tuple[NDArray[np.int32], float]]:
    """Each method's order and CPU seconds."""
    walked, walk_s = timed(lambda: greedy_order(graph)[0])
    walked2, walk2_s = timed(lambda: greedy_order(graph, recompute_degree=True)[0])
    matched, match_s = timed(lambda: matching_order(graph, rows))
    walked_on, on_s = timed(lambda: improve_order(walked, graph, rows))
    improved, improve_s = timed(lambda: improve_order(matched, graph, rows))
    return {
        "algorithm1": (walked, walk_s),
        "algorithm1, recomputed degree": (walked2, walk2_s),
        "algorithm1 + improve": (walked_on, walk_s + on_s),
        "matching": (matched, match_s),
        "matching + improve": (improved, match_s + improve_s),
    }


def bounds(name: str, rows: Rows) -> None:
    """Certificates of every method."""
    knn, graph = neighbors_of(rows)
    orders_of(*warm())
    top2 = raw_upper_bound(knn.similarities)
    dual, dual_s = timed(lambda: dual_bound(knn))
    print(f"{name}: {len(rows)} documents, {rows.shape[1]} dimensions; dual bound {dual / top2:.4f} of the half of")
    print(f"  the two largest, {dual_s:.2f} s")
    for method, (order, seconds) in orders_of(graph, rows).items():
        similarity = order_similarity(order, rows)
        print(
            f"  {method:<30} {similarity / top2:.4f} of half of two, {similarity / dual:.4f} of dual, {seconds:.2f} s"
        )


def lkh(name: str, rows: Rows) -> None:
    """Random documents, and a stretch of the path, against LKH."""
    import elkai

    _, graph = neighbors_of(rows)
    path = improve_order(matching_order(graph, rows), graph, rows)
    half = len(path) // 2
    drawn = np.sort(np.random.default_rng(0).choice(len(rows), SUBSET, replace=False))
    for kind, chosen in (("random", drawn), ("stretch of the path", np.sort(path[half : half + SUBSET]))):
        some = rows[chosen]
        _, few = neighbors_of(some)
        # a tour through one more document, as far from all, is a path
        distances = np.zeros((SUBSET + 1, SUBSET + 1), dtype=np.int64)
        distances[1:, 1:] = np.rint(1e6 * (1 - some.astype(np.float64) @ some.astype(np.float64).T))
        np.fill_diagonal(distances, 0)
        tour, seconds = timed(lambda distances=distances: elkai.DistanceMatrix(distances.tolist()).solve_tsp(runs=1))
        best = order_similarity(np.array(tour[1:-1], dtype=np.int32) - 1, some)
        shares = {method: order_similarity(order, some) / best for method, (order, _) in orders_of(few, some).items()}
        told = ", ".join(f"{method} {share:.4f}" for method, share in shares.items())
        print(f"{name}, {kind} {SUBSET}: LKH 1 ({seconds:.0f} s), {told}", flush=True)


def partitions(name: str, rows: Rows) -> None:
    """Certificates of pieces solved alone and joined."""
    knn, graph = neighbors_of(rows)
    top2 = raw_upper_bound(knn.similarities)
    for n_pieces in (1, 4, 16, 64):
        joined = joined_in_pieces(graph, rows, n_pieces)
        order = improved_in_stretches(joined, graph, rows, n_pieces)
        shares = [order_similarity(found, rows) / top2 for found in (joined, order)]
        print(f"{name}, {n_pieces:2} pieces: {shares[0]:.4f} of half of two, {shares[1]:.4f} improved")


def spread(name: str, rows: Rows) -> None:
    """How alike neighbours in training are, and the least gaps."""
    _, graph = neighbors_of(rows)
    path = improve_order(matching_order(graph, rows), graph, rows)
    n_windows = len(path) // PER_WINDOW
    members = rows[path[: n_windows * PER_WINDOW]].astype(np.float32).reshape(n_windows, PER_WINDOW, -1)
    centroids = members.mean(axis=1)
    centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-9)
    path, seconds = timed(lambda: window_path(centroids))
    stride, gaps = best_stride(n_windows)
    chance = np.random.default_rng(0).permutation(n_windows)
    orders = {"path": path, "random": chance, "spread": path[strided(n_windows, stride)]}
    for kind, order in orders.items():
        alike = (centroids[order[1:]] * centroids[order[:-1]]).sum(axis=1)
        print(f"{name}, {kind}: adjacent windows {alike.mean():.4f}, above .6 {np.mean(alike > 0.6):.4f}")
    least = np.min([measured_gaps(strided(n_windows, stride, o)) for o in range(0, n_windows, 97)], axis=0)
    print(f"  {n_windows} windows, stride {stride}, gaps at {DISTANCES} stated {gaps}, ", end="")
    print(f"least over offsets {least.tolist()}; {seconds:.2f} s")


def measured_gaps(path_rank: NDArray[np.int64]) -> list[int]:
    """Least steps between windows at most so far apart on the path."""
    step = np.empty_like(path_rank)
    step[path_rank] = np.arange(path_rank.size)
    return [min(int(np.abs(step[d:] - step[:-d]).min()) for d in range(1, most + 1)) for most in DISTANCES]


def synthetic(n_docs: int, dim: int) -> tuple[Rows, KnnGraph]:
    """Sectors of 4,000 documents far from one another, in each clusters of 10; exact neighbours inside the sector."""
    rows = np.empty((n_docs, dim), dtype=np.float16)
    knn = KnnGraph(np.empty((n_docs, CLUSTER), np.int32), np.empty((n_docs, CLUSTER), np.float32))
    for begin in range(0, n_docs, SECTOR):
        random = np.random.default_rng([begin, dim])
        size = min(SECTOR, n_docs - begin)
        middles = 2 * random.normal(size=dim) + random.normal(size=(size // CLUSTER + 1, dim))
        block = middles[random.integers(0, len(middles), size)] + NOISE * random.normal(size=(size, dim))
        block = (block / np.linalg.norm(block, axis=1, keepdims=True)).astype(np.float16)
        rows[begin : begin + size] = block
        alike = block.astype(np.float32) @ block.astype(np.float32).T
        np.fill_diagonal(alike, -2)
        near = np.argpartition(-alike, CLUSTER, axis=1)[:, :CLUSTER]
        near = np.take_along_axis(near, np.argsort(-np.take_along_axis(alike, near, 1), axis=1), 1)
        knn.neighbors[begin : begin + size] = near + begin
        knn.similarities[begin : begin + size] = np.take_along_axis(alike, near, 1)
    shuffled = np.random.default_rng(1).permutation(n_docs)
    place = np.argsort(shuffled).astype(np.int32)
    return rows[shuffled], KnnGraph(place[knn.neighbors[shuffled]], knn.similarities[shuffled])


def warm() -> tuple[DocGraph, Rows]:
    """A few documents, so that seconds are of the work."""
    rows, knn = synthetic(300, 16)
    dual_bound(knn)
    return icp.symmetrize(knn), rows


def growth(folder: Path, dims: list[int]) -> None:
    """Each size in a process of its own, for its own peak of memory."""
    for dim in dims:
        for n_docs in SIZES:
            paths = [folder / f"path-{n_docs}-{dim}-{name}.npy" for name in ("rows", "indptr", "indices", "weights")]
            if not paths[-1].exists():
                rows, knn = synthetic(n_docs, dim)
                graph = icp.symmetrize(knn)
                for path, array in zip(paths, (rows, graph.indptr, graph.indices, graph.weights), strict=True):
                    np.save(path, array)
                np.save(folder / f"path-{n_docs}-{dim}-neighbors.npy", knn.neighbors)
                np.save(folder / f"path-{n_docs}-{dim}-similarities.npy", knn.similarities)
            subprocess.run([sys.executable, __file__, "grown", *map(str, paths)], check=True)


def grown(paths: list[str]) -> None:
    """One size, from files: the embeddings stay on disk, as in a run."""
    import resource

    rows = np.load(paths[0], mmap_mode="r")
    graph = DocGraph(*(np.load(path) for path in paths[1:]))
    for method in orders_of(*warm()):
        assert method
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    matched, match_s = timed(lambda: matching_order(graph, rows))
    order, improve_s = timed(lambda: improve_order(matched, graph, rows))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    _, walk_s = timed(lambda: greedy_order(graph))
    walked = order_similarity(greedy_order(graph)[0], rows)
    knn = KnnGraph(*(np.load(paths[0].replace("rows", name)) for name in ("neighbors", "similarities")))
    dual, dual_s = timed(lambda: dual_bound(knn))
    top2 = raw_upper_bound(knn.similarities)
    print(
        f"{len(rows):>9,} x {rows.shape[1]}: matching {match_s:.1f} s, improve {improve_s:.1f} s, together "
        f"{match_s + improve_s:.1f} s; peak {after:.2f} GB, {peak:.2f} before, embeddings {rows.nbytes / 1e9:.2f}; "
        f"Algorithm 1 {walk_s:.1f} s, dual bound {dual_s:.1f} s\n          of half of two: Algorithm 1 "
        f"{walked / top2:.4f}, matching {order_similarity(matched, rows) / top2:.4f}, + improve "
        f"{order_similarity(order, rows) / top2:.4f} ({order_similarity(order, rows) / dual:.4f} of dual)",
        flush=True,
    )


SECTIONS = {"bounds": bounds, "lkh": lkh, "partitions": partitions, "spread": spread}


def main() -> None:
    """Run the sections asked for."""
    if sys.argv[1:2] == ["grown"]:
        grown(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default=",".join((*SECTIONS, "growth")))
    parser.add_argument("--sets", default="linked-docs,arxiv-abstracts")
    parser.add_argument("--model", default="lexical")
    parser.add_argument("--vectors", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--scratch", type=Path, default=Path(), help="where synthetic sets are kept")
    parser.add_argument("--dims", default="64,384")
    args = parser.parse_args()
    given = {name: Path(path) for name, path in (item.split("=", 1) for item in args.vectors)}
    wanted = args.only.split(",")
    for name in args.sets.split(",") if set(wanted) & set(SECTIONS) else []:
        rows = load_rows(args.data, name, given, args.model)
        for section in wanted:
            if section in SECTIONS:
                SECTIONS[section](name, rows)
    if "growth" in wanted:
        growth(args.scratch, [int(dim) for dim in args.dims.split(",")])


if __name__ == "__main__":
    main()
