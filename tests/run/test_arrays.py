import numpy as np
from pack_inputs import VECTORS, make_inputs

from icp.run.arrays import survivor_vectors, vector_paths


def test_tasks_of_a_process_share_mapped_vectors_until_they_are_made_anew(tmp_path):
    context = make_inputs(tmp_path / "run")
    everything, chosen = survivor_vectors(context), survivor_vectors(context, np.array([1, 3, 4]))
    np.testing.assert_array_equal(everything[np.arange(6)], VECTORS)
    np.testing.assert_array_equal(chosen[np.array([2, 0])], VECTORS[[4, 1]])
    assert survivor_vectors(context) is everything

    other = vector_paths(context)[0].with_name("other.npy")  # as a step that is done again leaves it: by a rename
    np.save(other, np.load(vector_paths(context)[0])[::-1])
    other.replace(vector_paths(context)[0])
    again = survivor_vectors(context)[np.arange(6)]
    np.testing.assert_array_equal(again, np.concatenate((VECTORS[:3][::-1], VECTORS[3:])))
    np.testing.assert_array_equal(everything[np.arange(6)], VECTORS)
