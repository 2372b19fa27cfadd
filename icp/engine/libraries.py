"""Libraries that every worker needs, imported while it waits for its first part, without their optional dependencies.

pyarrow looks for pandas when it first gets an array and when it first gives one, numba for SciPy's BLAS and for the
packages that extend it when it first loads a kernel. They are imported if they are installed, which takes as long as
all the rest together, and no task needs them for that. A task that imports them itself gets them.
"""

import warnings
from importlib.metadata import entry_points

from icp.lean_imports import without


def load_libraries() -> None:
    """Import numpy, pyarrow and numba, and have them look for what else there is."""
    import numpy as np
    import pyarrow as pa

    with without("pandas"):
        pa.array(np.zeros(1)).to_numpy(zero_copy_only=False)
    import numba.core.entrypoints
    from numba.core.registry import cpu_target

    extensions = {entry.module.partition(".")[0] for entry in entry_points(group="numba_extensions")}
    with without(*extensions, "scipy.linalg.cython_blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are extensions that cannot be loaded
        numba.core.entrypoints.init_all()
        cpu_target.target_context.refresh()
