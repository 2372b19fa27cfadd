"""Promise 5, of imported neighbours: which documents are neighbours is taken on trust, how alike they are is not.

In: neighbors/, embeddings/. Out: breaches; what is taken on trust.
"""

import numpy as np

from icp.audit.duplicates import HALF, cosines, vectors_of
from icp.audit.findings import Breaches
from icp.run import names
from icp.run.reader import Run

SAMPLE_ROWS = 1000


def check_given(run: Run, found: Breaches) -> str:
    """The similarities of the lists of evenly spread rows, made again; nothing of a run without `graph.import`."""
    if getattr(run.config.graph, "import") is None:
        return ""
    survivors, vectors, first = run.array("dedup", names.SURVIVORS), vectors_of(run), 0
    sample = np.unique(np.linspace(0, max(0, survivors.size - 1), min(SAMPLE_ROWS, survivors.size)).astype(np.int64))
    n_compared = 0
    parts = zip(run.names("neighbors", names.NEIGHBORS), run.names("neighbors", names.SIMILARITIES), strict=True)
    for neighbors_file, similarities_file in parts:
        neighbors = np.asarray(run.array("neighbors", neighbors_file, ndim=2))
        similarities = np.asarray(run.array("neighbors", similarities_file, ndim=2, kinds="f"))
        mine = sample[(sample >= first) & (sample < first + len(neighbors))]
        row, column = np.nonzero(neighbors[mine - first] >= 0)
        others = neighbors[mine - first][row, column]
        wrong = np.abs(similarities[mine - first][row, column] - cosines(vectors, mine[row], others)) > HALF
        pairs = np.stack((survivors[mine[row]], survivors[others]), axis=1)[wrong]
        found.add_all(
            "imported neighbours whose similarity is not that of their vectors",
            np.arange(len(pairs)),
            lambda at, pairs=pairs: f"docs {pairs[at, 0]} and {pairs[at, 1]}",  # type: ignore[misc]
        )
        first, n_compared = first + len(neighbors), n_compared + row.size
    return f"; who is a neighbour is taken on trust (graph.import), {n_compared:,} similarities made again are equal"
