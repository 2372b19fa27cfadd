"""Step `neighbors`: the nearest rows of every embedded row.

In: embeddings/. Out, by part of embeddings/: part-*.neighbors.npy int32 (rows, k + 6), rows of survivors, -1 for none;
part-*.similarities.npy float16, 0 there. Raw: a row itself is left out, nothing else. Where `graph` passes over
neighbours by source or similarity, 4 k + 6 are kept.

Tasks are ranges of rows, of cells or of lists, not parts, so that parts change nothing and a killed task alone is done
again. Each leaves the keys that it found for its rows; phase *parts* merges them. Phases: *search*, *parts*, *facts*
(recall). Unless all rows are compared, before them: *train* (centroids), *truth* (exact neighbours of two samples, by
range of rows), *tune* (how far cells overlap or how many lists are searched, by one sample; the other is for the
recall), *assign* (the cells near to every row), *lists* (the rows of each). Where cells that bring enough neighbours
together would grow too large, smaller ones are searched and then come passes among neighbours' neighbours, until the
first sample's recall reaches the target: *merge-0*, *expand-1*, *merge-1* and so on.
"""

import logging
from functools import partial

import numpy as np

from icp.config import Config
from icp.data import RowParts, take
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.kernels.knn_topk import NO_KEY
from icp.knn import cells, ivf
from icp.knn.cells import EXTRA
from icp.knn.centroids import AllRows, train_centroids
from icp.knn.exact import compare_ranges, merge_found, row_ranges
from icp.knn.expansion import PASSES, cells_joined, expand
from icp.knn.methods import Found
from icp.knn.recall import choose_nprobe, choose_overlap, recall_interval, shares_found
from icp.knn.vectors import empty_keys, nearest, unpack
from icp.run.context import Context, document_parts
from icp.steps.neighbors.tasks import cells as load_cells
from icp.steps.neighbors.tasks import (
    centroids,
    checked,
    embedding_paths,
    embeddings,
    expand_parts,
    joined,
    kept,
    load,
    merge_parts,
    merged,
    method,
    n_passes,
    one_unless_exact,
    paths,
    planned,
    range_of,
    ranges,
    samples,
    save,
    search_parts,
    tasks,
)

log = logging.getLogger("icp")


def train(context: Context, part: str, output: PartOutput) -> None:
    """Centroids of the cells or lists."""
    rows = embeddings(context)
    count = ivf.count_lists if planned(context) == "ivf" else cells.count_cells
    found = train_centroids(rows, wanted=count(rows.shape[0]), seed=context.config.seed)
    for name, array in (("means", found.means), ("leaders", found.leaders), ("groups", found.bounds)):
        save(output, f"{name}.npy", array)


def find_truth(context: Context, part: str, output: PartOutput) -> None:
    """The exact neighbours, among the rows of a range, of the rows of both samples."""
    rows, mine = embeddings(context), range_of(context, part)
    sample = np.concatenate(samples(context))
    # the base numbers its rows from 0, and so must the sample
    base = AllRows(RowParts(embedding_paths(context), np.arange(mine.start, mine.stop)))
    queries = take(rows, sample)
    keys = nearest(queries, np.where(sample < mine.start, -1, sample - mine.start), base, keep=context.config.graph.k)
    save(output, f"{part}.truth.npy", np.where(keys == NO_KEY, NO_KEY, keys + mine.start))
    output.count("vector_bytes_read", 2 * rows.shape[1] * (len(mine) + sample.size))


def tune(context: Context, part: str, output: PartOutput) -> None:
    """How far cells overlap, or how many lists are searched, to reach the wanted recall on one of the samples."""
    (sample, test), k = samples(context), context.config.graph.k
    keys = empty_keys(sample.size + test.size, k)
    for path in paths(context, "truth"):
        merge_found(keys, 0, Found(np.arange(len(keys)), np.load(path, allow_pickle=False)))
    exact, best = unpack(keys)
    for name, array in (("exact", exact), ("best", best)):
        save(output, f"{name}.npy", array)
    trained, target, rows = centroids(context), context.config.graph.target_recall, embeddings(context)
    flat, output.info["method"] = exact[: sample.size].ravel().astype(np.int64), planned(context)
    by = ivf.assign_lists if planned(context) == "ivf" else cells.assign_cells
    mine, others = by(take(rows, sample), trained), by(take(rows, flat), trained)
    others[0][flat < 0] = -1
    if planned(context) == "ivf":
        nprobe = choose_nprobe(mine[0], others[0][:, 0].reshape(-1, k), target_recall=target)
        output.info |= {"nlist": len(trained), "nprobe": nprobe, "ranks": nprobe}
    else:
        most = cells.most_joined(rows.shape[0], len(trained))
        found = choose_overlap(mine, others, target_recall=target, most_joined=most)
        output.info |= {"cells": len(trained), "ranks": found.ranks, "share_in_sample": found.share}
        output.info["expands"] = not found.enough
        output.info["margin"] = None if np.isinf(found.margin) else found.margin


