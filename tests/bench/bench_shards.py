"""From token ids to shards, and what reads them again: ``python tests/bench/bench_shards.py RUN [--pack main]``.

RUN is a finished run. *tokens*: gather, pack, write and hash the rows of all shards; *shard step*: the same with the
tables of pieces and windows; *export*: each format; *verify*: rows made again and compared, and the rest of promises 3
to 7 beside it; *reader*: samples of `WindowDataset`. CPU and wall seconds of one process, best of three rounds by CPU;
nothing is left in RUN.
Run it as ``OMP_NUM_THREADS=1 taskset -c 1 python ...``.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from icp import WindowDataset
from icp.audit import encoding, order, windows
from icp.audit.findings import Breaches
from icp.audit.rows import check_rows
from icp.audit.segments import TokenFiles, layout_of
from icp.engine.step import PartOutput
from icp.errors import ConfigError
from icp.export import FORMATS, export_pack
from icp.pipeline import context_of, with_tokens
from icp.run.reader import open_run
from icp.steps.shards import step as shards

ROUNDS = 3


def best(task: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds of the fastest of some rounds."""
    found = []
    for _ in range(ROUNDS):
        cpu, wall = time.process_time(), time.perf_counter()
        task()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(found)


def line(name: str, seconds: tuple[float, float], n_tokens: int) -> None:
    """One row of the table."""
    cpu, wall = seconds
    rate = f"{n_tokens / cpu / 1e6:10.1f}" if n_tokens else f"{'':10}"
    print(f"{name:<28} {cpu:9.3f} {wall:9.3f} {rate}")


def write_rows(context: shards.Context, folder: Path) -> None:
    """Rows of all shards, with their hashes; no tables."""
    bounds = shards._shard_bounds(context)
    for number, part in enumerate(shards._shard_parts(context)):
        output = PartOutput(folder)
        shards.write_rows(context, int(bounds[number]), int(bounds[number + 1]), output.path(f"{part}.bin"))
        output.records()
        output.discard()


def write_all(context: shards.Context, folder: Path) -> None:
    """The phase `write` of the step."""
    for part in shards._shard_parts(context):
        output = PartOutput(folder)
        shards.write_shard(context, part, output)
        output.records()
        output.discard()


def measure_export(run: Path, pack: str, n_tokens: int) -> None:
    """Each format that takes the stride of the pack."""
    for fmt in FORMATS:
        with tempfile.TemporaryDirectory(dir=run) as folder:
            started = time.process_time(), time.perf_counter()
            try:
                export_pack(run, fmt, Path(folder), pack=pack, allow_padding=True, allow_reshuffle=True)
            except ConfigError as refused:
                print(f"export {fmt:<21} {refused}")
                continue
            seconds = time.process_time() - started[0], time.perf_counter() - started[1]
            line(f"export {fmt}", seconds, n_tokens)


def measure_verify(run: Path, pack: str, n_tokens: int) -> None:
    """The parts of promises 3 to 7, timed apart."""
    opened = open_run(run, pack=pack)
    layout = layout_of(opened)
    tokens = TokenFiles(opened, layout)
    found = Breaches(3)
    line("verify: compare rows", best(lambda: check_rows(opened, layout, tokens, found, found)), n_tokens)
    line("verify: encode 1,000 again", best(lambda: encoding.check_encoding(opened, layout, tokens, found)), 0)
    seen = windows.check_windows(opened, layout, tokens, found)
    line("verify: windows", best(lambda: windows.check_windows(opened, layout, tokens, found)), n_tokens)
    line("verify: order", best(lambda: order.check_order(opened, seen[0], tokens.nodes.size, found)), 0)
    assert not found, found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--pack", default="main")
    options = parser.parse_args()
    config = open_run(options.run, pack=options.pack).config.model_copy(update={"run": str(options.run)})
    context = replace(with_tokens(context_of(config, options.pack)), step="shards")
    dataset = WindowDataset(options.run, pack=options.pack)
    n_tokens = dataset.n_windows * dataset.stride
    print(f"{n_tokens:,} tokens in {dataset.n_windows:,} windows of {dataset.seq_len:,}, {dataset._dtype}")
    print(f"{'':<28} {'CPU s':>9} {'wall s':>9} {'M tokens/s':>10}")
    with tempfile.TemporaryDirectory(dir=options.run) as folder:
        aside = replace(context, folders={**context.folders, "shards": folder})
        for part in shards.document_parts(aside):
            output = PartOutput(Path(folder))
            shards.list_sources(aside, part, output)
            for name, path in output.staged.items():
                path.rename(Path(folder) / name)
        line("tokens: gather, pack, write", best(lambda: write_rows(aside, Path(folder))), n_tokens)
        line("shard step with its tables", best(lambda: write_all(aside, Path(folder))), n_tokens)
    measure_export(options.run, options.pack, n_tokens)
    measure_verify(options.run, options.pack, n_tokens)
    order_ = np.random.default_rng(0).permutation(dataset.n_windows)[:500]
    line("reader: 500 random windows", best(lambda: [dataset[int(at)] for at in order_]), 500 * dataset.stride)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, mapped files among it")


if __name__ == "__main__":
    main()
