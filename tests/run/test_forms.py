"""Damaged and hostile JSON of a run: every file, every damage, one line that names the file."""

import json
import shutil

import pytest
from click.testing import CliRunner

from icp.cli import main
from icp.errors import ArtifactError
from icp.run.forms import DEEPEST, Facts, check_manifest, check_mapping, check_record, safe_name
from icp.run.records import read_manifest

MANIFESTS = (
    "documents/manifest.json",
    "dedup/manifest.json",
    "embeddings/manifest.json",
    "neighbors/manifest.json",
    "graph/manifest.json",
    "tokens/*/manifest.json",
    "packs/main/order/manifest.json",
    "packs/main/plan/manifest.json",
    "packs/main/shards/manifest.json",
)
STATS = "stats.json"


def changed(*keys_and_value):
    """A damage that sets one value, found by its keys; ``...`` stands for the first key there."""
    *keys, last, value = keys_and_value

    def damage(data):
        tree = place = json.loads(data)
        for key in keys:
            place = place[next(iter(place)) if key is ... else key]
        place[next(iter(place)) if last is ... else last] = value
        return json.dumps(tree).encode()

    return damage


def without(key):
    return lambda data: json.dumps({name: value for name, value in json.loads(data).items() if name != key}).encode()


def renamed(name):
    """A damage that has the first file go by another name."""

    def damage(data):
        tree = json.loads(data)
        tree["files"] = {name: next(iter(tree["files"].values()))}
        return json.dumps(tree).encode()

    return damage


ANY = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
    "no text": lambda data: b"\xff" + data,
    "list": lambda data: b"[" + data + b"]",
    "nothing": lambda data: b"null",
    "no keys": lambda data: b"{}",
    "deep": lambda data: b'{"a":' * 100_000,
    "rather deep": lambda data: data.rstrip()[:-1] + b', "x": ' + b"[" * 200 + b"]" * 200 + b"}",
    "long number": lambda data: b'{"seconds": ' + b"9" * 5000 + b"}",
}
OF_MANIFESTS = {
    "no files": without("files"),
    "no facts": without("facts"),
    "files are a list": changed("files", []),
    "size is a text": changed("files", ..., "bytes", "12"),
    "size is negative": changed("files", ..., "bytes", -1),
    "hash is a path": changed("files", ..., "sha256", "../" * 20 + "etc"),
    "record is a number": changed("files", ..., 3),
    "unknown key": changed("files", ..., "mode", 0o777),
    "time is negative": changed("seconds", -1.0),
    "huge number": changed("peak_rss_mib", 10**400),
    "infinite": changed("seconds", float("inf")),
    "counts are texts": changed("counts", {"read": "many"}),
    "facts are a list": changed("facts", [1]),
    "basis is a text": changed("basis", "x"),
    "inputs are a list": changed("basis", "inputs", ["documents"]),
    "costs of nothing": changed("costs", {"phase": None}),
    "name leaves": renamed("../../../evil"),
    "name is absolute": renamed("/etc/passwd"),
    "name has a control": renamed("part-\x1b[2J.npy"),
}


@pytest.fixture(scope="module")
def copy(tiny_run, tmp_path_factory):
    """A copy of the tiny run, whose files the tests put back."""
    return shutil.copytree(tiny_run, tmp_path_factory.mktemp("damaged") / "run")


def told(copy, pattern, damage, *command):
    """Exit code and output of a command over a run with one damaged file."""
    (path,) = copy.glob(pattern)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    try:
        result = CliRunner().invoke(main, [command[0], str(copy), *command[1:]])
    finally:
        path.write_bytes(whole)
    assert result.exception is None or isinstance(result.exception, SystemExit), (pattern, result.exc_info)
    return result.exit_code, result.output, path.relative_to(copy).as_posix()


