"""Promise 5, of facts: what the shards' manifest tells readers is what configuration, tokenizer and plan give.

In: a run. Out: facts by name, and those that the manifest states otherwise.
"""

from typing import Any

from icp.audit.segments import Layout
from icp.run import names, records
from icp.run.reader import Run


def facts_for_readers(run: Run, layout: Layout) -> dict[str, Any]:
    """What readers of the shards go by, made again; all but the number of windows, which is counted."""
    config, windows = run.config, run.manifests["windows"]
    facts = {
        "seq_len": config.pack.seq_len,
        "stride": layout.stride,
        "dtype": layout.dtype.name,
        "vocab_size": layout.tokenizer.vocab_size,
        "bos_id": layout.bos_id,
        "eos_id": layout.eos_id,
        "pad_id": layout.pad_id,
        "policy": {"bos": layout.bos_policy, "eos": "none" if layout.eos_id is None else "document"},
        "tokens": run.shown(run.folders["tokens"]),
        "tokenizer": layout.tokenizer.name,
        "tokenizer_sha256": layout.tokenizer.sha256,
        "shards": len(run.names("shards", names.SHARDS)),
        "shuffle": config.pack.shuffle,
        "seed": config.seed,
    }
    if config.pack.epochs > 1:
        facts["passes"] = windows.facts.get("passes")
    return facts | ({"spread": windows.facts["spread"]} if config.pack.shuffle == "spread" else {})


def stated_otherwise(run: Run, layout: Layout) -> list[tuple[str, Any, Any]]:
    """The facts of the shards' manifest that are not those: name, what it says, what is right.

    Raises: ArtifactError if the manifest says two things of one.
    """
    stated = records.read_facts(run.folders["shards"])
    return [(name, stated.get(name), fact) for name, fact in facts_for_readers(run, layout).items()
            if stated.get(name) != fact]  # fmt: skip
