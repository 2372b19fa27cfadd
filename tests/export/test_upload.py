"""Exports to a server: what a local export holds, sent whole or not at all; refusals before anything is written."""

import json
import os
import tempfile
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner

from icp.cli import main
from icp.errors import ArtifactError, ConfigError
from icp.export import FORMATS, export_pack
from icp.run.storage.server import Server

UNLIKE = ("export.json", "README.md")
"""Files that say whether tokens are linked."""


@pytest.fixture(autouse=True)
def _temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("icp-export")] == []


def listed(url):
    server = Server(url)
    return {name: server.read(name) for name in server.sizes("")}


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_server_gets_the_files_of_a_local_export(packed, exported, fmt):
    name = "longer" if fmt == "datatrove" else "main"
    local = exported(fmt, name, allow_padding=True)
    made = export_pack(packed, fmt, f"memory://bucket/{fmt}/", pack=name, allow_padding=True)
    assert made.folder == f"memory://bucket/{fmt}"
    found = listed(made.folder)
    assert found.keys() == {path.name for path in local.folder.iterdir()}
    for path in local.folder.iterdir():
        assert path.name in UNLIKE or found[path.name] == path.read_bytes()
    assert made.facts.items() <= json.loads(found["export.json"]).items()
    assert made.facts["files"] == {file: len(found[file]) for file in made.facts["files"]}
    assert b"The files are copies" in found["README.md"]


def test_an_address_that_holds_something_is_refused(packed):
    fsspec.filesystem("memory").pipe("/mine/other.txt", b"mine")
    with pytest.raises(ConfigError, match=r"--out memory://mine: is not empty \(other\.txt\); give a new"):
        export_pack(packed, "megatron", "memory://mine")
    assert listed("memory://mine") == {"other.txt": b"mine"}


def test_an_upload_that_fails_leaves_nothing(packed, monkeypatch):
    upload = Server.upload

    def fail(self, path, name, **options):
        if name == "export.json":
            raise ArtifactError("the server does not answer")
        return upload(self, path, name, **options)

    monkeypatch.setattr(Server, "upload", fail)
    with pytest.raises(ArtifactError, match="does not answer"):
        export_pack(packed, "olmo", "memory://failing")
    assert listed("memory://failing") == {}
    monkeypatch.undo()
    assert export_pack(packed, "olmo", "memory://failing").facts["windows"]


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("s3://key:secret@bucket/x", "--out: the address holds credentials"),
        ("nosuch://bucket/x", "nosuch://bucket/x: cannot be used"),
    ],
)
def test_addresses_that_cannot_be_used_are_named(packed, address, match):
    with pytest.raises((ConfigError, ArtifactError), match=match) as raised:
        export_pack(packed, "megatron", address)
    assert "secret@" not in str(raised.value)


def test_a_server_that_is_not_there_is_one_line_and_no_folder(packed, tmp_path, monkeypatch):
    pytest.importorskip("s3fs", reason='pip install ".[s3]"')
    monkeypatch.chdir(tmp_path)
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = CliRunner().invoke(main, ["export", str(packed), "--format", "mds", "--out", "s3://bucket/mds"])
    assert done.exit_code == 3
    assert "s3://bucket/mds: the server cannot be reached" in done.output
    assert not Path("s3:").exists()
    assert os.listdir(tmp_path) == []  # noqa: PTH208
