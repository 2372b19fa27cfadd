"""What ends a run: more failed documents than `corpus.max_rejected` allows, a few aside."""

import pytest

from icp.errors import InputError
from icp.failures import TOLERATED, failing, too_many


@pytest.mark.parametrize(
    ("n_failed", "n_docs", "is_none_left", "expected"),
    [
        (0, 0, True, False),
        (1, 1, True, True),
        (1, 1, False, False),
        (TOLERATED, 20, False, False),
        (TOLERATED + 1, 20, False, True),
        (TOLERATED + 1, 2_000, False, False),
        (20, 2_000, False, False),
        (21, 2_000, False, True),
    ],
)
def test_a_few_documents_may_fail_if_another_is_left(n_failed, n_docs, is_none_left, expected):
    assert too_many(n_failed, n_docs, 0.01, is_none_left=is_none_left) == expected


def test_rows_that_fail_are_found_and_errors_of_ours_passed_on():
    class Panic(BaseException):
        pass

    def work(first, last):
        if any(row in (3, 8) for row in range(first, last)):
            raise Panic("at the disco\nsecond line")

    assert failing(work, 10) == dict.fromkeys((3, 8), "Panic: at the disco")

    def ours(first, last):
        raise InputError("a file")

    with pytest.raises(InputError):
        failing(ours, 10)
