"""The house: eight floors, imports go down, and only `run` knows the files of a run."""

import ast
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    "kernels": ["icp.kernels", "icp.errors"],
    "ground": [
        "icp.checks",
        "icp.choices",
        "icp.config",
        "icp.data",
        "icp.texts",
        "icp.failures",
        "icp.lean_imports",
        "icp.machine",
        "icp.streams",
        "icp.plurals",
        "icp.words",
    ],
    "library": ["icp.dedup", "icp.embed", "icp.knn", "icp.order", "icp.pack", "icp.tokenizer"],
    "run": ["icp.run"],
    "engine": ["icp.engine"],
    "steps": ["icp.steps", "icp.audit", "icp.export", "icp.dataset"],
    "pipeline": [
        "icp.pipeline",
        "icp.forecast",
        "icp.inspect",
        "icp.report",
        "icp.probe",
        "icp.remove",
        "icp.doctor",
        "icp.warm",
        "icp.validation",
        "icp.whole_run",
        "icp.growing",
    ],
    "commands": ["icp.cli", "icp.jobs"],
}
ORDER = list(FLOORS)
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
FOLDERS = {"icp": ROOT / "icp", "icp.kernels": ROOT / "kernels", "icp.jobs": ROOT / "jobs"}
RUN_WORDS = {"Context", "Config"}
"""What the library never sees. (`icp.tokenizer` takes its own section of the configuration.)"""


def modules():
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            yield ".".join(part for part in parts if part != "__init__"), path


PATHS = dict(modules())
CASES = [(name, path) for name, path in PATHS.items() if name != "icp"]


def room_of(name):
    return next((room for room in FLOOR_OF if name == room or name.startswith(room + ".")), None)


def floor_of(name):
    return FLOOR_OF.get(room_of(name))


def trees(path):
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imports(path):
    """Dotted names that a module imports: by a statement, or by a call of `import_module` with a name it spells out."""
    for node in trees(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            yield spelled(node.args[0])


def spelled(argument):
    """The constant head of a module's name: ``f"icp.steps.{name}.step"`` imports from ``icp.steps``."""
    if isinstance(argument, ast.JoinedStr):
        argument = argument.values[0]
    return argument.value.rstrip(".") if isinstance(argument, ast.Constant) else ""


def test_every_module_stands_on_a_floor():
    assert [name for name, _ in CASES if floor_of(name) is None] == []
    assert len(FLOORS) == 8


@pytest.mark.parametrize(("name", "path"), CASES, ids=[name for name, _ in CASES])
def test_imports_go_down(name, path):
    for target in imports(path):
        if floor_of(target) is None or room_of(target) == room_of(name) != "icp.steps":
            continue
        here, there = ORDER.index(floor_of(name)), ORDER.index(floor_of(target))
        assert there <= here, f"{name} (floor {floor_of(name)}) imports {target} (floor {floor_of(target)})"
        if room_of(name) == room_of(target) == "icp.steps":
            assert step_of(target) in (step_of(name), ""), f"{name} imports {target}: steps do not know one another"


def step_of(name):
    parts = name.split(".")
    return parts[2] if len(parts) > 2 else ""


def test_no_module_imports_itself_by_way_of_others():
    graph = {name: {found for target in imports(path) if (found := known(target))} - {name} for name, path in CASES}
    try:
        tuple(TopologicalSorter(between_rooms(graph)).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def known(target):
    """The module that a dotted name is of, if it is one of ours."""
    return target if target in PATHS else target.rpartition(".")[0] if target.rpartition(".")[0] in PATHS else None


def between_rooms(graph):
    """The graph less imports inside a room: a package may import a part of its own late."""
    return {
        name: {target for target in targets if room_of(target) != room_of(name)} - {"icp"}
        for name, targets in graph.items()
    }


@pytest.mark.parametrize(("name", "path"), [case for case in CASES if ORDER.index(floor_of(case[0]) or "run") < 3])
def test_no_context_below_run(name, path):
    if room_of(name) in ("icp.config", "icp.tokenizer"):
        return
    seen = {alias.name for node in trees(path) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not seen & RUN_WORDS, f"{name} sees {', '.join(seen & RUN_WORDS)}"


@pytest.mark.parametrize(("name", "path"), [case for case in CASES if case[0].startswith("icp.kernels")])
def test_kernels_know_only_arrays(name, path):
    allowed = {"numpy", "typing", "icp"} if not name.endswith(("_jit", "_intrinsics")) else None
    for target in imports(path):
        top = target.split(".")[0]
        assert allowed is None or top in allowed or target.startswith("numba"), f"{name} imports {target}"
        if top == "icp":
            assert target.startswith("icp.kernels"), f"{name} imports {target}"


def test_only_the_cli_prints():
    for name, path in modules():
        printed = [n.lineno for n in trees(path) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "print"]
        assert room_of(name) == "icp.cli" or not printed, f"{name} prints in line {printed}"


def test_every_package_is_installed():
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text())
    there = {name for name, path in PATHS.items() if path.name == "__init__.py"}
    assert there | {"icp.configs"} == set(tree["tool"]["setuptools"]["packages"])


LONGEST_MODULE, LONGEST_FUNCTION = 250, 40


@pytest.mark.parametrize(("name", "path"), CASES, ids=[name for name, _ in CASES])
def test_modules_and_functions_are_short(name, path):
    lines = path.read_text(encoding="utf-8").splitlines()
    too_long = {"module": len(lines)} if len(lines) > LONGEST_MODULE else {}
    for node in trees(path):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            length = node.end_lineno - body[0].lineno + 1
            if length > LONGEST_FUNCTION:
                too_long[node.name] = length
    assert too_long == {}, f"{name}: lines of what is too long: {too_long}"
