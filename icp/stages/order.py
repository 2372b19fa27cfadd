"""Step `order`: the graph -> an order of all nodes and its certificate.

In: graph/, embeddings/, the similarities of neighbors/, the sources in documents/. Out: order.npy int32 (n_nodes,) and
path_starts.npy bool (n_nodes,); in the manifest's facts, the figures `order` of DESIGN.md section 5.
"""

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.data import RowParts, load_graph
from icp.steps import Context, PartOutput, Phase, Step, one_part
from icp.traversal import raw_upper_bound, source_groups, visit_order

BLOCK_ROWS = 1 << 16


def visit(context: Context, part: str, output: PartOutput) -> None:
    """Order the nodes; the similarity of the order stands in the record."""
    config = context.config
    nodes, rows = _node_rows(context)
    groups = source_groups(context.folder("documents"), nodes) if config.order.method == "source" else None
    found = visit_order(
        load_graph(context.folder("graph")),
        RowParts(sorted(context.folder("embeddings").glob("part-*.npy")), rows),
        method=config.order.method,
        improve=config.order.improve,
        seed=config.seed,
        groups=groups,
    )
    for name, array in (("order.npy", found.order), ("path_starts.npy", found.path_starts)):
        with output.path(name).open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
        output.rows(name, array.size)
    output.info["similarity"] = found.similarity
    output.info["path_starts"] = int(found.path_starts.sum())


def certify(context: Context, part: str, output: PartOutput) -> None:
    """How near the order comes to what no order can exceed."""
    walked = context.records("visit")["all"].info
    bound = _upper_bound(context)
    output.info["method"] = context.config.order.method
    output.info["similarity"] = walked["similarity"]
    output.info["upper_bound"] = bound
    output.info["certificate"] = walked["similarity"] / bound if bound > 0 else None
    output.info["dual_certificate"] = None
    output.info["path_starts"] = walked["path_starts"]
    output.info["exact_neighbors"] = _exact_neighbors(context)


def _node_rows(context: Context) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The doc of each node, and its row in embeddings/ and neighbors/."""
    nodes = np.load(context.folder("graph") / "nodes.npy", allow_pickle=False)
    survivors = np.load(context.folder("dedup") / "survivors.npy", allow_pickle=False)
    return nodes, np.searchsorted(survivors, nodes).astype(np.int64)


def _upper_bound(context: Context) -> float:
    _, rows = _node_rows(context)
    raw = RowParts(sorted(context.folder("neighbors").glob("part-*.similarities.npy")), rows)
    bound = 0.0
    for begin in range(0, rows.size, BLOCK_ROWS):
        block = np.arange(begin, min(begin + BLOCK_ROWS, rows.size))
        bound = raw_upper_bound(raw[block], bound)
    return bound


def _exact_neighbors(context: Context) -> bool:
    """Whether the search missed none: only then is the upper bound one."""
    manifest = context.manifest("neighbors")
    parts = [facts for phase in manifest.info.values() for facts in phase.values()]
    methods = {facts["method"] for facts in (manifest.facts, *parts) if "method" in facts}
    return methods == {"exact"}


def _keys(config: Config) -> tuple[str, ...]:
    return ("order", "seed")


STEP = Step(
    name="order",
    format=1,
    inputs=("documents", "embeddings", "dedup", "neighbors", "graph"),
    keys=_keys,
    phases=(Phase("visit", one_part, visit), Phase("facts", one_part, certify)),
)
