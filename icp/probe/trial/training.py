"""One epoch over windows of token ids.

In: weights, windows, the rate. Out: weights. On one thread and one kind of machine the same numbers every time.
Source: Muon, Newton-Schulz steps for matrices (K. Jordan and others, 2024); the embedding and what is no matrix goes by
AdamW.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from icp.probe.trial.model import Shape, Weights, logits

UNSEEN = -100
"""The label that no loss is taken of."""
MATRIX_RATE, EMBEDDING_RATE = 0.02, 0.006
MOMENTUM, DECAY = 0.95, 0.01
LEAST_SHARE = 0.05
"""Of the peak rate, at the end of the linear fall."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Windows of token ids.

    Attributes:
        ids: (n, window) int16; what pads a window is 0.
        piece: (n, window) int16, which piece of the window a token is in, from 0 on; -1: padding.
    """

    ids: NDArray[np.int16]
    piece: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Pace:
    """How an epoch goes.

    Attributes:
        batch: windows a step. peak: share of the full rates. warm_steps: of a linear rise, a fifth of all at most.
    """

    batch: int
    peak: float
    warm_steps: int


@contextmanager
def repeatable() -> Iterator[None]:
    """torch on one thread, by deterministic algorithms only; as it was before when left."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


def trained(weights: Weights, shape: Shape, rows: Rows, pace: Pace, *, masked: bool = False) -> tuple[Weights, float]:
    """Weights after one epoch, and the mean loss of its last tenth in nats a token; `weights` stay as they are.

    Args:
        masked: no token sees another document.
    """
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    step, n_steps, losses = _stepper(leaves), len(rows.ids) // pace.batch, []
    warm_steps = max(1, min(pace.warm_steps, n_steps // 5))
    for number in range(n_steps):
        here = slice(number * pace.batch, (number + 1) * pace.batch)
        ids, piece = (torch.as_tensor(array[here].astype(np.int64)) for array in (rows.ids, rows.piece))
        found = logits(leaves, shape, ids[:, :-1], piece[:, :-1] if masked else None)
        loss = functional.cross_entropy(found.flatten(0, 1), labels_of(ids, piece).flatten(), ignore_index=UNSEEN)
        loss.backward()
        losses.append(loss.item())
        step(pace.peak * min(1, (number + 1) / warm_steps) * max(LEAST_SHARE, 1 - number / n_steps))
    last = losses[-max(1, n_steps // 10) :]
    return {name: tensor.detach() for name, tensor in leaves.items()}, float(np.mean(last)) if last else float("nan")


def labels_of(ids: Any, piece: Any) -> Any:
    """(b, t - 1) int64: the next token; none where that begins a piece, or is padding."""
    return torch.where((piece[:, 1:] == piece[:, :-1]) & (piece[:, 1:] >= 0), ids[:, 1:], UNSEEN)


def _stepper(leaves: Weights) -> Any:
    """A step at a share of the peak rates, by the gradients, which it clears."""
    matrices = [w for name, w in leaves.items() if w.ndim == 2 and name != "embedding"]
    momenta = [torch.zeros_like(w) for w in matrices]
    rates = {name: MATRIX_RATE if name != "embedding" else EMBEDDING_RATE for name in leaves}
    others = [{"params": [w], "lr": rates[n], "peak": rates[n]} for n, w in leaves.items() if rates[n] < MATRIX_RATE]
    others += [{"params": [w], "lr": MATRIX_RATE, "peak": MATRIX_RATE} for w in leaves.values() if w.ndim != 2]
    adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(share: float) -> None:
        for group in adam.param_groups:
            group["lr"] = group["peak"] * share
        adam.step()
        for w, momentum in zip(matrices, momenta, strict=True):
            momentum.mul_(MOMENTUM).add_(w.grad)
            parts = 3 if w.shape[0] == 3 * w.shape[1] else 1
            update = torch.cat([_orthogonal(part) for part in (w.grad + MOMENTUM * momentum).chunk(parts)])
            grow = float(max(1, w.shape[0] / w.shape[1]) ** 0.5)
            w.mul_(1 - DECAY * MATRIX_RATE * share).add_(update, alpha=-MATRIX_RATE * share * grow)
            w.grad = None
        adam.zero_grad()

    return step


def _orthogonal(gradient: Any) -> Any:
    """The gradient with its singular values pushed towards one, by five Newton-Schulz steps."""
    x = gradient / (gradient.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (2.0315 * square @ square - 4.7750 * square) @ x
    return x.T if tall else x
