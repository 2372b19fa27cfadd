import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from icp.errors import InputError
from icp.run.nodes import field_groups


def write_parts(folder, *parts):
    for number, columns in enumerate(parts):
        table = pa.table({"doc": pa.array(range(len(columns["source"])), pa.int64())} | columns)
        pq.write_table(table, folder / f"part-{number:05}.parquet")
    return [folder / f"part-{number:05}.parquet" for number in range(len(parts))]


def test_sources_are_numbered_as_they_first_appear_over_parts(tmp_path):
    parts = [{"source": pa.array(sources, pa.string())} for sources in (["x", None, "b"], [], ["b", "a", None])]
    paths = write_parts(tmp_path, *parts)
    assert field_groups(paths, np.arange(6), ["source"]).tolist() == [0, 1, 2, 2, 3, 1]
    assert field_groups(paths, np.array([2, 4, 5]), ["source"]).tolist() == [0, 1, 2]
    assert field_groups(paths, np.empty(0, dtype=np.int64), ["source"]).tolist() == []
    assert field_groups(paths, np.arange(6), []).tolist() == [0] * 6


def test_two_fields_tell_apart_what_either_does(tmp_path):
    paths = write_parts(
        tmp_path,
        {"source": pa.array(["a", "a", "b"], pa.string()), "meta.lang": pa.array([1, 2, None], pa.int64())},
        {"source": pa.array(["b", "a"], pa.string()), "meta.lang": pa.array([None, 1], pa.int64())},
    )
    assert field_groups(paths, np.arange(5), ["source", "meta.lang"]).tolist() == [0, 1, 2, 2, 0]
    assert field_groups(paths, np.arange(5), ["meta.lang"]).tolist() == [0, 1, 2, 2, 0]


def test_lists_are_no_groups(tmp_path):
    paths = write_parts(
        tmp_path, {"source": pa.array(["a"], pa.string()), "tags": pa.array([["x"]], pa.list_(pa.string()))}
    )
    with pytest.raises(InputError, match="field 'tags' holds list"):
        field_groups(paths, np.arange(1), ["tags"])
