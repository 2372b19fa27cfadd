"""Commands in forked processes, of a process that has done a whole run: nothing is imported or compiled any more.

A command does its parts itself, one after another. The run is as small as one that passes through every step and every
kind of write can be, so that a try costs tenths of a second; on a folder in memory, ``TMPDIR=/dev/shm``, a little less.
"""

import contextlib
import io
import os
import signal
import sys
import traceback
from functools import cache

SECONDS_A_COMMAND = 600
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "wizards",
    "mix",
    "bright",
    "potions",
    "for",
    "great",
    "bears",
]


def small_rows():
    """Documents in two parts: a copy, one that is nearly one, one without text, one longer than a window."""
    texts = [" ".join(WORDS[n % 7 + k * (n + 3) % 11] + str(k * n % 5) for k in range(30)) for n in range(9)]
    texts += [texts[0], f"{texts[1]} and more", "", " ".join(WORDS) * 9, "short one", "another short one"]
    return [{"id": f"d{n}", "text": text, "source": f"s{n % 2}", "n": n} for n, text in enumerate(texts)]


def small_run(folder):
    """Do a whole run in this process; the path of its configuration, and of the run."""
    from tiny import tiny_config, write_jsonl

    import icp.cli
    from icp.config import dump_config

    prepare()
    corpus = write_jsonl(folder / "rows.jsonl", small_rows())
    settings = {"corpus": {"input": str(corpus), "part_mib": 0.003, "keep": ["n"]}, "export": ["parquet"]}
    settings |= {"dedup": {"bands": 2, "rows": 3}}
    settings |= {"tokenizer": {"name": "train:280"}, "pack": {"seq_len": 64, "shard_mib": 0.001}}
    (folder / "whole").mkdir()
    config = folder / "config.yaml"
    config.write_text(dump_config(tiny_config(folder / "whole", **settings)))
    with contextlib.redirect_stdout(io.StringIO()):
        code = icp.cli.main(["run", "-c", str(config)], standalone_mode=False)
    if code:
        raise RuntimeError("the run without an attack failed")
    return config, folder / "whole/run"


def prepare():
    """Import, in the process that forks, what commands need; kernels are loaded by each child."""
    import icp.cli
    import icp.cli.making
    import icp.cli.session
    import icp.engine.fold
    import icp.inspect
    import icp.warm
    from icp.engine.executor import SerialExecutor
    from icp.pipeline import load_step
    from icp.run.names import STEPS

    class Alone(SerialExecutor):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    icp.engine.fold.library_versions = cache(icp.engine.fold.library_versions)
    icp.cli.session._executor = lambda _options: Alone()
    icp.warm.fill_kernel_cache = lambda: None
    for name in STEPS:
        load_step(name)


def start(arguments, said, *, before=None, after=None):
    """Fork a process that does a command and writes what it says to a file; its number.

    `before` and `after` are called in it.
    """
    child = os.fork()
    if not child:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        os._exit(_do(arguments, before, after))
    return child


def _do(arguments, before, after):
    import icp.cli

    signal.alarm(SECONDS_A_COMMAND)
    try:
        if before:
            before()
        code = icp.cli.main(arguments, standalone_mode=False) or 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - it is told
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if after:
            after()
    return code
