"""The order of windows in each epoch.

Epoch 0 is training order. A later one has an order of its own, from the seed and the epoch, that keeps what
``pack.shuffle`` promises.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.pack.lanes import lane_order, lane_places, lane_windows, lanes_of
from icp.streams import EPOCH


class Epochs:
    """Which window is which sample of an epoch; the order of the epoch asked last is kept.

    Args:
        n_windows: windows of the pack.
        shuffle: ``pack.shuffle``.
        seed: of the run.
        passes: of the pack, of which these windows are one; epochs below this number read them in training order.
    """

    def __init__(self, n_windows: int, shuffle: str, seed: int, passes: int = 1) -> None:
        self._passes = passes
        self._n_windows, self._shuffle, self._seed = n_windows, shuffle, seed
        self._lanes = lanes_of(shuffle)
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def window(self, epoch: int, sample: int) -> int:
        """The window of a sample, counted over all ranks; samples past the last one begin again."""
        sample %= max(1, self._n_windows)
        if epoch < self._passes or self._shuffle == "none":
            return sample
        kept = self._order
        if kept is None or kept[0] != epoch:
            kept = self._order = epoch, self._order_of(epoch)
        return int(kept[1][sample])

    def resets(self, epoch: int, sample: int) -> bool:
        """Whether a carried state ends before a sample: True unless it continues the path of its lane."""
        if self._lanes is None or not self._lanes <= sample < self._n_windows:
            return True
        windows = np.array([self.window(epoch, number) for number in (sample - self._lanes, sample)])
        before, place = lane_places(windows, self._n_windows, self._lanes)
        return bool(place != before + 1)

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        generator = EPOCH.generator(self._seed, epoch)
        if self._shuffle == "random":
            return generator.permutation(self._n_windows)
        offset = int(generator.integers(max(1, self._n_windows)))
        if self._lanes is None:
            return np.roll(np.arange(self._n_windows), -offset)
        places = (lane_order(self._n_windows, self._lanes) + offset) % max(1, self._n_windows)
        return lane_windows(places, self._n_windows, self._lanes)


class Passes:
    """The windows of a pack of several passes, each of which is an epoch, in turn.

    Attributes:
        sizes: windows of each pass.

    Args:
        facts: of the shards' manifest.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._firsts = [int(first) for first in facts.get("passes", (0, facts["windows"]))]
        self.sizes = [stop - first for first, stop in pairwise(self._firsts)]
        order = (str(facts["shuffle"]), int(facts["seed"]), len(self.sizes))
        self._epochs = [Epochs(size, *order) for size in self.sizes]

    def size(self, epoch: int) -> int:
        """Windows of an epoch."""
        return self.sizes[epoch % len(self.sizes)]

    def window(self, epoch: int, sample: int) -> tuple[int, bool]:
        """The window of a sample of an epoch, among those of all passes, and whether a carried state ends before it."""
        turn = epoch % len(self.sizes)
        order = self._epochs[turn]
        return self._firsts[turn] + order.window(epoch, sample), order.resets(epoch, sample)
