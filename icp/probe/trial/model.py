"""A tiny language model that copies from its first step: half of its heads begin as induction heads.

In: token ids, weights by name. Out: logits. torch is imported here; `icp.probe.trial.require_torch` asks for it first.
An induction head (arXiv 2209.11895) finds where the present token stood before and expects what followed it there. A
model of this size takes millions of tokens to come by one, sooner or later from start to start; here keys may lean on
the token before, so that one layer can do it, and the heads that copy look for equal tokens from the beginning. All
branches begin with the same heads; what they may learn is when to trust them.
Source: rotary positions (arXiv 2104.09864), heads without them (arXiv 2305.19466), squared ReLU (arXiv 2109.08668).
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
LEAN = -2.0
"""Logit of a copying head's share of the key's own token, the rest being of the token before."""
COPY = 0.5
"""What a copying head writes of the token it found, at the start."""


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
    """Weights before training; tied embeddings; what writes into the stream is zero but for heads that copy."""
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
        for head in range(shape.heads // 2, shape.heads):
            _let_copy(weights, layer, head, shape, generator)
    return weights


def _let_copy(weights: Weights, layer: int, head: int, shape: Shape, generator: Any) -> None:
    """Let a head find the token before by the token that is there, and write the one that it finds."""
    size = shape.dim // shape.heads
    query, key, value = (
        slice(part * shape.dim + head * size, part * shape.dim + (head + 1) * size) for part in range(3)
    )
    qkv = weights[f"{layer}.qkv"]
    found = torch.linalg.qr(torch.randn(shape.dim, size, generator=generator))[0]
    qkv[key], qkv[value] = qkv[query], found.T
    weights[f"{layer}.out"][:, query] = COPY * found
    weights[f"{layer}.shift"][head] = LEAN


def n_parameters(weights: Weights) -> int:
    """Numbers that training may change."""
    return sum(int(tensor.numel()) for tensor in weights.values())


def logits(weights: Weights, shape: Shape, ids: Any, piece: Any = None, *, skip: int = 0) -> Any:
    """(b, t - skip, vocabulary) float32 of ids (b, t) int64.

    Args:
        piece: (b, t) int64, the document of each token, which then sees none but its own; None: it sees all before it.
        skip: first places without logits.
    """
    turns = _turns(ids.shape[1], shape)
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


def _turns(n_tokens: int, shape: Shape) -> tuple[Any, Any]:
    """Cosines and sines, (heads, n_tokens, half a head); heads that copy do not turn."""
    half = shape.dim // shape.heads // 2
    rates = 1 / LONGEST_TURN ** (torch.arange(half) / half)
    rates[half - half // 4 :] = 0
    angles = torch.outer(torch.arange(n_tokens).float(), rates).repeat(shape.heads, 1, 1)
    angles[shape.heads // 2 :] = 0
    return angles.cos(), angles.sin()
