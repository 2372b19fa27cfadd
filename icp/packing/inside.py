"""The order of the pieces inside each window: as on the path, turned round, or at random."""

import numpy as np

from icp.data import PackPlan

_INSIDE_STREAM = 7  # beside the seed, so that no two permutations share their numbers


def arrange_inside(plan: PackPlan, how: str, *, seed: int = 0) -> PackPlan:
    """The same windows with their pieces in another order.

    Args:
        plan: sorted by window, then position.
        how: path | reverse | random.
        seed: of ``random``.
    """
    if how == "path":
        return plan
    place = np.arange(plan.window.size)
    key = -place if how == "reverse" else np.random.default_rng([seed, _INSIDE_STREAM]).permutation(place.size)
    rows = np.lexsort((key, plan.window))
    return PackPlan(plan.doc[rows], plan.start[rows], plan.stop[rows], plan.window[rows])
