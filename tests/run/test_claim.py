"""A run is made in a folder of its own, and leaves everything else alone."""

from pathlib import Path

import pytest
from tiny import make_run, quiet, tiny_config, write_jsonl

from icp.config import dump_config
from icp.engine.executor import SerialExecutor
from icp.errors import ArtifactError, ConfigError
from icp.pipeline import build_graph, pack
from icp.run.claim import check_apart, check_folder, claim, remove_leftovers
from icp.warm import tiny_rows


def tree(folder):
    """Every file but the log, which tells of refused commands too."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "log.jsonl"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def begin(config):
    return build_graph(config, SerialExecutor(), quiet, until="documents")


@pytest.mark.parametrize(
    "names",
    [
        ["documents/1.txt"],
        ["config.yaml"],
        ["notes.txt"],
        ["packs/x"],
        ["config.yaml", "documents/a.txt"],
        [".git/HEAD"],
    ],
)
def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_was(tmp_path, names):
    run = tmp_path / "run"
    for name in names:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("seed: 1\n")
    before = tree(run)
    with pytest.raises(ConfigError, match="is no run of icp, which needs a folder of its own"):
        begin(tiny_config(tmp_path))
    assert tree(run) == before


def test_an_empty_folder_a_marked_one_and_what_the_system_put_there_pass(tmp_path):
    (tmp_path / "lost+found").mkdir()
    check_folder(tmp_path / "absent")
    check_folder(tmp_path)
    claim(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    check_folder(tmp_path)


def test_a_configuration_of_somebody_else_makes_no_run(tmp_path):
    config = tiny_config(tmp_path / "elsewhere") if (tmp_path / "elsewhere").mkdir() is None else None
    folder = tmp_path / "folder"
    (folder / "documents").mkdir(parents=True)
    (folder / "documents" / "thesis.txt").write_text("thesis")
    (folder / "config.yaml").write_text(dump_config(config))  # ours, but no step was ever begun here
    with pytest.raises(ConfigError, match=r"holds config\.yaml, documents"):
        check_folder(folder)


LINKS = ["embeddings", "packs", "packs/main", "packs/main/plan", "tokens/bytes-x", "dedup/signatures", "log.jsonl"]


@pytest.mark.parametrize("name", [*LINKS, "packs/main/shards/windows", "packs/main/exports/parquet"])
def test_links_inside_a_run_are_refused_by_name(tmp_path, name):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    claim(run)
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").write_text("thesis")
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).symlink_to(elsewhere)
    with pytest.raises(ArtifactError, match=rf"run/{name}: is a link to {elsewhere}"):
        begin(tiny_config(tmp_path))
    assert tree(elsewhere) == {"thesis.txt": b"thesis"}


def test_a_file_and_a_link_that_leads_nowhere_are_no_folders(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, words in (("file", "is a file"), ("link", "a link that leads nowhere")):
        with pytest.raises(ArtifactError, match=words):
            check_folder(tmp_path / name)


@pytest.mark.parametrize(
    ("run", "inputs", "is_inside"),
    [
        ("in/run", ["in"], True),
        ("in", ["in"], True),
        ("in/a/b/run", ["other", "in"], True),
        ("in/run", ["in/**/*.parquet"], True),
        ("in/run", ["in/*/*/*.parquet"], True),
        ("in/run", ["in/*/[a-z]*/part-0000?.parquet"], True),
        ("in/run", ["in/*"], True),
        ("in/a/run", ["i*/a"], True),
        ("in/run", ["in/*/*.parquet"], False),
        ("in/run", ["in/*.jsonl"], False),
        ("in/run", ["in/**/*.jsonl"], False),
        ("inner", ["in"], False),
        ("in/run", ["s3://in"], False),
    ],
)
def test_a_run_inside_its_input_is_refused(tmp_path, monkeypatch, run, inputs, is_inside):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    if not is_inside:
        check_apart(Path(run), inputs)
        return
    with pytest.raises(ConfigError, match="put the run beside the input"):
        check_apart(Path(run), inputs)


def test_a_refused_command_leaves_the_run_as_it_was(tmp_path):
    run = make_run(tiny_config(tmp_path))
    before = tree(run)
    with pytest.raises(ConfigError, match=r"pack\.seq_len was 64, is 32"):
        pack(tiny_config(tmp_path, pack={"seq_len": 32}), SerialExecutor(), quiet)
    with pytest.raises(ConfigError, match=r"dedup\.threshold was 0.8, is 0.5"):
        build_graph(tiny_config(tmp_path, dedup={"threshold": 0.5}), SerialExecutor(), quiet)
    with pytest.raises(ConfigError, match=r"tokenizer\.name was 'bytes', is 'train:300'.*--name"):
        pack(tiny_config(tmp_path, tokenizer={"name": "train:300"}), SerialExecutor(), quiet)
    assert tree(run) == before


def test_leftovers_of_killed_commands_go_and_nothing_else(tmp_path):
    (tmp_path / ".tmp-fresh-1" / "graph").mkdir(parents=True)
    (tmp_path / ".tmp-x-config.yaml").write_text("")
    (tmp_path / "packs/main").mkdir(parents=True)
    (tmp_path / "packs/main/.tmp-y").write_text("")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".tmp-link").symlink_to(tmp_path / "notes.txt")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "packs"]
    assert list((tmp_path / "packs/main").iterdir()) == []


def test_a_relative_run_with_a_colon_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "tiny.jsonl", tiny_rows())
    begin(tiny_config(tmp_path, run="exp:1"))
    assert (tmp_path / "exp:1/documents/manifest.json").is_file()
