"""Reads an export with megatron-core: ``python megatron_core.py OUT.npz ARGUMENTS``."""

import json
import sys
from pathlib import Path
from typing import ClassVar

import guide
import numpy as np
import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset
from megatron.core.datasets.utils import get_blend_from_list

torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
out, arguments = sys.argv[1], json.loads(sys.argv[2])


class Tokenizer:
    """What megatron-core asks of a tokenizer."""

    eod, pad, vocab_size = arguments["eos"], arguments["pad"], arguments["vocab_size"]
    unique_identifiers: ClassVar = {"class": "made"}


def read(dataset):
    samples = [dataset[at] for at in range(len(dataset))]
    names = ("tokens", "labels", "loss_mask", "position_ids")
    return {name: np.stack([sample[name].numpy() for sample in samples]) for name in names}


def build(prefixes, n_samples, name, **options):
    settings = {"reset_position_ids": False, "reset_attention_mask": False, "eod_mask_loss": True, **options}
    config = GPTDatasetConfig(
        random_seed=7,
        sequence_length=arguments["seq_len"],
        blend=(prefixes, None),
        split="100,0,0",
        path_to_cache=f"cache-{name}",
        tokenizer=Tokenizer(),
        create_attention_mask=False,
        **settings,
    )
    sizes = [n_samples, 0, 0]
    return BlendedMegatronDatasetBuilder(GPTDataset, sizes, lambda: True, config).build()[0]


prefixes = [str(path.with_suffix("")) for path in sorted(Path(arguments["folder"]).glob("*.idx"))]
found = {}
rows, lengths, types, counts = [], [], [], []
for prefix in prefixes:
    indexed = IndexedDataset(prefix)
    rows += [indexed[at].copy() for at in range(len(indexed))]  # views die with the data set
    counts.append(len(indexed))
    lengths += indexed.sequence_lengths.tolist()
    types.append(str(indexed.index.dtype.__name__))
    assert indexed.document_indices.tolist() == list(range(len(indexed) + 1))
found["rows"], found["lengths"], found["types"] = np.stack(rows).astype(np.int64), np.array(lengths), np.array(types)
for number, prefix in enumerate(prefixes):  # two epochs of each shard
    n_windows = counts[number]
    for name, values in read(build([prefix], 2 * n_windows - 1, f"two-{number}")).items():
        found[f"two_epochs_{number}_{name}"] = values
options = {"add_extra_token_to_sequence": False, "reset_position_ids": True}
for name, values in read(build(prefixes, None, "own", **options)).items():
    found[f"own_{name}"] = values
for name, values in read(build(prefixes, None, "blend", eod_mask_loss=False)).items():
    found[f"blend_{name}"] = values
flags = guide.flags(arguments["folder"])
assert flags.keys() == {"--data-path", "--split", "--seq-length", "--eod-mask-loss"}
assert flags["--split"] == ["100,0,0"]
assert flags["--seq-length"] == [str(arguments["seq_len"])]
blend = flags["--data-path"]
blend = [f"{arguments['folder']}/{word}" if at % 2 else word for at, word in enumerate(blend) if word != "..."]
guided, _ = get_blend_from_list(blend)  # by size, as without weights: each window at most once
for name, values in read(build(guided, None, "guided")).items():
    found[f"guided_{name}"] = values
np.savez(out, **found)
