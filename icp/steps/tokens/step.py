"""Step `tokens`: the kept documents as token ids, made once for each tokenizer, whatever the packs make of them.

In: documents/, graph/nodes.npy, the tokenizer. Out: ``tokenizer.json`` (and ``tokenizer_config.json`` if it has one),
``part-*.bin`` raw little-endian ids of the nodes' documents in node order, specials excluded, ``lengths/part-*.npy``
int64 tokens of each document of a part, ``offsets.npy`` int64 (n_nodes + 1,) over all parts, and
``rejected/part-*.parquet``, the documents on which the tokenizer failed, which have no tokens.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from icp.config import Config, TokenizerConfig
from icp.engine.shared import shared
from icp.engine.step import ALL, PartOutput, Phase, Step, one_part
from icp.run.arrays import load_nodes, mapped
from icp.run.context import Context, document_parts, part_paths
from icp.run.names import LENGTHS, OFFSETS, TOKEN_IDS, TOKENIZER, TOKENIZER_CONFIG, of_part
from icp.run.nodes import node_batches
from icp.steps.tokens.grown import (
    FORMAT,
    carry,
    carry_parts,
    parts_to_encode,
    tokenizer_files,
    tokenizer_source,
    tokens_before,
    trained_before,
)
from icp.steps.tokens.imported import (
    Imported,
    check_imported,
    copy_tokens,
    encoded,
    file_parts,
    imported_identity,
    index_parts,
    index_tokens,
)
from icp.steps.tokens.proof import proof_texts
from icp.steps.tokens.rejected import Rejected, check_rejected
from icp.steps.tokens.sample import sample, sample_texts
from icp.texts import text_buffers
from icp.tokenizer.byte_level import train_tokenizer, trained_ids
from icp.tokenizer.choice import choose_engine, engine_named
from icp.tokenizer.tokenizer import Tokenizer, load_tokenizer


def train(context: Context, part: str, output: PartOutput) -> None:
    """Leave the tokenizer that is used, trained on the sample or a copy of the one named, and choose what encodes."""
    _set_threads(context)
    config = context.config.tokenizer
    n_ids = trained_ids(config.name)
    if n_ids is not None:
        path, text = output.path(TOKENIZER), trained_before(context)
        text = train_tokenizer(text_buffers(sample_texts(context)), n_ids) if text is None else text
        path.write_text(text, encoding="utf-8")
        tokenizer = load_tokenizer(config, trained=path)
    else:
        tokenizer = load_tokenizer(config)
        output.path(TOKENIZER).write_text(tokenizer.text, encoding="utf-8")
        if tokenizer.config_text is not None:
            output.path(TOKENIZER_CONFIG).write_text(tokenizer.config_text, encoding="utf-8")
    tokenizer.check()  # refused here, before hours of encoding
    choice = choose_engine(tokenizer, text_buffers(proof_texts(context)))
    output.info.update(_facts(tokenizer), engine=choice.engine, engine_reason=choice.reason)
    warnings = [choice.warning] if choice.warning else []
    if n_ids is not None and tokenizer.vocab_size < n_ids:
        warnings.append(
            f"tokenizer.name {config.name}: this text gives no more than {tokenizer.vocab_size:,} ids; name "
            f"train:{tokenizer.vocab_size}, or the tokenizer of your model"
        )
    if warnings:
        output.info["warnings"] = warnings


def encode(context: Context, part: str, output: PartOutput) -> None:
    """Write the ids of the documents of a part."""
    _set_threads(context)
    engine = context.records("train")[ALL].info.get("engine", "")
    tokenizer = _encoder(context.config.tokenizer, context.path("tokens", TOKENIZER), engine)
    lengths, rejected = [np.empty(0, dtype=np.int64)], Rejected()
    imported = Imported(context, tokenizer) if index_parts(context) else None
    with output.path(of_part(TOKEN_IDS, part)).open("wb") as stream:
        for batch in node_batches(context, part, ("doc", "id", "text")):
            texts = text_buffers(batch.column("text"))
            (ids, offsets), refused = encoded(batch, texts, tokenizer, imported)
            stream.write(ids.astype(tokenizer.dtype, copy=False).data)
            lengths.append(np.diff(offsets))
            rejected.add(batch, refused)
            output.count("special_strings", tokenizer.count_specials(texts))
    rejected.leave(output, part)
    if imported is not None:
        output.count("imported_missing", imported.n_missing)
        output.info["imported"] = [imported.n_compared, imported.n_other, imported.others[:3]]
    counted = np.concatenate(lengths)
    with output.path(of_part(LENGTHS, part)).open("wb") as stream:
        np.save(stream, counted, allow_pickle=False)
    output.rows(of_part(TOKEN_IDS, part), int(counted.sum()))
    output.count("documents", counted.size)
    output.count("tokens", int(counted.sum()))


def join(context: Context, part: str, output: PartOutput) -> None:
    """Write the offsets over all parts, and what the step's readers have to know."""
    check_rejected(context)
    compared = [record.info["imported"] for record in context.records("encode").values() if "imported" in record.info]
    if compared:
        n_compared, n_other, others = zip(*compared, strict=True)
        check_imported(context, sum(n_compared), sum(n_other), [one for some in others for one in some])
    lengths = [np.array(mapped(path)) for path in part_paths(context, "tokens", LENGTHS)]
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), *lengths]).cumsum(dtype=np.int64)
    assert offsets.size == load_nodes(context).size + 1
    with output.path(OFFSETS).open("wb") as stream:
        np.save(stream, offsets, allow_pickle=False)
    output.rows(OFFSETS, offsets.size)
    made = context.records("train")[ALL].info
    facts = made if "dtype" in made else _facts(_used_tokenizer(context))
    output.info.update({name: value for name, value in facts.items() if name != "warnings"})


