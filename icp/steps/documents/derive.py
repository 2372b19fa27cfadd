"""Fields that are made of a document: its language, or the extension of a file name.

In: accepted rows. Out: the same rows with a column for each entry of `corpus.derive`; ``source`` replaces the source.
"""

import json
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import pyarrow as pa

from icp.errors import ConfigError
from icp.steps.documents.kept_fields import is_json
from icp.steps.documents.kinds import PACKINGS

N_CHARS = 1000
"""Characters of a text that its language is told by."""
UNKNOWN = "und"
"""The language of a text without letters, as ISO 639 has it."""


def detector_version() -> str:
    """The language detector and its version, on which the bytes depend; raises ConfigError if it is not installed."""
    try:
        return f"py3langid {metadata.version('py3langid')}"
    except metadata.PackageNotFoundError:
        raise ConfigError(
            "corpus.derive: language needs the package py3langid, which is not installed; run "
            "pip install '.[language]' in the clone"
        ) from None


def with_derived(table: pa.Table, derive: Mapping[str, str]) -> pa.Table:
    """The rows with their derived columns, strings."""
    for name, what in derive.items():
        method, _, field = what.partition(":")
        column = pa.array(_METHODS[method](table, field), pa.string())
        at = table.schema.get_field_index(name)
        added = pa.field(name, pa.string())
        table = table.set_column(at, added, column) if at >= 0 else table.append_column(added, column)
    return table


def _languages(table: pa.Table, _: str) -> list[str]:
    import py3langid

    heads = (text.as_py()[:N_CHARS] for text in table["text"])
    return [py3langid.classify(head)[0] if any(map(str.isalpha, head)) else UNKNOWN for head in heads]


def _extensions(table: pa.Table, field: str) -> list[str | None]:
    column = table[field or "file"]
    values: list[Any] = column.to_pylist()
    if field and is_json(table.schema.field(field)):
        values = [None if value is None else json.loads(value) for value in values]
    known = {value: extension_of(value) for value in set(map(_name, values))}
    return [known[_name(value)] for value in values]


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""


def extension_of(path: str) -> str | None:
    """The extension of a file name without its dot, in small letters, that of a packing aside; None for none."""
    name = (path.partition("?")[0] if "://" in path else path).rpartition("/")[2].lower()
    for packed in PACKINGS:
        name = name.removesuffix(packed)
    before, dot, extension = name.rpartition(".")
    return extension or None if dot and before else None


_METHODS: Mapping[str, Callable[[pa.Table, str], list[Any]]] = {"language": _languages, "extension": _extensions}
