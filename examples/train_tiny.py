"""Train a tiny language model on the shards of a run: ``python examples/train_tiny.py RUN [STEPS]``; needs torch."""

import itertools
import json
import sys
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from icp import WindowDataset

CROP, WIDTH = 256, 128  # so small that a laptop needs half a minute

run = Path(sys.argv[1])
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 100
manifest = json.loads((run / "packs/main/shards/manifest.json").read_text())
torch.manual_seed(0)
tokens = torch.nn.Embedding(manifest["vocab_size"], WIDTH)
reader = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)
head = torch.nn.Linear(WIDTH, manifest["vocab_size"])
optimizer = torch.optim.AdamW(torch.nn.ModuleList([tokens, reader, head]).parameters(), lr=3e-3)

# each epoch has an order of its own; epoch 0 is training order
epochs = (DataLoader(WindowDataset(run, epoch=epoch), batch_size=8) for epoch in itertools.count())
batches = itertools.islice(itertools.chain.from_iterable(epochs), steps)
for step, batch in enumerate(batches):
    hidden, _ = reader(tokens(batch["input_ids"][:, :CROP]))
    logits, labels = head(hidden), batch["labels"][:, :CROP]
    if not batch["shifted"][0]:  # each label stands at its own token: predict it one place earlier
        logits, labels = logits[:, :-1], labels[:, 1:]
    loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0 or step == steps - 1:
        print(f"step {step:4d}  loss {loss.item():.3f}")  # noqa: T201
