import numpy as np

from icp.machine import forget_peak, host_name, library_versions, peak_mib


def test_versions_name_what_bytes_may_depend_on():
    assert library_versions()["numpy"] == np.__version__
    assert {"python", "machine", "icp", "numba", "pyarrow"} <= set(library_versions())


def test_the_peak_is_that_since_it_was_forgotten():
    forget_peak()
    before = peak_mib()
    block = np.ones(64 << 20, np.uint8)
    assert peak_mib() > before + 50
    del block
    assert host_name()