def assign(context: Context, part: str, output: PartOutput) -> None:
    """The cells or lists near to each row of a range."""
    trained, ranks = centroids(context), context.records("tune")["all"].info["ranks"]
    by = ivf.assign_lists if planned(context) == "ivf" else cells.assign_cells
    # an empty block says how many columns there are
    blocks = [np.empty((0, embeddings(context).shape[1]), np.float32), *checked(context, range_of(context, part))]
    found = [by(block, trained, ranks=ranks) for block in blocks]
    save(output, f"{part}.cells.npy", np.concatenate([near for near, _ in found]))
    save(output, f"{part}.gaps.npy", np.concatenate([gaps for _, gaps in found]))
    output.count("vector_bytes_read", sum(2 * block.size for block in blocks))


def make_lists(context: Context, part: str, output: PartOutput) -> None:
    """The rows by cell or list; cells that overlap too much give way to all pairs where the method is left to us."""
    tuned, n_rows, count = context.records("tune")["all"].info, embeddings(context).shape[0], len(centroids(context))
    blocks = [
        (np.load(one, mmap_mode="r", allow_pickle=False), np.load(two, mmap_mode="r", allow_pickle=False))
        for one, two in zip(paths(context, "cells"), paths(context, "gaps"), strict=True)
    ]
    output.info |= tuned
    if planned(context) == "ivf":
        found = cells.group_rows(blocks, count, margin=tuned["nprobe"] - 1)
        arrays = {"members": found, "own": cells.group_rows(blocks, count, margin=ivf.OWN_LIST)}
    else:
        margin = np.inf if tuned["margin"] is None else tuned["margin"]
        found = cells.group_rows(blocks, count, margin=margin)
        arrays, sizes = {"members": found}, found.sizes()
        if tuned["expands"]:
            arrays["own"] = cells.group_rows(blocks, count, margin=ivf.OWN_LIST)
            save(output, "joined.npy", cells_joined(blocks, margin=margin))
        if context.config.graph.method == "auto" and not found.is_cheaper_than_all_pairs(n_rows):
            output.info["method"] = "exact"
        output.info |= {"cells_per_row": found.members.size / max(1, n_rows), "largest_cell": int(sizes.max(initial=0))}
        output.info["split_cells"] = int((sizes > found.largest()).sum())
    for name, array in arrays.items():
        save(output, f"{name}.npy", array.members)
        save(output, f"{name}-bounds.npy", array.bounds)


def search(context: Context, part: str, output: PartOutput) -> None:
    """Neighbours of two ranges of rows in one another, of the members of some cells, or of the rows of some lists."""
    keep, rows = kept(context.config), embeddings(context)
    if method(context) == "exact":
        one, two = (row_ranges(rows.shape[0])[int(number)] for number in part.split("-")[1:])
        for _ in checked(context, one) if one == two else ():
            pass
        found = compare_ranges(rows, one, two, keep=keep, where=None)
    elif method(context) == "cells":
        wanted = tasks(context)[part]
        found = cells.search_cells(rows, load_cells(context), wanted, keep=keep, seed=context.config.seed)
    else:
        own, probing = load_cells(context, "own"), load_cells(context)
        found = ivf.search_lists(rows, own, probing, tasks(context)[part], keep=keep)
    save(output, f"{part}.rows.npy", found.rows)
    save(output, f"{part}.keys.npy", found.keys)
    output.count("vector_bytes_read", found.moved)
    output.count("exchanged_bytes", found.rows.nbytes + found.keys.nbytes)


