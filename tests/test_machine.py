import json
import subprocess
import sys

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


def limited(code, *arguments):
    """What a process says that may hold 40 files open, and may raise that to 60."""
    head = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 60)); "
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes():
    said = limited("from icp.machine import open_files as f; print([f(), f(raised=True), f()])")
    assert said.strip() == "[(40, 60), (60, 60), (60, 60)]"


def test_every_command_raises_it():
    said = limited("from icp.cli import main; main(['doctor'], standalone_mode=False)")
    assert "60 at once, 60 at most; too few for a run of many parts" in said


def test_rows_of_more_parts_than_files_may_be_open_are_read(tmp_path):
    for number in range(80):
        np.save(tmp_path / f"part-{number:05d}.npy", np.full((2, 3), number, np.float16))
    said = limited(
        "import sys, json, pathlib, numpy as np; from icp.data import RowParts;"
        "rows = RowParts(sorted(pathlib.Path(sys.argv[1]).glob('*.npy')));"
        "print(json.dumps([rows[np.arange(160)[::step]][:, 0].tolist() for step in (1, -1)]))",
        tmp_path,
    )
    once = np.repeat(np.arange(80), 2).tolist()
    assert json.loads(said) == [once, once[::-1]]
