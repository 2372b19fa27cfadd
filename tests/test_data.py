import random

import numpy as np
import pytest

from icp.data import load_npy


@pytest.mark.parametrize("mode", ["r", "c", None])
def test_a_damaged_header_of_an_array_is_a_value_error(tmp_path, mode):
    """numpy reads headers by Python's own parser, which raises SyntaxError, TokenError, TypeError, MemoryError too."""
    path, rng, refused = tmp_path / "a.npy", random.Random(3), 0
    np.save(path, np.arange(40, dtype=np.int32).reshape(8, 5))
    whole = path.read_bytes()
    changes = [(21, b","), (20, b"'"), (10, bytes(60)), (60, b"[" * 60), (61, b"9" * 40), (10, b"(" * 118)]
    changes += [(rng.randrange(128), rng.randbytes(rng.choice((1, 1, 8)))) for _ in range(300)]
    for at, change in changes:
        path.write_bytes(whole[:at] + change + whole[at + len(change) :])
        try:
            load_npy(path, mode)
        except (OSError, ValueError):
            refused += 1
    assert refused > 100
