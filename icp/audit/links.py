"""Edges that are not vectors, audited: what stands in links.npy is in the graph, weighs what it should, is counted.

In: graph/, neighbors/, embeddings/, the fields of documents/ that built-in kinds go by. Out: breaches of promise 5.
"""

import posixpath
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from icp.audit.findings import Breaches
from icp.config.graph_models import EdgesConfig
from icp.data import RowParts
from icp.run import names
from icp.run.reader import Run, WrongForm
from icp.run.texts import TextReader

BLOCK_PAIRS = 1 << 14
ROUNDING = 2e-3
"""Weights and cosines are float16."""


def check_links(run: Run, nodes: NDArray[np.int64], found: Breaches) -> str:
    """What the edges came of; nothing is checked, and nothing said, of a run without `graph.edges`."""
    config = run.config.graph
    if not config.edges:
        return ""
    n = nodes.size
    pairs = np.asarray(run.array("graph", names.LINKS, ndim=2), np.int64)
    shares = np.asarray(run.array("graph", names.LINK_SHARES, ndim=2, kinds="f"), np.float64)
    weights = np.asarray(run.array("graph", names.LINK_WEIGHTS, kinds="f"), np.float64)
    if pairs.shape[1] != 2 or shares.shape != (len(pairs), len(config.edges)) or weights.shape != pairs.shape[:1]:
        raise WrongForm(
            f"graph/{names.LINKS} does not fit its weights and the {len(config.edges)} entries of graph.edges"
        )
    keys = pairs[:, 0] * n + pairs[:, 1]
    if keys.size and not (pairs.min() >= 0 and pairs.max() < n and (pairs[:, 0] < pairs[:, 1]).all()):
        raise WrongForm(f"graph/{names.LINKS} names pairs that are none of the {n:,} nodes, lower and higher")
    _check_edges(run, nodes, keys, weights, found)
    _check_weights(run, nodes, pairs, (shares, weights), found)
    conflicts = np.asarray(run.array("graph", names.CONFLICTS, ndim=2), np.int64)
    apart = np.flatnonzero(np.isin(keys, conflicts[:, 0] * n + conflicts[:, 1]))
    found.add_all("links of documents that are in conflict", apart, lambda at: _shown(nodes, pairs[at]))
    for entry, given in zip(config.edges, shares.T, strict=True):
        _check_kind(run, nodes, pairs[given > 0], entry, found)
    return f"; {len(pairs):,} links of graph.edges are edges as it says, and weigh what it says"


def _shown(nodes: NDArray[np.int64], pair: NDArray[np.int64]) -> str:
    return f"docs {nodes[pair[0]]} and {nodes[pair[1]]}"


def _check_edges(
    run: Run, nodes: NDArray[np.int64], keys: NDArray[np.int64], weights: NDArray[np.float64], found: Breaches
) -> None:
    """Each edge stands at both ends, and is a link or of two neighbours; each link is an edge, and counted."""
    n, manifest = nodes.size, run.manifests["graph"]
    owner = np.repeat(np.arange(n), np.diff(run.array("graph", names.INDPTR)))
    other = np.asarray(run.array("graph", names.INDICES), np.int64)
    upward = owner < other
    edges, weigh = owner[upward] * n + other[upward], np.asarray(run.array("graph", names.WEIGHTS, kinds="f"))[upward]
    order = np.argsort(edges)
    edges, weigh = edges[order], weigh[order]
    if not np.array_equal(edges, np.sort(other[~upward] * n + owner[~upward])):
        found.add("edges that do not stand at both ends")
    strange = np.setdiff1d(edges, keys)
    if run.config.graph.similarity:
        strange = np.setdiff1d(strange, _neighbor_keys(run, nodes))

    def describe(key: int) -> str:
        return f"docs {nodes[key // n]} and {nodes[key % n]}"

    found.add_all("edges that are neither links nor of neighbours", strange, describe)
    there = np.isin(keys, edges)
    if run.config.graph.max_degree is None:
        found.add_all("links that are no edges", keys[~there], describe)
    other_weight = weigh[np.searchsorted(edges, keys[there])] != weights[there]
    found.add_all("edges that do not weigh what their link does", keys[there][other_weight], describe)
    shares = np.asarray(run.array("graph", names.LINK_SHARES, ndim=2, kinds="f"))
    alike = np.asarray(run.array("graph", names.LINK_ALIKE, kinds="b"))
    if alike.shape != keys.shape:
        raise WrongForm(f"graph/{names.LINK_ALIKE} does not fit the {keys.size:,} links")
    counts = [manifest.counts.get(f"edges_of_{name}") for name in ("links", "similarity")]
    stated = [entry["edges"] for entry in manifest.facts["links"]], counts
    made = int(there.sum()), edges.size - int((there & ~alike).sum())
    if stated != ((shares[there] > 0).sum(axis=0).tolist(), list(made)):
        found.add("counts of edges of links that are not those of the graph", f"graph manifest: {stated[0]}, {counts}")


