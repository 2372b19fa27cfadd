"""Names on S3 are keys as they stand: whatever characters they hold, no operation reaches a name that only matches."""

import pytest
from buckets import KEYS, s3_server

from icp.errors import ConfigError
from icp.run.storage.server import Server

pytest.importorskip("s3fs", reason='pip install ".[s3]"')
pytest.importorskip("moto.server", reason='pip install ".[dev]"')

OTHERS = ("aXb", "a", "ab", "n1", "qXb", "n", "a/b")
"""What the patterns below match, were they patterns."""


@pytest.fixture(scope="module")
def bucket():
    """A client that takes keys as they are, of a server with the bucket ``names``."""
    with pytest.MonkeyPatch.context() as patch, s3_server() as address:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": address, "AWS_MAX_ATTEMPTS": "3"}.items():
            patch.setenv(name, value)
        import boto3

        client = boto3.client("s3")
        client.create_bucket(Bucket="names")
        yield client


def keys(client, prefix):
    found = client.list_objects_v2(Bucket="names", Prefix=prefix).get("Contents", [])
    return sorted(item["Key"] for item in found)


@pytest.mark.parametrize(
    "name",
    ["a*b", "a**b", "q?b", "n[1]", "n[", "n]", "{a,ab}", "a b", "a%20b", "a%b", "a+b", "a#b", "größe-東京"],
)
def test_run_of_any_name_touches_its_own_keys_alone(bucket, tmp_path, request, name):
    top = f"case-{request.node.callspec.indices['name']}"
    others = sorted(f"{top}/{other}/r/{file}" for other in OTHERS for file in (".lock", "x/part.json", "x/sent"))
    for key in others:
        bucket.put_object(Bucket="names", Key=key, Body=b"of another run")
    server = Server(f"s3://names/{top}/{name}/r")
    (tmp_path / "sent").write_bytes(b"sent")

    assert server.read(".lock") is None
    assert server.create(".lock", b"ours")
    assert not server.create(".lock", b"theirs")
    server.write("x/part.json", b"ours")
    assert server.upload(tmp_path / "sent", "x/sent")
    server.fetch("x/sent", tmp_path / "got")

    assert (tmp_path / "got").read_bytes() == b"sent"
    assert server.read_all([".lock", "x/part.json"]) == {".lock": b"ours", "x/part.json": b"ours"}
    assert server.sizes("") == {".lock": 4, "x/part.json": 4, "x/sent": 4}
    assert server.folders("") == ["x"]
    assert keys(bucket, f"{top}/{name}/") == sorted(f"{top}/{name}/r/{file}" for file in server.sizes(""))

    server.remove([".lock", "x/part.json", "x/sent", "x/gone"])
    assert server.sizes("") == {}
    assert keys(bucket, f"{top}/") == others


def test_plain_run_removes_files_with_odd_names_and_no_others(bucket):
    server = Server("s3://names/plain/r")
    for name in ("x*", "x?", "x[y]", "xy", "xz"):
        server.write(name, b"")
    server.remove(["x*", "x?", "x[y]"])
    assert sorted(server.sizes("")) == ["xy", "xz"]


def test_address_of_a_version_is_refused(bucket):
    with pytest.raises(ConfigError, match=r"names a version of an object"):
        Server("s3://names/a?versionId=1/r")
