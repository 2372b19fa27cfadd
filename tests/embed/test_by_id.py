import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from icp.embed import by_id
from icp.errors import InputError
from icp.texts import id_hashes


def save(folder, vectors, ids, name="v"):
    np.save(folder / f"{name}.npy", vectors)
    (folder / f"{name}.ids.txt").write_text("".join(f"{key}\n" for key in ids))
    return folder / f"{name}.npy"


def read(path):
    blocks = list(by_id.convert_file(path))
    return np.concatenate([hashes for hashes, _ in blocks]), np.concatenate([rows for _, rows in blocks])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_npy_rows_become_unit_rows_and_zero_stays(dtype, tmp_path):
    hashes, rows = read(save(tmp_path, np.array([[3, 4], [0, 0]], dtype), ["a", "b"]))
    assert rows.dtype == np.float16
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0, 0]]), abs=1e-3)
    assert hashes.tolist() == id_hashes(["a", "b"]).tolist()


def test_ids_of_a_list_are_cleaned(tmp_path):
    path = save(tmp_path, np.eye(3, dtype=np.float32), ["\ufeffa", ' "b" ', "c\r"])
    assert read(path)[0].tolist() == id_hashes(["a", "b", "c"]).tolist()


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.large_list(pa.float32())])
def test_parquet_gives_what_npy_gives(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(by_id, "BLOCK_ROWS", 2)
    vectors = [[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]]
    table = pa.table({"id": ["a", "b", "c"], "note": ["", "", ""], "embedding": pa.array(vectors, kind)})
    pq.write_table(table, tmp_path / "v.parquet")
    expected = read(save(tmp_path, np.array(vectors), ["a", "b", "c"]))
    for found, wanted in zip(read(tmp_path / "v.parquet"), expected, strict=True):
        assert np.array_equal(found, wanted)


def test_numbers_as_ids_are_their_text(tmp_path):
    pq.write_table(pa.table({"id": [7, 8], "v": [[1.0], [2.0]]}), tmp_path / "v.parquet")
    assert read(tmp_path / "v.parquet")[0].tolist() == id_hashes(["7", "8"]).tolist()


def test_ids_are_looked_up_over_all_files():
    hashes = [id_hashes(["c", "a"]), id_hashes([]), id_hashes(["b"])]
    index = by_id.merge_hashes(["x", "y", "z"], hashes)
    assert by_id.find_rows(index, ["a", "b", "c", "none"]).tolist() == [1, 2, 0, -1]
    assert by_id.find_rows(by_id.merge_hashes([], []), ["a"]).tolist() == [-1]


def test_a_repeated_id_is_refused():
    with pytest.raises(InputError, match=r"one row 1 and two row 0 have the same id"):
        by_id.merge_hashes(["one", "two"], [id_hashes(["a", "b"]), id_hashes(["b"])])


def test_a_vector_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"the vector of 'b' \(row 1\) is not finite"):
        read(save(tmp_path, np.array([[1.0], [np.nan]]), ["a", "b"]))


@pytest.mark.parametrize("vectors", [np.ones((2, 2), np.int8), np.ones(2), np.ones((2, 0))])
def test_what_is_no_matrix_of_floats_is_refused(vectors, tmp_path):
    with pytest.raises(InputError, match=r"expected floats of shape \(n, dim\)"):
        read(save(tmp_path, vectors, ["a", "b"]))


def test_another_number_of_ids_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"v.ids.txt: 1 ids for 2 vectors"):
        read(save(tmp_path, np.ones((2, 2)), ["a"]))


def test_a_missing_list_of_ids_is_refused(tmp_path):
    np.save(tmp_path / "v.npy", np.ones((2, 2)))
    with pytest.raises(InputError, match=r"v.npy: cannot be read .*NAME.ids.txt"):
        read(tmp_path / "v.npy")


@pytest.mark.parametrize(
    "columns",
    [
        {"id": ["a"]},
        {"key": ["a"], "v": [[1.0]]},
        {"id": ["a"], "v": [[1.0]], "w": [[1.0]]},
        {"id": ["a", "b"], "v": [[1.0], [1.0, 2.0]]},
        {"id": ["a", None], "v": [[1.0], [1.0]]},
        {"id": ["a", "b"], "v": [[1.0], None]},
    ],
)
def test_parquet_of_another_form_is_refused(columns, tmp_path):
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    with pytest.raises(InputError, match=r"give Parquet with a column id and one of lists of floats"):
        read(tmp_path / "v.parquet")


def test_no_files_and_strange_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        by_id.vector_files(f"{tmp_path}/*.npy")
    (tmp_path / "v.csv").write_text("")
    with pytest.raises(InputError, match=r"v.csv: neither .npy nor .parquet"):
        by_id.vector_files(f"{tmp_path}/*")


def test_pickled_arrays_are_not_read(tmp_path):
    np.save(tmp_path / "v.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    (tmp_path / "v.ids.txt").write_text("a\n")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "v.npy")
