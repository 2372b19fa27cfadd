"""Windows against the paper's, other baselines and peers: ``python tests/bench/bench_windows.py DATA``.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
        python tests/bench/bench_windows.py DATA --vectors linked-docs=minilm.npy --check

DATA is a folder of Parquet files with columns ``text`` and ``source``. Sections (``--only table,growth,stretches``):
*table*, every method on the same documents, planned in each embedding and judged in both; *stretches*, what planning by
smaller stretches, and by partitions, loses; *growth*, CPU seconds on documents grown from real ones, and two threads.

Documents: near-copies left out in both embeddings as the steps of a run do it; what is left of pairs as alike is in
conflict, which binds ``windows``, ``path-fit`` and ``best-fit`` alone (``--agree 0``: all such pairs left out).
Neighbours are exact (k = 20; growth: `icp.search_neighbors` decides). Embeddings: hybrid, and a given one
(``--vectors NAME=FILE.npy``) or `minilm`. Lengths: tokens of a byte-level BPE of 16,384 ids trained on 16 MiB of the
corpus (the default of a run), one eos a document. Ratios are to Algorithm 1 cut along its path. Columns with a star:
judged in the other embedding. CPU seconds (`time.process_time`) of the plan alone, after everything was compiled;
the process keeps itself to one core, but for the two threads of *growth*.
"""

import argparse
import json
import os
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_graph import grow
from corpora import AGREE, Documents, Rows, conflicting_neighbors, load_documents, timed, vectors_of
from numpy.typing import NDArray
from window_peers import official_order, tree_order
from window_targets import check

import icp
from icp import DocGraph, KnnGraph, PackPlan
from icp.order.matching import improve_order, matching_order
from icp.order.visit_order import greedy_order
from icp.pack import partitions, rounds
from icp.pack.plan_windows import broken_conflicts
from icp.pack.similarity import DEFLATE_WINDOW, window_figures

SPECIALS = (0, 1)
SEQ_LENS = {"linked-docs": (2048, 8192, 32768, 131072)}
USUAL_SEQ_LENS = (2048, 8192, 32768)
BITS_TOKENS = 20_000_000
"""Of a corpus of more tokens, context_bits is of windows drawn by the seed: the same share of each plan."""
BASE = "algorithm1 + path-cut"
PLANNED = {
    "windows, split minimal": {},
    "windows, split never, .97": {"split": "never", "min_fill": 0.97},
    "windows, split never, .99": {"split": "never", "min_fill": 0.99},
    "windows, split free": {"split": "free"},
}
GROWN = (33_000, 100_000, 300_000)
GROWN_SEQ_LEN = 8192
STRETCHES = (2, 4, 8)

Row = dict[str, Any]


@dataclass(frozen=True)
class View:
    """Documents as one embedding sees them.

    Attributes:
        conflicts: (m, 2) int64.
        walked, path: orders by Algorithm 1, and by matching and its improvement.
        seconds: CPU seconds of both orders.
    """

    rows: Rows
    knn: KnnGraph
    graph: DocGraph
    conflicts: NDArray[np.int64]
    walked: NDArray[np.int32]
    path: NDArray[np.int32]
    seconds: tuple[float, float]


