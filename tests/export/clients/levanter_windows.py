"""Reads windows by Levanter's loader: ``python levanter_windows.py OUT.npz ARGUMENTS``."""

import json
import sys

import haliax as hax
import jax
import numpy as np
from levanter.data import AsyncDataset, DataLoader
from levanter.models.lm_model import LmExample

from icp import WindowDataset


class Windows(AsyncDataset):
    """As docs/trainers.md gives it."""

    def __init__(self, windows):
        super().__init__()
        self.windows, self.position = windows, hax.Axis("position", windows.seq_len)

    async def async_len(self):
        return len(self.windows)

    current_len = async_len

    async def final_length_is_known(self):
        return True

    def is_finite(self):
        return True

    async def get_batch(self, indices):
        return [self.example(self.windows[index]) for index in indices]

    def example(self, sample):
        def named(values):
            return hax.named(values.astype(np.int32), self.position)

        predicts = np.append(sample["labels"][1:] != -100, False)  # position t predicts t + 1
        segments = named(sample["segment_ids"])
        return LmExample.causal(named(sample["input_ids"]), loss_mask=named(predicts), segment_ids=segments)


out, arguments = sys.argv[1], json.loads(sys.argv[2])
windows = WindowDataset(arguments["run"], mask="intra")
mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
loader = DataLoader(Windows(windows), 3, mesh=mesh, axis_resources={"batch": "data"})
batches = list(loader)
position, key = hax.Axis("position", windows.seq_len), hax.Axis("key_position", windows.seq_len)
masks = [
    batch.attn_mask.materialize(position, key).rearrange(("batch", "position", "key_position")) for batch in batches
]
later = list(loader.iter_from_step(4))
np.savez(
    out,
    rows=np.concatenate([batch.tokens.array for batch in batches]),
    loss=np.concatenate([batch.loss_mask.array for batch in batches]),
    masks=np.concatenate([mask.array for mask in masks]),
    later=np.concatenate([batch.tokens.array for batch in later]),
)
