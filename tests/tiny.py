"""A tiny corpus and its runs, for tests of whole pipelines."""

import json
import shutil
from pathlib import Path

from icp.config import Config, load_config, parse_config
from icp.engine.executor import SerialExecutor
from icp.warm import tiny_rows


def quiet(label, done, total):
    """Progress that nobody watches."""


def write_jsonl(path: Path, rows) -> Path:
    """Rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def tiny_config(folder: Path, **sections) -> Config:
    """A configuration of the tiny corpus in `folder`, with sections overridden: ``pack={"seq_len": 32}``."""
    corpus = folder / "tiny.jsonl"
    if "input" not in sections.get("corpus", {}) and not corpus.exists():
        write_jsonl(corpus, tiny_rows())
    tree = {
        "run": str(folder / "run"),
        "corpus": {"input": str(corpus)},
        "tokenizer": {"name": "bytes"},
        "pack": {"seq_len": 64},
    }
    for name, values in sections.items():
        tree[name] = {**tree.get(name, {}), **values} if isinstance(values, dict) else values
    return parse_config(tree)


def cut_config(folder: Path, corpus: Path, part_mib: float = 0.01) -> Config:
    """A configuration, in `folder`, of a tiny corpus that lies elsewhere, cut into several parts and shards."""
    folder.mkdir(exist_ok=True)
    section = {"input": str(corpus), "part_mib": part_mib}
    return tiny_config(folder, corpus=section, pack={"seq_len": 64, "shard_mib": 0.002})


def copied_run(run: Path, folder: Path, **sections) -> Config:
    """The configuration of a copy of `run` in `folder`, to be changed; its corpus stays where it was."""
    shutil.copytree(run, folder / "run")
    corpus = load_config(run / "config.yaml").corpus.model_dump()
    return tiny_config(folder, corpus=corpus, **sections)


def assert_same(found: dict[str, bytes], wanted: dict[str, bytes]):
    """The same files with the same bytes; says their names, not their bytes."""
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []


def make_run(config: Config, executor=None) -> Path:
    """Build the graph and pack it, in this process unless told otherwise."""
    from icp.pipeline import build_graph, pack

    build_graph(config, executor or SerialExecutor(), quiet)
    pack(config, executor or SerialExecutor(), quiet)
    return Path(config.run)


def data_files(run: Path) -> dict[str, bytes]:
    """Every file of a run that must repeat byte for byte, by name; the card of the shards is on this machine alone."""
    leave = {"manifest.json", "stats.json", "config.yaml", "log.jsonl", ".icp-run.json"}
    card = "shards/README.md"
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in leave and not path.as_posix().endswith(card)
    }
