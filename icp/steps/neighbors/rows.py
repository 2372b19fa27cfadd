"""The rows that the step `neighbors` compares, and what is searched for among them.

In: embeddings/. Out: the rows, checked; the `Search`.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.data import RowParts, take
from icp.errors import ArtifactError
from icp.knn.cells import CHUNK_ROWS
from icp.knn.groupings import Search, count_kept
from icp.knn.methods import IMPORTED
from icp.knn.vectors import check_rows
from icp.run.arrays import mapped, survivor_vectors, survivors, vector_paths
from icp.run.context import Context, document_parts
from icp.run.names import VECTORS, of_part
from icp.steps.neighbors.grown import compares_new, new_range


def is_filtered(config: Config) -> bool:
    """Whether the graph passes over neighbours by source or similarity."""
    return config.graph.same_source != "any" or config.graph.max_similarity is not None


def search_of(context: Context) -> Search:
    """What the configuration asks for."""
    config = context.config
    graph, keep = config.graph, count_kept(config.graph.k, is_filtered=is_filtered(config))
    found = Search(*shape(context), graph.k, keep, graph.method, graph.target_recall, config.seed, graph.faiss)
    if getattr(graph, "import") is not None:
        return replace(found, method=IMPORTED)
    return replace(found, method="exact") if grows(context, found) else found


def grows(context: Context, search: Search) -> bool:
    """Whether new rows alone are compared, exactly, with all: see `icp.steps.neighbors.grown`."""
    if context.config.extends is None:
        return False
    n_old = new_range(context).start
    return compares_new(search.n_rows, n_old, search.dim, planned=search.planned)


def only_new(context: Context) -> bool:
    """Whether that is what this search does."""
    return context.config.extends is not None and search_of(context).method == "exact"


def embeddings(context: Context) -> RowParts:
    """The rows, memory-mapped; raises ArtifactError where parts differ in dimensions."""
    dims: dict[int, str] = {}
    for path in vector_paths(context):
        part = mapped(path)
        if len(part):
            dims.setdefault(part.shape[1], path.name)
    if len(dims) > 1:
        found = ", ".join(f"{name} of {dim}" for dim, name in dims.items())
        raise ArtifactError(
            f"{context.folder('embeddings')}: vectors of different dimensions ({found}); redo the step with --fresh"
        )
    return survivor_vectors(context)


def shape(context: Context) -> tuple[int, int]:
    """Rows and dimensions; the manifest tells them where it can, without opening the files."""
    manifest = context.manifest("embeddings")
    records = [manifest.files.get(of_part(VECTORS, part)) for part in document_parts(context)]
    rows = [record.rows if record is not None else None for record in records]
    if "dim" not in manifest.facts or None in rows:
        n_rows, dim = embeddings(context).shape
        return n_rows, dim
    return sum(n or 0 for n in rows), int(manifest.facts["dim"])


def checked(context: Context, rows: range) -> Iterator[NDArray[np.float32]]:
    """The rows of a range in blocks; raises InputError naming the document of a wrong one."""
    vectors = embeddings(context)
    docs = survivors(context)
    for start in range(rows.start, rows.stop, CHUNK_ROWS):
        ids = np.arange(start, min(start + CHUNK_ROWS, rows.stop), dtype=np.int64)
        block = take(vectors, ids)
        check_rows(block, start, str(context.folder("embeddings")), docs=docs[ids])
        yield block
