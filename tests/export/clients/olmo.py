"""Reads an export with OLMo-core: ``python olmo.py OUT.npz ARGUMENTS``."""

import itertools
import json
import sys
from pathlib import Path

import guide
import numpy as np
from olmo_core.data import DataCollator, NumpyFSLDataLoader, TokenizerConfig
from olmo_core.data.composable import ComposableDataLoaderConfig, ConcatAndChunkInstanceSourceConfig
from olmo_core.data.utils import get_labels, iter_document_indices

out, arguments = sys.argv[1], json.loads(sys.argv[2])
folder, seq_len = Path(arguments["folder"]), arguments["seq_len"]
dataset = guide.run(folder, WORK_DIR="work")["dataset"]
dataset._generate_doc_lengths = True  # the flag that the guide names, of the configuration
dataset.prepare()
found = {"rows": np.stack([dataset[at]["input_ids"].numpy() for at in range(len(dataset))])}
documents = [list(iter_document_indices(path, use_array_if_local=False)) for path in dataset.paths]
found["documents"] = np.array([[shard, *span] for shard, spans in enumerate(documents) for span in spans])


def loader(rank, shuffle):
    return NumpyFSLDataLoader(
        dataset,
        collator=DataCollator(pad_token_id=arguments["pad"], vocab_size=arguments["vocab_size"]),
        global_batch_size=2 * seq_len,
        work_dir="work",
        dp_world_size=2,
        dp_rank=rank,
        fs_local_rank=rank,
        shuffle=shuffle,
        target_device_type="cpu",
    )


def take(batches, name, stop=None):
    rows, labels, lengths = [], [], []
    for batch in itertools.islice(batches, stop):
        rows.append(batch["input_ids"].numpy())
        labels.append(get_labels(batch).numpy())
        lengths += [[length for length in doc if length] for doc in batch["doc_lens"].tolist()]
    found[f"{name}_rows"], found[f"{name}_labels"] = np.concatenate(rows), np.concatenate(labels)
    found[f"{name}_lengths"] = np.array([len(length) for length in lengths])


for shuffle in (True, False):
    for rank in range(2):
        mine = loader(rank, shuffle)
        for epoch in (1, 2):
            mine.reshuffle(epoch=epoch)
            take(mine, f"{'shuffled' if shuffle else 'ordered'}_{rank}_{epoch}")
            mine.reset()
for rank in range(2):  # stop after three steps, go on from the state
    mine = loader(rank, True)
    mine.reshuffle(epoch=1)
    take(mine, f"first_{rank}", stop=3)
    state = mine.state_dict()
    again = loader(rank, True)
    again.load_state_dict(state)
    again.reshuffle(epoch=1)
    take(again, f"rest_{rank}")
tokenizer = TokenizerConfig(
    vocab_size=arguments["vocab_size"], eos_token_id=arguments["eos"], pad_token_id=arguments["pad"]
)
source = ConcatAndChunkInstanceSourceConfig.from_npy(
    *sorted(map(str, folder.glob("shard-?????.npy"))),
    tokenizer=tokenizer,
    sequence_length=seq_len,
    dtype=arguments["dtype"],
    label_mask_paths=sorted(map(str, folder.glob("*.label_mask.npy"))) or None,
).build("work")
for shuffle in (True, False):  # one process, two windows a step
    config = ComposableDataLoaderConfig(
        tokenizer=tokenizer,
        global_batch_size=2 * seq_len,
        work_dir="work",
        shuffle=shuffle,
        generate_doc_lengths=True,
        target_device_type="cpu",
        display_source_visualization=False,
    )
    composed = config.build(source)
    composed.reshuffle(epoch=1)
    take(composed, f"composed_{'shuffled' if shuffle else 'ordered'}")
np.savez(out, **found)