def _facts(tokenizer: Tokenizer) -> dict[str, Any]:
    """What readers of the tokens have to know of their tokenizer."""
    return {
        "tokenizer": tokenizer.name,
        "tokenizer_sha256": tokenizer.sha256,
        "vocab_size": tokenizer.vocab_size,
        "dtype": tokenizer.dtype.name,
    }


@shared
def _encoder(config: TokenizerConfig, trained: Path, engine_name: str) -> Tokenizer:
    tokenizer = load_tokenizer(config, trained=trained)
    engine = engine_named(engine_name, tokenizer.definition)
    return tokenizer if engine is None else tokenizer.with_engine(engine)


def _used_tokenizer(context: Context) -> Tokenizer:
    return load_tokenizer(context.config.tokenizer, trained=context.path("tokens", TOKENIZER))


def _set_threads(context: Context) -> None:
    """Must come before the tokenizer is first used: it starts its threads once."""
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if context.threads > 1 else "false"
    os.environ["RAYON_NUM_THREADS"] = str(context.threads)


def _sample_parts(context: Context) -> list[str]:
    is_trained = trained_ids(context.config.tokenizer.name) is not None
    return document_parts(context) if is_trained and tokens_before(context) is None else []


def _encode_parts(context: Context) -> list[str]:
    return parts_to_encode(context, document_parts(context))


def _keys(config: Config) -> tuple[str, ...]:
    # bos, eos and pad stand in the shards, not here: packs with other specials share the tokens
    imported = ("tokenizer.import",) if getattr(config.tokenizer, "import") is not None else ()
    return ("tokenizer.name", *imported)


STEP = Step(
    name="tokens",
    format=FORMAT,
    inputs=("documents", "dedup", "graph"),
    keys=_keys,
    phases=(
        Phase("carry", carry_parts, carry),
        Phase("sample", _sample_parts, sample, scratch=True),
        Phase("train", one_part, train),
        Phase("copy", file_parts, copy_tokens, scratch=True),
        Phase("index", index_parts, index_tokens, scratch=True),
        Phase("encode", _encode_parts, encode),
        Phase("facts", one_part, join),
    ),
    sources=lambda config: [*tokenizer_files(config), *tokenizer_source(config), *imported_identity(config)],
    reads=("tokenizer", "corpus.max_rejected", "extends"),  # specials stand in the shards
)
