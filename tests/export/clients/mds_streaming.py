"""Reads an export with mosaicml-streaming: ``python mds_streaming.py OUT.npz ARGUMENTS``, once for each rank."""

import json
import os
import shutil
import sys

import guide
import numpy as np
import torch
from streaming import MDSWriter, StreamingDataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

if __name__ == "__main__":
    out, arguments = sys.argv[1], json.loads(sys.argv[2])

    def build(**options):
        if not options["shuffle"]:
            return guide.run(arguments["folder"], BATCH_PER_DEVICE=1)["dataset"]
        return StreamingDataset(local=arguments["folder"], batch_size=1, num_canonical_nodes=1, **options)

    found = {}
    for kind, shuffle in (("ordered", False), ("shuffled", True)):
        dataset = build(shuffle=shuffle, shuffle_seed=3)
        if kind == "ordered":
            samples = [dataset[place] for place in range(len(dataset))]
            found["rows"] = np.stack([sample["tokens"] for sample in samples]).astype(np.int64)
            for name in ("doc_lens", "doc_ids"):
                found[name] = np.array([json.dumps(sample[name].tolist()) for sample in samples])
            # llm-foundry's collator, with a tokenizer that names the padding
            tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"pad": arguments["pad"]})))
            tokenizer.pad_token = "pad"
            tokens = [{"input_ids": torch.from_numpy(sample["tokens"].astype(np.int64))} for sample in samples]
            found["labels"] = DataCollatorForLanguageModeling(tokenizer, mlm=False)(tokens)["labels"].numpy()
            found["type"] = np.array([str(samples[0]["tokens"].dtype)])
        for epoch in range(2):
            found[f"{kind}_{epoch}"] = np.stack([sample["tokens"] for sample in dataset]).astype(np.int64)
    if os.environ["WORLD_SIZE"] == "1":
        index = json.load(open(f"{arguments['folder']}/index.json"))["shards"][0]  # noqa: PTH123, SIM115
        columns = dict(zip(index["column_names"], index["column_encodings"], strict=True))
        with MDSWriter(out="own", columns=columns, hashes=["sha1"], size_limit=index["size_limit"]) as writer:
            for sample in samples[: index["samples"]]:
                writer.write(sample)
        with open("own/shard.00000.mds", "rb") as stream:  # noqa: PTH123
            found["shard"] = np.frombuffer(stream.read(), dtype=np.uint8)
        with open("own/index.json") as stream:  # noqa: PTH123
            found["index"] = np.array([stream.read()])
        shutil.rmtree("own")
    np.savez(out, **found)
