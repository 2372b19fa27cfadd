"""Runs on an S3 server: the bytes of a local run, whoever does which part, whoever dies; one clear line for trouble."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from buckets import KEYS, Proxy, s3_server
from click.testing import CliRunner
from tiny import assert_same, data_files, make_run, quiet, tiny_config

from icp import pipeline
from icp.cli import main
from icp.dataset.windows import WindowDataset
from icp.engine.executor import SerialExecutor
from icp.errors import ArtifactError, ConfigError, InputError, PartsFailedError
from icp.pipeline import build_graph
from icp.run.claim import claim
from icp.run.opening import open_folder
from icp.run.records import RECORDS, FileRecord, PartRecord, hash_file, read_record
from icp.run.storage import exchange_of, mirror_of, run_folder
from icp.run.storage.server import Server
from icp.warm import tiny_rows

pytest.importorskip("s3fs", reason='pip install ".[s3]"')
pytest.importorskip("moto.server", reason='pip install ".[dev]"')

UNLIKE = (".icp-run.json", "manifest.json", "stats.json", "log.jsonl", "config.yaml", "export.json", "README.md")
"""Files that tell times, versions or addresses."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """The proxy before a server with an empty bucket, and everything in the environment that reaches it."""
    with pytest.MonkeyPatch.context() as patch, s3_server() as address:
        proxy = Proxy(address)
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": proxy.address, "AWS_MAX_ATTEMPTS": "3"}.items():
            patch.setenv(name, value)
        patch.setenv("ICP_MIRROR", str(tmp_path_factory.mktemp("mirrors")))
        import boto3

        boto3.client("s3").create_bucket(Bucket="bucket")
        yield proxy
        proxy.close()


@pytest.fixture(autouse=True)
def _calm(s3):
    yield
    s3.answer = lambda method, path: None


def config_of(folder, corpus, **sections):
    folder.mkdir(exist_ok=True)
    cut = {"corpus": {"input": str(corpus), "part_mib": 0.02}, "pack": {"seq_len": 64, "shard_mib": 0.004}}
    return tiny_config(folder, **{**cut, **sections})


@pytest.fixture(scope="module")
def expected(tmp_path_factory, tiny_corpus):
    """The bytes of a local run."""
    return data_files(make_run(config_of(tmp_path_factory.mktemp("expected"), tiny_corpus)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, s3, tiny_corpus):
    """A finished run in the bucket; read it, do not change it."""
    config = config_of(tmp_path_factory.mktemp("finished"), tiny_corpus, run="s3://bucket/finished", export=["parquet"])
    make_run(config)
    return config


def files_of(url):
    """What lies in the bucket and must repeat byte for byte."""
    server = Server(url)
    names = [name for name in server.sizes("") if name.rpartition("/")[2] not in UNLIKE and "/exports/" not in name]
    return server.read_all(names)


def icp(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_run_in_a_bucket_has_the_bytes_of_a_local_run(finished, expected):
    assert_same(files_of(finished.run), expected)
    assert b"testing" not in b"".join(Server(finished.run).read_all(["config.yaml", "stats.json"]).values())


def test_second_run_does_nothing(s3, finished):
    n_requests, sent = len(s3.requests), s3.sent
    make_run(finished)
    again = s3.requests[n_requests:]
    written = {path.partition("?")[0] for method, path in again if method == "PUT"}
    small = (".lock", "config.yaml", "stats.json", "log.jsonl")
    assert {path for path in written if not path.endswith(small)} == set()
    assert s3.sent - sent < 30_000


def test_commands_read_a_run_in_a_bucket(finished, tmp_path):
    done = icp("status", finished.run)
    assert done.exit_code == 0
    assert "run         s3://bucket/finished\n" in done.output
    assert "shards      done" in done.output
    done = icp("verify", finished.run)
    assert done.exit_code == 0, done.output
    assert "kept" in done.output or "ok" in done.output
    done = icp("inspect", finished.run, "--window", "0")
    assert done.exit_code == 0, done.output
    done = icp("export", finished.run, "--format", "parquet", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    server = Server(finished.run)
    assert server.read("packs/main/exports/parquet/export.json") is not None
    dataset = WindowDataset(finished.run, cache=tmp_path / "cache")
    assert len(dataset) > 0
    assert dataset[0]["input_ids"].size == 64


@pytest.mark.parametrize("fmt", ["parquet", "megatron"])
def test_export_goes_to_the_bucket(s3, finished, tmp_path, fmt):
    """A link (megatron) and a conversion, of a run that lies there itself; what stands there already is refused."""
    arguments = ("export", finished.run, "--format", fmt, "--allow-padding", "--out")
    assert icp(*arguments, str(tmp_path / "out")).exit_code == 0
    done = icp(*arguments, f"s3://bucket/exports/{fmt}")
    assert done.exit_code == 0, done.output
    assert f"s3://bucket/exports/{fmt}/README.md" in done.output
    server = Server(f"s3://bucket/exports/{fmt}")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert sorted(server.sizes("")) == names
    for name in names:
        assert name in UNLIKE or server.read(name) == (tmp_path / "out" / name).read_bytes()
    again = icp(*arguments, f"s3://bucket/exports/{fmt}")
    assert again.exit_code == 2
    assert "is not empty" in again.output


def test_a_data_set_tells_trouble_with_a_server_in_the_words_of_status(s3, finished, tmp_path, monkeypatch):
    with pytest.raises(
        ArtifactError, match=r"s3://nobucket/r/packs/main/shards/manifest\.json: there is no such bucket"
    ):
        WindowDataset("s3://nobucket/r", cache=tmp_path)
    with pytest.raises(
        ArtifactError, match=r"manifest\.json: there is none; give the URL of a run whose pack is finished"
    ):
        WindowDataset("s3://bucket/other", cache=tmp_path)
    dataset = WindowDataset(finished.run, cache=tmp_path)
    s3.answer = lambda method, path: 403
    with pytest.raises(ArtifactError, match="access is refused"):
        dataset[0]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ArtifactError, match="the server cannot be reached"):
        WindowDataset(finished.run, cache=tmp_path)


def test_inspect_fetches_only_what_it_shows(s3, finished, monkeypatch, tmp_path):
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path))
    assert icp("inspect", finished.run, "--dup", "12").exit_code in (0, 3)
    fetched = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert not any(name.endswith(".bin") for name in fetched)


def test_damaged_object_is_named_and_no_other_is_fetched_again(finished):
    server = Server(finished.run)
    name = "graph/weights.npy"
    whole = server.read(name)
    server.write(name, whole[:-1])
    try:
        done = icp("verify", finished.run)
        assert done.exit_code == 3
        assert "s3://bucket/finished/graph/weights.npy: " in done.output
        with pytest.raises(
            ArtifactError, match=r"s3://bucket/finished/graph/weights.npy: \d+ bytes, its manifest says"
        ):
            build_graph(finished, SerialExecutor(), quiet)
    finally:
        server.write(name, whole)
    assert build_graph(finished, SerialExecutor(), quiet)


def test_emptied_mirror_gets_only_what_is_needed(s3, finished, tmp_path, monkeypatch):
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path / "anew"))
    other = finished.model_copy(update={"pack": finished.pack.model_copy(update={"shuffle": "none"}), "export": ()})
    from icp.pipeline import pack

    received = s3.received
    pack(other, SerialExecutor(), quiet, name="other")
    moved = s3.received - received
    names = [name for name in files_of(finished.run) if name.startswith(("dedup/signatures", "documents/rejected"))]
    mirror = mirror_of(finished.run)
    assert not any((mirror.folder / name).exists() for name in names)
    assert mirror.fetched < moved < 3_000_000


class EmptyMirrors(SerialExecutor):
    """Every task on a machine of its own: nothing is there but what it fetches."""

    one_machine = False

    def __init__(self, folder):
        self.folder, self.count = folder, 0

    def map(self, task, items):
        def alone(item):
            home, self.count = os.environ["ICP_MIRROR"], self.count + 1
            os.environ["ICP_MIRROR"] = str(self.folder / str(self.count))
            try:
                return task(item)
            finally:
                shutil.rmtree(os.environ["ICP_MIRROR"], ignore_errors=True)
                os.environ["ICP_MIRROR"] = home

        return super().map(alone, items)


def test_tasks_that_share_nothing_but_the_bucket_give_the_same_bytes(s3, tiny_corpus, expected, tmp_path):
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/alone")
    make_run(config, EmptyMirrors(tmp_path))
    assert_same(files_of(config.run), expected)


WORKER = """
import os, signal, sys, time
from icp.config import load_config
from icp.engine.executor import SerialExecutor
from icp.pipeline import run_part
from icp.run.storage.server import Server

