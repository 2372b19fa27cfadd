"""Step `graph`: what is removed or kept apart as too alike, and the undirected graph of the documents that stay.

In: documents/, dedup/survivors.npy, embeddings/, neighbors/. Out: nodes.npy int64 (n_nodes,), doc of each node,
ascending; duplicates/part-*.parquet (doc, duplicate_of, jaccard, similarity, kind); conflicts.npy int64 (n, 2) nodes,
lower and higher, sorted; indptr.npy int64, indices.npy int32, weights.npy float16: CSR over nodes.

Phases: *pairs* too alike, *shingles* of their texts, *jaccard* of each; where words keep pairs apart, the same for
those that no list of neighbours holds (*versions*); *held*, who is too near to a held-out document; *nodes*
(`icp.steps.graph.semantic`); *floor* of the similarities; *sources* of the rows; *links* of each entry of `graph.edges`
and *mix* of them all, which holds all links; *select*, the neighbours of the nodes of a part, sorted by neighbour, so
that *union* reads the edges into a part as one stretch of each file; *facts*, the parts joined. No other phase holds
all edges.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config import Config
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.kernels.knn_graph import candidate_similarities, union_rows
from icp.run.arrays import mapped, neighbors_of, survivor_vectors, survivors
from icp.run.context import Context, document_parts, document_paths
from icp.run.extended import carry_parts, extended_source
from icp.run.names import CONFLICTS, INDICES, INDPTR, WEIGHTS
from icp.run.nodes import node_bounds, node_rows
from icp.steps.graph.arrays import load, paths, save
from icp.steps.graph.grown import carry
from icp.steps.graph.held import find_near_held, held_parts
from icp.steps.graph.link_files import links_source
from icp.steps.graph.links import entries, find_links
from icp.steps.graph.mixing import mix, mixed_one, tell, with_links
from icp.steps.graph.semantic import VERSIONS, choose_nodes, compare_texts, find_pairs, make_shingles
from icp.steps.graph.shape import describe
from icp.steps.graph.versions import find_versions, one_if_words, parts_if_words
from icp.streams import PAIRS

RANDOM_PAIRS = 100_000
FEWEST_FOR_RANDOM = 100
"""Nodes below which random pairs say nothing: then `min_similarity: auto` is 0."""
SPARED = 3
"""Times k neighbours a node that `min_similarity: auto` leaves on average, however few nodes there are."""
BLOCK_PAIRS = 4096


def find_floor(context: Context, part: str, output: PartOutput) -> None:
    """The least similarity of an edge.

    `auto` is the 99th percentile of random pairs. In a corpus of n nodes a hundredth of all pairs are n / 100 for each
    node, and so among few nodes the true neighbours themselves: there, below 300 k nodes, it is the percentile above
    which `SPARED` * k pairs for each node lie.
    """
    config, rows = context.config.graph, node_rows(context)
    values = _random_similarities(context, rows)
    floor = config.min_similarity
    if floor == "auto":
        share = max(0.01, SPARED * config.k / max(1, rows.size - 1))
        usable = rows.size >= FEWEST_FOR_RANDOM and values.size and share < 1
        floor = float(np.quantile(values, 1 - share)) if usable else 0.0
    random_p99 = float(np.quantile(values, 0.99)) if values.size else 0.0
    output.info |= {"random_p99": random_p99, "min_similarity": floor}


def find_sources(context: Context, part: str, output: PartOutput) -> None:
    """Write sources.npy int32 (rows,), a number for each source; documents without one share a number."""
    tables = (pq.read_table(path, columns=["source"]) for path in document_paths(context))
    column = pa.concat_tables(tables)["source"]
    codes = column.cast(pa.large_string()).fill_null("").combine_chunks().dictionary_encode().indices.to_numpy()
    save(output, "sources.npy", codes[survivors(context)].astype(np.int32))


def select(context: Context, part: str, output: PartOutput) -> None:
    """Write ends.npy int32 (m, 2) of a part, neighbour and node, sorted, and bits.npy uint16, their similarities."""
    config, number = context.config.graph, document_parts(context).index(part)
    rows, bounds = node_rows(context), node_bounds(context)
    first_row = int(np.searchsorted(survivors(context), context.doc_bounds()[number]))
    mine = rows[bounds[number] : bounds[number + 1]]
    neighbors, similarities = (array[mine - first_row] for array in neighbors_of(context, part))
    node_of_row = np.full(survivors(context).size, -1, dtype=np.int32)
    node_of_row[rows] = np.arange(rows.size, dtype=np.int32)
    others, exact = np.where(neighbors >= 0, node_of_row[neighbors], -1), similarities.astype(np.float64)
    # a kept row as alike as this is a conflict: a copy's text would have removed one of the two
    fit = (others >= 0) & (exact < config.duplicate_similarity) & config.similarity
    if config.compares_texts:
        fit &= ~_in_conflict(context, node_of_row[mine], others)
    if config.max_similarity is not None:
        fit &= exact <= config.max_similarity
    if config.same_source != "any":
        sources = load(context, "sources")
        fit &= (sources[mine][:, None] == sources[neighbors]) == (config.same_source == "within")
    floor = context.records("floor")["all"].info["min_similarity"]
    output.count("below_min_similarity", int((fit & (exact < floor)).sum()))
    fit &= exact >= floor
    fit &= np.cumsum(fit, axis=1) <= config.k
    node, place = np.nonzero(fit)
    ends = np.stack((others[node, place], (node + bounds[number]).astype(np.int32)), axis=1)
    bits = similarities[node, place].view(np.uint16)
    if config.edges:
        ends, bits = with_links(context, part, output, (int(bounds[number]), int(bounds[number + 1])), (ends, bits))
    order = np.argsort(ends[:, 0], kind="stable")
    save(output, f"{part}.ends.npy", ends[order])
    save(output, f"{part}.bits.npy", bits[order])
    output.count("exchanged_bytes", 10 * len(ends))


def _in_conflict(context: Context, nodes: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(nodes, k) bool: neighbours that are in conflict; `others` (nodes, k) int32, -1 for none."""
    n, pairs = node_rows(context).size, mapped(context.path("graph", CONFLICTS))
    low, high = np.minimum(nodes[:, None], others).astype(np.int64), np.maximum(nodes[:, None], others)
    return np.isin(low * n + high, pairs[:, 0] * n + pairs[:, 1])


