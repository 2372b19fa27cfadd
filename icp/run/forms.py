"""What may stand in the JSON of a run: names that stay in their folder, and values of the type that readers expect.

In: a tree that somebody else may have written, or damaged. Out: the same tree, or ArtifactError naming the file.
Readers join names to folders, allocate by counts and format numbers: everything is checked once, where it is read.
"""

import json
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from icp.errors import ArtifactError
from icp.run.value_tests import (
    LARGEST,
    are_firsts,
    are_links,
    is_count,
    is_dtype,
    is_figure,
    is_hash,
    is_id,
    is_mapping,
    is_mapping_of,
    is_number,
    is_policy,
    is_positive,
    is_text,
)

LONGEST_NAME = 1024
DEEPEST = 32
"""Levels of nesting; icp itself writes fewer than ten."""
ADVICE = "restore it or redo the step with --fresh"
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of what a file name of a run never holds: control characters, marks of direction, line ends."""


class Facts(dict[str, Any]):
    """Facts of a manifest; one that is missing is an ArtifactError that names the file, not a KeyError."""

    def __init__(self, tree: Any = (), where: str = "manifest.json") -> None:
        super().__init__(tree)
        self.where = where

    def __missing__(self, key: str) -> Any:
        raise ArtifactError(f"{self.where}: lacks {key!r}; {ADVICE}")


def parsed_json(data: bytes, where: object, what: str) -> Any:
    """The JSON in `data`; raises ArtifactError naming `where` if it is broken."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ArtifactError(f"{where}: {what} nests too deep; {ADVICE}") from None
    except ValueError as error:
        raise ArtifactError(f"{where}: {what} cannot be read ({error}); {ADVICE}") from None


def safe_name(name: object, where: object) -> str:
    """A name relative to a folder, if it stays there.

    Args:
        name: with ``/`` between folders.
        where: who says it: a file, a URL or an option.

    Raises: ArtifactError for ``..``, an absolute name, a backslash, a hidden character, an empty or too long name.
    """
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= LONGEST_NAME
        or "\\" in name
        or any(part in ("", ".", "..") for part in name.split("/"))
        or any(unicodedata.category(character) in HIDDEN for character in name)
    ):
        raise ArtifactError(
            f"{where}: names the file {str(name)[:200]!r}, which is no plain name inside its folder; somebody changed "
            f"it: {ADVICE}, and trust no other file from there"
        )
    return name


def check_manifest(tree: Any, where: object) -> dict[str, Any]:
    """The tree of a manifest; raises ArtifactError for a missing key, or a value of another type or range."""
    checked = _check(tree, _MANIFEST, where, "manifest")
    _check_costs(checked, where)
    for name, record in checked["files"].items():
        check_file(name, record, where)
    for facts in (checked["facts"], checked):
        _check(facts, _FACTS.get(checked["step"], {}), where, "manifest", optional=True)
        if "tokens" in facts and checked["step"] == "shards":
            safe_name(facts["tokens"], where)
    return checked


def check_record(tree: Any, where: object) -> dict[str, Any]:
    """The tree of a part's record; raises as `check_manifest`."""
    checked = _check(tree, _RECORD, where, "record", optional=True)
    if "fingerprint" not in checked or checked.keys() - _RECORD.keys():
        raise ArtifactError(f"{where}: not a record of icp; {ADVICE}")
    for name, record in checked.get("files", {}).items():
        check_file(name, record, where)
    return checked


def check_basis(tree: Any, where: object) -> dict[str, Any]:
    """The tree of a basis; raises as `check_manifest`."""
    return _check(tree, _BASIS, where, "basis", optional=True)


def check_mapping(tree: Any, where: object, what: str) -> dict[str, Any]:
    """A tree that is a mapping and nests no deeper than `DEEPEST`; raises as `check_manifest`."""
    return _check(tree, {}, where, what)


def check_file(name: object, record: Any, where: object) -> None:
    """Raise ArtifactError unless `name` stays in its folder and `record` says bytes, hash and rows of a file."""
    safe_name(name, where)
    ok = (
        isinstance(record, dict)
        and record.keys() <= {"bytes", "sha256", "rows"}
        and is_count(record.get("bytes"))
        and is_hash(record.get("sha256"))
        and (record.get("rows") is None or is_count(record["rows"]))
    )
    if not ok:
        raise ArtifactError(f"{where}: what it says of {name} is no size, hash and rows of a file; {ADVICE}")


