import json
from pathlib import Path

from small_parts import make_small, topics_config
from tiny import make_run, quiet, tiny_config

from icp import warm
from icp.engine.executor import ProcessExecutor, SerialExecutor
from icp.kernels._jit import CACHE_FOLDER
from icp.knn import cells
from icp.pipeline import build_graph, pack
from icp.warm import fill_kernel_cache, run_tiny_corpus


def compiled():
    return {path.name for path in Path(CACHE_FOLDER).rglob("*.nbc")}


def test_workers_compile_nothing_after_the_cache_was_filled(tmp_path):
    list(ProcessExecutor(1).map(run_tiny_corpus, [None]))
    before = compiled()
    assert before
    with ProcessExecutor(2) as executor:
        for method, verify in (("exact", "estimate"), ("cells", "none"), ("ivf", "exact")):
            sections = {"pack": {"seq_len": 128, "method": "random"}, "graph": {"method": method, "max_degree": 9}}
            sections["dedup"] = {"verify": verify}
            (tmp_path / method).mkdir()
            make_run(tiny_config(tmp_path / method, corpus={"part_mib": 0.01}, **sections), executor)
    assert compiled() == before


def test_windows_of_a_large_corpus_compile_nothing_more(tmp_path, monkeypatch):
    run = make_run(topics_config(tmp_path))
    before = compiled()
    make_small(monkeypatch)
    pack(topics_config(tmp_path), SerialExecutor(), quiet, name="large")
    assert "seam" in json.loads((run / "packs/large/plan/manifest.json").read_text())["costs"]
    assert compiled() == before


def test_neighbours_of_very_many_documents_compile_nothing_more(tmp_path, monkeypatch):
    run_tiny_corpus()
    before = compiled()
    monkeypatch.setattr(cells, "MANY_ROWS", 0)
    monkeypatch.setattr(cells, "ROWS_OF_MANY", 8)
    monkeypatch.setattr(cells, "MOST_COMPARED", 8)
    monkeypatch.setattr(cells, "LEAST_JOINED", 1)
    config = tiny_config(tmp_path, graph={"method": "cells"})
    assert build_graph(config, SerialExecutor(), quiet, until="neighbors")["neighbors"].facts["passes"] > 0
    assert compiled() == before


def test_filled_cache_is_not_filled_again(tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "_marker", lambda: tmp_path / "complete")
    (tmp_path / "complete").touch()
    monkeypatch.setattr(warm, "ProcessExecutor", None)
    fill_kernel_cache()
