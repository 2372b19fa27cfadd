"""An array that kernels index by is refused by name when a number of it leads nowhere."""

import numpy as np
import pytest
from tiny import copied_run, quiet

from icp.engine.executor import SerialExecutor
from icp.errors import ArtifactError
from icp.pipeline import pack
from icp.run.checks import check_ascending, check_below, check_offsets, check_permutation


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (lambda p, a: check_offsets(p, a, last=5), [0, 2, 2, 5], [[0, 3, 2, 5], [1, 2, 5], [0, 2, 6], []]),
        (lambda p, a: check_below(p, a, 4, least=-1), [-1, 0, 3], [[-2, 0], [4], [2**31 - 1]]),
        (check_ascending, [0, 1, 7], [[1, 1], [2, 1], [-1, 0]]),
        (lambda p, a: check_permutation(p, a, 3), [2, 0, 1], [[0, 1], [0, 1, 1], [0, 1, 3], [-1, 0, 1]]),
    ],
)
def test_each_rule_takes_what_fits_and_names_the_file_of_what_does_not(tmp_path, check, good, bad):
    path = tmp_path / "good.npy"
    path.write_bytes(b"")
    check(path, np.array(good, np.int64))
    for number, wrong in enumerate(bad):
        path = tmp_path / f"bad-{number}.npy"
        path.write_bytes(b"")
        with pytest.raises(ArtifactError, match=rf"bad-{number}\.npy: .*so it is damaged"):
            check(path, np.array(wrong, np.int64))


def test_a_file_is_looked_at_again_when_it_has_changed(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(b"1")
    check_ascending(path, np.arange(3))
    path.write_bytes(b"22")
    with pytest.raises(ArtifactError):
        check_ascending(path, np.zeros(3, np.int64))


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [("indices.npy", 100, 1 << 30), ("indices.npy", 3, -5), ("indptr.npy", 7, 1 << 40), ("conflicts.npy", 0, 1 << 30)],
)
def test_a_damaged_graph_is_named_before_a_kernel_sees_it(tiny_run, tmp_path, name, at, value):
    config = copied_run(tiny_run, tmp_path)
    run = tmp_path / "run"
    path = run / "graph" / name
    array = np.load(path)
    array.reshape(-1)[at] = value
    np.save(path, array)
    with pytest.raises(ArtifactError, match=name):
        pack(config, SerialExecutor(), quiet, name="other")
