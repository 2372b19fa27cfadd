"""Where training is in its epochs, in memory that a ``DataLoader``'s workers share, and how ranks share an epoch.

In: an epoch, and samples that all ranks together have seen of it. Out: how many samples each rank takes, and where to
go on.
"""

import ctypes
import operator
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import get_spawning_popen
from multiprocessing.sharedctypes import RawArray
from typing import Any, Literal
from weakref import WeakSet

from icp.errors import ConfigError

LARGEST = 2**63 - 1
UNTOLD = -1
"""No loop has said which epoch it is in."""
Even = Literal["no", "drop", "pad"]


class Place:
    """An epoch and a start, the same for the process that made it and for the workers it starts.

    A worker that outlives an epoch sees what its owner sets later. Another process that was forked or spawned with it,
    a rank for instance, gets memory of its own as soon as it sets something or starts workers.
    """

    def __init__(self, epoch: int, start: int) -> None:
        self._make((epoch, start, UNTOLD))

    @property
    def told(self) -> bool:
        """Whether a loop says which epoch it is in."""
        return bool(self._numbers[2] != UNTOLD)

    def get(self) -> tuple[int, int]:
        """Epoch, and samples of it that all ranks together have seen."""
        epoch, start, _ = self._numbers
        return epoch, start

    def set(self, epoch: int, start: int) -> None:
        """Go somewhere else, with all workers."""
        self._set(epoch, start, UNTOLD)

    def begin(self, epoch: int, start: int) -> None:
        """Go where a loop says that it is, which counts its epochs by itself.

        Raises: ConfigError if that is before the place where training was to go on: the loop counts from 0 again.
        """
        now, _, told = self._numbers
        if told == UNTOLD and epoch < now:
            raise ConfigError(
                f"set_epoch({epoch}) would go back from epoch {now}, where this data set was told to go on; let its"
                f" loop count from {now} (accelerate: loader.set_epoch({now}) on the prepared loader, before any pass)"
            )
        self._set(*(self.get() if epoch == now else (epoch, start)), epoch)

    def restore(self, epoch: int, start: int) -> None:
        """Go where the state of a loader was taken.

        Raises: ConfigError if the loop says that it is in another epoch: it would read this one twice.
        """
        told = self._numbers[2]
        if told not in (UNTOLD, epoch):
            raise ConfigError(
                f"set_epoch({told}) was called, but the loader's state is of epoch {epoch}; let the loop count from "
                f"{epoch} (accelerate: loader.set_epoch({epoch}) on the prepared loader, before its first pass)"
            )
        self._set(epoch, start, told)

    def own(self) -> None:
        """Leave the memory of the process that made this to it, unless this one is its worker."""
        if self._owner != os.getpid() and not _in_worker():
            self._make(tuple(self._numbers))

    def _set(self, *numbers: int) -> None:
        self.own()
        self._numbers[:] = numbers

    def _make(self, numbers: tuple[int, ...]) -> None:
        self._numbers: Any = RawArray(ctypes.c_longlong, numbers)
        self._owner = os.getpid()
        _PLACES.add(self)

    def __getstate__(self) -> tuple[int, Any]:
        # shared memory travels to processes that are being started, and to nothing else
        if get_spawning_popen() is None:
            return self._owner, tuple(self._numbers)
        self.own()
        return self._owner, self._numbers

    def __setstate__(self, state: tuple[int, Any]) -> None:
        owner, numbers = state
        if isinstance(numbers, tuple):
            self._make(numbers)
        else:
            self._owner, self._numbers = owner, numbers
            _PLACES.add(self)


_PLACES: WeakSet[Place] = WeakSet()


def _own_all() -> None:
    """Before a rank forks workers: they have to share its memory, not that of the process which started the rank."""
    for place in list(_PLACES):
        place.own()


