"""Reads an export with litdata: ``python litdata_tokens.py OUT.npz ARGUMENTS``."""

import json
import sys

import guide
import numpy as np
import torch
from litdata import StreamingDataLoader, StreamingDataset, TokensLoader
from litdata.streaming.cache import Cache
from litdata.utilities.env import _DistributedEnv

arguments = json.loads(sys.argv[2])


def build(shuffle=False, rank=None):
    dataset = StreamingDataset(
        arguments["folder"], item_loader=TokensLoader(block_size=arguments["stride"]), shuffle=shuffle, drop_last=False
    )
    if rank is not None:
        dataset.distributed_env = _DistributedEnv(world_size=2, global_rank=rank, num_nodes=1)
    return dataset


def rows(loader):
    return np.concatenate([np.asarray(batch).astype(np.int64) for batch in loader])


if __name__ == "__main__":
    out = sys.argv[1]
    found = {"rows": rows(guide.run(arguments["folder"])["loader"])}
    found["type"] = np.array([str(build()[0].dtype)])
    for rank in range(2):
        for kind, shuffle in (("ordered", False), ("shuffled", True)):
            loader = StreamingDataLoader(build(shuffle, rank), batch_size=1)
            for epoch in range(2):
                found[f"{kind}_{rank}_{epoch}"] = rows(loader)
    loader = StreamingDataLoader(build(), batch_size=2)
    first = []
    for batch in loader:
        first.append(batch.numpy())
        if len(first) == 3:
            break
    state = json.loads(json.dumps(loader.state_dict()))
    again = StreamingDataLoader(build(), batch_size=2)
    again.load_state_dict(state)
    found["resumed"] = np.concatenate([*first, rows(again)])
    # the same chunks as litdata's own writer makes them
    cache = Cache("own", chunk_bytes=1 << 30, item_loader=TokensLoader(block_size=arguments["stride"]))
    for place, row in enumerate(found["rows"][: arguments["first_chunk"]]):
        cache[place] = torch.from_numpy(row.astype(np.int32))
    cache.done()
    cache.merge()
    with open("own/chunk-0-0.bin", "rb") as stream:  # noqa: PTH123
        found["chunk"] = np.frombuffer(stream.read(), dtype=np.uint8)
    with open("own/index.json") as stream:  # noqa: PTH123
        found["index"] = np.array([stream.read()])
    np.savez(out, **found)