def merge(context: Context, part: str, output: PartOutput) -> None:
    """The keys of a part after a search or pass, and how many of the true neighbours of sampled rows are among them."""
    keys, first = merged(context, part, number := _number(context))
    save(output, f"{part}.merged-{number}.npy", keys)
    sample = samples(context)[0]
    begin, end = np.searchsorted(sample, [first, first + len(keys)])
    found, similarities = unpack(keys[sample[begin:end] - first, : context.config.graph.k])
    exact, best = (load(context, name)[begin:end] for name in ("exact", "best"))
    output.info["shares"] = shares_found(found, similarities, exact, best).tolist()


def expand_cells(context: Context, part: str, output: PartOutput) -> None:
    """One pass among neighbours' neighbours, for the rows of some cells."""
    number = _number(context)
    keys = RowParts(paths(context, f"merged-{number - 1}"))
    before = RowParts(paths(context, f"merged-{number - 2}")) if number > 1 else None
    wanted = tasks(context, "own")[part]
    found = expand(embeddings(context), (keys, before), joined(context), load_cells(context, "own"), wanted)
    save(output, f"{part}.rows-{number}.npy", found.rows)
    save(output, f"{part}.keys-{number}.npy", found.keys)
    output.count("vector_bytes_read", found.moved)
    output.count("exchanged_bytes", found.rows.nbytes + 2 * found.keys.nbytes)


def write_part(context: Context, part: str, output: PartOutput) -> None:
    """What all tasks found for the rows of a part."""
    last = n_passes(context)
    keys = merged(context, part, 0)[0] if last is None else load(context, f"{part}.merged-{last}")
    neighbors, similarities = unpack(keys)
    save(output, f"{part}.neighbors.npy", neighbors)
    save(output, f"{part}.similarities.npy", similarities)


def measure(context: Context, part: str, output: PartOutput) -> None:
    """How many of the true neighbours were found; a warning where that misses the target."""
    config, recall = context.config.graph, (1.0, 1.0, 1.0)
    if planned(context) != "exact":
        output.info |= context.records("lists")["all"].info
    output.info["method"] = method(context)
    if method(context) != "exact":
        tuned, test = samples(context)
        files = (paths(context, name) for name in ("neighbors", "similarities"))
        neighbors, similarities = (RowParts(found)[test][:, : config.k] for found in files)
        truth = load(context, "exact")[tuned.size :], load(context, "best")[tuned.size :]
        recall = recall_interval(neighbors, similarities, *truth)
        output.info["passes"] = n_passes(context) or 0
    output.info |= dict(zip(("recall", "recall_low", "recall_high"), recall, strict=True))
    output.info["target_missed"] = recall[2] < config.target_recall
    if output.info["target_missed"]:
        text = "neighbors: recall %.3f (%.3f to %.3f) misses graph.target_recall %.3f; with graph.method exact it is 1"
        log.warning(text, *recall, config.target_recall)


def _number(context: Context) -> int:
    """Of the pass, by the name of the phase."""
    return int(context.phase.rpartition("-")[2])


def _keys(config: Config) -> tuple[str, ...]:
    filters = ("graph.same_source", "graph.max_similarity") if kept(config) != config.graph.k + EXTRA else ()
    return ("graph.k", "graph.method", "graph.target_recall", "seed", *filters)


STEP = Step(
    name="neighbors",
    format=4,
    inputs=("dedup", "embeddings"),
    keys=_keys,
    phases=(
        Phase("train", one_unless_exact, train, scratch=True),
        Phase("truth", ranges, find_truth, scratch=True),
        Phase("tune", one_unless_exact, tune, scratch=True),
        Phase("assign", ranges, assign, scratch=True),
        Phase("lists", one_unless_exact, make_lists, scratch=True),
        Phase("search", search_parts, search, scratch=True),
        Phase("merge-0", partial(merge_parts, number=0), merge, scratch=True),
        *(
            Phase(f"{name}-{number}", partial(parts, number=number), work, scratch=True)
            for number in range(1, PASSES + 1)
            for name, parts, work in (("expand", expand_parts, expand_cells), ("merge", merge_parts, merge))
        ),
        Phase("parts", document_parts, write_part),
        Phase("facts", one_part, measure),
    ),
    reads=("graph.same_source", "graph.max_similarity"),  # by default they leave no trace
)
