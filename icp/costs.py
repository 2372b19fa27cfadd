"""What the parts of a phase took: processor time, memory, files."""

from collections.abc import Iterable

from icp.artifacts import PartRecord


def phase_cost(records: Iterable[PartRecord]) -> dict[str, float]:
    """Sums and greatest values over the parts of a phase.

    Returns: ``parts``; ``cpu_seconds`` and ``seconds`` of all parts together; ``longest``, the seconds of the slowest
    part; ``peak_rss_mib`` of the largest process, mapped files among it; ``bytes`` written, scratch files included.
    """
    rows = list(records)
    return {
        "parts": len(rows),
        "cpu_seconds": round(sum(row.cpu_seconds for row in rows), 3),
        "seconds": round(sum(row.seconds for row in rows), 3),
        "longest": max((row.seconds for row in rows), default=0.0),
        "peak_rss_mib": max((row.peak_rss_mib for row in rows), default=0.0),
        "bytes": sum(file.bytes for row in rows for file in row.files.values()),
    }
