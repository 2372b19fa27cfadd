"""Pretrain a small transformer on the windows of a run, by as many processes as you like; needs torch alone.

    torchrun --nproc-per-node 2 examples/pretrain.py RUN --validation OTHER_RUN --packs main,second --mask intra

Epochs read the packs in turn. Kill it and start it again, with another number of processes too: it goes on from the
last checkpoint, and each step holds the windows that it would have held: the losses are those of an undisturbed run.
"""

import argparse
import json
import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from icp import WindowDataset

WIDTH, HEADS, LAYERS = 64, 4, 2  # so small that a laptop needs a minute


class Block(nn.Module):
    """Attention over what `allowed` shows, then two dense layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.dense = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x, allowed):
        """(batch, length, WIDTH) in and out; `allowed`: (batch, 1, length, length) bool."""
        heads = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(self.first(x)).chunk(3, -1))
        x = x + self.out(scaled_dot_product_attention(*heads, attn_mask=allowed).transpose(1, 2).flatten(2))
        return x + self.dense(self.second(x))


class Model(nn.Module):
    """Logits of the next token."""

    def __init__(self, vocab_size, seq_len):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, WIDTH), nn.Embedding(seq_len, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, batch, apart):
        """(batch, length, vocab_size); `apart`: tokens see their own document alone."""
        segments = batch["segment_ids"]
        allowed = torch.ones(segments.shape[1], segments.shape[1], dtype=torch.bool).tril()[None, None]
        if apart:
            allowed = allowed & (segments[:, None, :, None] == segments[:, None, None, :])
        x = self.tokens(batch["input_ids"]) + self.positions(batch["position_ids"])
        for block in self.blocks:
            x = block(x, allowed)
        return self.head(x)


def losses(model, batch, apart):
    """The summed loss of the labels of a batch, and how many there are."""
    logits, labels = model(batch, apart), batch["labels"]
    if not batch["shifted"][0]:  # each label stands at its own token: predict it one place earlier
        logits, labels = logits[:, :-1], labels[:, 1:]
    summed = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")
    return summed, (labels != -100).sum()


@torch.no_grad()
def validate(model, dataset, args):
    """The mean loss of all labels of all ranks, which may have unequal numbers of windows."""
    total = torch.zeros(2)
    for batch in DataLoader(dataset, batch_size=args.batch):
        total += torch.stack(losses(model, batch, args.mask == "intra"))
    dist.all_reduce(total)
    return (total[0] / total[1]).item()


def train(args, rank, world_size):
    """Steps to the end, from the last checkpoint on."""
    manifest = json.loads((Path(args.run) / f"packs/{args.packs[0]}/shards/manifest.json").read_text())
    ranks = {"rank": rank, "world_size": world_size, "mask": args.mask}
    held_out = WindowDataset(args.validation, even=False, **ranks)
    torch.manual_seed(0)
    bare = Model(manifest["vocab_size"], manifest["seq_len"])
    model, optimizer = DistributedDataParallel(bare), torch.optim.AdamW(bare.parameters(), lr=3e-3)
    step, turn, seen = 0, 0, 0  # `seen`: samples of the turn's epoch that all ranks have taken
    if args.checkpoint.exists():
        state = torch.load(args.checkpoint)
        bare.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, turn, seen = state["place"]
    while step < args.steps:
        epoch, pack = divmod(turn, len(args.packs))
        dataset = WindowDataset(args.run, pack=args.packs[pack], epoch=epoch, start=seen, **ranks)
        for batch in DataLoader(dataset, batch_size=args.batch // world_size, drop_last=True):
            loss, count = losses(model, batch, args.mask == "intra")
            dist.all_reduce(count)
            optimizer.zero_grad()
            (loss * world_size / count).backward()  # ranks are averaged: the mean over all labels
            optimizer.step()
            dist.all_reduce(loss := loss.detach())
            step, seen = step + 1, seen + args.batch
            if seen + args.batch > dataset.n_windows:
                turn, seen = turn + 1, 0
            line = f"step {step}  loss {loss / count:.6f}"
            if step % args.every == 0:
                line += f"  validation {validate(bare, held_out, args):.6f}"
                if rank == 0:
                    state = {
                        "model": bare.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "place": (step, turn, seen),
                    }
                    torch.save(state, args.checkpoint.with_suffix(".tmp"))
                    args.checkpoint.with_suffix(".tmp").replace(args.checkpoint)
            if rank == 0:
                print(line, flush=True)  # noqa: T201
            if step == args.steps or seen == 0:
                break


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--validation", required=True, help="a run whose windows are never trained on")
    parser.add_argument("--packs", default=["main"], type=lambda names: names.split(","))
    parser.add_argument("--mask", default="cross", choices=["cross", "intra"])
    parser.add_argument("--batch", default=8, type=int, help="windows of a step, of all ranks together")
    parser.add_argument("--steps", default=100, type=int)
    parser.add_argument("--every", default=10, type=int, help="steps between checkpoints")
    parser.add_argument("--checkpoint", default=Path("pretrain.pt"), type=Path)
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}.items():
        os.environ.setdefault(name, value)  # without torchrun: one process
    dist.init_process_group("gloo")
    train(parser.parse_args(), dist.get_rank(), dist.get_world_size())
    dist.destroy_process_group()
