"""A Python that has every library of this environment, but not the package itself."""

import subprocess
import sys
import venv
from pathlib import Path


def make_bare_python(folder: Path) -> Path:
    """Make it in `folder`; the path of the interpreter."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # what a .pth file names is searched, but the .pth files there, which an editable installation needs, are not read
    (site / "libraries.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    python = folder / "bin" / "python"
    there = "from importlib.util import find_spec; print(find_spec('numba') is not None, find_spec('icp') is not None)"
    found = subprocess.run([python, "-P", "-c", there], check=True, capture_output=True, text=True, env={})
    assert found.stdout.split() == ["True", "False"]
    return python
