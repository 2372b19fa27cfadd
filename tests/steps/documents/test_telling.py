"""What people are told of a corpus that was read: ids that come again, ids to exclude, values left out."""

import numpy as np
import pyarrow as pa
import pytest
from document_rows import ROWS, jsonl

from icp.steps.documents import repeated_ids
from icp.steps.documents.repeated_ids import IdCount


def test_documents_with_one_id_are_told(step, caplog):
    step({"a.jsonl": jsonl(ROWS), "b.jsonl": jsonl(ROWS[:3])})
    assert "3 documents have the id of another one" in caplog.text
    caplog.clear()
    step({"a.jsonl": jsonl(ROWS)})
    assert "the id of another" not in caplog.text


@pytest.mark.parametrize("n_counted", [1 << 22, 500])
def test_repeated_ids_are_estimated_over_many_tasks(monkeypatch, n_counted):
    monkeypatch.setattr(repeated_ids, "N_COUNTED", n_counted)
    rng = np.random.default_rng(3)
    drawn = [rng.integers(0, 20_000, 4000) for _ in range(10)]
    counts = []
    for ids in drawn:
        count = IdCount()
        for some in np.array_split(ids.astype(str), 7):
            count.add(pa.chunked_array([pa.array(some.tolist())]))
        counts.append(count.figures())
    expected = 40_000 - np.unique(np.concatenate(drawn)).size
    found, is_exact = repeated_ids.repeated_ids(counts)
    assert not is_exact
    assert abs(found - expected) < 0.15 * expected


def test_ids_to_exclude_that_stand_nowhere_are_told(step, caplog):
    files = {"a.jsonl": jsonl(ROWS), "ids": "\ufeffd3 \n'd5'\nd33\nd44\n".encode()}
    assert step(files, input="a.jsonl", exclude="ids")["id"] == ["d0", "d1", "d2", "d4", "d6"]
    assert "ids: 2 of its 4 ids stand in the corpus and are left out; 2 others do not, e.g. d33" in caplog.text
    caplog.clear()
    caplog.set_level("INFO", "icp")
    step({"ids": b"d3\nd3\n"}, input="a.jsonl", exclude="ids")
    assert "ids: 1 of its 1 id stand in the corpus and are left out" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
