"""The windows of a pack as a torch ``IterableDataset``, shared among the workers of a ``DataLoader``."""

from collections.abc import Iterator
from typing import Any, Protocol

from torch.utils.data import IterableDataset, get_worker_info


class Samples(Protocol):
    """What an `icp.WindowDataset` is to a stream."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> dict[str, Any]: ...


class WindowStream(IterableDataset[dict[str, Any]]):  # type: ignore[misc]
    """The samples of an `icp.WindowDataset`, from its start to the end of its epoch, each once.

    Workers take turns by batches, as a ``DataLoader`` asks them: with its ``batch_size`` given here, batches come in
    the order of the data set, whatever the number of workers. Where to go on is `WindowDataset.state_dict`, from the
    samples that the training loop has taken, not from those that workers have read ahead.

    Args:
        dataset: what to read.
        batch_size: of the ``DataLoader``.
    """

    def __init__(self, dataset: Samples, *, batch_size: int = 1) -> None:
        super().__init__()
        self.dataset, self.batch_size = dataset, batch_size

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        mine, n_workers = (worker.id, worker.num_workers) if worker else (0, 1)
        step = self.batch_size * n_workers
        for first in range(mine * self.batch_size, len(self.dataset), step):
            for place in range(first, min(first + self.batch_size, len(self.dataset))):
                yield self.dataset[place]
