"""Rows along fewer dimensions: the last step, float operations in a fixed order. Nothing is checked."""

import numpy as np

from icp.kernels._jit import kernel


@kernel
def unit_rows(rows, mean, scales, is_filled):
    """Unit rows of what is left when the mean is taken away, every dimension stretched by its scale.

    Args:
        rows: (n, dim) float32. mean, scales: (dim,) float64. is_filled: (n,) bool, False: the row stays zero.

    Returns: (n, dim) float32, length 1; all zero where nothing is left.
    """
    n, dim = rows.shape
    unit = np.zeros((n, dim), np.float32)
    left = np.empty(dim, np.float64)
    for i in range(n):
        total = 0.0
        for d in range(dim):
            left[d] = (rows[i, d] - mean[d]) * scales[d]
            total += left[d] * left[d]
        if not is_filled[i] or total <= 0.0:
            continue
        scale = 1.0 / np.sqrt(total)
        for d in range(dim):
            unit[i, d] = np.float32(left[d] * scale)
    return unit