def _check(
    tree: Any, form: Mapping[str, Callable[[Any], bool]], where: object, what: str, *, optional: bool = False
) -> dict[str, Any]:
    """The tree, if it is a mapping whose values pass the tests of `form`; `optional`: keys may be missing."""
    if not isinstance(tree, dict):
        raise ArtifactError(f"{where}: not a {what}: it holds {type(tree).__name__}; {ADVICE}")
    if not _is_plain(tree):
        raise ArtifactError(f"{where}: not a {what}: it nests too deep, or holds a number that is too large; {ADVICE}")
    for key, test in form.items():
        if key not in tree and optional:
            continue
        if key not in tree:
            raise ArtifactError(f"{where}: not a {what}: {key!r} is missing; {ADVICE}")
        if not test(tree[key]):
            raise ArtifactError(f"{where}: not a {what}: {key} is {str(tree[key])[:60]!r}; {ADVICE}")
    return tree


def _check_costs(tree: Mapping[str, Any], where: object) -> None:
    for phase, cost in tree.get("costs", {}).items() if isinstance(tree.get("costs", {}), dict) else (("", None),):
        if not isinstance(cost, dict) or not all(map(is_number, cost.values())) or "cpu_seconds" not in cost:
            raise ArtifactError(f"{where}: not a manifest: costs of phase {phase} are no numbers; {ADVICE}")


def _is_plain(tree: Any, depth: int = 0) -> bool:
    """Whether all levels and numbers are such as icp writes; NaN is a number that it does."""
    if isinstance(tree, dict | list):
        values = tree.values() if isinstance(tree, dict) else tree
        return depth < DEEPEST and all(_is_plain(value, depth + 1) for value in values)
    return not isinstance(tree, int | float) or not abs(tree) >= 2 * LARGEST


_BASIS = {"format": is_count, "config": is_mapping, "inputs": is_mapping_of(is_text), "sources": is_mapping}


def _is_basis(value: Any) -> bool:
    return isinstance(value, dict) and all(test(value[key]) for key, test in _BASIS.items() if key in value)


_MANIFEST = {
    "step": is_text,
    "format": is_count,
    "fingerprint": is_text,
    "basis": _is_basis,
    "files": is_mapping,
    "counts": is_mapping_of(is_count),
    "info": is_mapping_of(is_mapping),
    "facts": is_mapping,
    "seconds": is_number,
    "peak_rss_mib": is_number,
    "versions": is_mapping,
}
_RECORD = {
    "fingerprint": is_text,
    "files": is_mapping,
    "counts": is_mapping_of(lambda value: type(value) is int and abs(value) < LARGEST),
    "info": is_mapping,
    "seconds": is_number,
    "peak_rss_mib": is_number,
    "cpu_seconds": is_number,
}


_FACTS: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "tokens": {"dtype": is_dtype, "vocab_size": is_count},
    "embeddings": {"dim": is_positive},
    "graph": {"links": are_links},
    "neighbors": {"recall": lambda value: value is None or is_figure(value), "method": is_text},
    "windows": {
        **dict.fromkeys(("count", "split_documents", "cuts", "long_documents"), is_count),
        **dict.fromkeys(("random_windows", "below_least_fill", "near_copies", "near_copy_windows"), is_count),
        "passes": are_firsts,
        "seq_len": is_positive,
        "met_again": lambda value: isinstance(value, list) and all(map(is_figure, value)),
        **dict.fromkeys(("fill", "mean_similarity", "random_mean_similarity", "algorithm1_mean_similarity"), is_figure),
    },
    "shards": {
        "seq_len": is_positive,
        "stride": is_positive,
        "dtype": is_dtype,
        "windows": is_count,
        "vocab_size": is_count,
        **dict.fromkeys(("bos_id", "eos_id", "pad_id"), is_id),
        "policy": is_policy,
        **dict.fromkeys(("shuffle", "tokenizer"), is_text),
        "passes": are_firsts,
        "seed": is_count,
    },
}
"""Facts that other steps and readers use, by step: those of an older run may be fewer."""
