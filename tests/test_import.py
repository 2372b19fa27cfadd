"""`icp` works wherever it is imported from: installed, editable, a bare checkout, the zip that Spark ships."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bare_python import make_bare_python

from icp.jobs.bundle import write_bundle

ROOT = Path(__file__).resolve().parents[1]
FOLDERS, FILES = ("icp", "kernels", "jobs", "configs"), ("pyproject.toml", "README.md", "LICENSE")
PROBE = """
import json
from importlib.resources import files
import icp, icp.jobs.cluster, icp.kernels.text_words
assert files("icp.configs").joinpath("quickstart.yaml").is_file()
assert files("icp.embed").joinpath("data").is_dir()
assert icp.shingle_hashes("one two three", ngram=1).size == 3
print(json.dumps([icp.__file__, icp.kernels.__file__, icp.jobs.__file__]))
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a clone holds, in a folder of its own: a build leaves files there."""
    folder = tmp_path_factory.mktemp("clone")
    leave = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def install(tmp_path_factory, clone):
    """A function that makes a Python with all libraries and installs the clone there."""

    def installed(*options):
        python = make_bare_python(tmp_path_factory.mktemp("environment") / "env")
        command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed", *options, str(clone)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return python

    return installed


def probe(python, folder, **environment):
    """Where a program that starts in `folder` finds the package, its kernels and its jobs."""
    done = subprocess.run(
        [python, "-W", "error", "-c", PROBE], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [Path(path) for path in json.loads(done.stdout)]


def in_checkout(folder):
    return [folder / "icp/__init__.py", folder / "kernels/__init__.py", folder / "jobs/__init__.py"]


def in_package(folder):
    return [folder / name / "__init__.py" for name in ("icp", "icp/kernels", "icp/jobs")]


def test_installed(install, clone, tmp_path):
    python = install()
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    assert probe(python, tmp_path) == in_package(site)
    # the bare `icp/` of a clone comes first where Python is started in its root: then all of it does
    assert probe(python, clone) == in_checkout(clone)


def test_editable(install, clone, tmp_path):
    python = install("--editable")
    assert probe(python, tmp_path) == in_checkout(clone)
    assert probe(python, clone) == in_checkout(clone)


def test_bare_checkout(clone, tmp_path):
    python = make_bare_python(tmp_path / "env")
    assert probe(python, clone) == in_checkout(clone)
    assert probe(python, tmp_path, PYTHONPATH=str(clone)) == in_checkout(clone)


def test_zip_for_spark(tmp_path):
    write_bundle(tmp_path / "icp.zip")
    python = make_bare_python(tmp_path / "env")
    assert probe(python, tmp_path, PYTHONPATH=str(tmp_path / "icp.zip")) == in_package(tmp_path / "icp.zip")