def join_rows(context: Context, part: str, output: PartOutput) -> None:
    """The rows of the nodes of a part: degrees, indices, bits; cut int64 (m, 2), the edges beyond `max_degree`."""
    number, bounds = document_parts(context).index(part), node_bounds(context)
    first, stop = bounds[number : number + 2]
    ends, bits = [np.empty((0, 2), np.int32)], [np.empty(0, np.uint16)]
    for name in document_parts(context):
        these = mapped(context.path("graph", f"{name}.ends.npy"))
        those = mapped(context.path("graph", f"{name}.bits.npy"))
        inside = slice(*np.searchsorted(these[:, 0], [first, stop]))
        ends.append(np.array(these[inside]))
        bits.append(np.array(those[inside]))
        if name == part:
            ends.append(np.array(these)[:, ::-1])
            bits.append(np.array(those))
    found = np.concatenate(ends)
    owners, others = found[:, 0].astype(np.int64) - first, np.ascontiguousarray(found[:, 1])
    indptr, indices, weights = union_rows(int(stop - first), owners, others, np.concatenate(bits))
    degrees, most = np.diff(indptr), context.config.graph.max_degree
    place = np.arange(indices.size) - np.repeat(indptr[:-1], degrees)
    beyond = np.flatnonzero(place >= (indices.size if most is None else most))
    node = np.repeat(np.arange(first, stop), degrees)
    save(output, f"{part}.cut.npy", np.stack((node[beyond], indices[beyond]), axis=1).astype(np.int64))
    for name, array in (("degrees", degrees), ("others", indices), ("halves", weights.view(np.float16))):
        save(output, f"{part}.{name}.npy", array)


