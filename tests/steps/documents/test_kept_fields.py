"""One type for each kept field."""

import pyarrow as pa
import pytest

from icp.steps.documents.kept_fields import common_field, convert, is_json
from icp.steps.documents.rows import JSON_TEXT

JSON = pa.field("f", pa.large_string(), metadata=JSON_TEXT)


@pytest.mark.parametrize(
    ("types", "kinds", "expected"),
    [
        ([], [], pa.string()),
        ([pa.null()], [], pa.string()),
        ([], ["string"], pa.string()),
        ([], ["int"], pa.int64()),
        ([], ["int", "float"], pa.float64()),
        ([], ["bool"], pa.bool_()),
        ([pa.int16()], [], pa.int16()),
        ([pa.int16(), pa.null(), pa.int32()], [], pa.int64()),
        ([pa.int32()], ["int"], pa.int64()),
        ([pa.float32()], ["int"], pa.float64()),
        ([pa.uint64()], ["int"], pa.float64()),
        ([pa.large_string(), pa.string()], ["string"], pa.string()),
        ([pa.list_(pa.string())], [], pa.list_(pa.string())),
    ],
)
def test_type_that_holds_all(types, kinds, expected):
    field = common_field("f", types, kinds)
    assert (field.type, is_json(field)) == (expected, False)


@pytest.mark.parametrize(
    ("types", "kinds"),
    [([], ["json"]), ([], ["int", "string"]), ([], ["bool", "int"]), ([pa.list_(pa.string())], ["json"])],
)
def test_otherwise_json_text(types, kinds):
    field = common_field("f", types, kinds)
    assert (field.type, is_json(field)) == (pa.string(), True)


@pytest.mark.parametrize(
    ("values", "wanted", "expected"),
    [
        (['"a\\nb"', None], pa.field("f", pa.string()), ["a\nb", None]),
        (["1", "2"], pa.field("f", pa.int64()), [1, 2]),
        (["1", "2.5"], pa.field("f", pa.float64()), [1.0, 2.5]),
        (["true", None], pa.field("f", pa.bool_()), [True, None]),
        (['"a"', '{"b":1}'], pa.field("f", pa.string(), metadata=JSON_TEXT), ['"a"', '{"b":1}']),
    ],
)
def test_json_texts_become_values(values, wanted, expected):
    found = convert(pa.chunked_array([pa.array(values, pa.large_string())]), JSON, wanted)
    assert (found.to_pylist(), found.type) == (expected, wanted.type)


@pytest.mark.parametrize(
    ("array", "wanted", "expected"),
    [
        (pa.array([1, 2**60 + 1], pa.int64()), pa.field("f", pa.float64()), [1.0, 2.0**60]),
        (pa.array([["a"], None]), pa.field("f", pa.string(), metadata=JSON_TEXT), ['["a"]', None]),
        (pa.array(["é"]), pa.field("f", pa.string(), metadata=JSON_TEXT), ['"é"']),
        (pa.nulls(2), pa.field("f", pa.list_(pa.string())), [None, None]),
    ],
)
def test_columns_become_values(array, wanted, expected):
    found = convert(pa.chunked_array([array]), pa.field("f", array.type), wanted)
    assert (found.to_pylist(), found.type) == (expected, wanted.type)
