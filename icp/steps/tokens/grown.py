"""Tokens in a run that another one extends: a document that had them keeps them, a trained tokenizer stays the same.

In: tokens/ of the run extended, by the same tokenizer, if it was packed with it. Out: its files once more.
"""

from collections.abc import Iterable
from pathlib import Path

from icp.config import Config
from icp.config.addresses import expanded
from icp.engine.step import PartOutput
from icp.run.context import Context
from icp.run.extended import carried, old_parts, run_extended, tokens_extended
from icp.run.names import LENGTHS, REJECTED_ROWS, TOKEN_IDS, TOKENIZER
from icp.run.records import hash_file
from icp.steps.tokens.imported import without_imported
from icp.tokenizer.byte_level import trained_ids
from icp.tokenizer.vocabulary import CONFIG_NAME, JSON_NAME, MAP_NAME

FORMAT = 2
"""Of the step."""


def tokens_before(context: Context) -> Context | None:
    """The run extended with the folder of such tokens; None if it has none."""
    base = tokens_extended(context)
    if base is None or base.manifest("tokens").format != FORMAT:
        return None
    if trained_ids(context.config.tokenizer.name) is not None:
        return base
    files = dict(tokenizer_files(context.config))
    return base if without_imported(base.manifest("tokens").basis["sources"]) == files else None


def carry_parts(context: Context) -> list[str]:
    """One part if there are such tokens, else none."""
    return ["all"] if tokens_before(context) is not None else []


def carry(context: Context, part: str, output: PartOutput) -> None:
    """Take over the token ids of the documents of the run extended, and what its manifest counts."""
    base = tokens_before(context)
    assert base is not None
    for name, path, record in carried(base, "tokens", (TOKEN_IDS, LENGTHS, REJECTED_ROWS)):
        output.carry(name, path, record)
    for name, n in base.manifest("tokens").counts.items():
        output.count(name, n)


def parts_to_encode(context: Context, parts: list[str]) -> list[str]:
    """The parts whose tokens are not taken over."""
    return parts[len(old_parts(context)) :] if context.records("carry") else parts


def trained_before(context: Context) -> str | None:
    """The trained tokenizer of the run extended; None if it has none of that name, or there is no such run."""
    base = tokens_before(context) if trained_ids(context.config.tokenizer.name) is not None else None
    return None if base is None else base.path("tokens", TOKENIZER).read_text(encoding="utf-8")


def tokenizer_source(config: Config) -> list[tuple[str, str]]:
    """The trained tokenizer that is taken over, as `Step.sources` names it: its bytes are not in the configuration."""
    base = run_extended(config) if trained_ids(config.tokenizer.name) is not None else None
    found = tokens_before(Context(config, "tokens", base.folders)) if base is not None else None
    return [] if found is None else [("tokenizer of the run extended", hash_file(found.path("tokens", TOKENIZER)))]


def tokenizer_files(config: Config) -> Iterable[tuple[str, str]]:
    """Hashes of the user's own tokenizer files; a trained one and one from the hub are known by name."""
    if trained_ids(config.tokenizer.name) is not None:
        return []
    path = Path(expanded(config.tokenizer.name))
    path = path / JSON_NAME if path.is_dir() else path
    files = (path, *map(path.with_name, (CONFIG_NAME, MAP_NAME))) if path.is_file() else ()
    return [(file.name, hash_file(file)) for file in files if file.is_file()]
