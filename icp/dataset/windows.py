"""What a trainer imports: the windows of a pack as samples, in training order, from memory-mapped shards.

In: ``RUN/packs/<pack>/shards/``, a folder or a URL. Out: dictionaries of numpy arrays, which a plain torch
``DataLoader`` batches. numpy and pyarrow are all it needs.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icp.dataset.files import ShardFiles
from icp.errors import ArtifactError, ConfigError
from icp.pack.lanes import lane_order, lane_places, lane_windows, lanes_of
from icp.run.names import SEGMENTS, WINDOWS
from icp.streams import EPOCH

if TYPE_CHECKING:
    from icp.dataset.stream import WindowStream

IGNORED = -100
"""Label of what gives no loss, as in torch's cross entropy."""
Sample = dict[str, Any]


class WindowDataset:
    """Samples of one rank, map-style: ``len``, ``[i]``, iteration.

    Sample ``i`` is window ``start + i * world_size + rank`` of the epoch. Epoch 0 is training order. A later epoch has
    an order of its own, from the seed of the run and the epoch, that keeps what `shuffle` promises: ``random`` a
    permutation; ``spread`` the same order from another window on, and around its end; ``lanes`` lanes that begin
    elsewhere on the path; ``none`` the same again. Every window is a sample of exactly one rank, so that the lengths
    of two ranks may differ by one.

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
        start: samples of this epoch that all ranks together have seen.
        mask: ``cross``: tokens see what precedes them in the window; ``intra``: only their own document.
        cache: for a URL: where files are kept; default ``icp/shards`` in the user's cache folder.

    Raises: ArtifactError if the shards are missing, unfinished, or not of the size in their manifest; ConfigError for
        arguments that are not possible.
    Cost: 4 bytes a segment and 12 a window in memory; pages of the shards as they are read.
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
        mask: str = "cross",
        cache: str | Path | None = None,
    ) -> None:
        if mask not in ("cross", "intra"):
            raise ConfigError(f"mask is {mask!r}; use cross or intra")
        if not 0 <= rank < world_size or epoch < 0 or start < 0:
            raise ConfigError(
                f"rank {rank} of world_size {world_size}, epoch {epoch}, start {start}: expected rank from 0 to "
                "world_size - 1, and epoch and start from 0"
            )
        self._files = ShardFiles(run, pack, cache)
        facts = self._files.facts
        self.rank, self.world_size, self.mask = rank, world_size, mask
        self.seq_len, self.stride = int(facts["seq_len"]), int(facts["stride"])
        self.n_windows = int(facts["windows"])
        self._dtype = np.dtype(facts["dtype"]).newbyteorder("<")
        self._seed, self._shuffle = int(facts["seed"]), str(facts["shuffle"])
        self._lanes = lanes_of(self._shuffle)
        self._names, self._first = self._files.shards(self.stride * self._dtype.itemsize)
        self._indptr, self._begins = _read_segments(self._files, facts)
        self._ends = _read_ends(self._files, self.n_windows, self.stride)
        self._widest = int(np.diff(self._indptr).max(initial=0)) + 2
        self._maps: dict[int, NDArray[Any]] = {}
        self.epoch, self.start = epoch, start
        self._order: tuple[NDArray[np.int64], int] | None = None

    def __len__(self) -> int:
        left = self.n_windows - self.start - self.rank
        return max(0, -(-left // self.world_size))

    def __getitem__(self, index: int) -> Sample:
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        sample = self.start + place * self.world_size + self.rank
        return {**self.window(self._window_at(sample)), "reset": self._resets(sample)}

    def __iter__(self) -> Iterator[Sample]:
        for place in range(len(self)):
            yield self[place]

    def __getstate__(self) -> dict[str, Any]:
        # workers map the shards themselves; a pickled map would be a copy of the file
        return {**self.__dict__, "_maps": {}}

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
        if shard not in self._maps:
            self._maps[shard] = self._files.rows(self._names[shard], self._dtype, self.stride)
        row: NDArray[Any] = self._maps[shard][window - int(self._first[shard])]
        return row

    def state_dict(self, samples_seen: int) -> dict[str, Any]:
        """Where to go on, whatever the number of ranks then.

        Args:
            samples_seen: samples that all ranks together have taken since this object was made or loaded.
        """
        seen = self.start + samples_seen
        whole = max(1, self.n_windows)
        return {"epoch": self.epoch + seen // whole, "start": seen % whole, "shards": self._files.manifest.digest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises: ArtifactError if it was taken from other shards.
        """
        if state["shards"] != self._files.manifest.digest:
            raise ArtifactError(
                "the state was taken from other shards than these (their hashes differ); resume with the run and pack "
                "it came from, or start at 0"
            )
        self.epoch, self.start = int(state["epoch"]), int(state["start"])
        self._order = None

    def stream(self, *, batch_size: int = 1) -> "WindowStream":
        """The same samples as a torch ``IterableDataset``; see `icp.dataset.stream.WindowStream`."""
        from icp.dataset.stream import WindowStream

        return WindowStream(self, batch_size=batch_size)

    def _window_at(self, sample: int) -> int:
        if self.epoch == 0 or self._shuffle == "none":
            return sample
        if self._order is None:
            self._order = self._order_of_epoch()
        return int(self._order[0][sample])

    def _order_of_epoch(self) -> tuple[NDArray[np.int64], int]:
        """The window of each sample of a later epoch, and the window or place on the path that comes first."""
        generator = EPOCH.generator(self._seed, self.epoch)
        if self._shuffle == "random":
            return generator.permutation(self.n_windows), 0
        offset = int(generator.integers(max(1, self.n_windows)))
        if self._lanes is None:
            return np.roll(np.arange(self.n_windows), -offset), offset
        places = (lane_order(self.n_windows, self._lanes) + offset) % max(1, self.n_windows)
        return lane_windows(places, self.n_windows, self._lanes), offset

    def _resets(self, sample: int) -> bool:
        if self._lanes is None or sample < self._lanes:
            return True
        windows = np.array([self._window_at(number) for number in (sample - self._lanes, sample)])
        before, place = lane_places(windows, self.n_windows, self._lanes)
        return bool(place != before + 1)

    def _bounds(self, begins: NDArray[np.int32], end: int) -> NDArray[np.int32]:
        bounds = np.full(self._widest, self.seq_len, dtype=np.int32)
        bounds[: begins.size] = np.minimum(begins, self.seq_len)
        bounds[begins.size] = min(end, self.seq_len)
        return bounds


