"""What the parts of a phase took: processor time, memory, files."""

from collections.abc import Mapping

from icp.artifacts import PartRecord
from icp.steps import ALL


def phase_cost(records: Mapping[str, PartRecord]) -> dict[str, float]:
    """Sums and greatest values over the parts of a phase.

    Returns: ``parts``; ``serial``, 1 if the phase is one task whatever the corpus, else 0; ``cpu_seconds`` and
        ``seconds`` of all parts together; ``longest``, the seconds of the slowest part; ``peak_rss_mib`` of the largest
        process, mapped files among it; ``bytes`` written, scratch files included.
    """
    rows = list(records.values())
    return {
        "parts": len(rows),
        "serial": int(list(records) == [ALL]),
        "cpu_seconds": round(sum(row.cpu_seconds for row in rows), 3),
        "seconds": round(sum(row.seconds for row in rows), 3),
        "longest": max((row.seconds for row in rows), default=0.0),
        "peak_rss_mib": max((row.peak_rss_mib for row in rows), default=0.0),
        "bytes": sum(file.bytes for row in rows for file in row.files.values()),
    }
