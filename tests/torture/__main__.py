"""``python -m torture [NAME ...] [--seconds S] [--seed N] [--most N]``: the attacks, each for so many seconds.

A line of JSON tells what each counted. Exit code 1 if a promise did not hold, and what broke.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from tiny import make_run, tiny_config, write_jsonl

from torture import Broken, api, damages, faults, inputs, jsons, kills, soak
from torture.soak import corpus

NAMES = ("api", "damages", "json", "inputs", "faults", "kills", "anew", "workers", "spark", "soak")


class Attacks:
    """What each name stands for, in a folder of its own."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.budget = (options.seconds, options.seed)

    @cache  # noqa: B019 - one for the whole program
    def run_of(self, seed):
        """A finished run of some parts with an export; those of two seeds have no data file in common."""
        place, part_mib = self.folder / f"run-{seed}", self.options.part_mib
        place.mkdir()
        sections = {
            "corpus": {"input": str(self.rows(place, seed)), "part_mib": part_mib},
            "tokenizer": {"name": "train:300", "bos": "document", "eos": "<|endoftext|>"},
            "pack": {"seq_len": 256, "shard_mib": part_mib},
        }
        return make_run(tiny_config(place, seed=seed, export=["parquet"], **sections))

    def rows(self, place, seed):
        """A corpus of random words."""
        return write_jsonl(place / "rows.jsonl", corpus(random.Random(seed)))

    def api(self):
        with (self.folder / "calls").open("w", encoding="utf-8", errors="backslashreplace") as log:
            return api.attack(*self.budget, calls=self.options.most, log=log)

    def damages(self):
        return damages.attack(*self.budget, run=self.run_of(0), other=self.run_of(1), folder=self.folder,
                              uses=self.options.uses, most=self.options.most)  # fmt: skip

    def json(self):
        place = self.folder / "begun"
        place.mkdir()
        rows = self.rows(place, 2)
        begun = jsons.begin(tiny_config(place, corpus={"input": str(rows), "part_mib": 0.02}))
        return jsons.attack(*self.budget, finished=self.run_of(0), begun=begun, folder=self.folder,
                            uses=self.options.uses, most=self.options.most)  # fmt: skip

    def inputs(self):
        return inputs.attack(*self.budget, run=self.run_of(0), folder=self.folder, most=self.options.most)

    def faults(self):
        return faults.attack(*self.budget, folder=self.folder, most=self.options.most, skip=self.options.skip,
                             errors=self.options.errors)  # fmt: skip

    def kills(self):
        return kills.attack(*self.budget, folder=self.folder)

    def anew(self):
        return kills.attack(*self.budget, folder=self.folder, scenarios=("anew",))

    def workers(self):
        return kills.attack(*self.budget, folder=self.folder, scenarios=("workers",))

    def spark(self):
        return kills.attack(*self.budget, folder=self.folder, scenarios=("spark",))

    def soak(self):
        return soak.attack(*self.budget, folder=self.folder, most=self.options.most)


def main():
    """Do the attacks that are named, or all."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--most", type=int, help="calls, changes, inputs, faults or runs at most")
    parser.add_argument("--skip", type=int, default=0, help="faults that were tried before by the same seed")
    parser.add_argument("--errors", nargs="+", choices=faults.NAMES, help="of faults; default: all")
    parser.add_argument("--uses", type=float, default=0.5, help="share of damages after which all commands are tried")
    parser.add_argument("--part-mib", type=float, default=0.02)
    options, failed = parser.parse_args(), False
    for name in options.names or NAMES:
        started = time.process_time(), time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                counted = getattr(Attacks(Path(folder), options), name)()
            except (Broken, FileNotFoundError) as error:
                counted, failed = {"broken": str(error)}, True
        took = {"seconds": round(time.monotonic() - started[1]), "seed": options.seed}
        sys.stdout.write(json.dumps({"attack": name, **took, **counted}, ensure_ascii=True) + "\n")
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main())