def _read_segments(files: ShardFiles, facts: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """First segment of each window (n_windows + 1,) int64; begin of each segment in its row (segments,) int32."""
    window, position, win_start, doc_start = files.columns(SEGMENTS, ("window", "position", "win_start", "doc_start"))
    n_windows, stride = int(facts["windows"]), int(facts["stride"])
    _check_range(files, SEGMENTS, "window", window, n_windows - 1)
    _check_range(files, SEGMENTS, "win_start", win_start, stride)
    begins = win_start.astype(np.int32)
    if facts["policy"]["bos"] == "document":
        begins -= doc_start == 0  # the token before it
    begins[position == 0] = 0
    indptr = np.zeros(n_windows + 1, dtype=np.int64)
    np.cumsum(np.bincount(window, minlength=indptr.size - 1), out=indptr[1:])
    return indptr, begins


def _read_ends(files: ShardFiles, n_windows: int, stride: int) -> NDArray[np.int32]:
    """(n_windows,) int32: where the padding of each window begins."""
    (n_pad,) = files.columns(WINDOWS, ("n_pad",))
    _check_range(files, WINDOWS, "n_pad", n_pad, stride)
    if n_pad.size != n_windows:
        raise ArtifactError(
            f"{files.folder / WINDOWS}: {n_pad.size:,} rows for {n_windows:,} windows; redo the step with --fresh"
        )
    return np.asarray(stride - n_pad, dtype=np.int32)


def _check_range(files: ShardFiles, table: str, name: str, values: NDArray[Any], largest: int) -> None:
    """Raise ArtifactError unless all values are from 0 to `largest`, and windows ascend."""
    if values.size and not 0 <= int(values.min()) <= int(values.max()) <= largest:
        found = f"{values.min()} to {values.max()}, expected 0 to {largest}"
    elif name == "window" and np.any(values[1:] < values[:-1]):
        found = "not ascending"
    else:
        return
    raise ArtifactError(f"{files.folder / table}: column {name} is {found}; redo the step with --fresh")