os.register_at_fork(before=_own_all)


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the ranks share the windows of an epoch.

    Attributes:
        rank, world_size: of the process that trains.
        even: what makes the ranks equal: ``drop`` leaves out the last windows, fewer than there are ranks; ``pad``
            gives some of the first ones again; ``no``: lengths may differ by one.
    """

    rank: int
    world_size: int
    even: Even

    def together(self, left: int) -> int:
        """Samples that all ranks take when `left` windows of an epoch are left."""
        rest = left % self.world_size
        if self.even == "no" or not rest:
            return left
        return left - rest + (self.world_size if self.even == "pad" else 0)

    def mine(self, left: int) -> int:
        """Samples of this rank when `left` windows of an epoch are left."""
        return max(0, -(-(self.together(left) - self.rank) // self.world_size))

    def settle(self, epoch: int, start: int, n_windows: int | Sequence[int]) -> tuple[int, int]:
        """The same place, with a start inside the epoch, and something left of it for every rank.

        Args: `n_windows` of each epoch; of several passes, which epochs repeat, one number each.
        """
        sizes = _sizes(n_windows)
        if not any(sizes):
            return epoch, 0
        epoch, start = _skipped(epoch, start, sizes)
        return (epoch, start) if self.together(sizes[epoch % len(sizes)] - start) else (epoch + 1, 0)

    def after(self, place: tuple[int, int], seen: int, n_windows: int | Sequence[int]) -> tuple[int, int]:
        """Epoch and start once all ranks together have taken `seen` samples more."""
        epoch, start = place
        sizes = _sizes(n_windows)
        here = sizes[epoch % len(sizes)]
        if not any(sizes):
            return epoch, 0
        if seen < self.together(here - start):  # what is given again counts as the end
            return (epoch, start + seen) if start + seen < here else (epoch + 1, 0)
        return _skipped(epoch + 1, seen - self.together(here - start), [self.together(size) for size in sizes])


def _sizes(n_windows: int | Sequence[int]) -> Sequence[int]:
    return (n_windows,) if isinstance(n_windows, int) else n_windows


def _skipped(epoch: int, start: int, sizes: Sequence[int]) -> tuple[int, int]:
    """Epoch and start once whole epochs are taken off `start`."""
    rounds, start = divmod(start, sum(sizes))
    epoch += rounds * len(sizes)
    while start >= (size := sizes[epoch % len(sizes)]):
        epoch, start = epoch + 1, start - size
    return epoch, start


def sharing_of(rank: int, world_size: int, even: bool | str, n_windows: int) -> Sharing:
    """How the ranks share, `even` as a user gives it.

    Raises: ConfigError for ranks that are not possible, and where dropping leaves no rank anything.
    """
    rank, world_size = whole("rank", rank), whole("world_size", world_size)
    if rank >= world_size:
        raise ConfigError(f"rank {rank} of world_size {world_size}: expected rank from 0 to world_size - 1")
    names: dict[Any, Even] = {True: "drop", False: "no", "drop": "drop", "pad": "pad"}
    if even == "auto":
        names["auto"] = "no"
        if world_size > 1 and _has_collectives():
            names["auto"] = "drop" if n_windows >= world_size else "pad"
    if not isinstance(even, bool | str) or even not in names:
        raise ConfigError(f"even is {even!r}; use auto, drop (or True), pad, or False")
    if names[even] == "drop" and 0 < n_windows < world_size:
        raise ConfigError(
            f"even='drop' leaves {world_size} ranks nothing of {n_windows} windows; use even='pad', or fewer ranks"
        )
    return Sharing(rank, world_size, names[even])


def whole(name: str, value: Any) -> int:
    """A number from 0 on as Python's int; numpy's and torch's will do. Raises ConfigError for anything else."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or not 0 <= number <= LARGEST:
        raise ConfigError(f"{name} is {value!r}; expected a whole number from 0 on")
    return number


def _has_collectives() -> bool:
    """Whether this process trains with others that would wait for it: by torch.distributed, now or soon."""
    group = sys.modules.get("torch.distributed")
    if group is not None and group.is_available() and group.is_initialized():
        return bool(group.get_world_size() > 1)
    return os.environ.get("WORLD_SIZE", "1") not in ("", "1")  # set by launchers


def _in_worker() -> bool:
    data = sys.modules.get("torch.utils.data")
    return data is not None and data.get_worker_info() is not None
