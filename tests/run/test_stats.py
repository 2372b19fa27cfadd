"""`stats.json`: the figures of the graph are those of its arrays."""

import json

import numpy as np
from graph_inputs import do, joined, make_vectors, topics

from icp.run.stats import write_stats
from icp.steps.graph import step as graph
from icp.steps.neighbors import step as neighbors


def test_the_graph_in_stats_is_the_graph_on_disk(tmp_path):
    vectors = topics(500, 16)
    vectors[7] = 0
    context = make_vectors(tmp_path, vectors, parts=(200,), k=4, method="cells", max_degree=9, min_similarity=0.6)
    found, built = do(neighbors.STEP, context), do(graph.STEP, context)
    (tmp_path / "stats.json").unlink(missing_ok=True)
    write_stats(tmp_path)
    told = json.loads((tmp_path / "stats.json").read_text())["graph"]
    load = [np.load(tmp_path / "graph" / f"{name}.npy") for name in ("indptr", "indices", "weights")]
    degrees = np.diff(load[0])
    assert (told["k"], told["method"], told["target_missed"]) == (4, "cells", False)
    assert told["recall_low"] <= told["recall"] <= told["recall_high"]
    assert told["edges"] == load[1].size // 2
    assert told["isolated"] == (degrees == 0).sum() >= 1
    assert (told["degree_mean"], told["degree_max"]) == (degrees.mean(), degrees.max())
    assert told["degree"]["0.5"] == np.median(degrees)
    assert told["hub_share"] == np.sort(degrees)[::-1][: degrees.size // 100].sum() / load[1].size
    assert told["edge_similarity"]["0.5"] == np.median(load[2].astype(np.float64))
    reached = np.arange(degrees.size)
    for node in range(degrees.size):
        for other in load[1][load[0][node] : load[0][node + 1]]:
            reached[reached == reached[other]] = reached[node]
    assert told["components"] == np.unique(reached).size
    assert told["largest_component"] == np.bincount(reached).max()
    assert told["cut_at_hubs"] == built.counts["cut_at_hubs"] > 0
    assert told["below_min_similarity"] == built.counts["below_min_similarity"] > 0
    # each row was read at least once as float16, and each kept neighbour was exchanged
    assert told["vector_bytes_read"] == found.counts["vector_bytes_read"] >= vectors.nbytes
    assert told["exchanged_bytes"] >= 8 * (joined(context, "neighbors", "neighbors") >= 0).sum()
