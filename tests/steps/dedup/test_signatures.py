import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import icp
from icp.dedup.minhash import make_scheme
from icp.errors import ArtifactError
from icp.run.tables import fixed_values, read_column, read_groups, read_rows
from icp.steps.dedup.signatures import write_signatures

TEXTS = ["a few words in a row", "", "others, quite different ones, in a row", "A few WORDS  in a row"]
SCHEME = make_scheme(num_perm=6, ngram=2, seed=1)


def written(folder, scheme=SCHEME):
    tables = [pa.table({"doc": [0, 1], "text": TEXTS[:2]}), pa.table({"doc": [2, 3], "text": TEXTS[2:]})]
    path = folder / "part-00000.parquet"
    assert write_signatures(path, tables, scheme) == 4
    return path


def test_columns_hold_what_is_known_of_each_text(tmp_path):
    path = written(tmp_path)
    signatures = fixed_values(read_column(path, "signature", SCHEME), "<u4")
    assert (signatures == icp.minhash_signatures(TEXTS, num_perm=6, ngram=2)).all()
    assert read_column(path, "n_bytes").to_pylist() == [20, 0, 38, 21]
    assert read_column(path, "n_shingles").to_pylist() == [5, 0, 6, 5]
    hashes = read_column(path, "words_hash").to_pylist()
    assert hashes[0] == hashes[3]
    assert len({*hashes}) == 3


def test_without_scheme_there_are_no_signatures(tmp_path):
    path = written(tmp_path, None)
    assert pq.read_schema(path).names == ["doc", "n_bytes", "words_hash"]
    assert read_column(path, "words_hash").equals(read_column(written(tmp_path), "words_hash"))


def test_row_groups_are_read_one_by_one(tmp_path):
    path = written(tmp_path)
    assert [table["doc"].to_pylist() for table in read_groups(path, ["doc"])] == [[0, 1], [2, 3]]
    assert [part.to_pylist() for part in read_rows(path, "doc", np.array([1, 2, 3]))] == [[1], [2, 3]]
    assert [part.to_pylist() for part in read_rows(path, "doc", np.array([3]))] == [[3]]
    assert list(read_rows(path, "doc", np.array([], np.int64))) == []


def test_fixed_values_of_slices_and_of_nothing():
    column = pa.chunked_array(
        [pa.array([b"abcd", b"efgh", b"ijkl"], pa.binary(4)).slice(1), pa.array([], pa.binary(4))]
    )
    assert fixed_values(column, "<u2").tobytes() == b"efghijkl"
    assert fixed_values(column, "<u2").shape == (2, 2)
    assert fixed_values(column.slice(0, 0), "<u4").shape[0] == 0


def test_truncated_file_is_named(tmp_path):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match=r"part-00000\.parquet: cannot be read"):
        list(read_groups(path, ["signature"]))
    with pytest.raises(ArtifactError, match=r"absent\.parquet: cannot be read"):
        read_column(tmp_path / "absent.parquet", "doc")


def test_damaged_page_is_noticed(tmp_path):
    path = written(tmp_path)
    damaged = bytearray(path.read_bytes())
    at = damaged.find(icp.minhash_signatures(TEXTS, num_perm=6, ngram=2)[0].tobytes())
    damaged[at] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ArtifactError, match=r"part-00000\.parquet: cannot be read .*CRC"):
        read_column(path, "signature")


def test_signatures_of_another_seed_are_refused(tmp_path):
    path, other = written(tmp_path), make_scheme(num_perm=6, ngram=2, seed=2)
    with pytest.raises(
        ArtifactError, match=r"part-00000\.parquet: signatures were made with seed 1, this run has seed 2"
    ):
        list(read_groups(path, ["signature"], other))
