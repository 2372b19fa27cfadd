from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from icp.dedup.dates import is_datable, seconds_of

DAY = 86_400


def column(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


def test_texts_in_iso_8601_are_seconds_and_others_have_no_date():
    texts = ["1970-01-02", "1970-01-01T00:00:10Z", "1970-01-01T01:00:10+01:00", "1971", "1970-02", "soon", "", None]
    expected = [DAY, 10, 10, 365 * DAY, 31 * DAY, np.nan, np.nan, np.nan]
    np.testing.assert_equal(seconds_of(column(texts)), expected)


@pytest.mark.parametrize("values", [
    column([date(1970, 1, 2), None]), column([datetime(1970, 1, 2), None]),
    column([float(DAY), None]), column([DAY, None]),
    column([datetime(1970, 1, 2), None], pa.timestamp("ms", "UTC")),
], ids=str)  # fmt: skip
def test_dates_times_and_numbers_are_seconds(values):
    assert is_datable(values.type)
    np.testing.assert_equal(seconds_of(values), [DAY, np.nan])


def test_lists_are_no_dates():
    assert not is_datable(pa.list_(pa.string()))
