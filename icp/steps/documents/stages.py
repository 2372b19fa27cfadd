"""What the stages of the documents step hand on to one another: read, then strip, then sift, those that are asked for.

In: the records of a stage. Out: its row groups, its refused rows.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from icp.config import Config
from icp.engine.step import PartOutput
from icp.run.context import Context
from icp.run.tables import open_writer
from icp.steps.documents.read_tasks import STEP_NAME


def stages(config: Config) -> list[str]:
    """The phases that leave rows of documents, in order."""
    asked = {"read": True, "strip": bool(config.corpus.strip_repeated), "sift": config.holds_apart}
    return [name for name, is_asked in asked.items() if is_asked]


def stage_before(config: Config, phase: str) -> str:
    """The stage that a phase reads; what holds documents out reads what sifting reads."""
    before = stages(config)
    return before[before.index("sift") - 1] if phase in ("held", "sift") else "read"


def is_piece(name: str) -> bool:
    """Whether a scratch file holds rows of documents."""
    return name.endswith(".parquet") and name.count(".") == 1


def groups_of(context: Context, phase: str, part: str) -> Iterator[pa.Table]:
    """The row groups that a phase reads, of one read task."""
    for name in context.records(stage_before(context.config, phase))[part].files:
        if is_piece(name):
            with pq.ParquetFile(context.folder(STEP_NAME) / name) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, use_threads=False)


def rejected_of(context: Context, stage: str, part: str) -> str | None:
    """The scratch file with all rows of a read task that were refused up to a stage, if any were."""
    earlier = stages(context.config)[: stages(context.config).index(stage) + 1]
    names = [f"{name}/{part}.rejected.parquet" for name in reversed(earlier)]
    there = [name for name in names if name in context.records(name.partition("/")[0])[part].files]
    return there[0] if there else None


def rejected_before(context: Context, phase: str, part: str) -> list[pa.Table]:
    """The rows of a read task that were refused before a phase, as tables."""
    name = rejected_of(context, stage_before(context.config, phase), part)
    return [pq.read_table(context.folder(STEP_NAME) / name)] if name is not None else []


def write_tables(output: PartOutput, name: str, tables: list[pa.Table]) -> None:
    """Write tables of one schema, at least one, as a scratch file, and keep its number of rows."""
    with open_writer(output.path(name), tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    output.rows(name, sum(table.num_rows for table in tables))
