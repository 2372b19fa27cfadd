"""Documents apart by megatron-core's own flag: ``python megatron_masking.py OUT.npz ARGUMENTS``."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig

torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
out, arguments = sys.argv[1], json.loads(sys.argv[2])


class Tokenizer:
    """What megatron-core asks of a tokenizer."""

    eod, pad, vocab_size = arguments["eos"], arguments["eos"], arguments["vocab_size"]
    unique_identifiers: ClassVar = {"class": "made"}


if all(field.name != "inter_document_masking" for field in fields(GPTDatasetConfig)):
    np.savez(out)
    sys.exit()
config = GPTDatasetConfig(
    random_seed=7,
    sequence_length=arguments["seq_len"],
    blend=([str(path.with_suffix("")) for path in sorted(Path(arguments["folder"]).glob("*.idx"))], None),
    split="100,0,0",
    path_to_cache="cache",
    tokenizer=Tokenizer(),
    create_attention_mask=False,
    reset_attention_mask=False,
    reset_position_ids=True,
    eod_mask_loss=True,
    inter_document_masking=True,
    add_extra_token_to_sequence=False,
)
dataset = BlendedMegatronDatasetBuilder(GPTDataset, [None, 0, 0], lambda: True, config).build()[0]
samples = [dataset[at] for at in range(len(dataset))]
names = {"tokens": "rows", "cu_seqlens": "cu_seqlens", "position_ids": "position_ids"}
np.savez(out, **{ours: np.stack([sample[name].numpy() for sample in samples]) for name, ours in names.items()})
