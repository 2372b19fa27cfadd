"""`icp.make_run`: what ``icp run`` does, for programs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icp.config import Config, load_config, parse_config
from icp.errors import ConfigError


def make_run(config: Config | Mapping[str, Any] | str | Path, *, workers: int | None = None) -> Path:
    """Make a run, or go on with it: from documents to shards.

    Args:
        config: a mapping as in the YAML file, the path of such a file, or the name of a preset.
        workers: processes; None for one a core.

    Returns: the folder of the run; its shards are in ``packs/main/shards``.

    Raises: an `IcpError`, as the command says it. Workers are spawned: a script calls it below
        ``if __name__ == "__main__":``.
    """
    from icp.engine.executor import ProcessExecutor
    from icp.pipeline import build_graph, check_tokenizer, pack
    from icp.run.storage import run_folder
    from icp.validation import pack_validation
    from icp.warm import fill_kernel_cache

    if isinstance(config, Mapping):
        config = parse_config(config)
    elif not isinstance(config, Config | str | Path):
        raise ConfigError(f"config is {str(config)[:80]!r}, expected a mapping, a file, or the name of a preset")
    elif not isinstance(config, Config):
        config = load_config(config)
    check_tokenizer(config)
    fill_kernel_cache()
    with ProcessExecutor(workers or len(os.sched_getaffinity(0))) as executor:
        build_graph(config, executor, _quiet)
        pack(config, executor, _quiet)
        pack_validation(config, executor, _quiet)
    return run_folder(config.run)


def _quiet(label: str, done: int, total: int) -> None:
    pass
