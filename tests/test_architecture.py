"""Imports go down: a module imports only from lower floors, never from its own."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    "icp.errors": 0,
    "icp.addresses": 0,
    "icp.kernels": 0,
    "icp.config": 1,
    "icp.data": 1,
    "icp.executor": 1,
    "icp.artifacts": 1,
    "icp.machine": 1,
    "icp.progress": 1,
    "icp.texts": 1,
    "icp.parts": 1,
    "icp.storage": 1.5,
    "icp.steps": 2,
    "icp.lock": 2,
    "icp.costs": 3,
    "icp.layout": 2,
    "icp.minhash": 2,
    "icp.search": 2,
    "icp.documents": 3,
    "icp.runner": 4,
    "icp.kept": 3,
    "icp.folders": 3,
    "icp.groups": 3,
    "icp.embedders": 3,
    "icp.tokens": 3,
    "icp.near_duplicates": 4,
    "icp.embedding": 4,
    "icp.graph": 5,
    "icp.path": 6,
    "icp.packing": 7,
    "icp.shards": 8,
    "icp.stages": 9,
    "icp.audit": 9,
    "icp.stats": 9,
    "icp.export": 9,
    "icp.inspection": 10,
    "icp.doctor": 10,
    "icp.pipeline": 10,
    "icp.warm": 11,
    "icp.jobs": 12,
    "icp.forecast": 12,
    "icp.plan": 13,
    "icp.cli": 14,
    "icp.jobs.build_graph": 15,
    "icp.jobs.pack": 15,
}
PACKAGES = ("icp.kernels", "icp.jobs", *(f"icp.{path.parent.name}" for path in (ROOT / "icp").glob("*/__init__.py")))
FOLDERS = {"icp": ROOT / "icp", "icp.kernels": ROOT / "kernels", "icp.jobs": ROOT / "jobs"}
MAY_IMPORT = {"icp.kernels": {"numpy", "numba", "llvmlite", "icp"}}


def modules():
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            yield ".".join(part for part in parts if part != "__init__"), path


def floor_of(name):
    while name:
        if name in FLOORS:
            return FLOORS[name]
        name = name.rpartition(".")[0]
    return None


def package_of(name):
    return next((package for package in PACKAGES if name == package or name.startswith(package + ".")), name)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


CASES = [(name, path) for name, path in modules() if name not in ("icp", "icp.__main__")]


@pytest.mark.parametrize(("name", "path"), CASES, ids=[name for name, _ in CASES])
def test_imports_only_from_lower_floors(name, path):
    floor = floor_of(name)
    assert floor is not None, f"{name} stands on no floor: add it to FLOORS"
    for target in imports(path):
        if not target.startswith("icp.") or floor_of(target) is None:
            continue
        if name.startswith("icp.stages") and target.startswith("icp.stages."):
            pytest.fail(f"{name} imports {target}: a stage does not know another stage")
        if package_of(target) == package_of(name) or target == "icp.__version__":
            continue
        assert floor_of(target) < floor, f"{name} (floor {floor}) imports {target} (floor {floor_of(target)})"


@pytest.mark.parametrize(("name", "path"), [case for case in CASES if case[0].startswith("icp.kernels")])
def test_kernels_know_only_arrays(name, path):
    allowed = {"numpy", "typing", "icp"} if not name.endswith("_jit") else None
    for target in imports(path):
        top = target.split(".")[0]
        assert allowed is None or top in allowed or target.startswith("numba"), f"{name} imports {target}"
        if top == "icp":
            assert target.startswith("icp.kernels"), f"{name} imports {target}"


def test_only_the_cli_prints():
    for name, path in modules():
        calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        printed = [call.lineno for call in calls if getattr(call.func, "id", "") == "print"]
        assert package_of(name) == "icp.cli" or not printed, f"{name} prints in line {printed}"


def test_every_package_is_installed():
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text())
    there = {"icp", *(f"icp.{path.parent.name}" for path in (ROOT / "icp").glob("*/__init__.py"))}
    assert there | {"icp.kernels", "icp.jobs", "icp.configs"} == set(tree["tool"]["setuptools"]["packages"])
