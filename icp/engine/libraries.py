"""Libraries that every worker needs, imported while it waits for its first part, without their optional dependencies.

pyarrow looks for pandas when it first gets an array, numba for SciPy's BLAS and for the packages that extend it when it
first loads a kernel. They are imported if they are installed, which takes as long as all the rest together, and no
task needs them for that. A task that imports them itself gets them.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.metadata import entry_points


def load_libraries() -> None:
    """Import numpy, pyarrow and numba, and have them look for what else there is."""
    import numpy as np
    import pyarrow as pa

    with _missing("pandas"):
        pa.array(np.zeros(1))
    import numba.core.entrypoints
    from numba.core.registry import cpu_target

    extensions = {entry.module.partition(".")[0] for entry in entry_points(group="numba_extensions")}
    with _missing(*extensions, "scipy.linalg.cython_blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are extensions that cannot be loaded
        numba.core.entrypoints.init_all()
        cpu_target.target_context.refresh()


@contextlib.contextmanager
def _missing(*names: str) -> Iterator[None]:
    """As if these modules were not installed, but for those that are imported already."""
    finder = _FindsNone(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _FindsNone(MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname in self._names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
