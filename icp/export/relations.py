"""Exports of the graph alone, no pack needed: pairs of related documents, and clusters of like ones.

In: a finished graph, the texts. Out: one Parquet file, ``README.md`` and ``export.json``.

``pairs``: every edge of the graph whose ends are no copies (Jaccard below .6), lower doc first: doc_a, doc_b, id_a,
id_b, similarity (cosine), jaccard (of word n-grams). ``clusters``: a row a document: doc, id, and a label at three
levels, coarse, middle and fine, each of which parts the one before: documents are halved by direction until a cluster
holds at most a tenth, a hundredth and a thousandth of them, or eight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp import __version__
from icp.data import RowParts
from icp.dedup.shingles import shingle_sets
from icp.errors import ArtifactError
from icp.export.target import Target
from icp.kernels.knn_graph import jaccard_pairs
from icp.pack.bisection import halved_runs
from icp.run.names import INDICES, INDPTR, NODES, SURVIVORS, VECTORS, WEIGHTS
from icp.run.reader import Run, open_run
from icp.run.texts import TextReader
from icp.texts import text_buffers

COPY = 0.6
"""Jaccard from which on two documents are copies, or versions, of one."""
FEWEST = 8
"""Documents of a cluster from which on it is not parted."""
LEVELS = {"coarse": 10, "middle": 100, "fine": 1000}
BLOCK = 8192


@dataclass(frozen=True, slots=True)
class _Nodes:
    """Documents of a graph and their texts."""

    run: Run
    nodes: NDArray[np.int64]
    reader: TextReader

    def blocks(self) -> Iterator[NDArray[np.int64]]:
        """Docs of some nodes, one stretch after another."""
        yield from (self.nodes[first : first + BLOCK] for first in range(0, self.nodes.size, BLOCK))

    def ids(self) -> pa.Array:
        """(n_nodes,) the ids."""
        found: list[str] = []
        for docs in self.blocks():
            rows = self.reader.rows(docs, ("id",))
            found += [rows[doc]["id"] for doc in docs.tolist()]
        return pa.array(found, pa.string())

    def shingles(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The set of word n-grams of each node, and where it begins."""
        sets, sizes = [np.empty(0, np.uint64)], [np.zeros(1, np.int64)]
        for docs in self.blocks():
            texts = self.reader.fetch(docs)
            values, bounds = shingle_sets(
                text_buffers([texts[doc] for doc in docs.tolist()]), ngram=self.run.config.dedup.ngram
            )
            sets.append(values)
            sizes.append(np.diff(bounds))
        return np.concatenate(sets), np.cumsum(np.concatenate(sizes))


def write_relations(run: Path, fmt: str, target: Target) -> dict[str, Any]:
    """Write ``pairs`` or ``clusters`` of a run; returns the facts of the summary.

    Raises: ArtifactError for a run without a graph.
    Cost: for ``pairs`` some 8 bytes a word of all texts in memory; for ``clusters`` all vectors.
    """
    opened = open_run(run)
    if "graph" not in opened.manifests:
        raise ArtifactError(f"{run}: step graph is not finished; run `icp build-graph`, or name another run")
    nodes = _Nodes(opened, np.asarray(opened.array("graph", NODES), np.int64), TextReader(opened))
    table, more = _pairs(nodes) if fmt == "pairs" else _clusters(nodes)
    pq.write_table(table, target.path(f"{fmt}.parquet"), compression="zstd", row_group_size=1 << 16)
    facts = {
        "format": fmt,
        "icp": __version__,
        "graph": opened.manifests["graph"].digest,
        "rows": table.num_rows,
        **more,
    }
    told = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    about = (__doc__ or "").partition("\n\n``pairs``")[2]
    target.path("README.md").write_text(f"# {fmt}\n\n``pairs``{about}\n{told}\n", encoding="utf-8")
    return facts


def _pairs(nodes: _Nodes) -> tuple[pa.Table, dict[str, Any]]:
    indptr, indices = (np.asarray(nodes.run.array("graph", name), np.int64) for name in (INDPTR, INDICES))
    weights = np.asarray(nodes.run.array("graph", WEIGHTS, kinds="f"))
    ends = np.repeat(np.arange(nodes.nodes.size), np.diff(indptr))
    chosen = np.flatnonzero(ends < indices)
    chosen = chosen[np.lexsort((indices[chosen], ends[chosen]))]
    pairs = np.stack((ends[chosen], indices[chosen]), axis=1)
    sets = nodes.shingles()
    jaccards = jaccard_pairs(*sets, *sets, pairs)
    stays = jaccards < COPY
    pairs, ids = pairs[stays], nodes.ids()
    columns: dict[str, Any] = {f"doc_{side}": nodes.nodes[pairs[:, at]] for at, side in enumerate("ab")}
    columns |= {f"id_{side}": ids.take(pa.array(pairs[:, at])) for at, side in enumerate("ab")}
    columns |= {"similarity": weights[chosen][stays].astype(np.float32), "jaccard": jaccards[stays]}
    return pa.table(columns), {"copies_left_out": int((~stays).sum()), "copies_from_jaccard": COPY}


def _clusters(nodes: _Nodes) -> tuple[pa.Table, dict[str, Any]]:
    rows = np.searchsorted(nodes.run.array("dedup", SURVIVORS), nodes.nodes).astype(np.int64)
    vectors = RowParts(nodes.run.paths("embeddings", VECTORS))[rows]
    columns: dict[str, Any] = {"doc": nodes.nodes, "id": nodes.ids()}
    counts = {}
    for level, share in LEVELS.items():
        runs = halved_runs(vectors, np.ones(len(rows), np.int64), max(FEWEST, -(-len(rows) // share)))
        label = np.empty(len(rows), np.int32)
        for number, members in enumerate(runs):
            label[members] = number
        columns[level], counts[f"{level}_clusters"] = label, len(runs)
    return pa.table(columns), counts
