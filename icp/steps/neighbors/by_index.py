"""What the tasks of the step `neighbors` do where an index of FAISS is searched: ``graph.method: faiss``.

*train* leaves the index with all rows in it, *tune* how much of it is searched; a task of *search* has a range of rows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.engine.step import PartOutput
from icp.knn import faiss_index
from icp.knn.methods import Found
from icp.run.context import Context
from icp.steps.neighbors.rows import checked, embeddings, search_of
from icp.steps.neighbors.tasks import range_of

INDEX = "index.faiss"


def train(context: Context, output: PartOutput) -> None:
    """Write the index of all rows."""
    search = search_of(context)
    index = faiss_index.train_index(embeddings(context), search)
    faiss_index.add_rows(index, checked(context, range(search.n_rows)), search)
    faiss_index.library().write_index(index, str(output.path(INDEX)))


def tune(
    context: Context, sample: NDArray[np.int64], truth: tuple[NDArray[np.int32], NDArray[np.float16]]
) -> dict[str, Any]:
    """How much of the index is searched, by a sample and its true neighbours, and what the index is."""
    search = search_of(context)
    found = faiss_index.tune_index(embeddings(context), _index(context), sample, truth, search)
    return {
        "method": "faiss",
        "index": faiss_index.factory_of(search),
        "parameter": found.parameter,
        "value": found.value,
        "factor": found.factor,
        "share_in_sample": found.share,
    }


def search(context: Context, part: str) -> Found:
    """What the index finds for the rows of a range."""
    info, keep = context.records("tune")["all"].info, search_of(context).keep
    probing = faiss_index.Probing(info["parameter"], info["value"], info["factor"], info["share_in_sample"])
    return faiss_index.search_index(embeddings(context), _index(context), probing, range_of(context, part), keep=keep)


def _index(context: Context) -> Any:
    return faiss_index.library().read_index(str(context.path("neighbors", INDEX)))
