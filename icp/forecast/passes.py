"""What packs of several passes (`pack.epochs`) take more: the first pass is what rates are measured on.

In: forecasts of one pass. Out: those of all. Later passes are planned by one task each, on one core.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from icp.forecast.estimate import StepForecast


def of_all_passes(rows: Sequence[StepForecast], n_passes: int) -> Iterator[StepForecast]:
    """The steps with later passes: windows planned, shards and their files written as often."""
    more = n_passes - 1
    for row in rows:
        if row.step not in ("windows", "shards") or not more:
            yield row
            continue
        alone = row.core_hours * more if row.step == "windows" else 0.0
        yield replace(
            row,
            core_hours=row.core_hours * n_passes,
            hours=row.hours + alone if alone else row.hours * n_passes,
            one_process_hours=row.one_process_hours + alone,
            left=row.left * n_passes,
            scratch=row.scratch * n_passes,
            read=row.read * n_passes,
            files=row.files * n_passes,
        )