class ContextBits:
    """`icp.pack.similarity.context_bits` with what documents cost alone counted once, and for a sample of windows."""

    def __init__(self, documents: Documents, most_tokens: int) -> None:
        self.texts, self.lengths = documents.texts, documents.lengths
        self.share = min(1.0, most_tokens / max(1, int(documents.lengths.sum())))
        self.alone = np.array([_deflated(text, b"") for text in self.texts])

    def of(self, plan: PackPlan) -> float:
        chosen = np.zeros(plan.n_windows, dtype=bool)
        chosen[np.random.default_rng(0).permutation(plan.n_windows)[: int(np.ceil(self.share * plan.n_windows))]] = True
        saved, n_bytes, before, window = 0.0, 0, b"", -1
        for place in np.flatnonzero(chosen[plan.window]).tolist():
            doc, here = int(plan.doc[place]), int(plan.window[place])
            text, length = self.texts[doc], int(self.lengths[doc])
            start, stop = (int(bound[place]) * len(text) // length for bound in (plan.start, plan.stop))
            before, window = (before if here == window else b""), here
            # a piece costs alone what its share of the whole document does: a cut pays for its lost context
            saved += self.alone[doc] * ((stop - start) / max(1, len(text))) - _deflated(text[start:stop], before)
            n_bytes += stop - start
            before = (before + text[start:stop])[-DEFLATE_WINDOW:]
        return 8 * saved / max(1, n_bytes)


def _deflated(text: bytes, before: bytes) -> int:
    options = (6, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY)
    stream = zlib.compressobj(*options, before) if before else zlib.compressobj(*options)
    return len(stream.compress(text)) + len(stream.flush())


def view_of(rows: Rows) -> View:
    """Neighbours, graph and orders of an embedding."""
    knn, conflicts = conflicting_neighbors(rows)
    graph = icp.symmetrize(knn)
    walked, walk_s = timed(lambda: greedy_order(graph)[0])
    path, path_s = timed(lambda: improve_order(matching_order(graph, rows), graph, rows))
    return View(rows, knn, graph, conflicts, walked, path, (walk_s, path_s))


def plans_of(
    view: View, documents: Documents, seq_len: int, wanted: tuple[str, ...] = ("",)
) -> dict[str, tuple[PackPlan, float]]:
    """Plan and CPU seconds of each method whose name holds a wanted word; peers' with the time of their order."""
    lengths = documents.lengths

    def planned(order: NDArray[np.integer], method: str, **options: Any) -> PackPlan:
        return icp.plan_windows(
            view.graph,
            view.rows,
            order,
            lengths,
            seq_len=seq_len,
            method=method,
            specials=SPECIALS,
            sources=documents.sources if method == "source" else None,
            conflicts=view.conflicts if method in ("windows", "path-fit", "best-fit") else None,
            **options,
        )

    near, cut = view.knn.neighbors, "path-cut"
    tasks = {
        "random + path-cut": lambda: planned(view.path, "random"),
        "source + path-cut": lambda: planned(view.path, "source"),
        "best-fit": lambda: planned(view.path, "best-fit"),
        "official repository + path-cut": lambda: planned(official_order(near), cut),
        "trees as in SPLiCe": lambda: planned(tree_order(near, lengths, seq_len), cut),
        BASE: lambda: planned(view.walked, cut),
        "matching + improve + path-cut": lambda: planned(view.path, cut),
        "algorithm1 + path-fit": lambda: planned(view.walked, "path-fit"),
    }
    for name, options in PLANNED.items():
        tasks[name] = lambda options=options: planned(view.path, "windows", **options)
    return {name: timed(task) for name, task in tasks.items() if name == BASE or any(word in name for word in wanted)}


def table(
    documents: Documents, views: dict[str, View], bits: ContextBits, seq_len: int, wanted: tuple[str, ...]
) -> list[Row]:
    """Rows of all methods, planned in each embedding and judged in all."""
    out = []
    for planned_in, view in views.items():
        rows: list[Row] = []
        for method, (plan, seconds) in plans_of(view, documents, seq_len, wanted).items():
            judged = {
                name: asdict(window_figures(plan, other.rows, documents.lengths, capacity=seq_len))
                for name, other in views.items()
            }
            row = {"set": documents.name, "seq_len": seq_len, "planned_in": planned_in, "method": method}
            row |= {"documents": len(documents.texts), "windows": plan.n_windows} | judged[planned_in]
            row |= {"context_bits": bits.of(plan), "conflicts": len(view.conflicts)}
            row["broken"] = len(broken_conflicts(plan, view.conflicts))
            for name, figures in judged.items():
                if name != planned_in:
                    row |= {f"other_{key}": figures[key] for key in ("mean_similarity", "max_similarity")}
            rows.append(row | {"seconds": seconds})
        shown(rows, view)
        out += rows
    return out


class Kept:
    """Rows of this run and, from a file, of earlier ones: of each kind and subject the last."""

    subject = ("set", "seq_len", "planned_in", "method", "documents")

    def __init__(self, path: Path | None) -> None:
        self.path, self.rows = path, {"table": [], "growth": []}
        if path and path.exists():
            self.rows = json.loads(path.read_text(encoding="utf-8"))

    def add(self, kind: str, rows: list[Row]) -> None:
        by_subject = {tuple(row.get(key) for key in self.subject): row for row in (*self.rows[kind], *rows)}
        self.rows[kind] = list(by_subject.values())
        if self.path:
            self.path.write_text(json.dumps(self.rows, indent=1, default=float), encoding="utf-8")


RATIOS = ("mean_similarity", "max_similarity", "context_bits", "split_documents", "cuts")
OTHER_RATIOS = ("other_mean_similarity", "other_max_similarity")


def shown(rows: list[Row], view: View) -> None:
    """Print the rows of one set, embedding and length, with ratios to the base, which are added to the rows."""
    base = next(row for row in rows if row["method"] == BASE)
    for row in rows:
        for key in (*RATIOS, *(key for key in OTHER_RATIOS if key in row)):
            row[f"{key}_ratio"] = row[key] / base[key] if base[key] else float("nan")
    first = rows[0]
    print(
        f"\n{first['set']}: {first['documents']} documents, seq_len {first['seq_len']}, planned in "
        f"{first['planned_in']} ({view.rows.shape[1]} dimensions); {first['conflicts']} conflicts; CPU seconds of the "
        f"orders: algorithm1 {view.seconds[0]:.2f}, matching + improve {view.seconds[1]:.2f}"
    )
    print(
        f"{'':<30} {'windows':>7} {'fill':>6} {'mean':>6} {'ratio':>6} {'max':>6} {'ratio':>6} {'bits':>6} {'ratio':>6}"
        f" {'split':>6} {'ratio':>6} {'cuts':>6} {'ratio':>6} {'broken':>6} {'s/100k':>7}"
        f" {'mean*':>6} {'ratio':>6} {'max*':>6} {'ratio':>6}"
    )
    for row in rows:
        cells = [f"{row['method']:<30} {row['windows']:>7} {row['fill']:>6.4f}"]
        cells += [f"{row[key]:>6.4f} {row[key + '_ratio']:>6.3f}" for key in RATIOS[:3]]
        cells += [f"{row[key]:>6} {row[key + '_ratio']:>6.3f}" for key in RATIOS[3:]]
        cells.append(f"{row['broken']:>6}")
        cells.append(f"{1e5 * row['seconds'] / row['documents']:>7.1f}")
        cells += [f"{row[key]:>6.4f} {row[key + '_ratio']:>6.3f}" for key in OTHER_RATIOS if key in row]
        print(" ".join(cells), flush=True)


def stretches(documents: Documents, name: str, view: View, seq_len: int) -> None:
    """Loss of mean_similarity when the planner holds fewer documents at once than there are: by stretches in one piece,
    and by partitions of two stretches each."""
    n_docs, options = len(documents.texts), {"seq_len": seq_len, "specials": SPECIALS, "conflicts": view.conflicts}
    sizes = rounds.STRETCH_DOCS, partitions.PARTITION_DOCS

    def planned(stretch: int, partition: int) -> tuple[float, float, float]:
        rounds.STRETCH_DOCS, partitions.PARTITION_DOCS = stretch, partition
        plan, seconds = timed(lambda: icp.plan_windows(view.graph, view.rows, view.path, documents.lengths, **options))
        found = window_figures(plan, view.rows, documents.lengths, capacity=seq_len)
        return found.mean_similarity, found.max_similarity, seconds

    whole = planned(n_docs, n_docs)
    print(f"{documents.name}, {name}, seq_len {seq_len}: mean_similarity {whole[0]:.4f}, {whole[2]:.1f} s", flush=True)
    for kind in ("stretches", "partitions"):
        told = []
        for pieces in STRETCHES:
            most = -(-n_docs // pieces)
            mean, top, seconds = planned(most, n_docs) if kind == "stretches" else planned(most // 2, most)
            lost = f"{100 * (1 - mean / whole[0]):+.2f}% (max {100 * (1 - top / whole[1]):+.2f}%, {seconds:.1f} s)"
            told.append(f"{pieces} {kind} {lost}")
        print(f"  lost in {', '.join(told)}", flush=True)
    rounds.STRETCH_DOCS, partitions.PARTITION_DOCS = sizes


def growth(documents: Documents, rows: Rows, scratch: Path, sizes: list[int]) -> list[Row]:
    """CPU seconds of the planner by number of documents, and the wall time of two threads."""
    out: list[Row] = []
    for n_docs in sizes:
        path = scratch / f"windows-{n_docs}-{rows.shape[1]}.npy"
        if not path.exists():
            grow(rows.astype(np.float32), n_docs, path)
        grown = np.load(path, mmap_mode="r")
        graph = icp.symmetrize(icp.search_neighbors(grown, k=20))
        order = improve_order(matching_order(graph, grown), graph, grown)
        lengths = np.random.default_rng(0).choice(documents.lengths, n_docs)
        out.append({"documents": n_docs, "dimensions": rows.shape[1]})
        started = time.perf_counter()
        plan, seconds = timed(lambda g=graph, x=grown, o=order, t=lengths: _grown_plan(g, x, o, t, 1))
        out[-1] |= {"seconds": seconds, "wall": time.perf_counter() - started}
        if n_docs > rounds.STRETCH_DOCS and len(ALL_CORES) > 1:
            os.sched_setaffinity(0, ALL_CORES)
            started = time.perf_counter()
            both = _grown_plan(graph, grown, order, lengths, 2)
            out[-1]["two_threads"] = out[-1]["wall"] / (time.perf_counter() - started)
            assert all(np.array_equal(getattr(plan, key), getattr(both, key)) for key in PackPlan.__slots__)
            one_core()
        figures = window_figures(plan, grown, lengths, capacity=GROWN_SEQ_LEN)
        last = out[-1]
        if len(out) > 1:
            last["exponent"] = np.log(seconds / out[-2]["seconds"]) / np.log(n_docs / out[-2]["documents"])
        print(
            f"grown {n_docs:>8,} x {rows.shape[1]}: planner {seconds:.1f} CPU s, "
            f"{1e5 * seconds / n_docs:.1f} s per 100,000"
            + (f", exponent {last['exponent']:.3f}" if "exponent" in last else "")
            + (f", two threads {last['two_threads']:.2f}x" if "two_threads" in last else "")
            + f"; fill {figures.fill:.4f}, mean {figures.mean_similarity:.4f}",
            flush=True,
        )
    return out


def _grown_plan(
    graph: DocGraph, rows: Rows, order: NDArray[np.int32], lengths: NDArray[np.int64], threads: int
) -> PackPlan:
    return icp.plan_windows(graph, rows, order, lengths, seq_len=GROWN_SEQ_LEN, specials=SPECIALS, threads=threads)


ALL_CORES = os.sched_getaffinity(0)


def one_core() -> None:
    """Keep this process to its last core."""
    os.sched_setaffinity(0, {max(ALL_CORES)})


def warm() -> None:
    """A few documents, so that seconds are of the work."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((300, 16)).astype(np.float32)
    rows[1] = rows[0]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    lengths = random.integers(2, 200, 300)
    documents = Documents("warm", [b"text"] * 300, lengths % 3, lengths, {"warm": rows})
    for plan, _ in plans_of(view_of(rows), documents, 512).values():
        window_figures(plan, rows, lengths, capacity=512)


def main() -> None:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="table,stretches,growth")
    parser.add_argument("--sets", default="linked-docs,quickstart,arxiv-abstracts")
    parser.add_argument("--seq-lens", default="", help="instead of 2048, 8192, 32768, for linked-docs 131072 too")
    parser.add_argument("--methods", default="", help="only methods whose name holds one of these words, and the base")
    parser.add_argument("--embeddings", default="hybrid,minilm", help="in which windows are planned and judged")
    parser.add_argument("--agree", type=float, default=AGREE, help="least Jaccard of near-copies; 0: no conflicts left")
    parser.add_argument("--vectors", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--scratch", type=Path, default=Path(), help="where lengths and grown vectors are kept")
    parser.add_argument("--sizes", default=",".join(map(str, GROWN)), help="documents of growth")
    parser.add_argument(
        "--bits-tokens", type=int, default=BITS_TOKENS, help="context_bits: of windows of so many tokens"
    )
    parser.add_argument("--json", type=Path, help="where rows are kept; those of earlier runs stay, unless made again")
    parser.add_argument("--check", action="store_true", help="say of each target whether it is met")
    args = parser.parse_args()
    given = {name: Path(path) for name, path in (item.split("=", 1) for item in args.vectors)}
    wanted, kept = args.only.split(","), Kept(args.json)
    one_core()
    warm()
    for name in args.sets.split(","):
        embeddings = {
            model: vectors_of(args.data, name, given if model == "minilm" else {}, model)
            for model in args.embeddings.split(",")
        }
        documents = load_documents(args.data, name, embeddings, args.scratch, args.agree)
        seq_lens = [int(size) for size in args.seq_lens.split(",") if size] or SEQ_LENS.get(name, USUAL_SEQ_LENS)
        views = {key: view_of(rows) for key, rows in documents.rows.items()} if set(wanted) - {"growth"} else {}
        bits = ContextBits(documents, args.bits_tokens) if "table" in wanted else None
        for seq_len in seq_lens:
            if bits:
                kept.add("table", table(documents, views, bits, seq_len, tuple(args.methods.split(","))))
            if "stretches" in wanted:
                for key, view in views.items():
                    stretches(documents, key, view, seq_len)
        if "growth" in wanted and name == args.sets.split(",")[0]:
            sizes = [int(size) for size in args.sizes.split(",")]
            kept.add("growth", growth(documents, list(documents.rows.values())[-1], args.scratch, sizes))
    if args.check:
        check(kept.rows["table"], kept.rows["growth"])


if __name__ == "__main__":
    main()
