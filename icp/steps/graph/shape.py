"""What the finished graph is like, in figures.

In: the degrees and the arrays of the graph. Out: counts and facts of the step `graph`.
"""

import numpy as np
from numpy.typing import NDArray

from icp.engine.step import PartOutput
from icp.kernels.knn_graph import component_sizes
from icp.run.arrays import mapped_privately
from icp.run.context import Context
from icp.run.names import INDICES, INDPTR, WEIGHTS

QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


def describe(context: Context, degrees: NDArray[np.int64], output: PartOutput) -> None:
    """Count edges and isolated nodes; quantiles, components and hubs as facts. `degrees` (n_nodes,) int64."""
    arrays = [mapped_privately(output.path(name)) for name in (INDPTR, INDICES, WEIGHTS)]
    sizes = component_sizes(*arrays[:2])
    output.count("edges", arrays[1].size // 2)
    output.count("isolated", int((degrees == 0).sum()))
    output.info |= context.records("floor")["all"].info
    output.info |= {"components": int(sizes.size), "largest_component": int(sizes.max(initial=0))}
    output.info |= {"degree_mean": arrays[1].size / max(1, degrees.size), "degree_max": int(degrees.max(initial=0))}
    output.info["degree"] = _quantiles(degrees.astype(np.float64))
    # a sample of edges, evenly over the rows: sorting all of them would hold all of them
    step = max(1, arrays[2].size // 1_000_000)
    output.info["edge_similarity"] = _quantiles(arrays[2][::step].astype(np.float64))
    top = np.sort(degrees)[::-1][: max(1, degrees.size // 100)]
    output.info["hub_share"] = float(top.sum() / max(1, arrays[1].size))


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    spread = np.quantile(values, QUANTILES) if values.size else np.zeros(len(QUANTILES))
    return {str(q): float(value) for q, value in zip(QUANTILES, spread, strict=True)}
