import pytest

from icp.config import parse_config
from icp.config.addresses import is_url, refuse_credentials
from icp.errors import ArtifactError, ConfigError
from icp.machine import host_name
from icp.run.storage.server import Server, UnreachableError, trouble_of


@pytest.fixture
def server(tmp_path):
    return Server(f"memory://{tmp_path.name}/run")


def test_paths_and_file_urls_are_of_this_machine():
    assert [is_url(name) for name in ("runs/a", "/runs/a", "file:///runs/a", "s3://b/a", "memory://a")] == [
        False, False, False, True, True
    ]  # fmt: skip


@pytest.mark.parametrize(
    "address", ["s3://key:secret@bucket/run", "s3://KEY:se/cr/et@bucket/run", "https://user:secret@host/a.jsonl",
                "https://secret@bucket/a.jsonl"]
)  # fmt: skip
def test_address_with_credentials_is_refused_and_not_repeated(address):
    with pytest.raises(ValueError, match="holds credentials") as refused:
        refuse_credentials(address)
    assert "secret" not in str(refused.value).split("environment")[0]
    for tree in (
        {"run": address, "corpus": {"input": "a.jsonl"}},
        {"run": "a", "corpus": {"input": ["b.jsonl", address]}},
        {"run": "a", "corpus": {"input": "b.jsonl", "exclude": address}},
    ):
        with pytest.raises(ConfigError, match="holds credentials") as refused:
            parse_config(tree)
        assert "bucket" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["s3://bucket/a:b@c", "https://host/@a", "hdfs://user@host:9000/a", "memory://a", "runs/a:b@c", "a"]
)
def test_address_without_credentials_passes(address):
    refuse_credentials(address)


def test_first_writer_of_a_name_wins(server, tmp_path):
    assert server.create("a/x.json", b"one")
    assert not server.create("a/x.json", b"two")
    (tmp_path / "three").write_bytes(b"three")
    assert not server.upload(tmp_path / "three", "a/x.json")
    assert server.read("a/x.json") == b"one"
    assert server.upload(tmp_path / "three", "a/x.json", replace=True)
    assert server.read("a/x.json") == b"three"


def test_files_are_read_listed_and_removed_by_name(server):
    server.write("a/x", b"12")
    server.write("a/b/y", b"345")
    server.write("c/z", b"")
    assert server.read_all(["a/x", "a/none", "c/z"]) == {"a/x": b"12", "a/none": None, "c/z": b""}
    assert server.sizes("a") == {"a/x": 2, "a/b/y": 3}
    assert server.sizes("none") == {}
    assert (server.folders(""), server.folders("a"), server.folders("none")) == (["a", "c"], ["b"], [])
    server.remove(["a/x", "a/gone"])
    assert server.sizes("") == {"a/b/y": 3, "c/z": 0}


def test_file_that_a_record_names_and_nobody_has_is_missing(server, tmp_path):
    with pytest.raises(ArtifactError, match=r"run/a/x: missing, though a manifest or record names it"):
        server.fetch("a/x", tmp_path / "x")


def test_protocol_that_nobody_knows_is_named():
    with pytest.raises(ArtifactError, match=r"nonsense://a: cannot be used .*nonsense"):
        Server("nonsense://a")


def test_errors_are_told_apart():
    class EndpointConnectionError(Exception):
        __module__ = "botocore.exceptions"

    assert trouble_of(FileNotFoundError("x")) is None
    assert trouble_of(AssertionError("ours")) is None
    assert trouble_of(EndpointConnectionError("no route")).passing
    assert trouble_of(TimeoutError("slow")).passing
    assert trouble_of(OSError(5, "internal error")).passing
    refused = trouble_of(PermissionError("Forbidden"))
    assert not refused.passing
    assert "access is refused (Forbidden)" in refused.what
    assert "there is no such bucket" in trouble_of(missing_bucket()).what
    assert issubclass(UnreachableError, ArtifactError)


def test_missing_credentials_name_the_machine():
    exceptions = pytest.importorskip("botocore.exceptions")
    what = trouble_of(exceptions.NoCredentialsError()).what
    assert what.startswith(f"no credentials on {host_name()} (Unable to locate credentials); set AWS_ACCESS_KEY_ID")


def missing_bucket():
    error = FileNotFoundError("The specified bucket does not exist")
    error.response = {"Error": {"Code": "NoSuchBucket"}}
    return error
