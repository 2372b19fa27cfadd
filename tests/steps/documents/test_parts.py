"""How large the parts of a corpus are: they depend on the corpus, never on the workers."""

import pytest

from icp.steps.documents.input_files import InputFile
from icp.steps.documents.read_tasks import PARTS, SMALLEST_PART, part_bytes

MIB = 1 << 20


def files(*sizes, kind="jsonl", name="a.jsonl"):
    return [InputFile(name, kind, size, "stamp") for size in sizes]


@pytest.mark.parametrize(
    ("given", "part_mib", "wanted"),
    [
        (files(1000), 256, SMALLEST_PART),  # one part, whatever
        (files(640 * MIB), 256, 20 * MIB),
        (files(320 * MIB, 320 * MIB), 256, 20 * MIB),
        (files(100_000 * MIB), 256, 256 * MIB),
        (files(640 * MIB), 0.5, MIB // 2),  # what is asked for is never exceeded
        (files(640 * MIB, kind="parquet", name="a.parquet"), 256, 60 * MIB),
        (files(640 * MIB, name="a.jsonl.zst"), 256, 60 * MIB),
        (files(-1), 256, SMALLEST_PART),  # of unknown size
    ],
)
def test_small_corpora_are_cut_finer(given, part_mib, wanted):
    assert part_bytes(given, part_mib) == wanted


def test_there_are_enough_parts_for_a_machine():
    assert 640 * MIB // part_bytes(files(640 * MIB), 256) >= PARTS