config, index, n, kill = load_config(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
create = Server.create
def watched(self, name, data):
    if kill != "-" and name.endswith(kill):
        os.kill(os.getpid(), signal.SIGKILL)  # its files are there, its record is not
    return create(self, name, data)
Server.create = watched
for step in ("documents", "dedup"):
    while run_part(config, step, index, n, SerialExecutor()) is not None:
        time.sleep(0.5)
"""


@pytest.fixture
def processes():
    """Processes to end with the test, however it ends."""
    started = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_processes_with_mirrors_of_their_own_share_the_parts_and_one_dies(
    s3, tiny_corpus, expected, tmp_path, processes
):
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/sliced")
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config.model_dump(mode="json")))

    def worker(index, kill="-"):
        environment = {**os.environ, "ICP_MIRROR": str(tmp_path / f"mirror-{index}")}
        command = [sys.executable, "-P", "-c", WORKER, str(path), str(index), "2", kill]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    def ended(process):
        _, said = process.communicate(timeout=120)
        return process.returncode, said

    first, second = worker(0), worker(1, "dedup/.parts/signatures.part-00001.json")
    status, said = ended(second)
    assert status == -signal.SIGKILL, said
    server = Server(config.run)
    assert "dedup/signatures/part-00001.parquet" in server.sizes("dedup")
    assert server.read("dedup/.parts/signatures.part-00001.json") is None
    for process in (worker(1), first):
        status, said = ended(process)
        assert status == 0, said
    made = {name: data for name, data in expected.items() if name.startswith(("documents/", "dedup/"))}
    assert_same(files_of(config.run), made)


def test_slice_that_looked_before_another_began_takes_part_in_the_run(s3, tiny_corpus, tmp_path):
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/beside")
    open_folder(config.run)  # nothing is there yet
    server = Server(config.run)
    server.write("documents/.parts/basis.json", b"{}")
    with pytest.raises(ConfigError, match="holds documents but is no run of icp"):
        claim(run_folder(config.run))
    server.write("config.yaml", b"run: s3://bucket/beside")
    claim(run_folder(config.run))


def attempt(exchange, folder, data, name="part-0.npy"):
    """One attempt of a part: its file, its record, and what the exchange made of them."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".tmp-{data.decode()}"
    temporary.write_bytes(data)
    files = {name: FileRecord(len(data), hash_file(temporary))}
    path = folder / RECORDS / "make.part-0.json"
    exchange.commit({name: temporary}, path, PartRecord("f", files))
    return read_record(path)


def test_first_of_two_attempts_wins_and_the_other_takes_its_record(s3, tmp_path, monkeypatch):
    records = []
    for machine, data in (("one", b"first"), ("two", b"other"), ("three", b"first")):
        monkeypatch.setenv("ICP_MIRROR", str(tmp_path / machine))
        mirror = mirror_of("s3://bucket/attempts")
        exchange = exchange_of(mirror.url, "graph", mirror.folder / "graph")
        records.append(attempt(exchange, mirror.folder / "graph", data))
    assert records[0] == records[1] == records[2]
    assert Server("s3://bucket/attempts").read("graph/part-0.npy") == b"first"


def test_name_left_by_a_dead_attempt_is_taken_over(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path))
    monkeypatch.setattr("icp.run.storage.remote.WAIT_SECONDS", 0.0)
    mirror = mirror_of("s3://bucket/dead")
    mirror.server.write("graph/part-0.npy", b"other")
    record = attempt(exchange_of(mirror.url, "graph", mirror.folder / "graph"), mirror.folder / "graph", b"mine")
    assert record.files["part-0.npy"].bytes == 4
    assert mirror.server.read("graph/part-0.npy") == b"mine"