@pytest.mark.parametrize("pattern", MANIFESTS)
def test_damaged_manifest_is_named(copy, pattern):
    for name, damage in {**ANY, **OF_MANIFESTS}.items():
        code, output, path = told(copy, pattern, damage, "verify")
        assert (code, path in output) == (3, True), (name, code, output)
        assert len(output) < 2000, name


@pytest.mark.parametrize("command", [("status",), ("inspect", "--window", "0"), ("inspect", "--doc", "1")])
def test_commands_that_look_name_damage_too(copy, command):
    for pattern in (MANIFESTS[0], MANIFESTS[-1]):
        for name, damage in {**ANY, **OF_MANIFESTS}.items():
            code, output, path = told(copy, pattern, damage, *command)
            assert (code, path in output) == (3, True), (name, code, output)


def test_damaged_figures_are_named(copy):
    damages = {**ANY, "other": changed("documents", 5), "negative": changed("documents", "read", -1)}
    for name, damage in damages.items():
        if name != "rather deep":  # a key more, which nobody reads
            code, output, path = told(copy, STATS, damage, "verify")
            assert (code in (3, 5), path in output) == (True, True), (name, code, output)


@pytest.mark.parametrize("fact", ["seq_len", "stride", "windows", "dtype", "policy", "shuffle", "tokens", "seed"])
def test_facts_of_shards_are_of_their_type(copy, fact, tmp_path):
    for value in (-3, 2**70, [], {"a": 1}, None, "../../x"):
        if fact == "shuffle" and isinstance(value, str):
            continue
        path = copy / MANIFESTS[-1]
        whole = path.read_bytes()
        path.write_bytes(changed(fact, value)(whole))
        try:
            out = ["--format", "parquet", "--out", str(tmp_path / "out")]
            result = CliRunner().invoke(main, ["export", str(copy), *out])
        finally:
            path.write_bytes(whole)
        assert (result.exit_code, "shards/manifest.json" in result.output) == (3, True), (value, result.output)


def test_undamaged_run_is_whole(copy):
    assert told(copy, STATS, lambda data: data, "verify")[0] == 0


OUTSIDE = ["", ".", "..", "../a", "a/../b", "a/..", "/a", "a//b", "a/", "./a", "a\\b"]
HIDING = ["a\0", "a\nb", "a\x7f", "\u202eabc", "x" * 2000, None, 3, ["a"]]


@pytest.mark.parametrize("name", [*OUTSIDE, *HIDING])
def test_names_that_leave_or_hide_are_refused(name):
    with pytest.raises(ArtifactError, match="no plain name"):
        safe_name(name, "here")


def test_record_is_checked():
    whole = {"fingerprint": "f", "files": {"a": {"bytes": 1, "sha256": "0" * 64, "rows": None}}, "counts": {"b": -1}}
    assert check_record(whole, "r.json") == whole
    for key, value in {
        "files": {"../a": whole["files"]["a"]},
        "counts": {"b": 0.5},
        "more": 1,
        "fingerprint": 2,
    }.items():
        with pytest.raises(ArtifactError, match=r"r\.json"):
            check_record({**whole, key: value}, "r.json")


def test_nesting_ends_where_it_is_said():
    def nested(depth):
        return {} if depth == 1 else {"a": nested(depth - 1)}

    check_mapping(nested(DEEPEST), "x", "file")
    with pytest.raises(ArtifactError, match="nests too deep"):
        check_mapping(nested(DEEPEST + 1), "x", "file")


def test_missing_fact_is_named(tiny_run):
    with pytest.raises(ArtifactError, match=r"documents/manifest.json: lacks 'nothing'"):
        read_manifest(tiny_run / "documents").facts["nothing"]
    assert Facts({"a": 1}) == {"a": 1}


def test_manifest_of_the_tiny_run_passes(tiny_run):
    for path in tiny_run.rglob("manifest.json"):
        tree = json.loads(path.read_bytes())
        assert check_manifest(tree, path) is tree
