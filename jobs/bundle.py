"""This package as one zip that Spark can ship: ``python -m icp.jobs.bundle icp.zip``, then ``--py-files icp.zip``.

In: the installed package, whether from a wheel or editable, its mapped folders (`icp.kernels`, `icp.jobs`,
`icp.configs`) included. Out: a zip with the import names as folders, and the package's metadata, which tells its
version. The libraries it needs are not in it: the executors' Python must have them.
"""

import argparse
import zipfile
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

MAPPED = ("kernels", "jobs", "configs")


def write_bundle(path: Path) -> int:
    """Write the zip; returns its number of files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        _add(bundle, files("icp"), "icp", leave_out=MAPPED)
        for name in MAPPED:
            _add(bundle, files(f"icp.{name}"), f"icp/{name}")
        found = distribution("icp")
        facts = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""
        bundle.writestr(f"icp-{found.version}.dist-info/METADATA", facts)
        return len(bundle.namelist())


def _add(bundle: zipfile.ZipFile, folder: Any, name: str, leave_out: tuple[str, ...] = ()) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        inner = f"{name}/{entry.name}"
        if entry.is_file():
            bundle.writestr(inner, entry.read_bytes())
        elif entry.name != "__pycache__" and entry.name not in leave_out:
            _add(bundle, entry, inner)


def main() -> None:
    """Parse, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the zip to write")
    write_bundle(parser.parse_args().out)


if __name__ == "__main__":
    main()
