"""A run that another one extends: its documents come first in the new one, with the same numbers, and stay as they are.

In: the key `extends` of a configuration. Out: a `Context` of that run, its parts, what it says of itself. Files that
stay the same are named a second time in the new run (`carry`), where the file system can do that, and copied otherwise.
"""

import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.config.addresses import is_url
from icp.dedup.imported import import_files
from icp.dedup.imported_places import NUMBERED
from icp.errors import ArtifactError, ConfigError, InputError
from icp.run.context import Context, document_parts
from icp.run.names import BUILD_STEPS, CONFIG, TOKENS, step_folders, subfolders
from icp.run.reader import read_config
from icp.run.records import MANIFEST, FileRecord, Manifest, check_size, read_manifest

MAY_DIFFER = (
    "run", "extends", "corpus", "export", "pack.documents", "dedup.import", "dedup.import_share", "tokenizer.import",
    "graph.edges", "graph.import",
    "decontaminate.reports",
)  # fmt: skip
"""What may differ between a run and the one that it extends; files of vectors may, too. Edges are all made anew."""
OF_PACKS = ("order", "tokenizer", "pack")
"""Sections that a graph knows nothing of: each pack may have its own."""
MUST_NOT = ("corpus.keep", "corpus.derive", "corpus.strip_repeated")
"""What of the corpus may not: columns of documents, and what is left out of all of them."""


def extended(context: Context) -> Context | None:
    """Where the run lies that this one extends; None if it extends none.

    Raises: InputError if that is no finished graph.
    """
    return None if context.config.extends is None else _context_of(context.config.extends)


def run_extended(config: Config) -> Context | None:
    """As `extended`, of a configuration."""
    return None if config.extends is None else _context_of(config.extends)


def extended_source(config: Config, step: str) -> list[tuple[str, str]]:
    """What a step reads of the run that is extended, as `Step.sources` names it."""
    base = run_extended(config)
    return [] if base is None else [(f"{step} of the run extended", base.manifest(step).digest)]


def old_parts(context: Context) -> list[str]:
    """The documents parts that come from the run extended; none if there is none."""
    base = extended(context)
    return [] if base is None else document_parts(base)


def new_parts(context: Context) -> list[str]:
    """The documents parts of this run alone: all of them if it extends none."""
    return document_parts(context)[len(old_parts(context)) :]


def n_old_docs(context: Context) -> int:
    """How many documents come from the run extended; known when the step `documents` is done."""
    return n_carried(context.manifest("documents"))


def n_carried(documents: Manifest) -> int:
    """How many documents of a run come from one that it extends, by the manifest of the step `documents`."""
    return int(documents.info.get("carry", {}).get("all", {}).get("n_docs", 0))


def first_packed(context: Context, nodes: NDArray[np.int64]) -> int:
    """The first node that is packed: those before it stand in shards of the run extended. `nodes` (n,) int64, docs."""
    if context.config.pack.documents == "all":
        return 0
    return int(np.searchsorted(nodes, n_old_docs(context)))


def carry_parts(context: Context) -> list[str]:
    """The part of the phase that takes over files of the run extended; none if there is none."""
    return [] if context.config.extends is None else ["all"]


def carried(base: Context, step: str, patterns: Sequence[str]) -> Iterator[tuple[str, Path, FileRecord]]:
    """The files of a step of the run extended that match: name, where it lies, what its manifest says of it.

    Raises: ArtifactError for a file that is missing or of another size.
    """
    for name, record in base.manifest(step).files.items():
        if any(name.count("/") == one.count("/") and fnmatch.fnmatchcase(name, one) for one in patterns):
            path = base.path(step, name)
            check_size(path, record)
            yield name, path, record


def first_free(names: Sequence[str]) -> int:
    """The first number that is higher than those of all parts in names of files."""
    found = (re.search(r"part-([0-9]+)\.", name) for name in names)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def files_read(manifest: Manifest) -> dict[str, int]:
    """Rows of each input file of a run and of those that it extends, as the step `documents` left them."""
    phases = (manifest.info.get(phase, {}) for phase in ("carry", "read"))
    parts = [info for phase in phases for _, info in sorted(phase.items())]
    return {file: int(n) for info in parts for file, n in info.get("rows", {}).items()}


