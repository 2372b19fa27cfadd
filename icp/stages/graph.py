"""Step `graph`: what is removed or kept apart as too alike, and the undirected graph of the documents that stay.

In: documents/, dedup/survivors.npy, embeddings/, neighbors/. Out: nodes.npy int64 (n_nodes,), doc of each node,
ascending; duplicates/part-*.parquet (doc, duplicate_of, jaccard, similarity, kind); conflicts.npy int64 (n, 2) nodes,
lower and higher, sorted; indptr.npy int64, indices.npy int32, weights.npy float16: CSR over nodes.

A row is removed if it is at least `duplicate_similarity` to a kept earlier row and the words agree too (Jaccard of
word n-grams at least `duplicate_jaccard`). Kept rows as alike, whose words differ, are a conflict: no edge, no common
window. Phases: *pairs* as alike as that, *shingles* of their texts, *jaccard* of each, *nodes*, *facts* (the edges).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config import Config
from icp.data import RowParts
from icp.kernels.graph import candidate_similarities, component_sizes, jaccard_pairs, keep_leaders, union_csr
from icp.minhash import shingle_sets
from icp.signatures import read_rows
from icp.steps import Context, PartOutput, Phase, Step, document_parts, one_part
from icp.texts import text_buffers

RANDOM_PAIRS = 100_000
RANDOM_SALT = 4
FEWEST_FOR_RANDOM = 100
"""Nodes below which random pairs say nothing: then `min_similarity: auto` is 0."""
BLOCK_PAIRS = 4096
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


def find_pairs(context: Context, part: str, output: PartOutput) -> None:
    """Write pairs.npy int64 (m, 2), rows too alike, by (higher, lower), and similarities.npy float16 (m,)."""
    least, n_rows = context.config.graph.duplicate_similarity, _survivors(context).size
    keys, values = [np.empty(0, np.int64)], [np.empty(0, np.float16)]
    for first, neighbors, similarities in _raw(context):
        alike = (neighbors >= 0) & (similarities.astype(np.float64) >= least)
        rows = first + np.nonzero(alike)[0]
        others = neighbors[alike].astype(np.int64)
        keys.append(np.maximum(rows, others) * n_rows + np.minimum(rows, others))
        values.append(similarities[alike])
    found, where = np.unique(np.concatenate(keys), return_index=True)
    _save(output, "pairs.npy", np.stack((found % max(n_rows, 1), found // max(n_rows, 1)), axis=1))
    _save(output, "similarities.npy", np.concatenate(values)[where])


def make_shingles(context: Context, part: str, output: PartOutput) -> None:
    """Write the word n-grams of the texts of a part that stand in a pair."""
    rows, cuts = _paired_rows(context)
    number = document_parts(context).index(part)
    docs = _survivors(context)[rows[cuts[number] : cuts[number + 1]]]
    values, sizes = [np.empty(0, np.uint32)], [np.zeros(1, np.int64)]
    if docs.size:
        path = context.folder("documents") / f"{part}.parquet"
        for texts in read_rows(path, "text", docs - context.doc_bounds()[number]):
            found, indptr = shingle_sets(text_buffers(texts), ngram=context.config.dedup.ngram)
            values.append(found)
            sizes.append(np.diff(indptr))
    _save(output, f"{part}.shingles.npy", np.concatenate(values))
    _save(output, f"{part}.bounds.npy", np.cumsum(np.concatenate(sizes)))


def compare_texts(context: Context, part: str, output: PartOutput) -> None:
    """Write the Jaccard similarity of each pair whose higher row stands in a part: float64, in the order of pairs."""
    parts, pairs = document_parts(context), _load(context, "pairs")
    rows, cuts = _paired_rows(context)
    mine = parts.index(part)
    # places among all paired rows, by part; pairs of the part are those whose higher row lies in it
    lower, higher = np.searchsorted(rows, pairs[:, 0]), np.searchsorted(rows, pairs[:, 1])
    chosen = slice(*np.searchsorted(higher, cuts[mine : mine + 2]).tolist())
    lower, higher = lower[chosen], higher[chosen] - cuts[mine]
    sets = (_load(context, f"{part}.shingles"), _load(context, f"{part}.bounds"))
    owners = np.searchsorted(cuts, lower, side="right") - 1
    jaccards = np.zeros(lower.size, dtype=np.float64)
    for owner in np.union1d(owners, mine).tolist():
        others = (_load(context, f"{parts[owner]}.shingles"), _load(context, f"{parts[owner]}.bounds"))
        here = owners == owner
        places = np.stack((higher[here], lower[here] - cuts[owner]), axis=1)
        jaccards[here] = jaccard_pairs(*sets, *others, places)
    _save(output, f"{part}.jaccards.npy", jaccards)


def choose_nodes(context: Context, part: str, output: PartOutput) -> None:
    """Write nodes.npy, duplicates/ and conflicts.npy."""
    survivors, pairs = _survivors(context), _load(context, "pairs")
    jaccards = np.concatenate([_load(context, f"{name}.jaccards") for name in document_parts(context)])
    removing = keep_leaders(pairs, jaccards, context.config.graph.duplicate_jaccard, survivors.size)
    kept = np.ones(survivors.size, dtype=np.bool_)
    kept[pairs[removing, 1]] = False
    similarities = _load(context, "similarities")[removing].astype(np.float64)
    _write_duplicates(context, output, survivors[pairs[removing]], jaccards[removing], similarities)
    node_of_row = np.cumsum(kept) - 1
    conflicts = node_of_row[pairs[kept[pairs].all(axis=1)]].astype(np.int64)
    conflicts = conflicts[np.lexsort((conflicts[:, 1], conflicts[:, 0]))]
    _save(output, "nodes.npy", survivors[kept])
    _save(output, "conflicts.npy", conflicts)
    output.count("semantic_duplicates", removing.size)
    output.count("conflicts", len(conflicts))
    output.count("nodes", int(kept.sum()))


def _write_duplicates(
    context: Context,
    output: PartOutput,
    docs: NDArray[np.int64],
    jaccards: NDArray[np.float64],
    similarities: NDArray[np.float64],
) -> None:
    """One file for each documents part; `docs` (n, 2): the kept doc and the removed one, by the removed."""
    cuts = np.searchsorted(docs[:, 1], context.doc_bounds()).tolist()
    for part, begin, end in zip(document_parts(context), cuts, cuts[1:], strict=False):
        name, here = f"duplicates/{part}.parquet", slice(begin, end)
        columns: dict[str, Any] = {"doc": docs[here, 1], "duplicate_of": docs[here, 0]}
        columns |= {"jaccard": jaccards[here], "similarity": similarities[here]}
        table = pa.table({**columns, "kind": pa.array(["semantic"] * (end - begin), pa.string())})
        pq.write_table(table, output.path(name), compression="zstd")
        output.rows(name, table.num_rows)


def join_edges(context: Context, part: str, output: PartOutput) -> None:
    """Write the CSR arrays: at most `k` neighbours a node, neither too unlike nor too alike, in both directions."""
    config = context.config.graph
    rows = np.searchsorted(_survivors(context), _load(context, "nodes")).astype(np.int64)
    random_p99 = _random_p99(context, rows)
    floor = config.min_similarity
    if floor == "auto":
        floor = random_p99 if rows.size >= FEWEST_FOR_RANDOM else 0.0
    neighbors, weights, dropped = _select(context, rows, floor)
    indptr, indices, bits = union_csr(neighbors, weights)
    for name, array in (("indptr", indptr), ("indices", indices), ("weights", bits.view(np.float16))):
        _save(output, f"{name}.npy", array)
    degrees, sizes = np.diff(indptr), component_sizes(indptr, indices)
    output.count("edges", indices.size // 2)
    output.count("isolated", int((degrees == 0).sum()))
    output.count("below_min_similarity", dropped)
    output.info |= {"random_p99": random_p99, "min_similarity": floor, "components": int(sizes.size)}
    output.info |= {"largest_component": int(sizes.max(initial=0)), "degree_max": int(degrees.max(initial=0))}
    output.info["degree_mean"] = indices.size / max(1, degrees.size)
    spread = np.quantile(bits.view(np.float16).astype(np.float64), QUANTILES) if bits.size else np.zeros(5)
    output.info["edge_similarity"] = {str(q): float(value) for q, value in zip(QUANTILES, spread, strict=True)}


def _select(
    context: Context, rows: NDArray[np.int64], floor: float
) -> tuple[NDArray[np.int32], NDArray[np.uint16], int]:
    """The first `k` fit neighbours of each node (n, k), -1 for none; their float16 bits; how many were too unlike."""
    config, dropped = context.config.graph, 0
    node_of_row = np.full(_survivors(context).size, -1, dtype=np.int32)
    node_of_row[rows] = np.arange(rows.size, dtype=np.int32)
    chosen = np.full((rows.size, config.k), -1, dtype=np.int32)
    weights = np.zeros((rows.size, config.k), dtype=np.float16)
    for first, neighbors, similarities in _raw(context):
        nodes = node_of_row[first : first + len(neighbors)]
        neighbors, similarities, nodes = neighbors[nodes >= 0], similarities[nodes >= 0], nodes[nodes >= 0]
        others = np.where(neighbors >= 0, node_of_row[neighbors], -1)
        exact = similarities.astype(np.float64)
        # a kept row as alike as this is a conflict: a copy's text would have removed one of the two
        fit = (others >= 0) & (exact < config.duplicate_similarity)
        dropped += int((fit & (exact < floor)).sum())
        fit &= exact >= floor
        fit &= np.cumsum(fit, axis=1) <= config.k
        entry, place = np.nonzero(fit)
        column = np.cumsum(fit, axis=1)[fit] - 1
        chosen[nodes[entry], column] = others[entry, place]
        weights[nodes[entry], column] = similarities[entry, place]
    return chosen, weights.view(np.uint16), dropped


def _random_p99(context: Context, rows: NDArray[np.int64]) -> float:
    """99th percentile of the cosine of random pairs of nodes, of all pairs where they are fewer; 0 without a pair."""
    pairs = random_pairs(rows.size, context.config.seed)
    vectors = RowParts([context.folder("embeddings") / f"{part}.npy" for part in document_parts(context)])
    values = [np.empty(0, np.float32)]
    for start in range(0, max(1, len(pairs)), BLOCK_PAIRS):
        block = rows[pairs[start : start + BLOCK_PAIRS]]
        left, right = (np.ascontiguousarray(vectors[side], dtype=np.float32) for side in (block[:, 0], block[:, 1]))
        found = candidate_similarities(left, right, np.arange(len(block), dtype=np.int64)[:, None])[:, 0]
        # zero rows are isolated: they are no pair to be more alike than
        values.append(found[left.any(axis=1) & right.any(axis=1)])
    everything = np.concatenate(values).astype(np.float64)
    return float(np.quantile(everything, 0.99)) if everything.size else 0.0


def random_pairs(n_rows: int, seed: int) -> NDArray[np.int64]:
    """Up to `RANDOM_PAIRS` pairs of different rows by seed, every pair once where there are no more: (m, 2) int64."""
    if n_rows * (n_rows - 1) // 2 <= RANDOM_PAIRS:
        return np.stack(np.triu_indices(n_rows, k=1), axis=1).astype(np.int64)
    rng = np.random.default_rng([RANDOM_SALT, seed])
    left = rng.integers(0, n_rows, RANDOM_PAIRS)
    right = (left + rng.integers(1, n_rows, RANDOM_PAIRS)) % n_rows
    return np.stack((left, right), axis=1)


def _raw(context: Context) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.float16]]]:
    """First row, neighbours and similarities of each part."""
    first, folder = 0, context.folder("neighbors")
    for part in document_parts(context):
        neighbors, similarities = (
            np.load(folder / f"{part}.{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ("neighbors", "similarities")
        )
        yield first, np.asarray(neighbors), np.asarray(similarities)
        first += len(neighbors)


def _survivors(context: Context) -> NDArray[np.int64]:
    return np.asarray(np.load(context.folder("dedup") / "survivors.npy", mmap_mode="r", allow_pickle=False))


def _paired_rows(context: Context) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows that stand in a pair, ascending, and where those of each documents part begin."""
    rows = np.unique(_load(context, "pairs"))
    return rows, np.searchsorted(rows, np.searchsorted(_survivors(context), context.doc_bounds()))


def _load(context: Context, name: str) -> NDArray[Any]:
    return np.asarray(np.load(context.folder("graph") / f"{name}.npy", allow_pickle=False))


def _save(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    with output.path(name).open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    output.rows(name, len(array))


def _keys(config: Config) -> tuple[str, ...]:
    return ("dedup.ngram", "graph", "seed")


STEP = Step(
    name="graph",
    format=1,
    inputs=("documents", "dedup", "embeddings", "neighbors"),
    keys=_keys,
    phases=(
        Phase("pairs", one_part, find_pairs, scratch=True),
        Phase("shingles", document_parts, make_shingles, scratch=True),
        Phase("jaccard", document_parts, compare_texts, scratch=True),
        Phase("nodes", one_part, choose_nodes),
        Phase("facts", one_part, join_edges),
    ),
)
