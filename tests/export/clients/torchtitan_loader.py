"""Reads windows by torchtitan's loader, by two ranks: ``python torchtitan_loader.py OUT.npz ARGUMENTS``."""

import itertools
import json
import sys

import numpy as np
from torch.utils.data import default_collate
from torchtitan.components.dataloader import ParallelAwareDataloader

from icp import WindowDataset


def collate(samples):
    """As docs/trainers.md gives it."""
    batch = default_collate(samples)
    return {"input": batch["input_ids"], "positions": batch["position_ids"]}, batch["labels"]


def build(rank):
    stream = WindowDataset(arguments["run"], pack="longer", mask="intra", rank=rank, world_size=2).stream(batch_size=2)
    return ParallelAwareDataloader(stream, rank, 2, batch_size=2, num_workers=2, collate_fn=collate)


if __name__ == "__main__":
    out, arguments = sys.argv[1], json.loads(sys.argv[2])
    found = {}
    for rank in range(2):
        loader = build(rank)
        batches = list(itertools.islice(loader, 3))
        again = build(rank)
        again.load_state_dict(loader.state_dict())
        batches += list(again)
        for name in ("input", "positions"):
            found[f"{name}_{rank}"] = np.concatenate([batch[name] for batch, _ in batches])
        found[f"labels_{rank}"] = np.concatenate([labels for _, labels in batches])
    np.savez(out, **found)
