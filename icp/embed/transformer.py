"""Embed documents with a sentence-transformers model, by preset, folder or name.

torch is imported when a model is loaded, never before. Weights are read from safetensors files only and no
code that comes with a model is run. Pooling is the model's own; vectors are scaled to length 1. Unlike those
of `hybrid` they depend, in their last bits, on machine, library versions and the texts of the same batch.
"""

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.embed.model_source import INSTALL, NO_DOWNLOAD, model_source, not_to_be_had, why_no_hub
from icp.embed.presets import preset_of
from icp.errors import ConfigError, InputError
from icp.machine import WORKER

TOKEN_CHARS = 32
"""Characters of a text that are looked at for each token asked for; several times what a token takes in any script."""
SPECIALS = 2
STRETCH = 4096
"""Texts sorted by length at once: batches of like length waste little, and memory stays bounded."""

log = logging.getLogger("icp")


@dataclass(frozen=True, slots=True)
class TransformerSettings:
    """A transformer and how it is applied.

    Attributes:
        model: ``minilm``, a preset of `presets`, a folder, or a name on the Hugging Face hub.
        max_tokens: tokens of a chunk, the model's own specials included; the model's limit if that is lower.
        chunks: chunks of a document that are embedded, at most; its vector is their mean, weighted by tokens.
        batch_size: chunks of `max_tokens` that go through the model at once; more of them where they are shorter.
        device: auto (cuda, the n-th worker on GPU n; else mps, else cpu) or a device of torch.
        threads: threads of torch on a CPU.
    """

    model: str
    max_tokens: int = 128
    chunks: int = 1
    batch_size: int = 256
    device: str = "auto"
    threads: int = 1


@dataclass(frozen=True)
class TransformerEmbedder:
    """A loaded model. Made by `load_transformer`; `dim` is the length of its vectors, `max_tokens` its real limit."""

    settings: TransformerSettings
    model: Any
    dim: int
    max_tokens: int
    prefix: str = ""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: (n, dim) float32 in their order, length 1; zero for texts of white space only.

        NaN and infinities of a broken model are passed on: the caller knows which document that is.
        """
        vectors = np.zeros((len(texts), self.dim), np.float32)
        limit = TOKEN_CHARS * self.max_tokens * self.settings.chunks
        filled = [row for row, text in enumerate(texts) if text and not text.isspace()]
        for first in range(0, len(filled), STRETCH):
            rows = filled[first : first + STRETCH]
            # leading white space is nothing to any tokenizer, but would count against the limit
            vectors[rows] = self._embed_stretch([texts[row].lstrip()[:limit] for row in rows])
        return vectors

    def _embed_stretch(self, texts: list[str]) -> NDArray[np.float32]:
        if self.settings.chunks == 1:
            return _unit(self._encode(texts))
        n_before = len(self.model.tokenizer.tokenize(self.prefix)) if self.prefix else 0
        room = self.max_tokens - n_before
        pieces, owner, n_tokens = _chunks(texts, self.model.tokenizer, room, self.settings.chunks)
        means = np.zeros((len(texts), self.dim), np.float64)
        np.add.at(means, owner, _unit(self._encode(pieces)) * n_tokens[:, None])
        return _unit(means)

    def _encode(self, pieces: list[str]) -> NDArray[np.float64]:
        """(n, dim) float64, as the model gives them; pieces of like length go through it together, longest first."""
        by_length = sorted(range(len(pieces)), key=lambda piece: (-len(pieces[piece]), piece))
        vectors = np.empty((len(pieces), self.dim), np.float64)
        first = 0
        while first < len(by_length):
            # a piece has at most a token a character: short ones share the room of a batch
            longest = min(self.max_tokens, len(self.prefix) + len(pieces[by_length[first]]) + SPECIALS)
            batch = by_length[first : first + self.settings.batch_size * max(1, self.max_tokens // longest)]
            texts = [self.prefix + pieces[piece] for piece in batch]
            vectors[batch] = self.model.encode(
                texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True
            )
            first += len(batch)
        return vectors


@cache
def load_transformer(settings: TransformerSettings) -> TransformerEmbedder:
    """Load a model, once a process.

    Raises: InputError if it is neither on disk nor to be fetched, or is damaged; ConfigError for a missing package, a
        device that torch does not have, or `chunks` where the model cannot say where its tokens are.
    """
    preset = preset_of(settings.model)
    source = model_source(preset.source)
    if find_spec("sentence_transformers") is None:
        raise ConfigError(
            f"embed.model is {settings.model!r}, which needs sentence-transformers: {INSTALL}; hybrid needs no package"
        )
    import torch

    device = _device(settings.device, torch)
    torch.set_num_threads(settings.threads)
    model = _open(settings.model, source, device)
    if device.startswith("cuda"):
        model.half()
    limit = settings.max_tokens
    if model.max_seq_length is not None and math.isfinite(model.max_seq_length):
        limit = model.max_seq_length = min(limit, model.max_seq_length)
    elif model.max_seq_length is None:
        model.max_seq_length = limit
    if settings.chunks > 1 and not getattr(model.tokenizer, "is_fast", False):
        raise ConfigError(
            f"embed.chunks is {settings.chunks}, but the tokenizer of {settings.model!r} does not tell where its "
            "tokens are in the text; set embed.chunks to 1"
        )
    dim = int(model.encode(["text"], show_progress_bar=False).shape[1])
    return TransformerEmbedder(settings, model, dim, limit, preset.prefix)


def _open(name: str, source: str, device: str) -> Any:
    from sentence_transformers import SentenceTransformer

    is_local = Path(source).is_dir()
    unreachable = "" if is_local else why_no_hub(source)
    try:
        return SentenceTransformer(
            source,
            device=device,
            trust_remote_code=False,
            local_files_only=is_local or bool(unreachable),
            model_kwargs={"use_safetensors": True},
        )
    except Exception as error:  # torch and transformers raise anything for a damaged folder
        log.debug("loading %s failed", source, exc_info=True)
        if unreachable:
            raise not_to_be_had(name, unreachable) from None
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"embed.model {name!r}: cannot be loaded ({type(error).__name__}: {reason}); expected a model of "
            f"sentence-transformers with safetensors weights and no code of its own; {NO_DOWNLOAD}"
        ) from None


def _device(device: str, torch: Any) -> str:
    if device == "auto":
        if torch.cuda.is_available():
            n_gpus = torch.cuda.device_count()
            return f"cuda:{int(os.environ.get(WORKER, 0)) % n_gpus}" if n_gpus > 1 else "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ConfigError(
            f"embed.device is {device!r}, which torch cannot use here ({reason}); use auto or cpu"
        ) from None
    return device


def _chunks(
    texts: list[str], tokenizer: Any, max_tokens: int, chunks: int
) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64]]:
    """Pieces of the texts of at most `max_tokens` tokens with specials; the text each belongs to; its tokens."""
    room = max(1, max_tokens - tokenizer.num_special_tokens_to_add())
    pieces: list[str] = []
    owner: list[int] = []
    n_tokens: list[int] = []
    for row, text in enumerate(texts):
        found = tokenizer(text, add_special_tokens=False, truncation=False, return_offsets_mapping=True, verbose=False)
        spans = found["offset_mapping"][: room * chunks] or [(0, len(text))]
        for first in range(0, len(spans), room):
            inside = spans[first : first + room]
            pieces.append(text[inside[0][0] : inside[-1][1]])
            owner.append(row)
            n_tokens.append(len(inside))
    return pieces, np.array(owner, np.int64), np.array(n_tokens, np.float64)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows of length 1; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # infinities become NaN, which the caller looks for
        return (vectors / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)
