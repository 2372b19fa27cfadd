"""Step `neighbors`: the nearest rows of every embedded row.

In: embeddings/. Out, by part of embeddings/: part-*.neighbors.npy int32 (rows, k + 6), rows of survivors, -1 for none;
part-*.similarities.npy float16, 0 there. Raw: a row itself is left out, nothing else. Where `graph` passes over
neighbours by source or similarity, 4 k + 6 are kept.

Tasks are ranges of rows, of cells or of lists, not parts, so that parts change nothing and a killed task alone is done
again. Each leaves the keys that it found for its rows; phase *parts* merges them. Phases: *search*, *parts*, *facts*
(recall). Unless all rows are compared, before them: *train* (centroids), *truth* (exact neighbours of two samples, by
range of rows), *tune* (how far cells overlap or how many lists are searched, by one sample; the other is for the
recall), *assign* (the cells near to every row), *lists* (the rows of each). An index of FAISS needs neither of the last
two. Where cells that bring enough neighbours together would grow too large, smaller ones are searched and then come
passes among neighbours' neighbours, until the first sample's recall reaches the target: *merge-0*, *expand-1* and so
on. Where neighbours are imported, *ids* and *given* read them (`icp.steps.neighbors.given`), and nothing is trained.
"""

import logging
from functools import partial

import numpy as np

from icp.config import Config
from icp.data import RowParts
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.knn import phases
from icp.knn.exact import merge_found
from icp.knn.expansion import PASSES
from icp.knn.methods import IMPORTED, Found
from icp.knn.vectors import empty_keys, unpack
from icp.run.arrays import mapped
from icp.run.context import Context, document_parts
from icp.run.extended import extended_source
from icp.run.names import NEIGHBORS, SIMILARITIES, of_part
from icp.steps.neighbors import by_index, given
from icp.steps.neighbors.recall import measure
from icp.steps.neighbors.rows import checked, embeddings, is_filtered, search_of
from icp.steps.neighbors.tasks import (
    all_tasks,
    centroids,
    check_task,
    expand_parts,
    expansion,
    groups,
    load,
    merge_parts,
    merged,
    n_passes,
    one_to_group,
    one_to_train,
    one_unless_exact,
    paths,
    range_of,
    ranges,
    ranges_to_group,
    save,
    save_cells,
    search_parts,
    tuning,
    tuning_info,
)

log = logging.getLogger("icp")


def train(context: Context, part: str, output: PartOutput) -> None:
    """Centroids of the cells or lists, or an index of all rows."""
    search = search_of(context)
    if search.planned == "faiss":
        by_index.train(context, output)
        return
    found = phases.train(embeddings(context), search)
    for name, array in (("means", found.means), ("leaders", found.leaders), ("groups", found.bounds)):
        save(output, f"{name}.npy", array)


def find_truth(context: Context, part: str, output: PartOutput) -> None:
    """The exact neighbours, among the rows of a range, of the rows of both samples."""
    rows, mine, search = embeddings(context), range_of(context, part), search_of(context)
    sample = np.concatenate([search.tuning_rows(), search.recall_rows()])
    save(output, f"{part}.truth.npy", phases.true_neighbors(rows, sample, k=search.k, within=mine))
    output.count("vector_bytes_read", 2 * search.dim * (len(mine) + sample.size))


def tune(context: Context, part: str, output: PartOutput) -> None:
    """How far cells overlap, or how many lists are searched, to reach the wanted recall on one of the samples."""
    search = search_of(context)
    sample = search.tuning_rows()
    keys = empty_keys(sample.size + search.recall_rows().size, search.k)
    for path in paths(context, "truth"):
        merge_found(keys, 0, Found(np.arange(len(keys)), np.load(path, allow_pickle=False)))
    exact, best = unpack(keys)
    for name, array in (("exact", exact), ("best", best)):
        save(output, f"{name}.npy", array)
    mine = exact[: sample.size]
    if search.planned == IMPORTED:
        output.info |= given.check(context)
        return
    if search.planned == "faiss":
        output.info |= by_index.tune(context, sample, (mine, best[: sample.size]))
        return
    output.info |= tuning_info(
        phases.tune(embeddings(context), centroids(context), sample, mine, search), search.planned
    )


def assign(context: Context, part: str, output: PartOutput) -> None:
    """The cells or lists near to each row of a range."""
    trained, tuned, search = centroids(context), tuning(context), search_of(context)
    # an empty block says how many columns there are
    blocks = [np.empty((0, search.dim), np.float32), *checked(context, range_of(context, part))]
    found = [phases.assign(block, trained, tuned, search) for block in blocks]
    save(output, f"{part}.cells.npy", np.concatenate([near for near, _ in found]))
    save(output, f"{part}.gaps.npy", np.concatenate([gaps for _, gaps in found]))
    output.count("vector_bytes_read", sum(2 * block.size for block in blocks))


