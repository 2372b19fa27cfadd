"""A run with packs for every loader, exports of it, and the loaders themselves, each in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from loader_packs import config_for, documents
from tiny import make_run, quiet, write_jsonl

from icp.engine.executor import SerialExecutor
from icp.export import export_pack
from icp.pipeline import pack

CLIENTS = Path(__file__).parent / "clients"
QUIET = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """A run with a pack `main` of rows of seq_len, and `longer` of one more; several shards, padding in one window."""
    folder = tmp_path_factory.mktemp("export")
    write_jsonl(folder / "rows.jsonl", documents())
    run = make_run(config_for(folder))
    pack(config_for(folder, stride="seq_len+1"), SerialExecutor(), quiet, name="longer")
    pack(config_for(folder, shard_mib=1), SerialExecutor(), quiet, name="one-shard")
    return run


@pytest.fixture(scope="session")
def exported(packed, tmp_path_factory):
    """A function that exports a pack to a folder of its own, once."""
    made = {}

    def export(fmt, name="main", **options):
        key = (fmt, name, *sorted(options))
        if key not in made:
            made[key] = export_pack(packed, fmt, tmp_path_factory.mktemp(fmt) / "out", pack=name, **options)
        return made[key]

    return export


@pytest.fixture(scope="session")
def read_with(tmp_path_factory):
    """A function that runs a client script; its arrays, by name. Skips where the package is not installed."""

    def read(client, module, arguments, env=None):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f'{module} is not installed; `pip install ".[loaders]"`')
        folder = tmp_path_factory.mktemp(client)
        out = folder / "read.npz"
        command = [sys.executable, str(CLIENTS / f"{client}.py"), str(out), json.dumps(arguments)]
        env = {**os.environ, **QUIET, **(env or {})}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, cwd=folder)
        assert done.returncode == 0, done.stderr[-3000:]
        with np.load(out) as arrays:
            return dict(arrays)

    return read
