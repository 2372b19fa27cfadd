"""The recall of the step `neighbors`: how many of the true neighbours of sampled rows it found.

In: neighbours and similarities of all parts, the true neighbours of the sample. Out: the facts of the step.
"""

import logging

from icp.data import RowParts
from icp.engine.step import PartOutput
from icp.knn.methods import IMPORTED, exact_seconds, span
from icp.knn.recall import recall_interval
from icp.run.context import Context
from icp.steps.neighbors.grown import tell_recall
from icp.steps.neighbors.rows import only_new, search_of
from icp.steps.neighbors.tasks import load, method, n_passes, paths

log = logging.getLogger("icp")


def measure(context: Context, part: str, output: PartOutput) -> None:
    """How many of the true neighbours were found; a warning where that misses the target."""
    search, recall = search_of(context), (1.0, 1.0, 1.0)
    if only_new(context):
        tell_recall(context, output)
        output.info["target_missed"] = output.info["recall_high"] < search.target_recall
        return
    if search.planned != "exact":
        output.info |= context.records("lists" if search.has_groups else "tune")["all"].info
    output.info["method"] = method(context)
    if method(context) != "exact":
        test, n_tuned = search.recall_rows(), search.tuning_rows().size
        files = (paths(context, name) for name in ("neighbors", "similarities"))
        neighbors, similarities = (RowParts(found)[test][:, : search.k] for found in files)
        truth = load(context, "exact")[n_tuned:], load(context, "best")[n_tuned:]
        recall = recall_interval(neighbors, similarities, *truth)
        output.info["passes"] = n_passes(context) or 0
    output.info |= dict(zip(("recall", "recall_low", "recall_high"), recall, strict=True))
    output.info["target_missed"] = recall[2] < search.target_recall
    if method(context) != "exact":
        longer = span(exact_seconds(search.n_rows, search.dim))
        if output.info["target_missed"] and search.method == IMPORTED:
            text = "neighbors: recall %.3f (%.3f to %.3f) of the lists of graph.import misses graph.target_recall %.3f"
            more = "; without graph.import, and with graph.method exact, it is 1, after about %s of one core"
            log.warning(text + more, *recall, search.target_recall, longer)
        elif output.info["target_missed"]:
            text = (
                "neighbors: recall %.3f (%.3f to %.3f) misses graph.target_recall %.3f; with graph.method exact it is 1"
            )
            more = ", after about %s of one core; graph.target_recall 0.%02d would have been met"
            log.warning(text + more, *recall, search.target_recall, longer, int(100 * recall[1]))
        elif search.method == "auto":
            found = f"neighbors: cells found {recall[0]:.1%} of the nearest"
            output.info["notes"] = [f"{found}; graph.method exact finds all, in about {longer} of one core"]
