"""Promise 2: every removed document repeats a kept one, checked against the texts.

In: dedup/, graph/, embeddings/, the texts. Out: breaches; the share that holds where the configuration promises none.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from icp.audit.findings import Breaches
from icp.audit.shingles import jaccard, same_text, shingles
from icp.data import RowParts
from icp.run.names import DUPLICATES, NEAR_HELD, NODES, SURVIVORS, VECTORS
from icp.run.reader import Run, WrongForm, integers, read_columns
from icp.run.removed import among, removed_docs
from icp.run.texts import TextReader

HALF = 2.0**-11
"""A cosine near 1 is rounded by up to this much when it is kept as float16."""
BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Removed:
    """Rows of a ``duplicates`` folder.

    Attributes:
        doc, duplicate_of: (n,) int64.
        jaccard: (n,) float64.
        kind: (n,) exact | near | semantic.
    """

    doc: NDArray[np.int64]
    duplicate_of: NDArray[np.int64]
    jaccard: NDArray[np.float64]
    kind: NDArray[np.object_]

    def shown(self, at: int) -> str:
        """A row as it is named in findings."""
        return f"doc {self.doc[at]} of doc {self.duplicate_of[at]}"


def read_removed(run: Run, step: str) -> Removed:
    """All rows of ``duplicates/`` of a step."""
    names = run.names(step, DUPLICATES)
    tables = [read_columns(run.path(step, name), ("doc", "duplicate_of", "jaccard", "kind")) for name in names]
    if not tables:
        empty = np.empty(0, dtype=np.int64)
        return Removed(empty, empty, empty.astype(np.float64), empty.astype(object))
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise WrongForm(f"{step}/duplicates: the parts differ in their columns ({error})") from None
    return Removed(
        integers(table, "doc"),
        integers(table, "duplicate_of"),
        np.asarray(table.column("jaccard").to_numpy(), dtype=np.float64),
        np.array(table.column("kind").to_pylist(), dtype=object),
    )


def near_held_docs(run: Run) -> NDArray[np.int64]:
    """(n,) int64: documents that the graph left out as their vectors are near to those of held-out ones."""
    tables = [read_columns(run.path("graph", name), ("doc",)) for name in run.names("graph", NEAR_HELD)]
    return np.concatenate([np.empty(0, np.int64), *(integers(table, "doc") for table in tables)])


def check_duplicates(run: Run, found: Breaches) -> str:
    """Duplicates name kept documents that they repeat; each document is kept or removed, once."""
    reader = TextReader(run)
    survivors = run.array("dedup", SURVIVORS).astype(np.int64)
    removed, semantic = read_removed(run, "dedup"), read_removed(run, "graph")
    nodes = run.array("graph", NODES).astype(np.int64)
    _check_fates(survivors, removed, reader.n_docs, found)
    _check_names(removed, survivors, reader.n_docs, "survivor", found)
    _check_names(semantic, nodes, reader.n_docs, "node", found)
    if not np.array_equal(nodes, np.setdiff1d(survivors, np.concatenate((semantic.doc, near_held_docs(run))))):
        found.add(f"graph/{NODES} is not the survivors less the semantic duplicates and what is near to held-out ones")
    if found:
        return ""  # what follows looks documents up by these numbers
    holes = removed_docs(run.folders["documents"])
    share = _check_texts(run, reader, _less(removed, holes), found)
    _check_semantic(run, reader, _less(semantic, holes), survivors, found)
    return (
        f"removed as duplicates of a kept document: {removed.doc.size:,} by dedup ({share}), {semantic.doc.size:,} by "
        f"graph; kept: {survivors.size:,} after dedup, {nodes.size:,} in the graph"
    )


def _less(removed: Removed, holes: NDArray[np.int64]) -> Removed:
    """Without pairs of documents that are both empty since `icp remove`, so that there is nothing to compare."""
    stays = ~(among(removed.doc, holes) & among(removed.duplicate_of, holes))
    return Removed(*(getattr(removed, name)[stays] for name in Removed.__slots__))


def _check_fates(survivors: NDArray[np.int64], removed: Removed, n_docs: int, found: Breaches) -> None:
    if survivors.size and (np.any(np.diff(survivors) <= 0) or survivors[0] < 0 or survivors[-1] >= n_docs):
        found.add(f"dedup/{SURVIVORS} does not ascend within the doc numbers")
        return
    outside = (removed.doc < 0) | (removed.doc >= n_docs)
    found.add_all("rows of dedup/duplicates that name no document", np.flatnonzero(outside), removed.shown)
    times = np.bincount(np.concatenate((survivors, removed.doc[~outside])), minlength=n_docs)
    found.add_all("documents neither kept nor removed", np.flatnonzero(times == 0), lambda doc: f"doc {doc}")
    found.add_all("documents kept or removed more than once", np.flatnonzero(times > 1), lambda doc: f"doc {doc}")


def _check_names(removed: Removed, kept: NDArray[np.int64], n_docs: int, word: str, found: Breaches) -> None:
    inside = (removed.duplicate_of >= 0) & (removed.duplicate_of < n_docs)
    unnamed = (removed.duplicate_of == -1) & (removed.kind == "imported")
    wrong = ~(unnamed | (inside & np.isin(removed.duplicate_of, kept)))
    found.add_all(f"duplicates whose kept document is no {word}", np.flatnonzero(wrong), removed.shown)


def _check_texts(run: Run, reader: TextReader, removed: Removed, found: Breaches) -> str:
    """Compare the texts; returns how the threshold holds."""
    config = run.config.dedup
    trusted, unnamed = int((removed.kind == "imported").sum()), int((removed.duplicate_of < 0).sum())
    removed = Removed(*(getattr(removed, name)[removed.kind != "imported"] for name in Removed.__slots__))
    told = f"; {trusted:,} on the word of dedup.import" if trusted else ""
    told += f", {unnamed:,} of them as copies of documents that it does not name" if unnamed else ""
    n_near = n_held = 0
    for block, texts in reader.pairs(removed.doc, removed.duplicate_of):
        for at in block.tolist():
            one, other = texts[int(removed.doc[at])], texts[int(removed.duplicate_of[at])]
            if removed.kind[at] == "exact":
                if not same_text(one, other):
                    found.add("exact duplicates with another text", removed.shown(at))
                continue
            measured = _likeness(one, other, config.ngram)
            n_near, n_held = n_near + 1, n_held + (measured >= config.threshold)
            if config.verify == "exact":
                _judge(removed, at, measured, config.threshold, found)
    if config.verify == "exact":
        return f"Jaccard >= {config.threshold:g} each{told}"
    return f"verify is {config.verify}: {n_held:,} of {n_near:,} near ones have Jaccard >= {config.threshold:g}{told}"


def _likeness(one: str, other: str, ngram: int) -> float:
    """Jaccard of two texts."""
    return jaccard(shingles(one, ngram=ngram), shingles(other, ngram=ngram))


def _judge(removed: Removed, at: int, measured: float, threshold: float, found: Breaches) -> None:
    if measured < threshold - 1e-9:
        found.add(f"duplicates with a Jaccard similarity below {threshold:g}", f"{removed.shown(at)}: {measured:.4f}")
    elif abs(measured - removed.jaccard[at]) > 1e-9:
        place = f"{removed.shown(at)}: {removed.jaccard[at]:.4f}, the texts give {measured:.4f}"
        found.add("duplicates with a wrong jaccard", place)


def _check_semantic(
    run: Run, reader: TextReader, semantic: Removed, survivors: NDArray[np.int64], found: Breaches
) -> None:
    config = run.config.graph
    for block, texts in reader.pairs(semantic.doc, semantic.duplicate_of):
        for at in block.tolist():
            pair = texts[int(semantic.doc[at])], texts[int(semantic.duplicate_of[at])]
            _judge(semantic, at, _likeness(*pair, run.config.dedup.ngram), config.duplicate_jaccard, found)
    similarity = cosines(
        vectors_of(run), np.searchsorted(survivors, semantic.doc), np.searchsorted(survivors, semantic.duplicate_of)
    )
    far = np.flatnonzero(similarity < config.duplicate_similarity - HALF)
    found.add_all(
        f"semantic duplicates with a similarity below {config.duplicate_similarity:g}",
        far,
        lambda at: f"{semantic.shown(at)}: {similarity[at]:.4f}",
    )


def vectors_of(run: Run) -> RowParts:
    """The embeddings of all survivors, by row."""
    names = run.names("embeddings", VECTORS)
    for name in names:
        run.array("embeddings", name, ndim=2, kinds="f")
    return RowParts([run.path("embeddings", name) for name in names])


def cosines(vectors: RowParts, rows: NDArray[np.integer], others: NDArray[np.integer]) -> NDArray[np.float64]:
    """(n,) float64: the dot product of pairs of embedding rows, in float64."""
    found = np.zeros(rows.size, dtype=np.float64)
    for begin in range(0, rows.size, BLOCK_ROWS):
        span = slice(begin, begin + BLOCK_ROWS)
        one = vectors[rows[span].astype(np.int64)].astype(np.float32)
        other = vectors[others[span].astype(np.int64)].astype(np.float32)
        found[span] = np.einsum("ij,ij->i", one, other, dtype=np.float64)
    return found
