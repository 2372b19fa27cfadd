"""What a trainer imports: the windows of a pack as samples, in training order, from memory-mapped shards.

In: ``RUN/packs/<pack>/shards/``, a folder or a URL. Out: dictionaries of numpy arrays, which a plain torch
``DataLoader`` batches. numpy and pyarrow are all it needs.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icp.dataset.epochs import Passes
from icp.dataset.files import ShardFiles
from icp.dataset.place import Place, sharing_of, whole
from icp.dataset.states import place_of
from icp.dataset.tables import read_ends, read_segments
from icp.errors import ConfigError

if TYPE_CHECKING:
    from icp.dataset.stream import WindowStream

IGNORED = -100
"""Label of what gives no loss, as in torch's cross entropy."""
MAPS = 32
"""Shards that a process keeps mapped; each takes a descriptor."""
Sample = dict[str, Any]


class WindowDataset:
    """Samples of one rank, map-style: ``len``, ``[i]``, iteration.

    Sample ``i`` is window ``start + i * world_size + rank`` of the epoch. Epoch 0 is training order. A later epoch has
    an order of its own, from the seed of the run and the epoch, that keeps what `shuffle` promises: ``random`` a
    permutation; ``spread`` the same order from another window on, and around its end; ``lanes`` lanes that begin
    elsewhere on the path; ``none`` the same again. Of N passes (``pack.epochs``) epoch ``e`` reads pass ``e % N``, the
    first N in training order; ``n_windows`` counts all. Every window of an epoch is a sample of exactly one rank; what
    `even` does about windows that do not go round is told there.

    ``set_epoch`` and ``load_state_dict`` between two passes of a ``DataLoader`` reach its workers too, persistent ones
    included. Who shares samples among ranks by other means (a ``DistributedSampler``, accelerate, transformers'
    Trainer) leaves rank and world_size as they are.

    A sample holds, with ``n = seq_len``:
        input_ids: (n,) int64.
        labels: (n,) int64, `IGNORED` at padding, and with ``mask="intra"`` at each document's first token too. Not
            shifted (``labels[t] == input_ids[t]``), as transformers' models want it, unless ``shifted``.
        position_ids: (n,) int64, 0..n-1; with ``mask="intra"`` counted anew from each segment, and from the padding.
        segment_ids: (n,) int64, which piece of a document each token belongs to, its specials included; padding -1.
        cu_seqlens: (most segments of any window + 2,) int32, where each segment begins, where the padding begins, and
            n to the end: of one length, so that samples stack, which gives attention kernels empty sequences.
        seq_idx: (n,) int32, the same as segment_ids, but the padding counts as one segment more.
        shifted: bool, True for packs of stride ``seq_len + 1``: there ``labels[t]`` follows ``input_ids[t]``.
        reset: bool, False where a carried state may go on: with ``shuffle: lanes:<batch>``, and ranks that share the
            batch evenly, where the row continues the path of the same row one batch before.

    Args:
        run: the run's folder, or its URL (fsspec); shards are fetched into `cache` when they are first read.
        pack: name of the pack.
        rank, world_size: of the process that trains, not of a ``DataLoader``'s worker.
        epoch: from 0.
        start: samples that all ranks together have seen since the beginning of `epoch`; beyond its end, later epochs.
        even: whether all ranks get the same number of samples, and so of batches, with ``drop_last`` or without.
            ``drop`` or True: the last windows of an epoch, fewer than ranks, are left out; ``pad``: some of its first
            ones are given again; False: every window once, lengths differ by one. ``auto``: ``drop`` where ranks would
            wait for one another for ever (a group of torch.distributed, or a launcher's ``WORLD_SIZE``) and every rank
            has a window, ``pad`` where there are fewer windows than ranks, else False.
        mask: ``cross``: tokens see what precedes them in the window; ``intra``: only their own document.
        cache: for a URL: where files are kept; default ``icp/shards`` in the user's cache folder.

    Raises: ArtifactError for shards that are missing, unfinished, or of another size; ConfigError for wrong arguments.
    Cost: 4 bytes a segment and 12 a window in memory; pages of shards as they are read.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        pack: str = "main",
        rank: int = 0,
        world_size: int = 1,
        epoch: int = 0,
        start: int = 0,
        even: bool | str = "auto",
        mask: str = "cross",
        cache: str | Path | None = None,
    ) -> None:
        if mask not in ("cross", "intra"):
            raise ConfigError(f"mask is {mask!r}; use cross or intra")
        self._files = ShardFiles(run, pack, cache)
        facts = self._files.facts
        self.mask = mask
        self.seq_len, self.stride = int(facts["seq_len"]), int(facts["stride"])
        self.n_windows = int(facts["windows"])
        self._passes = Passes(facts)
        self._sharing = sharing_of(rank, world_size, even, min(self._passes.sizes))
        self.rank, self.world_size, self.even = self._sharing.rank, self._sharing.world_size, self._sharing.even
        self._place = Place(*self._settle(epoch, start))
        self._dtype = np.dtype(facts["dtype"]).newbyteorder("<")
        self._names, self._first = self._files.shards(self.stride * self._dtype.itemsize)
        self._indptr, self._begins = read_segments(self._files, facts)
        self._ends = read_ends(self._files, self.n_windows, self.stride)
        self._widest = int(np.diff(self._indptr).max(initial=0)) + 2
        self._rows = self._mapped()

    @property
    def epoch(self) -> int:
        """Which epoch the samples belong to; assigning is `set_epoch`."""
        return self._place.get()[0]

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self.set_epoch(epoch)

    @property
    def start(self) -> int:
        """Samples of the epoch that all ranks together had seen before sample 0."""
        return self._place.get()[1]

    def __len__(self) -> int:
        return self._sharing.mine(self._passes.size(self.epoch) - self.start)

    def __getitem__(self, index: int) -> Sample:
        epoch, start = self._place.get()
        length = self._sharing.mine(self._passes.size(epoch) - start)
        number = operator.index(index)  # numpy's and torch's too, whose own arithmetic may wrap around
        place = number + length if number < 0 else number
        if not 0 <= place < length:
            raise IndexError(f"sample {index} of {length} (from start {start} of epoch {epoch} on)")
        sample = start + place * self.world_size + self.rank
        window, reset = self._passes.window(epoch, sample)
        return {**self.window(window), "reset": reset}

    def __iter__(self) -> Iterator[Sample]:
        place = self._place.get()
        for index in range(len(self)):
            self.still_at(place)
            yield self[index]

    def still_at(self, place: tuple[int, int]) -> None:
        """Raise ConfigError unless epoch and start are what they were when a pass began."""
        if self._place.get() != place:
            raise ConfigError(
                f"the epoch changed from {place[0]} to {self.epoch} while a loader was reading, or reading ahead; set "
                "it between two passes, and before accelerate prepares the loader"
            )

    def __getstate__(self) -> dict[str, Any]:
        # workers map the shards themselves; a pickled map would be a copy of the file
        return {name: value for name, value in self.__dict__.items() if name != "_rows"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._rows = self._mapped()

    def _mapped(self) -> Callable[[int], NDArray[Any]]:
        """A function that maps a shard, and forgets the one that was not used for longest."""
        files, names, dtype, stride = self._files, self._names, self._dtype, self.stride
        return lru_cache(MAPS)(lambda shard: files.rows(names[shard], dtype, stride))

    def window(self, window: int) -> Sample:
        """The sample made of a window, by its number in training order."""
        row = self.tokens(window).astype(np.int64)
        shifted = int(self.stride > self.seq_len)
        begins = self._begins[self._indptr[window] : self._indptr[window + 1]]
        end = int(self._ends[window])
        labels = row.copy()
        labels[end:] = IGNORED
        if self.mask == "intra":
            labels[begins] = IGNORED
        bounds = self._bounds(begins, end)
        number = np.repeat(np.arange(self._widest - 1, dtype=np.int32), np.diff(bounds))
        within = np.arange(self.seq_len, dtype=np.int64)
        return {
            "input_ids": row[: self.seq_len],
            "labels": labels[shifted:],
            "position_ids": within - bounds[number] if self.mask == "intra" else within,
            "segment_ids": np.where(within < end, number, -1).astype(np.int64),
            "cu_seqlens": bounds,
            "seq_idx": number,
            "shifted": bool(shifted),
        }

    def tokens(self, window: int) -> NDArray[Any]:
        """(stride,) uint16 or uint32: a row as it lies in its shard."""
        shard = int(np.searchsorted(self._first, window, side="right")) - 1
        row: NDArray[Any] = self._rows(shard)[window - int(self._first[shard])]
        return row

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch; the start of the one that is under way stays, so that a resumed loop may call it too.

        Raises: ConfigError for an epoch before the one this object was made or loaded for: a loop that counts its
            epochs from 0 again would read some twice.
        """
        self._place.begin(*self._settle(epoch, 0))

    def state_dict(self, samples_seen: int | None = None) -> dict[str, Any]:
        """Where to go on; numbers and a string, as JSON and torch save them.

        Args:
            samples_seen: samples that all ranks together have taken in this pass: since this object was made or
                loaded, or was told another epoch. The state then fits any number of ranks. Without it, the state says
                where sample 0 is: what a loader that counts by itself (torchdata's ``StatefulDataLoader``, accelerate)
                keeps, for as many ranks as now.

        Raises: ConfigError where a loop that sets epochs gives more samples than its pass has: it counts those of
            earlier passes too, or a last batch that was smaller as a whole one.
        """
        shards = self._files.manifest.digest
        if samples_seen is None:
            return {"epoch": self.epoch, "start": self.start, "shards": shards, "world_size": self.world_size}
        seen = whole("samples_seen", samples_seen)
        left = self._sharing.together(self._passes.size(self.epoch) - self.start)
        if self._place.told and seen > left:
            raise ConfigError(
                f"samples_seen is {seen:,}, but all ranks together have {left:,} in this pass of epoch {self.epoch}; "
                "count from 0 again after set_epoch and load_state_dict, the last batch as what it holds, and nothing "
                "that a loader gives twice"
            )
        epoch, start = self._sharing.after(self._place.get(), seen, self._passes.sizes)
        return {"epoch": epoch, "start": start, "shards": shards}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises: ArtifactError if it was taken from other shards; ConfigError if it is no state, or that of a loader
            with another number of ranks.
        """
        place = place_of(state, self._files.manifest.digest, self.world_size)
        go_on = self._place.restore if "world_size" in state else self._place.set
        go_on(*self._settle(*place))

    def _settle(self, epoch: int, start: int) -> tuple[int, int]:
        return self._sharing.settle(whole("epoch", epoch), whole("start", start), self._passes.sizes)

    def stream(self, *, batch_size: int) -> "WindowStream":
        """The same samples as a torch ``IterableDataset`` for a loader of that batch; see `icp.dataset.stream`."""
        from icp.dataset.stream import WindowStream

        return WindowStream(self, batch_size=batch_size)

    def _bounds(self, begins: NDArray[np.int32], end: int) -> NDArray[np.int32]:
        bounds = np.full(self._widest, self.seq_len, dtype=np.int32)
        bounds[: begins.size] = np.minimum(begins, self.seq_len)
        bounds[begins.size] = min(end, self.seq_len)
        return bounds
