from icp.artifacts import FileRecord, PartRecord
from icp.costs import phase_cost


def test_parts_are_summed_and_the_greatest_is_kept():
    records = [
        PartRecord("", {"a": FileRecord(10, ""), "b": FileRecord(5, "")}, seconds=1.5, peak_rss_mib=90, cpu_seconds=1),
        PartRecord("", {"c": FileRecord(1, "")}, seconds=4.0, peak_rss_mib=80, cpu_seconds=3.5),
    ]
    assert phase_cost(records) == {
        "parts": 2,
        "cpu_seconds": 4.5,
        "seconds": 5.5,
        "longest": 4.0,
        "peak_rss_mib": 90,
        "bytes": 16,
    }


def test_no_parts_cost_nothing():
    assert set(phase_cost([]).values()) == {0}