def tokens_extended(context: Context) -> Context | None:
    """The run extended with the folder of its tokens by the same tokenizer; None if it has none, or is gone.

    Imported tokens are those of a run that imports tokens itself, and go before others there.
    """
    if context.config.extends is None or not Path(context.config.extends).is_dir():
        return None
    base = extended(context)
    assert base is not None
    wanted, imports = base.manifest("graph").digest, getattr(context.config.tokenizer, "import") is not None
    own = list[str]()
    for path in subfolders(base.folder("documents").parent, TOKENS):
        found = read_manifest(path, check_sizes=False)
        if (
            found is not None
            and found.basis["config"].get("tokenizer.name") == context.config.tokenizer.name
            and found.basis["inputs"].get("graph") == wanted
        ):
            is_imported = found.basis["config"].get("tokenizer.import") is not None
            if not is_imported or imports:
                own.insert(0 if is_imported else len(own), path.name)
    return Context(base.config, "tokens", {**base.folders, "tokens": f"{TOKENS}/{own[0]}"}) if own else None


def check_extended(config: Config, format_of: Callable[[str], int] | None = None) -> None:
    """Refuse to extend a run that is not finished, or with other settings; nothing once the graph is made.

    Args:
        format_of: of the bytes that a step leaves now; None: not compared.

    Raises: ConfigError naming each key that differs; InputError for a run that cannot be extended.
    """
    if config.extends is None:
        return
    if is_url(config.extends) or is_url(config.run):
        raise ConfigError("extends: a run on a server cannot be extended, nor extend another one; use local folders")
    if Path(config.extends).resolve() == Path(config.run).resolve():
        raise ConfigError(
            f"extends: {config.extends} is this run itself; name another folder for the new run under run"
        )
    if (Path(config.run) / BUILD_STEPS[-1] / MANIFEST).exists():
        return
    base = _context_of(config.extends)
    check_settings(base.config, config, OF_PACKS)
    pattern = getattr(config.dedup, "import")
    suffixes = {path.suffix for path in import_files(pattern, "dedup.import")} if pattern is not None else set()
    if numbered := sorted(suffixes & {*NUMBERED}):
        raise ConfigError(
            f"dedup.import {pattern}: {', '.join(numbered)} number files and rows of one run, and cannot be used where "
            "a run is extended; give copies by id, or say dedup.import: null: what the run extended removed stays "
            "removed"
        )
    if format_of is None:
        return
    for step in BUILD_STEPS:
        found, wanted = base.manifest(step).format, format_of(step)
        if found != wanted:
            raise ConfigError(
                f"{config.extends}: step {step} was made by another version (format {found}, now {wanted}); make that "
                "run again before it is extended"
            )


def check_settings(old: Config, new: Config, others: Sequence[str] = ()) -> None:
    """Raise ConfigError where a configuration differs from that of the run that it extends.

    Args:
        others: keys or sections that may differ beside `MAY_DIFFER`.
    """
    one, two = (config.values(tuple(Config.model_fields)) for config in (old, new))
    changed = [
        f"{key} was {one.get(key)!r}, is {two.get(key)!r}"
        for key in sorted({*one, *two})
        if one.get(key) != two.get(key) and not _may_differ(key, one, two, (*MAY_DIFFER, *others))
    ]
    if changed:
        raise ConfigError(
            f"{new.extends} was made with other settings: {'; '.join(changed[:8])}; only files and fields of the "
            "corpus may differ: take these out"
        )


def _may_differ(key: str, one: dict[str, object], two: dict[str, object], names: Sequence[str]) -> bool:
    if any(f"{key}.".startswith(f"{name}.") for name in MUST_NOT):
        return False
    if key == "embed.model":
        return all(str(values[key]).startswith("files:") for values in (one, two))
    return any(f"{key}.".startswith(f"{name}.") for name in names)


def _context_of(run: str) -> Context:
    folder = Path(run)
    try:
        for step in BUILD_STEPS:
            (folder / step / MANIFEST).stat()
        stamp = (folder / CONFIG).stat().st_mtime_ns
    except OSError as error:
        raise InputError(
            f"extends: {run} holds no finished graph ({error.filename} is missing); finish it with `icp build-graph`, "
            "or correct the name"
        ) from None
    return _at(run, stamp)


@lru_cache(maxsize=8)
def _at(run: str, stamp: int) -> Context:
    try:
        config = read_config(Path(run) / CONFIG)
    except ArtifactError as error:
        raise InputError(f"extends: {error}") from None
    return Context(config.model_copy(update={"run": run}), "", step_folders("main"))