def _neighbor_keys(run: Run, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """All pairs of nodes of which one lists the other in neighbors/, each as lower * n_nodes + higher."""
    survivors = np.asarray(run.array("dedup", names.SURVIVORS))
    node_of_row = np.full(survivors.size + 1, -1, np.int64)  # the last stands for no neighbour
    node_of_row[np.searchsorted(survivors, nodes)] = np.arange(nodes.size)
    first, keys = 0, [np.empty(0, np.int64)]
    for name in run.names("neighbors", names.NEIGHBORS):
        listed = np.asarray(run.array("neighbors", name, ndim=2))
        one = np.repeat(node_of_row[first : first + len(listed)], listed.shape[1])
        other = node_of_row[listed.ravel()]
        kept = (one >= 0) & (other >= 0)
        keys.append(np.unique(np.minimum(one, other)[kept] * nodes.size + np.maximum(one, other)[kept]))
        first += len(listed)
    return np.concatenate(keys)


def _check_weights(
    run: Run,
    nodes: NDArray[np.int64],
    pairs: NDArray[np.int64],
    weighed: tuple[NDArray[np.float64], NDArray[np.float64]],
    found: Breaches,
) -> None:
    """A link weighs 1 - (1 - cosine) * (1 - weight) * ..., over what entries give it, none more than is its."""
    config, (shares, weights) = run.config.graph, weighed
    most = np.array([entry.weight for entry in config.edges])
    fit = ((shares >= 0) & (shares <= most + ROUNDING)).all(axis=1)
    wrong = np.asarray(~fit | ~shares.any(axis=1))
    rows = np.searchsorted(run.array("dedup", names.SURVIVORS), nodes)
    vectors = RowParts(run.paths("embeddings", names.VECTORS))
    for begin in range(0, len(pairs), BLOCK_PAIRS):
        here = slice(begin, begin + BLOCK_PAIRS)
        one, other = (vectors[rows[ends]].astype(np.float64) for ends in pairs[here].T)
        cosine = np.einsum("ij,ij->i", one, other)
        wrong[here] |= cosine >= config.duplicate_similarity + ROUNDING
        like = np.maximum(cosine, 0) if config.similarity else 0.0
        wrong[here] |= np.abs(1 - (1 - like) * np.prod(1 - shares[here], axis=1) - weights[here]) > ROUNDING
    found.add_all(
        "links that do not weigh what graph.edges says", np.flatnonzero(wrong), lambda at: _shown(nodes, pairs[at])
    )


def _check_kind(
    run: Run, nodes: NDArray[np.int64], pairs: NDArray[np.int64], entry: EdgesConfig, found: Breaches
) -> None:
    """Documents linked by a built-in kind are of one directory, or have a date both."""
    if entry.kind is None:
        return
    reader = TextReader(run)
    kept = (*run.config.corpus.keep, *run.config.corpus.derive)
    field = entry.field or next((name for name in ("url", "path") if name in kept), "file")
    values = [value for column in reader.column(field) for value in column.to_pylist()]
    if entry.kind == "date":
        wrong = [values[nodes[a]] is None or values[nodes[b]] is None for a, b in pairs.tolist()]
    else:
        wrong = [_folder(values[nodes[a]]) != _folder(values[nodes[b]]) for a, b in pairs.tolist()]
    found.add_all(
        f"links of kind {entry.name} that are none", np.flatnonzero(wrong), lambda at: _shown(nodes, pairs[at])
    )


def _folder(value: object) -> str:
    path = str(value or "")
    if "://" in path:
        split = urlsplit(path)
        return split.netloc + posixpath.dirname(split.path).rstrip("/")
    return posixpath.dirname(path.replace("\\", "/"))
