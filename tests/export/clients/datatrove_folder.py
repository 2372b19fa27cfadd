"""Reads an export with datatrove: ``python datatrove_folder.py OUT.npz ARGUMENTS``."""

import json
import sys

import guide
import numpy as np
from datatrove.utils.dataset import DatatroveFolderDataset
from torch.utils.data import DataLoader, DistributedSampler, Subset

out, arguments = sys.argv[1], json.loads(sys.argv[2])


def build(**options):
    settings = {"seq_len": arguments["seq_len"], "token_size": arguments["token_size"], "return_positions": True}
    return DatatroveFolderDataset(arguments["folder"], **settings, **options)


def rows(loader, name="input_ids"):
    return np.concatenate([batch[name].numpy() for batch in loader])


dataset = eval(
    guide.text(arguments["folder"]), {"FOLDER": arguments["folder"], "DatatroveFolderDataset": DatatroveFolderDataset}
)
found = {"rows": rows(DataLoader(dataset, batch_size=4)), "positions": rows(DataLoader(dataset, 4), "positions")}
found["files"] = np.array([file.file_path.rpartition("/")[2] for file in dataset.files])
by_eos = build(positions_from_eos_token_id=arguments["eos"])
found["positions_by_eos"] = rows(DataLoader(by_eos, batch_size=4), "positions")
found["shuffled"] = rows(DataLoader(build(shuffle=True, seed=1), batch_size=4))
for rank in range(2):
    sampler = DistributedSampler(dataset, num_replicas=2, rank=rank, shuffle=False, drop_last=True)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        found[f"rank_{rank}_{epoch}"] = rows(DataLoader(dataset, batch_size=1, sampler=sampler))
found["resumed"] = rows(DataLoader(Subset(dataset, range(5, len(dataset))), batch_size=1))
np.savez(out, **found)
