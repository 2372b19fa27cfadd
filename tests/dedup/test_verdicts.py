import numpy as np
import pyarrow as pa

from icp.dedup.verdicts import Verdict, follow_twins, largest_groups


def test_copies_follow_their_twin_part_by_part_as_all_together():
    twins = np.array([0, 1, 0, 3, 1, 5, 3])
    verdict = Verdict(np.array([1, 3]), np.array([0, 5]), np.array([0.9, 0.8]), 7)
    whole = follow_twins(twins, verdict)
    assert whole.duplicate_of.tolist() == [0, 0, 0, 5, 0, 5, 5]
    assert whole.jaccard.tolist() == [1.0, 0.9, 1.0, 0.8, 0.9, 1.0, 0.8]
    assert whole.is_near.tolist() == [False, True, False, True, True, False, True]
    assert whole.is_kept.tolist() == [True, False, False, False, False, True, False]
    tables = [follow_twins(twins[a:b], verdict, a).table() for a, b in ((0, 3), (3, 3), (3, 7))]
    assert pa.concat_tables(tables).equals(whole.table())


def test_largest_groups_count_the_keeper_and_ties_go_to_the_lower_doc():
    assert largest_groups(np.array([7, 2, 7, 9, 2, 4]), 3) == [
        {"doc": 2, "documents": 3},
        {"doc": 7, "documents": 3},
        {"doc": 4, "documents": 2},
    ]
    assert largest_groups(np.zeros(0, np.int64), 3) == []
