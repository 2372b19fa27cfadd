"""The order of the documents of a window: each after those that it is most like.

In: documents in windows, the graph. Out: places. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel


@kernel
def order_inside(
    docs: NDArray[np.int64],
    bounds: NDArray[np.int64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    weights: NDArray[np.uint16],
) -> NDArray[np.int64]:
    """Places of the documents of each window along a tree that grows by its heaviest edge.

    The first document of a window stays first. The next is always the one with the heaviest edge to one that stands;
    if none has an edge, the next one as given.

    Args:
        docs: (members,) int64, document of each member, windows one after another; a document once in all of them.
        bounds: (windows + 1,) int64, first member of each window.
        indptr, indices: CSR graph over all documents.
        weights: (edges,) uint16, bits of the float16 similarities; those below 0 count as 0.

    Returns: (members,) int64, the members of each window in their order.
    Cost: O(members squared of a window + edges).
    Source: Prim's algorithm.
    """
    member_of = np.full(indptr.size - 1, -1, np.int64)
    order = np.empty(docs.size, np.int64)
    heaviest = np.empty(docs.size, np.int64)
    for window in range(bounds.size - 1):
        begin, end = bounds[window], bounds[window + 1]
        for member in range(begin, end):
            member_of[docs[member]] = member
            heaviest[member] = 0
        chosen = begin
        for place in range(begin, end):
            if place > begin:
                chosen = -1
                for member in range(begin, end):
                    if heaviest[member] >= 0 and (chosen < 0 or heaviest[member] > heaviest[chosen]):
                        chosen = member
            order[place] = chosen
            heaviest[chosen] = -1
            doc = docs[chosen]
            for edge in range(indptr[doc], indptr[doc + 1]):
                near = member_of[indices[edge]]
                if near >= 0 and heaviest[near] >= 0 and weights[edge] < 0x8000:
                    heaviest[near] = max(heaviest[near], np.int64(weights[edge]))
        for member in range(begin, end):
            member_of[docs[member]] = -1
    return order
