"""What the folders and files of a run are called. No other package spells these names.

    config.yaml  stats.json  log.jsonl  .lock  .icp-run.json  removed.jsonl
    validation/  a run of the documents held out
    .removal/    what `icp remove` makes before it puts it in place
    documents/   part-*.parquet  rejected/part-*.parquet  rejected/paragraphs-part-*.parquet
                 rejected/overlaps-part-*.parquet  holdout/part-*.parquet  removed/docs.npy
    dedup/       signatures/part-*.parquet  duplicates/part-*.parquet  survivors.npy
    embeddings/  part-*.npy  frozen.npz  holdout/part-*.npy
    neighbors/   part-*.neighbors.npy  part-*.similarities.npy
    graph/       duplicates/part-*.parquet  nodes.npy  conflicts.npy  near_copies.npy  indptr.npy  indices.npy
                 weights.npy  links.npy  link_shares.npy  link_weights.npy  link_alike.npy
                 link_vectors.npy  near_held/part-*.parquet
    tokens/<tokenizer>-<hash>/   tokenizer.json  tokenizer_config.json  part-*.bin  lengths/part-*.npy  offsets.npy
                 rejected/part-*.parquet
    packs/<pack>/                config.yaml
                 order/          order.npy  path_starts.npy
                 plan/           doc.npy  start.npy  stop.npy  window.npy  path_rank.npy  tail.npy
                 shards/         README.md  shard-*.bin  segments/part-*.parquet  windows/part-*.parquet
                 exports/<format>/   export.json and the files of the format
                 shards-before-<n>/  the shards before the n-th removal, if they were to be kept

Each step's folder also holds its manifest, and its records while it runs (`icp.run.records`). A name with ``part-*``
stands for one file a part; `of_part` gives the name of one of them. Scratch files, which a step makes for itself and
which go when it is done, are named by the step.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from icp.errors import ConfigError

BUILD_STEPS = ("documents", "dedup", "embeddings", "neighbors", "graph")
PACK_STEPS = ("tokens", "order", "windows", "shards")
STEPS = (*BUILD_STEPS, *PACK_STEPS)
_PACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
PACK_FOLDERS = {"order": "order", "windows": "plan", "shards": "shards"}
"""Where the steps of a pack lie, under ``packs/<name>/``."""

CONFIG, STATS, LOCK, MARKER, LOG = "config.yaml", "stats.json", ".lock", ".icp-run.json", "log.jsonl"
"""`MARKER` says that icp made the folder, and with which version."""
TOKENS, PACKS, EXPORTS = "tokens", "packs", "exports"
VALIDATION = "validation"
"""A run of the documents that are held out, inside the run."""
TOMBSTONES = "removed.jsonl"
"""Which documents may never come back; `icp remove` leaves it."""
REMOVAL, COMMIT = ".removal", "commit.json"
"""A copy of the run without what is removed, and the list of its files that go into place; see `icp.remove`."""
CARD = "README.md"
"""Beside the shards: what they hold, for people. No step makes it, so no manifest names it."""
EXPORT_SUMMARY = "export.json"
"""The summary of an export, written last: an export that has this file is complete."""

DOCUMENTS, REJECTED_ROWS = "part-*.parquet", "rejected/part-*.parquet"
STRIPPED_PARAGRAPHS, OVERLAPS = "rejected/paragraphs-part-*.parquet", "rejected/overlaps-part-*.parquet"
HOLDOUT = "holdout/part-*.parquet"
"""Documents held out of training; they have no number."""
REMOVED_DOCS = "removed/docs.npy"
"""Rows of documents that were removed after they had got their numbers; there is no such file before the first."""
SIGNATURES, DUPLICATES, SURVIVORS = "signatures/part-*.parquet", "duplicates/part-*.parquet", "survivors.npy"
"""`DUPLICATES` are in the folders of `dedup` and of `graph`, which each list what they removed."""
VECTORS, FROZEN = "part-*.npy", "frozen.npz"
"""`FROZEN` holds what a model of the corpus took from all documents: a run that extends this one embeds by it."""
HELD_VECTORS = "holdout/part-*.npy"
"""Vectors of documents held out, there where `holdout.cosine` is set."""
NEIGHBORS, SIMILARITIES = "part-*.neighbors.npy", "part-*.similarities.npy"
NODES, CONFLICTS, NEAR_COPIES = "nodes.npy", "conflicts.npy", "near_copies.npy"
"""`NEAR_COPIES` is there where `graph.conflict_jaccard` or `graph.conflict_containment` is set."""
NEAR_HELD = "near_held/part-*.parquet"
"""Documents left out as their vectors are too near to those of held-out ones."""
INDPTR, INDICES, WEIGHTS = "indptr.npy", "indices.npy", "weights.npy"
LINKS, LINK_SHARES, LINK_WEIGHTS, LINK_ALIKE = "links.npy", "link_shares.npy", "link_weights.npy", "link_alike.npy"
"""Edges of `graph.edges`, where that is set: pairs of nodes, what each entry gave them, what they weigh, and which are
edges of similarity too."""
LINK_VECTORS = "link_vectors.npy"
"""There where `graph.similarity` is false: what order and windows go by instead of `VECTORS`."""
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
TOKEN_IDS, LENGTHS, OFFSETS = "part-*.bin", "lengths/part-*.npy", "offsets.npy"
ORDER, PATH_STARTS = "order.npy", "path_starts.npy"
PLAN, PATH_RANK, TAIL = ("doc.npy", "start.npy", "stop.npy", "window.npy"), "path_rank.npy", "tail.npy"
"""`PLAN` holds a file for each field of `icp.data.PackPlan`, in the order of the fields. `TAIL` is there unless
`pack.tail` is ``pad`` and `pack.continuation` no ``restart``."""
SHARDS, SEGMENTS, WINDOWS = "shard-*.bin", "segments/part-*.parquet", "windows/part-*.parquet"

FILES: Mapping[str, tuple[str, ...]] = {
    "documents": (DOCUMENTS, REJECTED_ROWS, STRIPPED_PARAGRAPHS, OVERLAPS, HOLDOUT, REMOVED_DOCS),
    "dedup": (SIGNATURES, DUPLICATES, SURVIVORS),
    "embeddings": (VECTORS, FROZEN, HELD_VECTORS),
    "neighbors": (NEIGHBORS, SIMILARITIES),
    "graph": (
        *(DUPLICATES, NODES, CONFLICTS, NEAR_COPIES, INDPTR, INDICES, WEIGHTS),
        *(LINKS, LINK_SHARES, LINK_WEIGHTS, LINK_ALIKE, LINK_VECTORS, NEAR_HELD),
    ),
    "tokens": (TOKENIZER, TOKENIZER_CONFIG, TOKEN_IDS, LENGTHS, OFFSETS, REJECTED_ROWS),
    "order": (ORDER, PATH_STARTS),
    "windows": (*PLAN, PATH_RANK, TAIL),
    "shards": (SHARDS, SEGMENTS, WINDOWS),
}
"""The files that each finished step leaves."""


def part_name(number: int) -> str:
    """The name of a numbered part: ``part-00000``, ``part-00001``, ..."""
    return f"part-{number:05d}"


def of_part(name: str, part: str) -> str:
    """The file of one part, of a name with ``part-*``: ``part-*.npy`` of ``part-00003`` is ``part-00003.npy``."""
    return name.replace("part-*", part)


def part_of(file: str, name: str) -> str:
    """The part that a file is of, the inverse of `of_part`; `file` must match `name`."""
    before, _, after = name.partition("part-*")
    return file.removeprefix(before).removesuffix(after)


def shard_file(number: int) -> str:
    """The file of a shard, by its number."""
    return SHARDS.replace("*", f"{number:05d}")


def check_pack_name(pack: str, option: str = "--pack") -> None:
    """Raise ConfigError unless `pack` is a name that stays in its folder; `option`: where the user gave it."""
    if not isinstance(pack, str) or not _PACK_NAME.fullmatch(pack):
        raise ConfigError(
            f"{option} {str(pack)[:200]}: a pack is named with up to 128 letters, digits, dots, dashes and underscores,"
            " the first a letter or digit"
        )


def pack_folder(pack: str, step: str) -> str:
    """The folder of a step of a pack (`order`, `windows` or `shards`), relative to the run."""
    return f"{PACKS}/{pack}/{PACK_FOLDERS[step]}"


def pack_config(pack: str) -> str:
    """The configuration that a pack was made with, relative to the run."""
    return f"{PACKS}/{pack}/{CONFIG}"


def exports_folder(pack: str) -> str:
    """The folder that holds a folder for each export of a pack, relative to the run."""
    return f"{PACKS}/{pack}/{EXPORTS}"


def old_shards_folder(pack: str, number: int) -> str:
    """The folder that keeps the shards of a pack as they were before a removal, relative to the run."""
    return f"{pack_folder(pack, 'shards')}-before-{number}"


def tokens_folder(name: str) -> str:
    """The folder of the tokens that one tokenizer made, relative to the run."""
    return f"{TOKENS}/{name}"


def step_folders(pack: str) -> dict[str, str]:
    """The folder of each step, relative to the run; not that of `tokens`, which depends on what was tokenized."""
    return {step: step for step in BUILD_STEPS} | {step: pack_folder(pack, step) for step in PACK_FOLDERS}


def subfolders(run: Path, kind: str) -> list[Path]:
    """The folders under `TOKENS` or `PACKS` of a run, by name."""
    return sorted(path for path in (run / kind).glob("*") if path.is_dir())
