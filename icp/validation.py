"""Packs for validation: a run's held-out documents, tokenized as its training documents are.

In: a run whose configuration has `holdout`, and one of its packs. Out: ``RUN/validation``, a run of its own, with two
packs for each pack of the run: its name, documents in random order, cut wherever a window ends; and its name with
``-documents``, each document in windows of its own. All that reads runs and packs reads them.
"""

import glob
import logging

from icp.config import Config, parse_config
from icp.config.addresses import is_url
from icp.engine.executor import Executor
from icp.engine.step import Progress
from icp.errors import ConfigError
from icp.pipeline import build_graph, pack
from icp.run.names import HOLDOUT, TOKENIZER, VALIDATION, pack_folder
from icp.run.records import read_manifest
from icp.run.storage import run_folder

log = logging.getLogger("icp")
ALONE = "-documents"
"""Follows the name of a pack whose windows hold one document each."""


def pack_validation(config: Config, executor: Executor, progress: Progress, *, name: str = "main") -> None:
    """Make the validation packs of a finished pack; nothing if no document is held out.

    Raises: as `icp.pipeline.build_graph` and `icp.pipeline.pack`.
    """
    if not config.holdout.is_set:
        return
    if is_url(config.run):
        log.warning(
            "holdout: a run on a server gets no packs for validation; make a run of %s/documents/holdout", config.run
        )
        return
    documents = read_manifest(run_folder(config.run) / "documents", check_sizes=False)
    if documents is None or not documents.counts.get("held_out", 0):
        return
    log.info("validation: packs of the held-out documents, in %s", run_folder(config.run) / VALIDATION)
    try:
        _make(config, executor, progress, name, fresh=False)
    except ConfigError:  # it was made of other documents, or of other settings, and is nobody's but the run's
        _make(config, executor, progress, name, fresh=True)


def _make(config: Config, executor: Executor, progress: Progress, name: str, *, fresh: bool) -> None:
    alone = validation_config(config, name, "single")
    build_graph(alone, executor, progress, fresh=fresh)
    pack(validation_config(config, name, "random"), executor, progress, name=name, fresh=fresh)
    pack(alone, executor, progress, name=f"{name}{ALONE}", fresh=fresh)


def validation_config(config: Config, name: str, method: str) -> Config:
    """The configuration of the validation run, for packs made by `method` (``random`` or ``single``)."""
    folder = run_folder(config.run)
    shards = read_manifest(folder / pack_folder(name, "shards"), check_sizes=False)
    assert shards is not None, "the pack is finished"
    tokenizer = config.tokenizer.model_dump()
    if tokenizer["name"].startswith("train:"):
        tokenizer["name"] = str(folder / shards.facts["tokens"] / TOKENIZER)
    kept = ("seq_len", "stride", "shard_mib")
    return parse_config(
        {
            "run": str(folder / VALIDATION),
            "seed": config.seed,
            "corpus": {
                "input": [glob.escape(str(folder / "documents")) + f"/{HOLDOUT}"],
                "min_chars": 0,
                "max_chars": config.corpus.max_chars,
                "part_mib": config.corpus.part_mib,
            },
            "dedup": {"near": False},
            "embed": {"model": "lexical"},
            "order": {"method": "random"},
            "tokenizer": tokenizer,
            "pack": {key: getattr(config.pack, key) for key in kept} | {"method": method, "shuffle": "none"},
        }
    )