def test_many_writers_of_one_name_leave_one_winner(s3):
    server, won = Server("s3://bucket/race"), []
    threads = [
        threading.Thread(target=lambda k=k: won.append(k) if server.create("x.json", b"%d" % k) else None)
        for k in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert server.read("x.json") == b"%d" % won[0]


def test_large_file_goes_in_pieces_and_is_whole(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("icp.run.storage.server.CHUNK", 5 << 20)
    server = Server("s3://bucket/large")
    (tmp_path / "x").write_bytes(os.urandom(11 << 20))
    assert server.upload(tmp_path / "x", "x")
    assert not server.upload(tmp_path / "x", "x")
    server.fetch("x", tmp_path / "y")
    assert hash_file(tmp_path / "x") == hash_file(tmp_path / "y")
    assert sum("uploadId" in path and method == "PUT" for method, path in s3.requests) >= 3


def test_run_in_use_is_refused_with_its_holder(s3, tiny_corpus, tmp_path):
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/locked")
    holder = {"host": "elsewhere", "pid": 7, "command": "pack"}
    Server(config.run).write(".lock", json.dumps(holder).encode())
    with pytest.raises(
        ConfigError,
        match=r"s3://bucket/locked: in use by process 7 on elsewhere \(pack\).*remove s3://bucket/locked/.lock",
    ):
        build_graph(config, SerialExecutor(), quiet)
    Server(config.run).write(".lock", json.dumps({**holder, "host": os.uname().nodename, "pid": 2**22 + 1}).encode())
    build_graph(config, SerialExecutor(), quiet, until="documents")
    assert Server(config.run).read(".lock") is None


def test_server_without_conditional_put_is_refused(s3, tiny_corpus, tmp_path, monkeypatch):
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/careless")
    monkeypatch.setattr(Server, "create", lambda self, name, data: self.write(name, data) or True)
    with pytest.raises(ConfigError, match="no conditional put"):
        build_graph(config, SerialExecutor(), quiet)
    assert Server(config.run).read(".lock") is None


def test_folder_of_somebody_else_is_left_alone(s3, tiny_corpus, tmp_path):
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/theirs")
    Server(config.run).write("documents/thesis.txt", b"theirs")
    with pytest.raises(ConfigError, match="s3://bucket/theirs: holds documents but is no run of icp"):
        build_graph(config, SerialExecutor(), quiet)
    assert Server(config.run).read("documents/thesis.txt") == b"theirs"


def test_missing_bucket_is_one_line(s3, tiny_corpus, tmp_path):
    config = config_of(tmp_path, tiny_corpus, run="s3://nobody/run")
    with pytest.raises(ArtifactError, match=r"^s3://nobody/run.*: there is no such bucket; create it[^\n]*$"):
        build_graph(config, SerialExecutor(), quiet)
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config.model_dump(mode="json")))
    for command in (["run", "-c", str(path)], ["status", config.run], ["verify", config.run]):
        done = icp(*command)
        assert (done.exit_code, done.output.count("\n")) == (3, 1), done.output
        assert "there is no such bucket" in done.output


