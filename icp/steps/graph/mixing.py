"""Edges that are not vectors, mixed into the graph of similarities.

In: what `icp.steps.graph.links` read, vectors, conflicts. Out: links.npy int64 (m, 2), pairs of nodes, lower and
higher, sorted; link_shares.npy float32 (m, entries), the weight that each entry of `graph.edges` gives, 0: none;
link_weights.npy float16 (m,), what the edges weigh; link_alike.npy bool (m,), which are edges of similarity too. With
`graph.similarity` false also link_vectors.npy float16 (n_nodes, 256).

The rule: ``1 - (1 - cosine) * (1 - weight) * ...``, over all entries that give the pair a weight; a negative cosine,
and any without `graph.similarity`, counts as 0. So a link never makes two documents less alike, and several make them
more alike than one. Pairs as alike as duplicates, conflicts, and pairs that `max_similarity` or `same_source` part are
no links; of each file a node lists its `k` heaviest links, as it lists its `k` nearest neighbours.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.embed.by_links import link_vectors
from icp.engine.step import PartOutput
from icp.kernels.knn_graph import candidate_similarities
from icp.run.arrays import mapped, survivor_vectors
from icp.run.context import Context
from icp.run.names import CONFLICTS, LINK_ALIKE, LINK_SHARES, LINK_VECTORS, LINK_WEIGHTS, LINKS
from icp.run.nodes import node_rows
from icp.steps.graph.arrays import load, paths, save
from icp.steps.graph.links import entries

BLOCK_PAIRS = 4096
TOLD = ("of", "links", "unknown", "loops")


def mix(context: Context, part: str, output: PartOutput) -> None:
    """Write the links, what each entry gives them, and what they weigh."""
    rows, config = node_rows(context), context.config.graph
    pairs, shares = _together(context, rows.size)
    similarities = _cosines(context, rows[pairs])
    fit = _allowed(context, pairs, similarities, rows)
    output.count("links_left_out", int((~fit).sum()))
    pairs, shares, similarities = pairs[fit], shares[fit], similarities[fit]
    weights = combined(similarities if config.similarity else np.zeros(len(pairs)), shares)
    for entry, column in zip(config.edges, shares.T, strict=True):  # a view: what is not listed is given nothing
        given = np.flatnonzero(column if entry.file is not None else column[:0])
        column[given[~heaviest(pairs[given], weights[given], config.k)]] = 0
    listed = shares.any(axis=1)
    output.count("links_beyond_k", int((~listed).sum()))
    pairs, shares, similarities = pairs[listed], shares[listed], similarities[listed]
    weights = combined(similarities if config.similarity else np.zeros(len(pairs)), shares)
    save(output, LINKS, pairs)
    save(output, LINK_SHARES, shares)
    save(output, LINK_WEIGHTS, weights)
    if not config.similarity:
        by_links = link_vectors(pairs, weights.astype(np.float64), rows.size, seed=context.config.seed)
        save(output, LINK_VECTORS, by_links)


def mixed_one(context: Context) -> list[str]:
    """The one part of *mix*; none without `graph.edges`."""
    return ["all"] if context.config.graph.edges else []


def combined(similarities: NDArray[Any], shares: NDArray[np.float32]) -> NDArray[np.float16]:
    """(m,) float16: what edges weigh by cosines (m,) and the weights of all entries (m, entries)."""
    apart = 1 - np.maximum(similarities.astype(np.float64), 0)
    for column in shares.astype(np.float64).T:
        apart = apart * (1 - column)
    return np.asarray(1 - apart, np.float16)


def heaviest(pairs: NDArray[np.int64], weights: NDArray[np.float16], k: int) -> NDArray[np.bool_]:
    """(m,) bool: pairs that are among the `k` heaviest of either end; equal weights by the lower other end."""
    ends, others = np.concatenate((pairs, pairs[:, ::-1])).T
    order = np.lexsort((others, -np.tile(weights.astype(np.float64), 2), ends))
    sorted_ends = ends[order]
    rank = np.arange(ends.size) - np.searchsorted(sorted_ends, sorted_ends)
    listed = np.zeros(ends.size, np.bool_)
    listed[order] = rank < k
    return np.asarray(listed[: len(pairs)] | listed[len(pairs) :])


def with_links(
    context: Context,
    part: str,
    output: PartOutput,
    span: tuple[int, int],
    selected: tuple[NDArray[np.int32], NDArray[np.uint16]],
) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """The neighbours that a part selected, weighed as links where they are, and the links whose lower node is its own.

    Writes both.npy int64, which links were selected as neighbours too.

    Args:
        span: first node of the part, and of the next.
        selected: (m, 2) int32, neighbour and node; (m,) uint16, similarities as bits.
    """
    ends, bits = selected[0], selected[1].copy()
    n, pairs = node_rows(context).size, np.asarray(mapped(context.path("graph", LINKS)))
    weights = np.array(mapped(context.path("graph", LINK_WEIGHTS))).view(np.uint16)
    keys = pairs[:, 0] * n + pairs[:, 1]
    mine = ends.min(axis=1).astype(np.int64) * n + ends.max(axis=1)
    place = np.searchsorted(keys, mine)
    hit = np.isin(mine, keys)
    bits[hit] = weights[place[hit]]
    save(output, f"{part}.both.npy", np.unique(place[hit]).astype(np.int64))
    own = slice(*np.searchsorted(pairs[:, 0], span))
    return np.concatenate((ends, pairs[own, ::-1].astype(np.int32))), np.concatenate((bits, weights[own]))


def tell(context: Context, gone: NDArray[np.int64], n_edges: int, output: PartOutput) -> None:
    """Write which links are edges of similarity too, and say how many edges came of what.

    Args:
        gone: keys of edges that were cut at hubs, node times nodes plus other, both ways.
    """
    pairs, n = load(context, LINKS.removesuffix(".npy")), node_rows(context).size
    shares = load(context, LINK_SHARES.removesuffix(".npy"))
    stays = ~np.isin(pairs[:, 0] * n + pairs[:, 1], gone)
    both = np.zeros(len(pairs), np.bool_)
    for path in paths(context, "both"):
        both[np.load(path)] = True
    save(output, LINK_ALIKE, both)
    of_entries = (shares[stays] > 0).sum(axis=0).tolist()
    records = context.records("links")
    output.info["links"] = [
        {name: records[part].info[name] for name in TOLD} | {"edges": n_edges}
        for part, n_edges in zip(entries(context), of_entries, strict=True)
    ]
    output.count("edges_of_links", int(stays.sum()))
    output.count("edges_of_similarity", n_edges - int((stays & ~both).sum()))
    for part, n_edges_of in zip(entries(context), of_entries, strict=True):
        if not n_edges_of:
            name = records[part].info["of"]
            output.info.setdefault("warnings", []).append(f"graph.edges: {name} gives no edge; look at its fields")


def _together(context: Context, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """All pairs once, sorted, and what each entry gives them: (m, 2), (m, entries)."""
    found = [load(context, f"{part}.pairs") for part in entries(context)]
    keys = [pairs[:, 0] * n + pairs[:, 1] for pairs in found]
    every = np.unique(np.concatenate(keys))
    shares = np.zeros((every.size, len(keys)), np.float32)
    for number, (part, mine) in enumerate(zip(entries(context), keys, strict=True)):
        shares[np.searchsorted(every, mine), number] = load(context, f"{part}.shares")
    return np.stack((every // max(n, 1), every % max(n, 1)), axis=1), shares


def _cosines(context: Context, rows: NDArray[np.int64]) -> NDArray[np.float16]:
    """(m,) float16: cosines of pairs of survivors (m, 2), the same bits as of neighbours."""
    vectors, found = survivor_vectors(context), np.empty(len(rows), np.float16)
    for begin in range(0, len(rows), BLOCK_PAIRS):
        block = rows[begin : begin + BLOCK_PAIRS]
        left, right = (np.ascontiguousarray(vectors[side], dtype=np.float32) for side in (block[:, 0], block[:, 1]))
        at = np.arange(len(block), dtype=np.int64)[:, None]
        found[begin : begin + BLOCK_PAIRS] = candidate_similarities(left, right, at)[:, 0]
    return found


def _allowed(
    context: Context, pairs: NDArray[np.int64], similarities: NDArray[np.float16], rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(m,) bool: pairs that may be edges, as neighbours may."""
    config, exact, n = context.config.graph, similarities.astype(np.float64), rows.size
    conflicts = np.asarray(mapped(context.path("graph", CONFLICTS)))
    fit = exact < config.duplicate_similarity
    fit &= ~np.isin(pairs[:, 0] * n + pairs[:, 1], conflicts[:, 0] * n + conflicts[:, 1])
    if config.max_similarity is not None:
        fit &= exact <= config.max_similarity
    if config.same_source != "any":
        sources = load(context, "sources")[rows[pairs]]
        fit &= (sources[:, 0] == sources[:, 1]) == (config.same_source == "within")
    return np.asarray(fit)
