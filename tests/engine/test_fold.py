from icp.engine.fold import phase_cost
from icp.run.records import FileRecord, PartRecord


def test_parts_are_summed_and_the_greatest_is_kept():
    records = {
        "part-00000": PartRecord("", {"a": FileRecord(10, ""), "b": FileRecord(5, "")}, {}, {}, 1.5, 90, 1),
        "part-00001": PartRecord("", {"c": FileRecord(1, "")}, seconds=4.0, peak_rss_mib=80, cpu_seconds=3.5),
    }
    assert phase_cost(records) == {
        "parts": 2,
        "serial": 0,
        "cpu_seconds": 4.5,
        "seconds": 5.5,
        "longest": 4.0,
        "peak_rss_mib": 90,
        "bytes": 16,
    }


def test_phase_of_one_task_is_told_from_one_that_happens_to_have_one_part():
    assert phase_cost({"all": PartRecord("")})["serial"] == 1
    assert phase_cost({"part-00000": PartRecord("")})["serial"] == 0


def test_no_parts_cost_nothing():
    assert set(phase_cost({}).values()) == {0}
