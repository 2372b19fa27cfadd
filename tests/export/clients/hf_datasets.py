"""Reads an export with `datasets`: ``python hf_datasets.py OUT.npz ARGUMENTS``."""

import json
import sys
from pathlib import Path

import guide
import numpy as np
from datasets import load_dataset, load_from_disk
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader

out, arguments = sys.argv[1], json.loads(sys.argv[2])
files = f"{arguments['folder']}/train-*.parquet"
n_files = len(list(Path(arguments["folder"]).glob("train-*.parquet")))


def load(streaming=False):
    return load_dataset("parquet", data_files=files, split="train", streaming=streaming, cache_dir="cache")


def rows(dataset, name="input_ids"):
    return np.array([row[name] for row in dataset])


whole = guide.run(arguments["folder"])["dataset"]
found = {"rows": rows(whole), "types": np.array([str(whole.features["input_ids"].feature.dtype)])}
whole.save_to_disk("disk")
found["from_disk"] = rows(load_from_disk("disk"), "labels")
found["streamed"] = rows(load(streaming=True))
found["lengths"] = np.array([json.dumps(row["seq_lengths"]) for row in whole])
found["docs"] = np.array([json.dumps(row["doc_ids"]) for row in whole])
columns = [name for name in ("input_ids", "labels") if name in whole.column_names]
loader = DataLoader(whole.select_columns(columns).with_format("torch"), batch_size=2)
for name in columns:
    found[f"torch_{name}"] = np.concatenate([batch[name].numpy() for batch in loader])
    found[f"torch_{name}_type"] = np.array([str(next(iter(loader))[name].dtype)])
for rank in range(2):
    for kind, streaming in (("mapped", False), ("streamed", True)):
        split = split_dataset_by_node(load(streaming), rank=rank, world_size=2)
        for epoch in range(2):
            if streaming:
                split.set_epoch(epoch)
            found[f"{kind}_{rank}_{epoch}"] = rows(split)
stream = load(streaming=True)
first = []
for row in stream:
    first.append(row["input_ids"])
    if len(first) == 5:
        break
state = json.loads(json.dumps(stream.state_dict()))
again = load(streaming=True)
again.load_state_dict(state)
second = []
for row in again:
    second.append(row["input_ids"])
    if len(second) == 4:
        break
third = load(streaming=True)
third.load_state_dict(json.loads(json.dumps(again.state_dict())))
found["resumed_twice"] = np.concatenate([first, second, rows(third)])
found["skipped"] = rows(whole.skip(5))
found["n_files"] = np.array([n_files])
try:
    from transformers import default_data_collator

    used = whole.select_columns(columns)  # as transformers' Trainer does
    found["collated_labels"] = default_data_collator([used[at] for at in range(len(used))])["labels"].numpy()
except ImportError:
    pass
try:
    from trl import SFTConfig
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    said = (Path(arguments["folder"]) / "README.md").read_text().replace("`", "")
    assert "packing=False, max_length=None, dataset_kwargs={'skip_prepare_dataset': True}" in said
    config = SFTConfig(packing=False, max_length=None, padding_free=True, use_cpu=True, bf16=False)
    collator = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=config.padding_free)
    for name, values in collator([whole[at] for at in range(len(whole))]).items():
        if name in ("input_ids", "labels", "position_ids", "cu_seq_lens_q"):
            found[f"trl_{name}"] = values.numpy()
except ImportError:
    pass
np.savez(out, **found)