def test_refused_access_is_one_line_and_nothing_is_lost(s3, tiny_corpus, tmp_path):
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/refused")
    s3.answer = lambda method, path: 403
    with pytest.raises(ArtifactError, match=r"^s3://bucket/refused.*: access is refused \(.*\); check the cred[^\n]*$"):
        build_graph(config, SerialExecutor(), quiet)
    s3.answer = lambda method, path: 403 if method == "PUT" and "/dedup/signatures/" in path else None
    with pytest.raises(ArtifactError, match=r"refused/dedup/signatures/part-\d+.parquet: access is refused"):
        build_graph(config, SerialExecutor(), quiet)
    s3.answer = lambda method, path: None
    manifest = Server(config.run).read("documents/manifest.json")
    build_graph(config, SerialExecutor(), quiet, until="dedup")
    assert Server(config.run).read("documents/manifest.json") == manifest


def test_endpoint_that_nobody_answers_is_one_line(tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/run")
    with pytest.raises(ArtifactError, match=r"^s3://bucket/run.*: the server cannot be reached \([^\n]*$"):
        build_graph(config, SerialExecutor(), quiet)


def test_server_that_fails_now_and_then_is_asked_again(s3, tiny_corpus, tmp_path):
    failed = set()

    def now_and_then(method, path):
        if len(failed) < 12 and (method, path) not in failed and hash(path) % 3 == 0:
            failed.add((method, path))
            return 503 if len(failed) % 2 else 500
        return None

    s3.answer = now_and_then
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/flaky")
    build_graph(config, SerialExecutor(), quiet, until="documents")
    assert len(failed) >= 2
    assert Server(config.run).read(".lock") is None


def test_server_that_fails_for_long_leaves_what_is_done(s3, tiny_corpus, tmp_path):
    config = config_of(tmp_path, tiny_corpus, run="s3://bucket/failing")
    s3.answer = lambda method, path: 500 if "/dedup/signatures/part-00001" in path else None
    with pytest.raises(
        PartsFailedError, match=r"1 of \d+ parts of phase signatures failed; part-00001: .*server fails"
    ):
        build_graph(config, SerialExecutor(), quiet)
    done = icp("status", config.run)
    assert "failed: signatures part-00001" in done.output, done.output
    s3.answer = lambda method, path: None
    build_graph(config, SerialExecutor(), quiet, until="dedup")


def test_corpus_in_a_bucket_is_read_as_from_a_folder(s3, tmp_path):
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = tiny_rows()
    server = Server("s3://bucket/corpus")
    data = "".join(json.dumps(row) + "\n" for row in rows[:20]).encode()
    pq.write_table(pa.Table.from_pylist([{"id": row["id"], "text": row["text"]} for row in rows[20:]]), tmp_path / "b")
    for name, content in (("a.jsonl.gz", gzip.compress(data)), ("b.parquet", (tmp_path / "b").read_bytes())):
        server.write(name, content)
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    counts = []
    for folder in ("s3://bucket/corpus", str(tmp_path / "in")):
        section = {"input": [f"{folder}/*.jsonl.gz", f"{folder}/*.parquet"]}
        config = tiny_config(tmp_path, run=str(tmp_path / f"run-{len(counts)}"), corpus=section)
        counts.append(build_graph(config, SerialExecutor(), quiet, until="documents")["documents"].counts)
    assert counts[0] == counts[1]
    server.write("a.jsonl.gz", gzip.compress(data + data))
    same = tiny_config(tmp_path, run=str(tmp_path / "run-0"), corpus={"input": [
        "s3://bucket/corpus/*.jsonl.gz", "s3://bucket/corpus/*.parquet"]})  # fmt: skip
    with pytest.raises(ConfigError, match=r"file s3://bucket/corpus/a.jsonl.gz has changed"):
        build_graph(same, SerialExecutor(), quiet, until="documents")


@pytest.mark.parametrize(
    ("pattern", "status", "message"),
    [
        ("s3://nobody/*.parquet", None, "s3://nobody.*there is no such bucket"),
        ("s3://bucket/none/*.parquet", None, "no file matches s3://bucket/none"),
        ("s3://bucket/corpus/*.parquet", 403, "access is refused"),
        ("s3://bucket/corpus/a.parquet", 500, "the server fails"),
    ],
)
def test_corpus_that_cannot_be_had_is_one_line(s3, tmp_path, pattern, status, message):
    s3.answer = lambda method, path: status
    config = tiny_config(tmp_path, corpus={"input": pattern})
    with pytest.raises(InputError, match=message) as refused:
        build_graph(config, SerialExecutor(), quiet)
    assert "\n" not in str(refused.value)


class Noting(SerialExecutor):
    """Notes the step and phase of every part it does."""

    def __init__(self):
        self.phases = []

    def map(self, task, items):
        self.phases += map(str, items)
        return super().map(task, items)


SCRATCH = {f"dedup: {name}" for name in ("keys", "twins", "buckets", "candidates", "evidence", "verdicts")}
"""The scratch phases of a corpus of this size: all others are for more candidates."""


def resumed(config, until="dedup"):
    """The phases that a command does now."""
    executor = Noting()
    build_graph(config, executor, quiet, until=until)
    return set(executor.phases)


@pytest.fixture
def stopped(s3, tiny_corpus, tmp_path, monkeypatch, request):
    """A run that ended when all scratch phases of dedup were done, in a mirror of its own."""
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path / "one"))
    config = config_of(tmp_path, tiny_corpus, run=f"s3://bucket/{request.node.name}")
    build_graph(config, SerialExecutor(), quiet, until="documents")
    s3.answer = lambda method, path: 403 if method == "PUT" and "/dedup/duplicates/" in path else None
    executor = Noting()
    with pytest.raises(ArtifactError, match="access is refused"):
        build_graph(config, executor, quiet, until="dedup")
    assert set(executor.phases) >= SCRATCH
    s3.answer = lambda method, path: None
    return config


