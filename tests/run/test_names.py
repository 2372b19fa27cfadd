"""The names of a run stand in icp/run/names.py alone, and are the names of the files that steps leave."""

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from icp.audit import verify_run
from icp.data import DocGraph, PackPlan
from icp.dataset.windows import WindowDataset
from icp.errors import ConfigError
from icp.export import export_pack
from icp.inspect import show_window
from icp.pipeline import context_of
from icp.report.opening import open_partly
from icp.run import names
from icp.run.reader import open_run, read_config
from icp.run.records import MANIFEST
from icp.tokenizer import vocabulary

ICP = Path(__file__).resolve().parents[2] / "icp"
ELSEWHERE = (ICP / "run", ICP / "tokenizer")
"""Who may spell them: `run`; and the library that reads tokenizers of the user's, whose files have those names."""
SCRATCH = {("embeddings", names.WEIGHTS)}
"""Scratch files of a step that are called as files of another."""
OF_RUN = {names.CONFIG, names.STATS, names.LOCK, names.EXPORT_SUMMARY, MANIFEST}
FOLDERS = {names.PACKS, names.EXPORTS}


def spelled_in(path):
    """Line and text of each string that is no docstring; ``{...}`` of an f-string reads ``part-*`` and ``*``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(line.value)
        for node in ast.walk(tree)
        for line in (node.body if isinstance(getattr(node, "body", None), list) else ())
        if isinstance(line, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(value) for value in node.values}
            for shown in ("part-*", "*"):
                yield (
                    node.lineno,
                    "".join(getattr(value, "value", "") if _fixed(value) else shown for value in node.values),
                )
    for node in ast.walk(tree):
        if _fixed(node) and id(node) not in skipped:
            yield node.lineno, node.value


def _fixed(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def run_names_in(text, step=""):
    """The names of a run that a text of the step's folder (or of none) spells."""
    found = {name for name in OF_RUN if re.search(rf"(?<![\w.-]){re.escape(name)}(?!\w)", text)}
    found |= {name for name in FOLDERS if text == name or re.search(rf"(?<!\w){name}/", text)}
    for owner, files in names.FILES.items():
        for name in files:
            # the file of a part in no folder may be scratch of a step that has no such file, or part of an export
            is_scratch = (step, name) in SCRATCH or (step not in ("", owner) and name.startswith("part-"))
            before = rf"(?:^|[\s`'\"(]|\b(?:{'|'.join(names.STEPS)}|plan)/)"
            if not is_scratch and re.search(rf"{before}{re.escape(name)}(?![\w-])", text):
                found.add(name)
    return found


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(ICP.rglob("*.py")) if not any(path.is_relative_to(folder) for folder in ELSEWHERE)],
    ids=lambda path: path.relative_to(ICP).as_posix(),
)
def test_no_other_module_spells_the_name_of_a_file_of_a_run(path):
    parts = path.relative_to(ICP).parts
    step = parts[1] if parts[0] == "steps" and len(parts) == 3 else "export" if parts[0] == "export" else ""
    spelled = [(line, found) for line, text in spelled_in(path) if (found := run_names_in(text, step))]
    assert not spelled, f"{path}: take these names from icp.run.names: {spelled}"


@pytest.mark.parametrize(
    ("text", "step", "found"),
    [
        ('context.folder("graph") / "nodes.npy"', "", {names.NODES}),
        ('raise Error(f"{run}/graph/conflicts.npy is empty")', "", {names.CONFLICTS}),
        ('output.path(f"{part}.npy")', "embeddings", {names.VECTORS}),
        ('output.path(f"{part}.npy")', "order", set()),
        ('output.path(f"{part}.neighbors.npy")', "neighbors", {names.NEIGHBORS}),
        ('output.path(f"segments/{part}.parquet")', "shards", {names.SEGMENTS}),
        ('f"shard-{number:05d}.bin row {row}"', "", {names.SHARDS}),
        ('f"packs/{pack}/shards"', "", {names.PACKS}),
        ('run / "packs" / pack / "config.yaml"', "", {names.PACKS, names.CONFIG}),
        ('save(output, "weights.npy", weights)', "embeddings", set()),
        ('save(output, "weights.npy", weights)', "graph", {names.WEIGHTS}),
        ('def load():\n    """nodes.npy, mapped."""', "", set()),
    ],
)
def test_names_are_recognised_in_strings(tmp_path, text, step, found):
    path = tmp_path / "module.py"
    path.write_text(text)
    assert set().union(*(run_names_in(seen, step) for _, seen in spelled_in(path))) == found


def test_finished_steps_leave_the_files_that_are_named(tiny_run):
    run = open_run(tiny_run)
    optional = {names.REJECTED_ROWS, names.STRIPPED_PARAGRAPHS, names.TOKENIZER_CONFIG, names.TAIL}
    optional |= {
        names.HOLDOUT,
        names.HELD_VECTORS,
        names.NEAR_HELD,
        names.OVERLAPS,
        names.NEAR_COPIES,
        names.REMOVED_DOCS,
    }
    optional |= {names.LINKS, names.LINK_SHARES, names.LINK_WEIGHTS, names.LINK_ALIKE, names.LINK_VECTORS}
    for step in names.STEPS:
        matching = {name: run.names(step, name) for name in names.FILES[step]}
        assert {file for files in matching.values() for file in files} == set(run.manifests[step].files)
        assert {name for name, files in matching.items() if not files} <= optional, f"{step} leaves no such file"


def test_names_follow_the_fields_of_the_arrays():
    assert [f"{field}.npy" for field in PackPlan.__slots__] == list(names.PLAN)
    assert [f"{field}.npy" for field in DocGraph.__slots__] == [names.INDPTR, names.INDICES, names.WEIGHTS]
    assert (names.TOKENIZER, names.TOKENIZER_CONFIG) == (vocabulary.JSON_NAME, vocabulary.CONFIG_NAME)


@pytest.mark.parametrize("name", sorted({name for files in names.FILES.values() for name in files if "part-*" in name}))
def test_the_part_of_a_file_and_the_file_of_a_part(name):
    part = names.part_name(7)
    assert part == "part-00007"
    assert names.part_of(names.of_part(name, part), name) == part
    assert fnmatchcase(names.of_part(name, part), name)
    assert "*" not in names.of_part(name, part)


def test_folders_of_a_pack():
    assert names.step_folders("main") == {
        **{step: step for step in names.BUILD_STEPS},
        "order": "packs/main/order",
        "windows": "packs/main/plan",
        "shards": "packs/main/shards",
    }
    assert names.pack_config("b") == "packs/b/config.yaml"
    assert names.shard_file(3) == "shard-00003.bin"


@pytest.mark.parametrize(
    "pack", ["..", "../evil", "a/b", "/abs", "a\\b", "", "\uff0e\uff0e", "a\x00", ".lock", "x" * 129]
)
def test_every_reader_refuses_a_pack_that_is_no_name(pack, tiny_run, tmp_path):
    readers = [
        lambda: open_run(tiny_run, pack=pack),
        lambda: open_partly(tiny_run, pack=pack),
        lambda: export_pack(tiny_run, "parquet", tmp_path / "out", pack=pack),
        lambda: WindowDataset(tiny_run, pack=pack),
        lambda: list(show_window(tiny_run, 0, pack=pack)),
        lambda: list(verify_run(tiny_run, pack=pack)),
        lambda: context_of(read_config(tiny_run / "config.yaml"), pack),
    ]
    for read in readers:
        with pytest.raises(ConfigError, match="a pack is named with"):
            read()
