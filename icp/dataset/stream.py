"""The windows of a pack as a torch ``IterableDataset``, shared among the workers of a ``DataLoader``."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from torch.utils.data import IterableDataset, get_worker_info

from icp.dataset.place import whole
from icp.errors import ConfigError

if TYPE_CHECKING:
    from icp.dataset.windows import WindowDataset


class WindowStream(IterableDataset[dict[str, Any]]):  # type: ignore[misc]
    """The samples of an `icp.WindowDataset`, from its start to the end of its epoch, each once.

    Workers take turns by batches, as a ``DataLoader`` asks them: with its ``batch_size`` given here, batches come in
    the order of the data set, whatever the number of workers.

    Two ways to go on: torchdata's ``StatefulDataLoader`` keeps the state of each worker, for the same ranks, workers
    and batches, and nothing is read twice. With any other loader, and for another number of ranks, keep
    `WindowDataset.state_dict`, from the samples that the training loop has taken.

    Args:
        dataset: what to read.
        batch_size: of the ``DataLoader``; with another one, batches come in another order, and samples taken do not
            tell where to go on.
    """

    def __init__(self, dataset: "WindowDataset", *, batch_size: int) -> None:
        super().__init__()
        self.dataset, self.batch_size = dataset, whole("batch_size", batch_size)
        if not self.batch_size:
            raise ConfigError("batch_size is 0; give that of the DataLoader")
        self._given = self._skipped = 0

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # only the first pass after a state was loaded goes on there
        self._given, self._skipped = self._skipped, 0
        return self._samples(self._given, (self.dataset.epoch, self.dataset.start), len(self.dataset))

    def _samples(self, first: int, place: tuple[int, int], length: int) -> Iterator[dict[str, Any]]:
        mine, n_workers = _turn()
        for number in count(first):
            turn, within = divmod(number, self.batch_size)
            at = (turn * n_workers + mine) * self.batch_size + within
            if at >= length:
                return
            self.dataset.still_at(place)
            sample = self.dataset[at]
            self._given = number + 1
            yield sample

    def set_epoch(self, epoch: int) -> None:
        """As `WindowDataset.set_epoch`."""
        self.dataset.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where this worker is; what ``StatefulDataLoader`` asks for after each batch."""
        return {**self.dataset.state_dict(), **self._turns(), "given": self._given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken, by this worker, or where `WindowDataset.state_dict` was.

        Raises: ArtifactError and ConfigError as `WindowDataset.load_state_dict`; ConfigError if workers or batches are
            others than then.
        """
        now = self._turns()
        if "given" in state and any(state.get(name) != value for name, value in now.items()):
            then = ", ".join(f"{name} {state.get(name)!r}" for name in now)
            raise ConfigError(
                f"the state of a stream was taken with {then}; now: {', '.join(f'{k} {v}' for k, v in now.items())}; "
                "use the same, or keep WindowDataset.state_dict(samples_seen), which fits any"
            )
        given = whole("given", state.get("given", 0))
        self.dataset.load_state_dict(state)
        self._given = self._skipped = given

    def _turns(self) -> dict[str, int]:
        worker = get_worker_info()
        return {"workers": worker.num_workers if worker else 0, "batch_size": self.batch_size}


def _turn() -> tuple[int, int]:
    """The number of this worker, and how many there are that share the samples."""
    worker = get_worker_info()
    # `datasets` shares its generators among workers: one that is given a stream has to read all of it
    if worker is None or type(worker.dataset).__module__.startswith("datasets."):
        return 0, 1
    return worker.id, worker.num_workers
