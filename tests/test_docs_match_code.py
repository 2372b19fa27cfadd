"""What the documents say can be looked up in the code: paths, floors, steps, keys, choices, the planner's example."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import BaseModel
from test_architecture import FLOORS

import icp
from icp.choices import EMBEDDERS, EXPORT_FORMATS, KNN_METHODS, PACK_METHODS, TRANSFORMER
from icp.config import Config, parse_config
from icp.pack.similarity import window_figures
from icp.run.names import FILES, STEPS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FOLDERS = ("icp", "kernels", "jobs", "tests", "docs", "examples", "configs", "typings")
README_LINES = 150


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def section(name, title):
    """The text under a heading of a page."""
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", read(name), re.M | re.S).group(1)


def rows(text):
    """The cells of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {at + step for at, line in enumerate(lines) if set(line) <= set("|-: ") for step in (-1, 0)}
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for at, line in enumerate(lines)
        if at not in heads
    ]


def test_the_readme_stays_short():
    assert len(read("README.md").splitlines()) <= README_LINES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []
    paths = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", text)
    assert [path for path in paths if "NAME" not in path and not (ROOT / path).exists()] == []


def test_the_map_shows_every_floor_with_its_rooms():
    shown = [cells for cells in rows(section("docs/architecture.md", "Eight floors")) if len(cells) == 3]
    assert [floor for floor, *_ in shown] == list(reversed(FLOORS))
    for floor, rooms, _ in shown:
        names = {_room(name) for name in re.findall(r"`([^`]+)`", rooms)}
        assert names == {room.removeprefix("icp.") for room in FLOORS[floor]}, floor


def _room(path):
    return path.removeprefix("icp/").removesuffix("/NAME/").removesuffix("/").removesuffix(".py")


def test_the_map_shows_every_step():
    shown = [cells for cells in rows(section("docs/architecture.md", "Eight floors")) if len(cells) == 4]
    assert [step.strip("`") for step, *_ in shown] == list(STEPS)


def test_every_file_of_a_run_is_described():
    text = section("docs/design.md", "Files of a run")
    names = {name for files in FILES.values() for name in files}
    assert {name for name in names if name not in text and name.replace("*", "00000") not in text} == set()


def test_every_key_is_described_with_its_default():
    defaults = parse_config({"run": "RUN", "corpus": {"input": "INPUT"}}).model_dump(mode="json")
    described = {}
    for keys, values, *_ in rows(section("docs/configuration.md", "Configuration")):
        names = re.findall(r"`([^`]+)`", keys)
        prefix = names[0].rpartition(".")[0]
        full = [name if at == 0 else prefix + name for at, name in enumerate(names)]
        stated = re.split(r",? ", re.sub(r"(\d),(?=\d{3})", r"\1", values.replace("`", ""))) if values else []
        assert len(stated) in (0, len(full)), keys
        described |= dict(zip(full, stated or [""] * len(full), strict=True))
    assert sorted(described) == sorted(_keys(Config))
    for key, stated in described.items():
        value = defaults
        for name in key.split("."):
            value = value[name]
        if stated:
            assert yaml.safe_load(stated) == value, key
        else:
            assert value in ("RUN", ["INPUT"], "any", None), key


def _keys(model, prefix=""):
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name != "mix_random":
            yield from _keys(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_choice_is_described_in_its_own_words():
    text = section("docs/configuration.md", "What can be chosen")
    described = [(re.sub(r"<\w+>|`", "", name), summary) for name, summary in rows(text)]
    tables = (EMBEDDERS, KNN_METHODS, PACK_METHODS)
    assert [row for row in described if row[0] not in ("auto", "any other")] == [
        (entry.name, entry.summary) for table in tables for entry in table.values()
    ]
    assert dict(described)["any other"] == TRANSFORMER.summary
    assert all(f"`{name}`" in text for name in EXPORT_FORMATS)
    assert [cells[0].strip("`") for cells in rows(read("docs/trainers.md")) if cells[0].strip("`") in EXPORT_FORMATS]
    assert {cells[0].strip("`") for cells in rows(read("docs/trainers.md"))} >= {*EXPORT_FORMATS}


def test_the_page_on_the_planner_prints_what_the_planner_gives():
    page = section("docs/architecture.md", "The planner on one page")
    vectors = np.array([[1, 0], [0.96, 0.28], [0, 1], [0.28, 0.96], [0.8, 0.6]], np.float32)
    lengths = np.array([30, 30, 40, 40, 30])
    numbers = {  # as the page prints them
        "vector": "(1, 0)     (.96, .28)  (0, 1)  (.28, .96)  (.8, .6)",
        "tokens": "30         30          40      40          30",
    }
    assert all(re.search(rf"^{name} {re.escape(text)}", page, re.M) for name, text in numbers.items())
    graph = icp.symmetrize(icp.search_neighbors(vectors, k=3))
    path = icp.visit_order(graph, vectors)
    cosines = vectors @ vectors.T
    for one, two, stated in re.findall(r"(\d)-(\d) \((\.\d\d)\)", page):
        assert f"{cosines[int(one), int(two)]:.2f}"[1:] == stated
    assert f"{', '.join(map(str, path.order))}, worth {path.similarity:.2f}" in page.replace("\n   ", " ")
    found = {}
    for method in ("path-cut", "windows"):
        plan = icp.plan_windows(graph, vectors, path.order, lengths, seq_len=100, min_fill=0.8, method=method)
        figures = window_figures(plan, vectors, lengths, capacity=100)
        found[method] = [set(plan.doc[plan.window == number].tolist()) for number in range(plan.n_windows)], figures
    assert found["path-cut"][0] == [{0, 1, 4, 3}, {3, 2}]
    assert found["windows"][0] == [{0, 1, 4}, {3, 2}]
    assert "{0, 1, 4}, {3, 2}" in page
    means = {method: figures.mean_similarity for method, (_, figures) in found.items()}
    assert f"similarity inside windows is {means['path-cut']:.2f}".replace("0.", ".") in page.replace("\n   ", " ")
    assert f"mean similarity is {means['windows']:.2f}".replace("0.", ".") in page
    assert (found["path-cut"][1].split_documents, found["windows"][1].split_documents) == (1, 0)
