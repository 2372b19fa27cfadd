"""A tiny language model: two layers of attention whose keys lean on the token before, so that one layer can copy.

In: token ids, weights by name. Out: logits. torch is imported here; `icp.probe.trial.require_torch` asks for it first.
Source: rotary positions (arXiv 2104.09864), squared ReLU (arXiv 2109.08668), keys shifted by one as a short cut to
induction heads (arXiv 2209.11895).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

Weights = dict[str, Any]
"""Tensors of float32 by name."""
SHARPNESS = 2.6
"""Attention's scale for queries and keys of norm one a dimension, over the root of a head's size."""
LONGEST_TURN = 2000
"""Base of the slowest rotation, in tokens; a quarter of the dimensions does not turn at all."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a model: as they stand, 0.59 million parameters.

    Attributes:
        vocabulary: ids.
        dim: width. heads: of attention, each dim / heads wide. layers: blocks.
        hidden: width of the second half of a block.
    """

    vocabulary: int = 2048
    dim: int = 128
    heads: int = 4
    layers: int = 2
    hidden: int = 384


def new_weights(shape: Shape, seed: int) -> Weights:
    """Weights before training; tied embeddings, matrices that write into the stream are zero."""
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, columns: int, deviation: float) -> Any:
        return torch.randn(rows, columns, generator=generator) * deviation

    dim, hidden = shape.dim, shape.hidden
    weights = {"embedding": normal(shape.vocabulary, dim, 0.1)}
    for layer in range(shape.layers):
        weights[f"{layer}.qkv"] = normal(3 * dim, dim, 0.6 / math.sqrt(dim))
        weights[f"{layer}.out"] = torch.zeros(dim, dim)
        weights[f"{layer}.up"] = normal(hidden, dim, 0.6 / math.sqrt(dim))
        weights[f"{layer}.down"] = torch.zeros(dim, hidden)
        weights[f"{layer}.shift"] = torch.zeros(shape.heads, 1, 1)
    return weights


def n_parameters(weights: Weights) -> int:
    """Numbers that training may change."""
    return sum(int(tensor.numel()) for tensor in weights.values())


def logits(weights: Weights, shape: Shape, ids: Any, piece: Any = None, *, skip: int = 0) -> Any:
    """(b, t - skip, vocabulary) float32 of ids (b, t) int64.

    Args:
        piece: (b, t) int64, the document of each token, which then sees none but its own; None: it sees all before it.
        skip: first places without logits.
    """
    turns = _turns(ids.shape[1], shape.dim // shape.heads // 2)
    x = _normed(weights["embedding"][ids])
    for layer in range(shape.layers):
        part = {name.partition(".")[2]: w for name, w in weights.items() if name.startswith(f"{layer}.")}
        x = x + _attention(part, shape, _normed(x), turns, piece)
        x = x + functional.relu(_normed(x) @ part["up"].T).square() @ part["down"].T
    return _normed(x[:, skip:]) @ weights["embedding"].T


def _attention(part: Weights, shape: Shape, x: Any, turns: tuple[Any, Any], piece: Any) -> Any:
    b, t, dim = x.shape
    size = dim // shape.heads
    query, key, value = (x @ part["qkv"].T).view(b, t, 3, shape.heads, size).permute(2, 0, 3, 1, 4)
    own = torch.sigmoid(part["shift"])
    leaning = key[:, :, 1:] * own + key[:, :, :-1] * (1 - own)
    if piece is not None:  # nor does a key lean on a token of another document
        leaning = torch.where((piece[:, 1:] == piece[:, :-1])[:, None, :, None], leaning, key[:, :, 1:])
    key = torch.cat((key[:, :, :1], leaning), 2)
    seen = functional.scaled_dot_product_attention(
        _turned(query, turns),
        _turned(key, turns),
        value,
        attn_mask=None if piece is None else _within(piece),
        is_causal=piece is None,
        scale=SHARPNESS / math.sqrt(size),
    )
    return seen.transpose(1, 2).reshape(b, t, dim) @ part["out"].T


def _within(piece: Any) -> Any:
    """(b, 1, t, t) bool: the token itself and those before it in its piece."""
    before = torch.ones(piece.shape[1], piece.shape[1], dtype=torch.bool).tril()
    return ((piece[:, :, None] == piece[:, None, :]) & before)[:, None]


def _normed(x: Any) -> Any:
    return functional.rms_norm(x, (x.shape[-1],))


def _turned(x: Any, turns: tuple[Any, Any]) -> Any:
    cosine, sine = turns
    left, right = _normed(x).chunk(2, -1)
    return torch.cat((left * cosine - right * sine, left * sine + right * cosine), -1)


def _turns(n_tokens: int, half: int) -> tuple[Any, Any]:
    rates = 1 / LONGEST_TURN ** (torch.arange(half) / half)
    rates[half - half // 4 :] = 0
    angles = torch.outer(torch.arange(n_tokens).float(), rates)
    return angles.cos(), angles.sin()