def assert_deduped(config, expected):
    made = {name: data for name, data in expected.items() if name.startswith(("documents/", "dedup/"))}
    assert_same(files_of(config.run), made)


def test_one_machine_sends_only_what_stays(s3, finished):
    sent = {path.partition("?")[0] for method, path in s3.requests if method in ("PUT", "POST")}
    names = {path.removeprefix("/bucket/finished/") for path in sent if path.startswith("/bucket/finished/")}
    small = {name for name in names if "/.parts/" in name or name.endswith((".lock", ".json", ".yaml"))}
    assert names - small <= set(Server(finished.run).sizes(""))
    records = {name.rpartition("/")[2].partition(".")[0] for name in names if name.startswith("dedup/.parts/")}
    assert "signatures" in records
    assert not {f"dedup: {phase}" for phase in records} & SCRATCH


def test_scratch_of_a_mirror_counts_where_it_is(stopped, expected):
    assert not SCRATCH & resumed(stopped)
    assert_deduped(stopped, expected)


def test_scratch_is_done_again_on_another_machine_and_the_first_goes_on_after_it(
    stopped, expected, tmp_path, monkeypatch
):
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path / "two"))
    assert resumed(stopped) >= SCRATCH
    assert_deduped(stopped, expected)
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path / "one"))
    assert not SCRATCH & resumed(stopped, until="embeddings")
    vectors = {name: data for name, data in expected.items() if name.startswith("embeddings/")}
    assert_same({name: data for name, data in files_of(stopped.run).items() if name.startswith("embeddings/")}, vectors)


def test_part_whose_scratch_the_mirror_lost_is_done_again(stopped, expected):
    mirror = mirror_of(stopped.run)
    lost = next((mirror.folder / "dedup/.parts").glob("buckets.*.json"))
    for file in read_record(lost).files.values():
        mirror._object(file.sha256).unlink()
    assert resumed(stopped) & SCRATCH == {"dedup: buckets"}
    assert_deduped(stopped, expected)


def test_scratch_of_a_folder_that_was_removed_does_not_count(stopped, expected):
    server = Server(stopped.run)
    server.remove(server.sizes("dedup"))
    assert resumed(stopped) >= SCRATCH
    assert_deduped(stopped, expected)


def test_slices_do_what_only_a_mirror_has_and_the_machine_takes_theirs(stopped, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path / "two"))
    assert pipeline.run_part(stopped, "dedup", 0, 2, SerialExecutor()) is not None
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path / "one"))
    assert not SCRATCH & resumed(stopped)
    assert_deduped(stopped, expected)
    monkeypatch.setenv("ICP_MIRROR", str(tmp_path / "two"))
    assert pipeline.run_part(stopped, "dedup", 1, 2, SerialExecutor()) is None
