"""Duplicates of other tools (`dedup.import`) beside those of dedup: all of a group but one go.

In: the files, ids and places of documents, what dedup itself decided. Out: who is removed for that. Of a group, the
document that `dedup.keep` prefers among those that dedup keeps stays; copies of the others become copies of it. Ids
that stand in no document are counted.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.config import Config
from icp.dedup.candidates import order_by_priority
from icp.dedup.imported import PAIRS, connected_labels, id_hashes, import_files, read_groups, read_pairs
from icp.dedup.verdicts import Verdict, follow_twins
from icp.engine.step import PartOutput, one_part
from icp.errors import InputError
from icp.run.context import Context, document_paths
from icp.run.extended import n_old_docs, old_parts
from icp.steps.dedup.candidates import load_array, priorities, save_array
from icp.steps.dedup.grown import old_first, removed_before

KEY, PAIRS_FILE = "dedup.import", "imported/pairs.npy"


def imported_files(config: Config) -> Sequence[tuple[str, str]]:
    """Path, and size and time, of the files of `dedup.import`."""
    pattern = getattr(config.dedup, "import")
    files = import_files(pattern, KEY) if pattern is not None else []
    return [(str(path), f"{path.stat().st_size} bytes, {path.stat().st_mtime_ns}") for path in files]


def imported_parts(context: Context) -> list[str]:
    """The one part of *imported*, if there are files."""
    return one_part(context) if getattr(context.config.dedup, "import") is not None else []


def find_pairs(context: Context, part: str, output: PartOutput) -> None:
    """Write ``imported/pairs.npy``, (m, 2) int64: documents of one group.

    Raises: InputError for a file that cannot be used, and if none of its ids stands in a document.
    """
    files = import_files(str(getattr(context.config.dedup, "import")), KEY)
    of_ids = [path for path in files if path.suffix != PAIRS]
    ids, groups = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for path in of_ids:
        for some, theirs in read_groups(path):
            ids.append(some)
            groups.append(theirs)
    docs, own = _matched(context, np.concatenate(ids), np.concatenate(groups), output)
    order = np.lexsort((docs, own))
    same = own[order][1:] == own[order][:-1]
    pairs = [np.stack((docs[order][:-1][same], docs[order][1:][same]), axis=1)]
    pairs += [_placed(context, read_pairs(path)) for path in files if path.suffix == PAIRS]
    found = np.concatenate(pairs)
    if not len(found):
        raise InputError(
            f"{KEY}: none of its {sum(map(len, ids)):,} ids stands in documents that it calls copies; check that they "
            "are written as in corpus.id"
        )
    save_array(output, PAIRS_FILE, found)


def _matched(
    context: Context, ids: NDArray[np.uint64], groups: NDArray[np.uint64], output: PartOutput
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Documents that have one of the ids, and the group of each; a document may be in several."""
    first, docs, own = 0, [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    order = np.argsort(ids, kind="stable")
    ids, groups = ids[order], groups[order]
    met = np.zeros(ids.size, np.bool_)
    for path in document_paths(context):
        hashes = id_hashes(pq.read_table(path, columns=["id"])["id"].to_pylist())
        low, high = np.searchsorted(ids, hashes, side="left"), np.searchsorted(ids, hashes, side="right")
        rows = np.repeat(np.arange(hashes.size), high - low)
        begins = np.cumsum(high - low) - (high - low)
        at = np.repeat(low - begins, high - low) + np.arange(rows.size)
        met[at] = True
        docs.append(first + rows)
        own.append(groups[at])
        first += hashes.size
    output.count("imported_ids", int(np.unique(ids).size))
    output.count("imported_unknown", int(np.unique(ids[~met]).size))
    return np.concatenate(docs), np.concatenate(own)


def _placed(context: Context, pairs: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Documents of pairs that are named by file and row; pairs with a row that was refused are left out."""
    info = context.manifest("documents").info.get("read", {})
    files = {name: number for number, name in enumerate(
        name for _, part in sorted(info.items()) for name in part.get("rows", {}))}  # fmt: skip
    first, places, docs = 0, [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for path in document_paths(context):
        table = pq.read_table(path, columns=["file", "row"])
        coded = table["file"].combine_chunks().dictionary_encode()
        numbers = np.array([files[name] for name in coded.dictionary.to_pylist()], np.uint64)
        of_rows = numbers[np.asarray(coded.indices)]
        places.append((of_rows << np.uint64(32)) | table["row"].to_numpy().astype(np.uint64))
        docs.append(np.arange(first, first + table.num_rows))
        first += table.num_rows
    place, doc = np.concatenate(places), np.concatenate(docs)
    order = np.argsort(place)
    place, doc = place[order], doc[order]
    wide = pairs.astype(np.uint64)
    wanted = (wide[:, 0::2] << np.uint64(32)) | wide[:, 1::2]
    at = np.minimum(np.searchsorted(place, wanted), place.size - 1)
    is_there = (place[at] == wanted).all(axis=1)
    return np.asarray(doc[at[is_there]], np.int64)


def merged(context: Context, twins: NDArray[np.int64], verdict: Verdict) -> NDArray[np.int64]:
    """(n,) int64: the document that stays for each, by what dedup decided and by groups of other tools.

    What a run extended keeps or has removed stays so.
    Args: the exact copies and the verdict, those of the run extended among them, as `follow_twins` takes them.
    """
    duplicate_of, n_old = follow_twins(twins, verdict).duplicate_of, n_old_docs(context)
    for name in old_parts(context):
        removed = removed_before(context, name)
        duplicate_of[removed.docs] = removed.keepers
    n = duplicate_of.size
    survivors = duplicate_of[load_array(context, PAIRS_FILE)]  # copies of dedup's own stand with what is kept of them
    label = connected_labels(n, survivors)
    rank = np.empty(n, np.int64)
    rank[old_first(context, order_by_priority(priorities(context)))] = np.arange(n)
    kept = np.flatnonzero(duplicate_of == np.arange(n))
    order = kept[np.lexsort((rank[kept], label[kept]))]
    is_first = np.diff(label[order], prepend=-1) != 0
    keeper = np.empty(n, np.int64)
    keeper[label[order[is_first]]] = order[is_first]
    found = keeper[label[duplicate_of]]
    found[:n_old] = duplicate_of[:n_old]
    return found
