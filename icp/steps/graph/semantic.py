"""Of documents alike in vectors and words one is removed; those alike in vectors alone are kept apart.

In: documents/, raw neighbours. Out: nodes.npy, duplicates/, conflicts.npy of the step `graph`, which calls these
functions as its first phases. A row is removed if it is at least `duplicate_similarity` to a kept earlier row and the
words agree too (Jaccard of word n-grams at least `duplicate_jaccard`, of texts of several); never because of a row that
is itself removed.

With `conflict_jaccard` or `conflict_containment` the words of all neighbours of a cosine of `LOOKED_AT` or more are
compared, and those of so many words in common are kept apart as well; near_copies.npy lists those of a Jaccard of
`NEAR_COPY` or more.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.dedup.shingles import shingle_sets
from icp.engine.step import PartOutput
from icp.errors import InputError
from icp.kernels.knn_graph import jaccard_pairs, keep_leaders
from icp.run.arrays import survivors
from icp.run.context import Context, document_parts
from icp.run.extended import old_parts
from icp.run.names import CONFLICTS, DOCUMENTS, DUPLICATES, NEAR_COPIES, NODES, of_part
from icp.run.tables import read_rows
from icp.steps.graph.arrays import load, raw_neighbors, save
from icp.steps.graph.crowds import similarities_of, too_large, unlisted_pairs
from icp.steps.graph.grown import stay_before, to_judge, with_before
from icp.steps.graph.held import are_near_held
from icp.texts import text_buffers

LOOKED_AT = 0.5
NEAR_COPY = 0.6
VERSIONS = "version-"
"""Of the arrays of pairs that `icp.steps.graph.versions` adds."""


def find_pairs(context: Context, part: str, output: PartOutput) -> None:
    """Write pairs.npy int64 (m, 2), rows too alike, by (higher, lower), and similarities.npy float16 (m,).

    Pairs are those of the lists of neighbours, and those of groups that are larger than a list.
    """
    config, n_rows = context.config.graph, survivors(context).size
    least = min(config.duplicate_similarity, LOOKED_AT) if config.compares_texts else config.duplicate_similarity
    keys, values = [np.empty(0, np.int64)], [np.empty(0, np.float16)]
    for first, neighbors, similarities in raw_neighbors(context):
        alike = (neighbors >= 0) & (similarities.astype(np.float64) >= least)
        rows = first + np.nonzero(alike)[0]
        others = neighbors[alike].astype(np.int64)
        keys.append(np.maximum(rows, others) * n_rows + np.minimum(rows, others))
        values.append(similarities[alike])
    found, where = np.unique(np.concatenate(keys), return_index=True)
    listed = np.stack((found % max(n_rows, 1), found // max(n_rows, 1)), axis=1)
    similarities = np.concatenate(values)[where]
    more, left = unlisted_pairs(context, listed[similarities >= config.duplicate_similarity], listed)
    cosines = similarities_of(context, more)
    also = cosines.astype(np.float64) >= config.duplicate_similarity
    judged = to_judge(context, *listed.T)
    pairs = np.concatenate((listed[judged], more[also]))
    order = np.lexsort(pairs.T)
    save(output, "pairs.npy", pairs[order])
    save(output, "similarities.npy", np.concatenate((similarities[judged], cosines[also]))[order])
    if left:
        output.info["warnings"] = [too_large(left, "look-alikes")]


def make_shingles(context: Context, part: str, output: PartOutput, *, of: str = "") -> None:
    """Write the word n-grams of the texts of a part that stand in a pair of `of`; none of a text of one.

    It could only be removed for a text of the same words, from which it differs in what words leave out ("C", "C++").
    """
    rows, cuts = _paired_rows(context, of)
    number = document_parts(context).index(part)
    docs = survivors(context)[rows[cuts[number] : cuts[number + 1]]]
    values, sizes = [np.empty(0, np.uint64)], [np.zeros(1, np.int64)]
    if docs.size:
        path = context.part_path("documents", DOCUMENTS, part)
        for texts in read_rows(path, "text", docs - context.doc_bounds()[number]):
            found, indptr = shingle_sets(text_buffers(texts), ngram=context.config.dedup.ngram)
            several = np.diff(indptr) > 1
            values.append(found[np.repeat(several, np.diff(indptr))])
            sizes.append(np.diff(indptr) * several)
    save(output, f"{part}.{of}shingles.npy", np.concatenate(values))
    save(output, f"{part}.{of}bounds.npy", np.cumsum(np.concatenate(sizes)))


def compare_texts(context: Context, part: str, output: PartOutput, *, of: str = "") -> None:
    """Write the Jaccard similarity of each pair whose higher row stands in a part: float64, in the order of pairs; and
    the containment, the share of the words of the shorter text, if any is asked for."""
    parts, pairs = document_parts(context), load(context, f"{of}pairs")
    rows, cuts = _paired_rows(context, of)
    mine = parts.index(part)
    # places among all paired rows, by part; pairs of the part are those whose higher row lies in it
    lower, higher = np.searchsorted(rows, pairs[:, 0]), np.searchsorted(rows, pairs[:, 1])
    chosen = slice(*np.searchsorted(higher, cuts[mine : mine + 2]).tolist())
    lower, higher = lower[chosen], higher[chosen] - cuts[mine]
    sets = (load(context, f"{part}.{of}shingles"), load(context, f"{part}.{of}bounds"))
    owners = np.searchsorted(cuts, lower, side="right") - 1
    jaccards, containments = np.zeros((2, lower.size), dtype=np.float64)
    for owner in np.union1d(owners, mine).tolist():
        others = (load(context, f"{parts[owner]}.{of}shingles"), load(context, f"{parts[owner]}.{of}bounds"))
        here = owners == owner
        places = np.stack((higher[here], lower[here] - cuts[owner]), axis=1)
        jaccards[here] = jaccard_pairs(*sets, *others, places)
        sizes = np.stack((np.diff(sets[1])[places[:, 0]], np.diff(others[1])[places[:, 1]]))
        shared = np.rint(jaccards[here] * sizes.sum(axis=0) / (1 + jaccards[here]))
        containments[here] = shared / np.maximum(sizes.min(axis=0), 1)
    save(output, f"{part}.{of}jaccards.npy", jaccards)
    if context.config.graph.compares_texts:
        save(output, f"{part}.{of}containments.npy", containments)


def choose_nodes(context: Context, part: str, output: PartOutput) -> None:
    """Write nodes.npy, duplicates/, conflicts.npy and, if words are compared, near_copies.npy."""
    docs, pairs, config = survivors(context), load(context, "pairs"), context.config.graph
    jaccards = compared(context, "jaccards")
    similarities = load(context, "similarities").astype(np.float64)
    is_out = are_near_held(context)
    alike = np.flatnonzero((similarities >= config.duplicate_similarity) & ~is_out[pairs].any(axis=1))
    removing = alike[keep_leaders(pairs[alike], jaccards[alike], config.duplicate_jaccard, docs.size)]
    kept = stay_before(context)
    kept[pairs[removing, 1]] = False
    kept[is_out] = False
    if is_out.any() and not kept.any():
        raise InputError("holdout.cosine leaves no document for training; raise it")
    _write_duplicates(context, output, docs[pairs[removing]], jaccards[removing], similarities[removing])
    apart = kept_apart(context)
    apart[alike] = True
    conflicts, near = pairs[apart], pairs[jaccards >= NEAR_COPY]
    if config.compares_texts:
        more = load(context, f"{VERSIONS}pairs")
        conflicts = np.concatenate((conflicts, more[kept_apart(context, VERSIONS)]))
        near = np.concatenate((near, more[compared(context, "jaccards", VERSIONS) >= NEAR_COPY]))
        save(output, NEAR_COPIES, with_before(context, NEAR_COPIES, _as_nodes(near, kept)))
    conflicts = with_before(context, CONFLICTS, _as_nodes(conflicts, kept))
    save(output, NODES, docs[kept])
    save(output, CONFLICTS, conflicts)
    output.count("semantic_duplicates", removing.size)
    output.count("conflicts", len(conflicts))
    output.count("nodes", int(kept.sum()))


def compared(context: Context, name: str, of: str = "") -> NDArray[np.float64]:
    """(pairs,) float64: what `compare_texts` found of the pairs of `of`, in their order."""
    return np.concatenate([load(context, f"{part}.{of}{name}") for part in document_parts(context)])


def kept_apart(context: Context, of: str = "") -> NDArray[np.bool_]:
    """(pairs,) bool: pairs of `of` with so many words in common that they must not share a window."""
    config, apart = context.config.graph, np.zeros(len(load(context, f"{of}pairs")), np.bool_)
    if config.conflict_jaccard is not None:
        apart |= compared(context, "jaccards", of) >= config.conflict_jaccard
    if config.conflict_containment is not None:
        apart |= compared(context, "containments", of) >= config.conflict_containment
    return apart


def _as_nodes(pairs: NDArray[np.int64], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n, 2) int64: pairs of rows that are both kept, as nodes, sorted."""
    node_of_row = np.cumsum(kept) - 1
    found = node_of_row[pairs[kept[pairs].all(axis=1)]].astype(np.int64)
    return np.asarray(found[np.lexsort((found[:, 1], found[:, 0]))])


def _write_duplicates(
    context: Context,
    output: PartOutput,
    docs: NDArray[np.int64],
    jaccards: NDArray[np.float64],
    similarities: NDArray[np.float64],
) -> None:
    """One file for each new documents part; `docs` (n, 2): the kept doc and the removed one, by the removed."""
    cuts = np.searchsorted(docs[:, 1], context.doc_bounds()).tolist()
    for part, begin, end in list(zip(document_parts(context), cuts, cuts[1:], strict=False))[len(old_parts(context)) :]:
        name, here = of_part(DUPLICATES, part), slice(begin, end)
        columns: dict[str, Any] = {"doc": docs[here, 1], "duplicate_of": docs[here, 0]}
        columns |= {"jaccard": jaccards[here], "similarity": similarities[here]}
        table = pa.table({**columns, "kind": pa.array(["semantic"] * (end - begin), pa.string())})
        pq.write_table(table, output.path(name), compression="zstd")
        output.rows(name, table.num_rows)


def _paired_rows(context: Context, of: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows that stand in a pair, ascending, and where those of each documents part begin."""
    rows = np.unique(load(context, f"{of}pairs"))
    return rows, np.searchsorted(rows, np.searchsorted(survivors(context), context.doc_bounds()))
