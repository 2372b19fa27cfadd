"""Imports go down: a module imports only from lower floors, never from its own."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    "icp.errors": 0,
    "icp.kernels": 0,
    "icp.config": 1,
    "icp.data": 1,
    "icp.executor": 1,
    "icp.artifacts": 1,
    "icp.progress": 1,
    "icp.texts": 1,
    "icp.bands": 1,
    "icp.vectors": 1,
    "icp.rows": 1,
    "icp.vocabulary": 1,
    "icp.stores": 1,
    "icp.pieces": 1,
    "icp.parts": 1,
    "icp.layout": 2,
    "icp.kept": 3,
    "icp.kept_fields": 2,
    "icp.judge": 2,
    "icp.lines": 2,
    "icp.tables": 2,
    "icp.gpu": 0,
    "icp.search": 2,
    "icp.neighboring": 3,
    "icp.graphing": 3,
    "icp.semantic": 3.5,
    "icp.signatures": 3,
    "icp.matching": 2,
    "icp.items": 1.5,
    "icp.stretch": 2,
    "icp.planning": 2.5,
    "icp.laying": 2.7,
    "icp.steps": 2,
    "icp.lock": 2,
    "icp.minhash": 2,
    "icp.buckets": 1,
    "icp.corpus": 2,
    "icp.knn": 3,
    "icp.ends": 1,
    "icp.bounds": 2,
    "icp.certificates": 3,
    "icp.partitions": 3,
    "icp.spread": 3.5,
    "icp.traversal": 3,
    "icp.packing": 3,
    "icp.figures": 2,
    "icp.tokenizer": 2,
    "icp.lanes": 1,
    "icp.repeats": 2,
    "icp.inside": 2,
    "icp.mixing": 2,
    "icp.shard_files": 2,
    "icp.reader": 3,
    "icp.stream": 1,
    "icp.embedders": 2,
    "icp.embedding": 3,
    "icp.duplicates": 3,
    "icp.candidates": 3.5,  # of duplicates, for stages
    "icp.runner": 3,
    "icp.stages": 4,
    "icp.audit": 4,
    "icp.stats": 4,
    "icp.export": 4,
    "icp.inspection": 5,
    "icp.doctor": 5,
    "icp.pipeline": 5,
    "icp.plan": 6,
    "icp.jobs": 6,
    "icp.warm": 6,
    "icp.cli": 7,
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
        assert name == "icp.cli" or not printed, f"{name} prints in line {printed}"


def test_every_package_is_installed():
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text())
    there = {"icp", *(f"icp.{path.parent.name}" for path in (ROOT / "icp").glob("*/__init__.py"))}
    assert there | {"icp.kernels", "icp.jobs", "icp.configs"} == set(tree["tool"]["setuptools"]["packages"])
