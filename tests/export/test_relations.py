"""`icp export --format pairs` and ``clusters``: what the graph says, compared with the files and texts of a run."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from icp.audit.shingles import jaccard, shingles
from icp.errors import ArtifactError, ConfigError
from icp.export import export_pack
from icp.export.relations import COPY, FEWEST


def documents_of(run):
    tables = [
        pq.read_table(path, columns=["doc", "id", "text"]) for path in sorted(run.glob("documents/part-*.parquet"))
    ]
    return {row["doc"]: row for table in tables for row in table.to_pylist()}


@pytest.fixture(scope="module")
def out(tmp_path_factory, cut_run):
    folder = tmp_path_factory.mktemp("relations")
    return {name: export_pack(cut_run, name, folder / name) for name in ("pairs", "clusters")}


def test_every_edge_that_is_no_copy_is_a_pair(cut_run, out):
    documents = documents_of(cut_run)
    nodes, indptr, indices, weights = (
        np.load(cut_run / f"graph/{name}.npy") for name in ("nodes", "indptr", "indices", "weights")
    )
    expected = {}
    for node in range(nodes.size):
        for at in range(indptr[node], indptr[node + 1]):
            if node < indices[at]:
                ends = [documents[int(nodes[one])] for one in (node, indices[at])]
                value = jaccard(*(shingles(end["text"], ngram=5) for end in ends))
                if value < COPY:
                    expected[ends[0]["doc"], ends[1]["doc"]] = (ends[0]["id"], ends[1]["id"], float(weights[at]), value)
    rows = pq.read_table(out["pairs"].folder / "pairs.parquet").to_pylist()
    found = {
        (row["doc_a"], row["doc_b"]): (
            row["id_a"],
            row["id_b"],
            row["similarity"],
            pytest.approx(row["jaccard"], abs=1e-9),
        )
        for row in rows
    }
    assert len(rows) == len(found) > 20
    assert found == expected
    assert [(row["doc_a"], row["doc_b"]) for row in rows] == sorted(found)
    assert out["pairs"].facts["copies_left_out"] == indices.size // 2 - len(rows)


def test_clusters_part_one_another_and_hold_every_document(cut_run, out):
    documents, nodes = documents_of(cut_run), np.load(cut_run / "graph/nodes.npy")
    rows = pq.read_table(out["clusters"].folder / "clusters.parquet").to_pylist()
    assert [row["doc"] for row in rows] == nodes.tolist()
    assert all(row["id"] == documents[row["doc"]]["id"] for row in rows)
    for finer, coarser in (("fine", "middle"), ("middle", "coarse")):
        assert len({row[finer] for row in rows}) == len({(row[finer], row[coarser]) for row in rows})
    sizes = np.bincount([row["coarse"] for row in rows])
    assert sizes.max() <= max(FEWEST, -(-nodes.size // 10))
    assert len(sizes) == out["clusters"].facts["coarse_clusters"] > 1


@pytest.mark.parametrize("name", ["pairs", "clusters"])
def test_a_summary_and_a_guide_stand_beside_and_bytes_repeat(tmp_path, cut_run, out, name):
    folder = out[name].folder
    facts = json.loads((folder / "export.json").read_text())
    assert facts["rows"] == pq.read_metadata(folder / f"{name}.parquet").num_rows
    assert f"# {name}" in (folder / "README.md").read_text()
    again = export_pack(cut_run, name, tmp_path / "again")
    assert again.facts["sha256"][f"{name}.parquet"] == facts["sha256"][f"{name}.parquet"]
    assert again.lines()[0].startswith(f"{name:<11} {facts['rows']:,} rows")


def test_a_graph_is_enough_and_without_one_nothing_is_written(tmp_path, cut_run):
    run = tmp_path / "run"
    shutil.copytree(cut_run, run)
    shutil.rmtree(run / "packs")
    assert export_pack(run, "pairs", tmp_path / "pairs").facts["rows"] > 0
    shutil.rmtree(run / "graph")
    with pytest.raises(ArtifactError, match="step graph is not finished; run `icp build-graph`"):
        export_pack(run, "clusters", tmp_path / "clusters")
    with pytest.raises(ConfigError, match="no such format; use one of clusters, datatrove"):
        export_pack(cut_run, "cluster", tmp_path / "other")
