"""Calls of the system that fail, each in turn, over a whole run: one line, exit code 4, the same bytes afterwards.

`shim.c`, loaded in front of the C library, makes the n-th write, fsync, rename, link, creation of a file or of a folder
below the run fail: once, or from then on, as on a disk that is full; or writes half of what it is asked to. Python,
Arrow, numpy and Rust all go through it. Needs a C compiler. Each command runs in a forked process, in one process each.

As a program: ``python -m torture.faults FOLDER SECONDS SEED``, started by `attack`.
"""

import ctypes
import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from torture import Broken
from torture.commands import prepare, start

HERE = Path(__file__).resolve().parent
KINDS = {"write": 1, "fsync": 2, "rename": 4, "link": 8, "open": 16, "mkdir": 32}
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO)
SHORT = 0
"""In place of an error: half of each write is done."""
WRITABLE_SOON, NOT_OURS = 4, 3
"""Exit codes: 4 wherever something was begun; 3 where the folder of the run itself may not be written (EACCES)."""


def attack(seconds, seed, *, folder, most=None):
    """Start a process in front of whose C library the shim lies, and give what it counted."""
    library = Path(folder) / "shim.so"
    compiler = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    subprocess.run([compiler, "-O1", "-fPIC", "-shared", "-o", library, HERE / "shim.c", "-ldl"], check=True)
    command = [sys.executable, "-m", "torture.faults", str(folder), str(seconds), str(seed), str(most or 10**9)]
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "LD_PRELOAD": str(library), "SHIM": str(library), "PYTHONPATH": path}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"seed {seed}: {done.stdout[-6000:]}{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def command(arguments, arming):
    """Run a command in a forked process, armed; its exit code, what it said, calls seen, whether one failed."""
    shim = ctypes.CDLL(os.environ["SHIM"])
    reading, writing = os.pipe()

    def arm():
        folder, kinds, number, error, sticky = arming
        shim.shim_arm(folder.encode(), kinds, ctypes.c_long(number), error, int(sticky), int(error == SHORT))

    def tell():
        seen = [shim.shim_counted(kind) for kind in KINDS.values()], shim.shim_failed()
        shim.shim_arm(b"", 0, ctypes.c_long(0), 0, 0, 0)
        os.write(writing, json.dumps(seen).encode())

    with tempfile.TemporaryFile("w+") as said:
        child = start(arguments, said, before=arm, after=tell)
        os.close(writing)
        with os.fdopen(reading) as stream:
            counted = json.loads(stream.read() or "[[], 0]")
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return code, said.read(), *counted


def one(place, config, wanted, arming):
    """Run with a fault, run again without; raises Broken where a promise did not hold. True if a call failed."""
    from tiny import data_files

    run = place / "run"
    arguments = ["run", "-c", str(config), "--set", f"run={run}"]
    kinds, number, error, sticky = arming
    code, said, _, failed = command(arguments, (str(run), kinds, number, error, sticky))
    lines = [line for line in said.splitlines() if line.startswith("icp: ")]
    codes = {0, WRITABLE_SOON, NOT_OURS} if error == errno.EACCES else {0, WRITABLE_SOON}
    if "Traceback" in said or code not in codes or (code and len(lines) != 1):
        raise Broken(f"exit {code}: {said[-1500:]}")
    if code:
        code, said, *_ = command(arguments, ("", 0, 0, 0, False))
        if code:
            raise Broken(f"the same command again: exit {code}: {said[-1500:]}")
    found = data_files(run)
    wrong = [name for name in {*found, *wanted} if found.get(name) != wanted.get(name)]
    if wrong or any(place.rglob(".tmp-*")):
        raise Broken(f"other files afterwards: {wrong[:3]} {[str(path) for path in place.rglob('.tmp-*')][:3]}")
    return bool(failed)


def main(folder, seconds, seed, most):
    """What ``python -m torture.faults`` does."""
    from tiny import cut_config, data_files, write_jsonl

    from icp.config import dump_config
    from icp.warm import tiny_rows

    folder, rng = Path(folder), random.Random(seed)
    corpus = write_jsonl(folder / "tiny.jsonl", tiny_rows())
    config = folder / "config.yaml"
    config.write_text(dump_config(cut_config(folder / "whole", corpus, part_mib=0.03)))
    prepare()
    code, said, seen, _ = command(["run", "-c", str(config)], (str(folder / "whole" / "run"), 0, 0, 0, False))
    if code:
        raise Broken(f"without a fault: exit {code}: {said[-1500:]}")
    calls = dict(zip(KINDS, seen, strict=True))
    wanted = data_files(folder / "whole" / "run")
    faults = [
        (KINDS[name], number, error, sticky)
        for name, n in calls.items()
        for number in range(1, n + 1)
        for error in (*ERRORS, *((SHORT,) if name == "write" else ()))
        for sticky in (False, True)
    ]
    rng.shuffle(faults)
    counts, broken = {"calls": calls, "faults": 0, "failed": 0, "of": len(faults)}, []
    deadline = time.monotonic() + seconds
    for fault in faults[:most]:
        if time.monotonic() > deadline:
            break
        with tempfile.TemporaryDirectory(dir=folder) as place:
            try:
                counts["failed"] += one(Path(place), config, wanted, fault)
            except Broken as error:
                name = next(name for name, kind in KINDS.items() if kind == fault[0])
                code = errno.errorcode.get(fault[2], "short")
                broken.append(f"{name} {fault[1]} {code}{' and all after it' if fault[3] else ''}: {error}")
        counts["faults"] += 1
    sys.stdout.write("".join(f"{line}\n" for line in [*broken, json.dumps(counts)]))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
