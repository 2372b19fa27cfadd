"""What a model makes of held-out tokens after each kind of context, at the same positions.

In: weights, targets. Out: nats of each token. Classes of tokens are fixed by texts and trunks, never by a branch.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from icp.probe.trial.held_out import CONTEXT_NAMES, NOTHING, RELATED, TARGET_TOKENS, Target
from icp.probe.trial.model import Shape, Weights, logits

AT_ONCE = 16
"""Targets that are scored together."""
KEY_GAIN, KEY_LOSS = 1.0, 2.0
"""Nats by which a related context must help a trunk, and those that may be left, for a token to be a key token."""
COPIED, REST, KEY = CLASSES = ("copied", "rest", "key")


@torch.no_grad()  # type: ignore[untyped-decorator]
def score(weights: Weights, shape: Shape, targets: list[Target]) -> NDArray[np.float32]:
    """(contexts, targets, TARGET_TOKENS - 1) float32: nats of each token but the first; NaN past a target's end."""
    found = np.full((len(CONTEXT_NAMES), len(targets), TARGET_TOKENS - 1), np.nan, dtype=np.float32)
    for which, name in enumerate(CONTEXT_NAMES):
        for first in range(0, len(targets), AT_ONCE):
            here = targets[first : first + AT_ONCE]
            found[which, first : first + AT_ONCE] = _nats(weights, shape, here, name)
    return np.where(_real(targets)[None], found, np.nan)


def classes_of(targets: list[Target], trunk: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
    """(targets, TARGET_TOKENS - 1) bool of each class.

    *copied*: the token and the one before it follow one another in the related context too; *rest*: all others. *key*:
    the trunk expects the token well after the related context, and much better than after nothing.

    Args:
        trunk: its scores.

    Source: arXiv 2410.23771 for key tokens, there by a large model after its long and its short context.
    """
    copied, real = np.zeros((len(targets), TARGET_TOKENS - 1), dtype=np.bool_), _real(targets)
    for row, target in enumerate(targets):
        related = target.contexts[RELATED]
        known = set(zip(related[:-1].tolist(), related[1:].tolist(), strict=True))
        pairs = zip(target.ids[:-1].tolist(), target.ids[1:].tolist(), strict=True)
        copied[row, : target.ids.size - 1] = [pair in known for pair in pairs]
    before, after = (trunk[CONTEXT_NAMES.index(name)] for name in (NOTHING, RELATED))
    key = (before - after > KEY_GAIN) & (after < KEY_LOSS)
    return {COPIED: copied & real, REST: real & ~copied, KEY: key & real}


def nats_by_frequency(targets: list[Target]) -> float:
    """Nats a token that the targets take if each token is expected as often as it comes in them, after any other."""
    counts = np.bincount(np.concatenate([target.ids[1:] for target in targets]))
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _real(targets: list[Target]) -> NDArray[np.bool_]:
    sizes = np.array([target.ids.size for target in targets])
    return np.arange(1, TARGET_TOKENS)[None] < sizes[:, None]


def _nats(weights: Weights, shape: Shape, targets: list[Target], name: str) -> NDArray[np.float32]:
    before = np.stack([target.contexts[name] for target in targets])
    own = np.zeros((len(targets), TARGET_TOKENS), dtype=np.int64)  # what stands behind a target changes nothing
    for row, target in enumerate(targets):
        own[row, : target.ids.size] = target.ids
    ids = torch.as_tensor(np.concatenate((before.astype(np.int64), own), axis=1))
    found = logits(weights, shape, ids[:, :-1], skip=before.shape[1])
    nats = functional.cross_entropy(found.transpose(1, 2), ids[:, before.shape[1] + 1 :], reduction="none")
    return np.asarray(nats.numpy(), dtype=np.float32)