def make_lists(context: Context, part: str, output: PartOutput) -> None:
    """The rows by cell or list; cells that overlap too much give way to all pairs where the method is left to us."""
    search = search_of(context)
    blocks = [
        (mapped(one), mapped(two)) for one, two in zip(paths(context, "cells"), paths(context, "gaps"), strict=True)
    ]
    found, passes = phases.group(blocks, tuning(context), search)
    output.info |= context.records("tune")["all"].info | {"method": found.method}
    if search.planned == "cells":
        sizes = found.members.sizes()
        output.info["cells_per_row"] = found.members.members.size / max(1, search.n_rows)
        output.info["largest_cell"] = int(sizes.max(initial=0))
        output.info["split_cells"] = int((sizes > found.members.largest()).sum())
    save_cells(output, "members", found.members)
    own = found.own if passes is None else passes.own
    if own is not None:
        save_cells(output, "own", own)
    if passes is not None:
        save(output, "joined.npy", passes.joined)


def search(context: Context, part: str, output: PartOutput) -> None:
    """Neighbours of two ranges of rows in one another, of the members of some cells, of the rows of some lists, or of
    a range of rows by an index."""
    wanted, by = search_of(context), groups(context)
    if wanted.planned in ("faiss", IMPORTED):
        found = (by_index if wanted.planned == "faiss" else given).search(context, part)
    else:
        task = all_tasks(context)[part]
        check_task(context, task)
        found = phases.search_task(embeddings(context), wanted, by, task)
    save(output, f"{part}.rows.npy", found.rows)
    save(output, f"{part}.keys.npy", found.keys)
    output.count("vector_bytes_read", found.moved)
    output.count("exchanged_bytes", found.rows.nbytes + found.keys.nbytes)


def merge(context: Context, part: str, output: PartOutput) -> None:
    """The keys of a part after a search or pass, and how many of the true neighbours of sampled rows are among them."""
    keys, first = merged(context, part, number := _number(context))
    save(output, f"{part}.merged-{number}.npy", keys)
    sample = search_of(context).tuning_rows()
    begin, end = np.searchsorted(sample, [first, first + len(keys)])
    exact, best = (load(context, name)[begin:end] for name in ("exact", "best"))
    output.info["shares"] = phases.found_in_sample(keys[sample[begin:end] - first], exact, best).tolist()


def expand_cells(context: Context, part: str, output: PartOutput) -> None:
    """One pass among neighbours' neighbours, for the rows of some cells."""
    number, passes = _number(context), expansion(context)
    keys = RowParts(paths(context, f"merged-{number - 1}"))
    before = RowParts(paths(context, f"merged-{number - 2}")) if number > 1 else None
    task = phases.expansion_tasks(passes)[part]
    found = phases.expansion_task(embeddings(context), (keys, before), passes, task)
    save(output, f"{part}.rows-{number}.npy", found.rows)
    save(output, f"{part}.keys-{number}.npy", found.keys)
    output.count("vector_bytes_read", found.moved)
    output.count("exchanged_bytes", found.rows.nbytes + 2 * found.keys.nbytes)


def write_part(context: Context, part: str, output: PartOutput) -> None:
    """What all tasks found for the rows of a part."""
    last = n_passes(context)
    keys = merged(context, part, 0)[0] if last is None else load(context, f"{part}.merged-{last}")
    neighbors, similarities = unpack(keys)
    save(output, of_part(NEIGHBORS, part), neighbors)
    save(output, of_part(SIMILARITIES, part), similarities)


def _number(context: Context) -> int:
    """Of the pass, by the name of the phase."""
    return int(context.phase.rpartition("-")[2])


def _keys(config: Config) -> tuple[str, ...]:
    filters = ("graph.same_source", "graph.max_similarity") if is_filtered(config) else ()
    by_index = ("graph.faiss",) if config.graph.method == "faiss" else ()
    # unsaid where nothing is imported: runs made before there was a choice stay as they are
    imported = ("graph.import",) if given.imports(config) else ()
    return ("graph.k", "graph.method", "graph.target_recall", "seed", *by_index, *filters, *imported)


STEP = Step(
    name="neighbors",
    format=5,
    inputs=("dedup", "embeddings"),
    keys=_keys,
    phases=(
        Phase("ids", given.ids_parts, given.find_ids, scratch=True),
        Phase("given", given.file_parts, given.read_file, scratch=True),
        Phase("train", one_to_train, train, scratch=True),
        Phase("truth", ranges, find_truth, scratch=True),
        Phase("tune", one_unless_exact, tune, scratch=True),
        Phase("assign", ranges_to_group, assign, scratch=True),
        Phase("lists", one_to_group, make_lists, scratch=True),
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
    sources=lambda config: [*given.sources(config), *extended_source(config, "neighbors")],
    reads=(
        "graph.same_source",
        "graph.max_similarity",
        "graph.faiss",
        "graph.import",
        "extends",
    ),  # by default they leave no trace
)
