"""Runs of changing seeds and settings in one process, for hours: memory, descriptors, threads and files do not grow.

First every combination of settings once, in an order by the seed: what is compiled, loaded or started when it is first
asked for is there then. From then on combinations are drawn, and what is held is looked at after each run.

Memory is looked at in two ways. *In use*: what the C library, Arrow and Python have given out and not got back. *Own*:
the pages that the process has for itself, which besides hold what was freed and not returned to the system. A leak
adds to both run after run; its sign is the slope, not the size. The slope is the median of the slopes between any two
runs (Theil and Sen), so that one late step does not make it, and every run's loss does.
"""

import ctypes
import gc
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from scipy.stats import theilslopes
from tiny import make_run, tiny_config, write_jsonl

from icp.audit import verify_run
from icp.dataset.windows import WindowDataset
from icp.errors import IcpError
from torture import Broken

TOKENIZERS = ({"name": "bytes"}, *({"name": "train:300", "bos": bos} for bos in ("none", "window", "document")))
COMBINATIONS = tuple(
    itertools.product(TOKENIZERS, (64, 128, 500), ("windows", "path-cut", "best-fit", "knn"), (0.01, 0.05))
)
"""Tokenizers, lengths of windows, methods, MiB of parts."""
LEAST_RUNS = 100
"""Slopes of fewer runs after the first of each combination are told, not judged: what is kept once for each thread and
each size of things still fills, by 12 KiB a run at 40 runs, 5 at 100, 2 at 200, 1 at 300."""
MOST_A_RUN = {"in use": 4.0, "own": 16.0, "blocks": 20.0}
"""Growth of a run, in KiB and blocks. The texts of a run have 35 KiB, its vectors 90, its ids 60 blocks: a run that
kept one of them would be seen. Own memory goes by pages of 4 KiB, which one block in use keeps."""
MOST_MIB = 24.0
"""Own memory after the first of each combination, once for all: steps that the slope forgives do not add up."""
SPARING = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""For the environment. The C library keeps what threads freed in up to 8 arenas a core, and Arrow's allocator in one of
each thread, every one as high as its highest moment in hours. With one for all, what is freed is found again, and
growth is growth."""
HERE = Path(__file__).resolve().parent


class _Mallinfo(ctypes.Structure):
    _fields_ = [(f"field_{number}", ctypes.c_size_t) for number in range(10)]
    """arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost."""


def held(folder):
    """KiB in use and own, blocks of Python, descriptors, threads, and files left in the temporary folder."""
    gc.collect()
    time.sleep(0.2)  # threads of what was collected end
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _Mallinfo
    given = library.mallinfo2()
    library.malloc_trim(0)
    pa.default_memory_pool().release_unused()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "in use": (given.field_7 + given.field_4 + pa.total_allocated_bytes()) / 1024,
        "own": float(status["RssAnon"].split()[0]),
        "blocks": sys.getallocatedblocks(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "files": sum(len(names) for _, _, names in os.walk(folder)),
    }


def corpus(rng):
    """Documents of random words, some alike."""
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(2, 8))) for _ in range(300)]
    texts = [" ".join(rng.choices(words, k=rng.randint(5, 200))) for _ in range(rng.randint(30, 90))]
    return [{"id": str(n), "text": text} for n, text in enumerate([*texts, *texts[:5]])]


def once(place, settings, rng, seed):
    """A run, its audit, and all samples of an epoch."""
    tokenizer, seq_len, method, part_mib = settings
    config = tiny_config(
        place,
        seed=seed,
        corpus={"input": str(write_jsonl(place / "rows.jsonl", corpus(rng))), "part_mib": part_mib},
        tokenizer=tokenizer,
        pack={"seq_len": seq_len, "method": method},
    )
    run = make_run(config)
    broken = [finding.line() for finding in verify_run(run) if not finding.kept]
    if broken:
        raise Broken("\n".join(broken))
    return sum(int(sample["input_ids"].size) for sample in WindowDataset(run))


def fill_pools(folder):
    """Have Arrow start all its threads, which else come one by one when enough work stands in line."""
    place = Path(folder) / "pools"
    place.mkdir()
    for number in range(64):
        pq.write_table(pa.table({"n": range(20_000)}), place / f"{number}.parquet", row_group_size=1000)
    for _ in range(5):
        pads.dataset(place).to_table()
    shutil.rmtree(place)


def attack(seconds, seed, *, folder, most=None):
    """Runs until the time is over, in a process whose allocators keep little; what `soak` says."""
    command = [sys.executable, "-m", "torture.soak", str(folder), str(seconds), str(seed), str(most or 10**9)]
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, **SPARING, "PYTHONPATH": path}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Broken(done.stdout or f"seed {seed}: exit {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def soak(seconds, seed, *, folder, most):
    """Runs until the time is over; how many, what was held after the first of them and at the end, and the slopes."""
    rng, deadline, seen, broken = random.Random(seed), time.monotonic() + seconds, [], []
    scratch = Path(folder) / "scratch"
    scratch.mkdir()
    tempfile.tempdir = str(scratch)
    fill_pools(folder)
    first = rng.sample(COMBINATIONS, len(COMBINATIONS))
    while time.monotonic() < deadline and len(seen) < most:
        place = Path(folder) / "soak"
        place.mkdir()
        done = len(seen)
        settings = first[done] if done < len(first) else rng.choice(COMBINATIONS)
        try:
            once(place, settings, rng, seed * 100_000 + done)
        except (Broken, IcpError) as error:
            broken.append(f"run {done}: {error}; {(place / 'run/config.yaml').read_text()}")
        shutil.rmtree(place)
        seen.append(held(scratch))
        sys.stderr.write(f"{done + 1} runs: {seen[-1]}\n")
    grown = growth(seen[len(first) - 1 :])
    broken += grown.pop("broken")
    told = {"runs": len(seen), **grown, "own MiB": [round(found["own"] / 1024) for found in seen[::25]]}
    if broken:
        raise Broken(f"seed {seed}, {told}: {len(broken)} of them:\n" + "\n".join(broken))
    return told


def growth(seen):
    """What the samples say from the last of the first runs on: `broken` names what grew, by which figures.

    seen: of `held`, a run each.
    """
    if len(seen) < 2:
        return {"broken": [], "judged": False}
    runs, judged = range(len(seen)), len(seen) > LEAST_RUNS
    slopes = {name: float(theilslopes([found[name] for found in seen], runs).slope) for name in MOST_A_RUN}
    broken = [
        f"{name} grows by {slopes[name]:.1f} a run, {most} at most"
        for name, most in MOST_A_RUN.items()
        if judged and slopes[name] > most
    ]
    first, last = seen[0], seen[-1]
    risen = (last["own"] - first["own"]) / 1024
    if risen > MOST_MIB:
        broken.append(f"own memory grew by {risen:.0f} MiB, {MOST_MIB:.0f} at most")
    broken += [
        f"{name}: {first[name]}, then {last[name]}"
        for name in ("descriptors", "threads", "files")
        if last[name] > first[name]
    ]
    slopes = {name: round(slope, 2) for name, slope in slopes.items()}
    return {"broken": broken, "judged": judged, "after": len(seen) - 1, "first": first, "last": last, "a run": slopes}


if __name__ == "__main__":
    try:
        counted = soak(float(sys.argv[2]), int(sys.argv[3]), folder=sys.argv[1], most=int(sys.argv[4]))
    except Broken as error:
        sys.stdout.write(f"{error}\n")
        sys.exit(1)
    sys.stdout.write(json.dumps(counted) + "\n")
