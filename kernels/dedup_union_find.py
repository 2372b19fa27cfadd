"""What shared buckets connect, by an array union-find: components, and the groups of those who do without a check.

In: buckets as `components.find_buckets` gives them, all at once or some after others, in any order. Out: for each of
the positions 0..n-1 the smallest one it is connected to. Nothing is checked.
"""

import numpy as np

from icp.kernels._jit import kernel


@kernel
def join_buckets(members, starts, n):
    """(n,) int64: the smallest position that each one is connected to through shared buckets.

    Source: union-find whose roots are the smallest members, with halving of paths.
    """
    parent = np.arange(n)
    join_more(parent, members, starts)
    settle_roots(parent)
    return parent


@kernel
def join_more(parent, members, starts):
    """Join what shares some more buckets: ``parent`` (n,) int64 is a forest, each position itself at first."""
    for bucket in range(starts.shape[0]):
        stop = starts[bucket + 1] if bucket + 1 < starts.shape[0] else members.shape[0]
        for x in members[starts[bucket] + 1 : stop]:
            a, b = find_root(parent, members[starts[bucket]]), find_root(parent, x)
            parent[max(a, b)] = min(a, b)


@kernel
def settle_roots(parent):
    """Make every position's parent the smallest position of its component."""
    for x in range(parent.shape[0]):
        parent[x] = find_root(parent, x)


@kernel
def find_root(parent, x):
    """The smallest position of the component of x; shortens the way for the next."""
    while parent[x] != x:
        parent[x] = parent[parent[x]]
        x = parent[x]
    return x
