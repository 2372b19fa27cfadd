"""Duplicates that datatrove's MinHash found, by file and row.

``*.dups`` of its buckets: four little-endian uint32 a pair, file and document twice; file k is the k-th of the corpus,
document n its n-th row; a pair with `INDEX` says that a document is a copy of one of an index, which is no document.
``K.remove`` of its clusters: the documents of file k to remove, a uint32 each; ``K.clusters``: document and cluster,
two uint32 each; ``K.sizes`` beside them say nothing of copies.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icp.errors import InputError

PAIRS, REMOVE, CLUSTERS, SIZES = ".dups", ".remove", ".clusters", ".sizes"
NUMBERED = (PAIRS, REMOVE, CLUSTERS, SIZES)
INDEX = 2**32 - 1
"""datatrove's number for what is in its index."""
WIDTHS = {PAIRS: 4, REMOVE: 1, CLUSTERS: 2}
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Placed:
    """What one file says.

    Attributes:
        pairs: (n, 4) int64, file and row, twice, of copies.
        of_index: (i, 2) int64, file and row of copies of what is in datatrove's index.
        gone: (m, 2) int64, file and row of what is to be removed.
        clustered: (c, 3) int64, file, row, and number of the cluster.
    """

    pairs: Places
    of_index: Places
    gone: Places
    clustered: Places


def read_places(path: Path) -> Placed:
    """The pairs, documents or clusters of a file.

    Raises: InputError if it is cut short, or has no number for a name where it needs one.
    """
    empty = Placed(*(np.zeros((0, columns), np.int64) for columns in (4, 2, 2, 3)))
    if path.suffix == SIZES:
        return empty
    width = WIDTHS[path.suffix]
    try:
        found = np.fromfile(path, "<u4").astype(np.int64)
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); fetch it again") from None
    if size % (4 * width):
        raise InputError(f"{path}: {size} bytes are no rows of {width} numbers of 4 bytes; fetch it again")
    found = found.reshape(-1, width)
    if path.suffix == PAIRS:
        of_index = found[:, 0] == INDEX
        return replace(empty, pairs=found[~of_index], of_index=found[of_index, 2:])
    if not path.stem.isdecimal():
        raise InputError(f"{path}: its name is no number of a file, as in 000000{path.suffix}; keep datatrove's names")
    placed = np.concatenate((np.full((len(found), 1), int(path.stem)), found), axis=1)
    return replace(empty, **{"gone" if width == 1 else "clustered": placed})
