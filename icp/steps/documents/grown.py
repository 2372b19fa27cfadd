"""The documents of a run that another one extends: they come first, as they are, and new ones are numbered behind.

In: documents/ of the run extended. Out: its files once more; what its manifest counts, which joins the counts of the
new rows; the columns that new rows must have, too.
"""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from icp.engine.step import PartOutput
from icp.errors import ConfigError, InputError
from icp.run.context import Context, document_paths
from icp.run.extended import carried, extended, files_read, first_free
from icp.run.names import FILES
from icp.steps.documents.kept_fields import common_field, is_json

STEP_NAME = "documents"
HELD_ELSEWHERE = "held out, and the validation set stays that of the run extended"


def carry(context: Context, part: str, output: PartOutput) -> None:
    """Take over the files of the run extended, and what its manifest counts."""
    base = extended(context)
    assert base is not None
    for name, path, record in carried(base, STEP_NAME, FILES[STEP_NAME]):
        output.carry(name, path, record)
    manifest = base.manifest(STEP_NAME)
    for name, n in manifest.counts.items():
        output.count(name, n)
    output.info["n_docs"] = int(base.doc_bounds()[-1])
    output.info["rows"] = files_read(manifest)
    output.info["ids"] = [
        *(manifest.info.get("carry", {}).get("all", {}).get("ids", ())),
        *(info["ids"] for _, info in sorted(manifest.info.get("read", {}).items()) if "ids" in info),
    ]


def ids_before(context: Context) -> list[dict[str, Any]]:
    """Figures of the ids of the run extended, as `icp.steps.documents.repeated_ids` gives them."""
    return [figures for record in context.records("carry").values() for figures in record.info["ids"]]


def check_new(context: Context, files: Iterable[str]) -> None:
    """Raise ConfigError for a file that the run extended has read already: each document is used once."""
    base = extended(context)
    if base is None:
        return
    again = sorted(set(files) & files_read(base.manifest(STEP_NAME)).keys())
    if again:
        others = f" and {len(again) - 1:,} more" if len(again) > 1 else ""
        raise ConfigError(
            f"corpus.input: {again[0]}{others} is read by {base.config.run} already, which this run extends; name new "
            "files alone"
        )


def settled_field(context: Context, name: str, types: Iterable[pa.DataType], kinds: Iterable[str]) -> pa.Field:
    """The field of a kept column: of all files, or that of the run extended.

    Raises: InputError if values of the new files do not fit that.
    """
    base = extended(context)
    if base is None:
        return common_field(name, types, kinds)
    before = pq.read_schema(document_paths(base)[0]).field(name)
    types = list(types)
    found = common_field(name, [before.type, *types], kinds)
    if is_json(before) or (found.type == before.type and not is_json(found)):
        return before
    raise InputError(
        f"corpus.keep: {name} is {before.type} in {base.config.run}, which this run extends, and the new files hold "
        f"{common_field(name, types, kinds).type}; write its values as they are there"
    )


def next_numbers(context: Context) -> tuple[int, int, int]:
    """The first documents part, the first part of refused rows, and the first `doc` that are free."""
    base = extended(context)
    if base is None:
        return 0, 0, 0
    names = list(base.manifest(STEP_NAME).files)
    here = [name for name in names if "/" not in name]
    return first_free(here), first_free([name for name in names if "/" in name]), int(base.doc_bounds()[-1])
