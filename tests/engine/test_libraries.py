import subprocess
import sys

SCRIPT = """
import importlib.util, sys
from icp.engine.libraries import load_libraries
load_libraries()
import numpy, pyarrow
pyarrow.array(numpy.zeros(3)).to_numpy(zero_copy_only=False)
from icp.kernels.dedup_union_find import find_root
found = find_root(numpy.zeros(3, numpy.int64), 1)
there = [name for name in ("pandas", "scipy.linalg", "awkward") if name in sys.modules]
assert not there, there
for name in ("pandas", "scipy.linalg"):  # whoever wants them gets them
    if importlib.util.find_spec(name.partition(".")[0]):
        __import__(name)
assert not [finder for finder in sys.meta_path if type(finder).__module__ == "icp.lean_imports"]
"""


def test_libraries_load_without_what_they_look_for_in_vain():
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
