"""Broken inputs: files of documents, configurations and tokenizers of which bytes, lines or values are others.

Each is read in a forked process of bounded memory and time: an `IcpError` comes out, or a result.
"""

import bz2
import gzip
import json
import random
import resource
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import yaml
from tiny import tiny_config

from icp.config import load_config
from icp.config.models import TokenizerConfig
from icp.engine.executor import SerialExecutor
from icp.pipeline import build_graph
from icp.tokenizer.tokenizer import load_tokenizer
from icp.warm import tiny_rows
from torture import Broken
from torture.damages import look
from torture.jsons import change

MEMORY = 6 << 30
WORDS = [
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"{",
    b"[" * 2000,
    b"9" * 5000,
    b"\n" * 50,
    b"\\ud800",
    b"NaN",
    b"\x1b]0;",
    b"!!python/x ",
]
WORDS += [b"&a [*a, *a]", b"- " * 500, b"1e999", b"\xe2\x80\xae"]


def samples(folder):
    """A small file of each format, by its ending."""
    rows = [{"id": f"d{n}", "text": row["text"][:400], "source": "s"} for n, row in enumerate(tiny_rows())][:30]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    table, made = pa.Table.from_pylist(rows), {}
    for name, data in {"jsonl": lines, "jsonl.gz": gzip.compress(lines), "jsonl.bz2": bz2.compress(lines),
                       "json": json.dumps(rows).encode(), "txt": rows[0]["text"].encode()}.items():  # fmt: skip
        made[name] = data
    for name, write in {
        "parquet": lambda path: pq.write_table(table, path),
        "csv": lambda path: pyarrow.csv.write_csv(table, path),
        "arrow": lambda path: _write_arrow(table, path),
    }.items():
        path = Path(folder) / f"sample.{name}"
        write(path)
        made[name] = path.read_bytes()
    return made


def _write_arrow(table, path):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def spoiled(data, rng):
    """The bytes with some of them others, gone, repeated, or with what parsers stumble over."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 10))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + rng.choice((1, 10, 1000))]
        elif kind == 2:
            data[at:at] = rng.choice(WORDS)
        elif kind == 3:
            data[at:at] = data[: rng.randrange(200)]
        else:
            data[at : at + 8] = rng.randbytes(8)
    return bytes(data)


def _bounded():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def read_documents(folder, ending, data):
    """The step `documents` over a sound file and this one."""
    _bounded()
    (folder / "in").mkdir()
    (folder / f"in/b.{ending}").write_bytes(data)
    (folder / "in/a.jsonl").write_text('{"id": "1", "text": "sound"}\n')
    build_graph(
        tiny_config(folder, corpus={"input": [str(folder / "in/a.jsonl"), str(folder / f"in/b.{ending}")]}),
        SerialExecutor(),
        lambda *_: None,
        until="documents",
    )


def read_configuration(folder, data):
    """A configuration."""
    _bounded()
    (folder / "c.yaml").write_bytes(data)
    load_config(folder / "c.yaml")


def read_tokenizer(folder, data):
    """A ``tokenizer.json``, and what it makes of a text."""
    _bounded()
    (folder / "tokenizer.json").write_bytes(data)
    tokenizer = load_tokenizer(TokenizerConfig(name=str(folder)))
    tokenizer.roles()
    tokenizer.encode_batch(["some text", "", "\u0130 x" * 100])


def attack(seconds, seed, *, run, folder, most=None):
    """Spoil one input after another until the time is over; counts by kind. `run`: a finished one."""
    rng, folder, counts, broken = random.Random(seed), Path(folder), {}, []
    files, deadline = samples(folder), time.monotonic() + seconds
    config, (tokenizer,) = (run / "config.yaml").read_bytes(), run.glob("tokens/*/tokenizer.json")
    while time.monotonic() < deadline and sum(counts.values()) < (most or 10**9):
        kind, place = rng.choice([*files, "config", "config", "tokenizer"]), folder / f"input-{sum(counts.values())}"
        place.mkdir()
        if kind == "config":
            tree = yaml.safe_dump(change(yaml.safe_load(config), rng)).encode()
            data = spoiled(config, rng) if rng.random() < 0.5 else tree
            work = lambda place=place, data=data: read_configuration(place, data)  # noqa: E731
        elif kind == "tokenizer":
            tree = json.dumps(change(json.loads(tokenizer.read_text()), rng)).encode()
            data = spoiled(tokenizer.read_bytes(), rng) if rng.random() < 0.3 else tree
            work = lambda place=place, data=data: read_tokenizer(place, data)  # noqa: E731
        else:
            data = spoiled(files[kind], rng)
            work = lambda place=place, data=data, kind=kind: read_documents(place, kind, data)  # noqa: E731
        counts[kind] = counts.get(kind, 0) + 1
        try:
            look(work)
        except Broken as error:
            (folder / f"broken-{len(broken)}.{kind}").write_bytes(data)
            broken.append(f"{kind} ({len(data):,} bytes, {data[:200]!r}): {error}")
    if broken:
        raise Broken(f"seed {seed}, {counts}: {len(broken)} of them:\n" + "\n".join(broken))
    return counts
