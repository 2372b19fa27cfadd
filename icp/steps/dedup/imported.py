"""Duplicates of other tools (`dedup.import`) beside those of dedup: all of a group but one go, and all that they list.

In: the files, ids and places of documents, what dedup itself decided. Out: who is removed for that. Of a group, the
document that `dedup.keep` prefers among those that dedup keeps stays; copies of the others become copies of it. What
other tools list to be removed comes last wherever dedup prefers one document to another; if it still stays, it goes, as
a copy of -1: of what, nobody said. Ids that stand in no document are counted.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.dedup.components import connected_pairs
from icp.dedup.imported import Grouped, Listed, Marked, import_files, read_found
from icp.dedup.imported_places import NUMBERED, read_places
from icp.dedup.verdicts import Verdict, follow_twins
from icp.engine.step import PartOutput, one_part
from icp.errors import InputError
from icp.run.context import Context
from icp.run.extended import n_old_docs, old_parts
from icp.steps.dedup.candidates import LISTED, load_array, preferred, save_array
from icp.steps.dedup.grown import removed_before
from icp.steps.dedup.matching import Ids, Numbers, marked_docs

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
    """Write ``imported/pairs.npy``, (m, 2) int64: documents of one group; ``listed.npy``, (n,) int64, those to remove.

    Raises: InputError for a file that cannot be used, and if none of its ids stands in a document.
    """
    files = import_files(str(getattr(context.config.dedup, "import")), KEY)
    found = [block for path in files if path.suffix not in NUMBERED for block in read_found(path)]
    ids = Ids(context, found)
    pairs, listed = [ids.pairs([one for one in found if isinstance(one, Grouped)])], []
    listed.append(ids.docs([one.ids for one in found if isinstance(one, Listed)]))
    listed.append(marked_docs(context, ids, [one for one in found if isinstance(one, Marked)], output))
    numbered = [path for path in files if path.suffix in NUMBERED]
    if numbered:
        copies, gone = Numbers(context, output).found([read_places(path) for path in numbered])
        pairs.append(copies)
        listed.append(gone)
    ids.tell(output)
    going, copies = np.unique(np.concatenate(listed)), np.concatenate(pairs)
    if not (going.size or len(copies) or ids.says_nothing):
        what = f"its {ids.n_ids:,} ids stands in documents that it calls copies; check that they are written as in "
        rows = "the rows that it numbers is a document; give all files of corpus.input, in the order of datatrove's"
        raise InputError(f"{KEY}: none of {what}corpus.id" if found else f"{KEY}: none of {rows}")
    save_array(output, PAIRS_FILE, copies)
    save_array(output, LISTED, going[going >= n_old_docs(context)])


def merged(context: Context, twins: NDArray[np.int64], verdict: Verdict) -> NDArray[np.int64]:
    """(n,) int64: the document that stays for each, by what dedup decided and by other tools; -1: they named none.

    What a run extended keeps or has removed stays so.
    Args: the exact copies and the verdict, those of the run extended among them, as `follow_twins` takes them.
    """
    duplicate_of, n_old = follow_twins(twins, verdict).duplicate_of, n_old_docs(context)
    for name in old_parts(context):
        removed = removed_before(context, name)
        duplicate_of[removed.docs] = removed.keepers
    n = duplicate_of.size
    own = np.where(duplicate_of < 0, np.arange(n), duplicate_of)
    label = connected_pairs(n, own[load_array(context, PAIRS_FILE)])  # copies of dedup's own stand with what is kept
    rank = np.empty(n, np.int64)
    rank[preferred(context)] = np.arange(n)
    kept = np.flatnonzero(duplicate_of == np.arange(n))
    order = kept[np.lexsort((rank[kept], label[kept]))]
    is_first = np.diff(label[order], prepend=-1) != 0
    keeper = np.full(n, -1, np.int64)
    keeper[label[order[is_first]]] = order[is_first]
    found = keeper[label[own]]
    is_gone = np.zeros(n + 1, np.bool_)  # the last for what has no keeper already
    is_gone[load_array(context, LISTED)] = True
    found[is_gone[found]] = -1
    found[:n_old] = duplicate_of[:n_old]
    return found
