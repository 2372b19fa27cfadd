"""Runs of changing seeds and settings in one process, for hours: memory, descriptors, threads and files do not grow."""

import gc
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

from tiny import make_run, tiny_config, write_jsonl

from icp.audit import verify_run
from icp.dataset.windows import WindowDataset
from icp.errors import IcpError
from torture import Broken

WARM_RUNS, EVERY = 4, 25
"""What is held is looked at after these first runs, and after so many more each time."""
TOKENIZERS = ({"name": "bytes"}, *({"name": "train:300", "bos": bos} for bos in ("none", "window", "document")))
MOST_MIB = 96.0
"""Growth of memory from the first runs to the last: allocators keep what they once had."""


def held(folder):
    """Memory in MiB, descriptors, threads, and files left in the temporary folder."""
    gc.collect()
    time.sleep(0.2)  # threads of what was collected end
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = sum(len(names) for _, _, names in os.walk(folder))
    return {
        "mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "files": files,
    }


def corpus(rng):
    """Documents of random words, some alike."""
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(2, 8))) for _ in range(300)]
    texts = [" ".join(rng.choices(words, k=rng.randint(5, 200))) for _ in range(rng.randint(30, 90))]
    return [{"id": str(n), "text": text} for n, text in enumerate([*texts, *texts[:5]])]


def once(place, rng, seed):
    """A run, its audit, and all samples of an epoch."""
    config = tiny_config(
        place,
        seed=seed,
        corpus={"input": str(write_jsonl(place / "rows.jsonl", corpus(rng))), "part_mib": rng.choice((0.01, 0.05))},
        tokenizer=rng.choice(TOKENIZERS),
        pack={"seq_len": rng.choice((64, 128, 500)), "method": rng.choice(("windows", "path-cut", "best-fit", "knn"))},
    )
    run = make_run(config)
    broken = [finding.line() for finding in verify_run(run) if not finding.kept]
    if broken:
        raise Broken("\n".join(broken))
    return sum(int(sample["input_ids"].size) for sample in WindowDataset(run))


def attack(seconds, seed, *, folder, most=None):
    """Runs until the time is over; how many, and what was held after the first of them, on the way and at the end."""
    rng, deadline, done, seen, broken = random.Random(seed), time.monotonic() + seconds, 0, [], []
    scratch = Path(folder) / "scratch"
    scratch.mkdir()
    tempfile.tempdir = str(scratch)
    while time.monotonic() < deadline and done < (most or 10**9):
        place = Path(folder) / "soak"
        place.mkdir()
        try:
            once(place, rng, seed * 100_000 + done)
        except (Broken, IcpError) as error:
            broken.append(f"run {done}: {error}; {(place / 'run/config.yaml').read_text()}")
        shutil.rmtree(place)
        done += 1
        if done % EVERY == WARM_RUNS:
            seen.append(held(scratch))
    last = held(scratch)
    first = (seen or [last])[0]
    grown = {name: last[name] - first[name] for name in last}
    if grown["mib"] > MOST_MIB or any(grown[name] > 0 for name in ("descriptors", "threads", "files")):
        broken.append(f"after {done} runs more is held than after {WARM_RUNS}: {first}, then {last}")
    if broken:
        raise Broken(f"seed {seed}, {done} runs, {seen}: {len(broken)} of them:\n" + "\n".join(broken))
    return {"runs": done, "first": first, "last": last, "mib": [round(found["mib"]) for found in seen]}
