"""Copy pieces of token files into the rows of a shard.

In: bytes of a token file, where each piece begins and ends. Out: the rows, filled in place. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel


@kernel
def gather_pieces(
    rows: NDArray[np.uint8],
    tokens: NDArray[np.uint8],
    row: NDArray[np.int64],
    place: NDArray[np.int64],
    source: NDArray[np.int64],
    length: NDArray[np.int64],
) -> None:
    """Copy each piece to its place in its row.

    Bytes, not tokens, so that one compiled kernel serves 2-byte and 4-byte ids; the caller multiplies.

    Args:
        rows: (windows, bytes of a row) uint8, changed in place; what no piece covers stays.
        tokens: (bytes,) uint8, a token file. Mapped copy-on-write: numba compiles read-only arrays apart.
        row: (pieces,) int64, the row of each piece.
        place: (pieces,) int64, its first byte in the row.
        source: (pieces,) int64, its first byte in `tokens`.
        length: (pieces,) int64, its bytes.

    Cost: O(bytes copied), sequential in `tokens` if the pieces are sorted by `source`.
    """
    for piece in range(row.size):
        target = rows[row[piece]]
        at, first = place[piece], source[piece]
        for offset in range(length[piece]):
            target[at + offset] = tokens[first + offset]