def join_parts(context: Context, part: str, output: PartOutput) -> None:
    """Write the CSR arrays, less the edges beyond `max_degree` at either end, and say what the graph is like."""
    bounds, cut = node_bounds(context), np.concatenate([np.load(path) for path in paths(context, "cut")])
    n_nodes = int(bounds[-1])
    # an edge goes at both ends, wherever it was too many
    gone = np.unique(np.concatenate((cut[:, 0] * n_nodes + cut[:, 1], cut[:, 1] * n_nodes + cut[:, 0])))
    degrees = np.zeros(n_nodes, dtype=np.int64)
    kept: list[NDArray[np.bool_] | None] = []
    for number, name in enumerate(document_parts(context)):
        mine = np.arange(bounds[number], bounds[number + 1])
        node, others = np.repeat(mine, load(context, f"{name}.degrees")), load(context, f"{name}.others")
        stays = ~np.isin(node * n_nodes + others, gone)
        degrees[mine] = np.bincount(node[stays] - bounds[number], minlength=mine.size)
        kept.append(None if bool(stays.all()) else stays)
    save(output, INDPTR, np.concatenate(([0], np.cumsum(degrees))).astype(np.int64))
    for name, source, kind in ((INDICES, "others", np.int32), (WEIGHTS, "halves", np.float16)):
        with output.path(name).open("wb") as stream:
            header = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": (int(degrees.sum()),)}
            np.lib.format.write_array_header_1_0(stream, header)
            for staying, part_name in zip(kept, document_parts(context), strict=True):
                array = load(context, f"{part_name}.{source}")
                stream.write((array if staying is None else array[staying]).tobytes())
        output.rows(name, int(degrees.sum()))
    output.count("cut_at_hubs", gone.size // 2)
    describe(context, degrees, output)
    if context.config.graph.edges:
        tell(context, gone, int(degrees.sum()) // 2, output)


def _random_similarities(context: Context, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cosines of random pairs of nodes, of all pairs where they are few, none of them with a zero row."""
    pairs = random_pairs(rows.size, context.config.seed)
    vectors = survivor_vectors(context)

    def of_block(start: int) -> NDArray[np.float32]:
        block = rows[pairs[start : start + BLOCK_PAIRS]]
        left, right = (np.ascontiguousarray(vectors[side], dtype=np.float32) for side in (block[:, 0], block[:, 1]))
        found = candidate_similarities(left, right, np.arange(len(block), dtype=np.int64)[:, None])[:, 0]
        # zero rows are isolated: they are no pair to be more alike than
        return np.asarray(found[left.any(axis=1) & right.any(axis=1)])

    with ThreadPoolExecutor(context.threads) as pool:
        values = list(pool.map(of_block, range(0, max(1, len(pairs)), BLOCK_PAIRS)))
    return np.concatenate(values).astype(np.float64)


def random_pairs(n_rows: int, seed: int) -> NDArray[np.int64]:
    """Up to `RANDOM_PAIRS` pairs of different rows by seed, every pair once where there are no more: (m, 2) int64."""
    if n_rows * (n_rows - 1) // 2 <= RANDOM_PAIRS:
        return np.stack(np.triu_indices(n_rows, k=1), axis=1).astype(np.int64)
    rng = PAIRS.generator(seed)
    left = rng.integers(0, n_rows, RANDOM_PAIRS)
    right = (left + rng.integers(1, n_rows, RANDOM_PAIRS)) % n_rows
    return np.stack((left, right), axis=1)


def _one_if_by_source(context: Context) -> list[str]:
    return one_part(context) if context.config.graph.same_source != "any" else []


def _keys(config: Config) -> tuple[str, ...]:
    # unsaid where words keep nobody apart: graphs made before there was a choice stay as they are
    unsaid = [name for name in ("conflict_jaccard", "conflict_containment") if getattr(config.graph, name) is None]
    unsaid += [name for name, usual in (("edges", ()), ("similarity", True)) if getattr(config.graph, name) == usual]
    unsaid.append("import")  # which the step neighbors depends on
    keys = (f"graph.{name}" for name in type(config.graph).model_fields if name not in unsaid)
    return ("dedup.ngram", *keys, "seed", *(["holdout.cosine"] if config.holdout.compares_vectors else ()))


def _sources(config: Config) -> list[tuple[str, str]]:
    files = [links_source(entry) for entry in config.graph.edges if entry.file is not None]
    return [*extended_source(config, "graph"), *files]


STEP = Step(
    name="graph",
    format=3,
    inputs=("documents", "dedup", "embeddings", "neighbors"),
    keys=_keys,
    phases=(
        Phase("carry", carry_parts, carry),
        Phase("pairs", one_part, find_pairs, scratch=True),
        Phase("shingles", document_parts, make_shingles, scratch=True),
        Phase("jaccard", document_parts, compare_texts, scratch=True),
        Phase("versions", one_if_words, find_versions, scratch=True),
        Phase("version-shingles", parts_if_words, partial(make_shingles, of=VERSIONS), scratch=True),
        Phase("version-jaccard", parts_if_words, partial(compare_texts, of=VERSIONS), scratch=True),
        Phase("held", held_parts, find_near_held),
        Phase("nodes", one_part, choose_nodes),
        Phase("floor", one_part, find_floor),
        Phase("sources", _one_if_by_source, find_sources, scratch=True),
        Phase("links", entries, find_links, scratch=True),
        Phase("mix", mixed_one, mix),
        Phase("select", document_parts, select, scratch=True),
        Phase("union", document_parts, join_rows, scratch=True),
        Phase("facts", one_part, join_parts),
    ),
    sources=_sources,
    reads=("graph", "extends", "holdout"),
)
