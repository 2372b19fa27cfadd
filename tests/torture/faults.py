"""Calls of the system that fail, each in turn, over a whole run: one line, exit code 4, the same bytes afterwards.

`shim.c`, loaded in front of the C library, makes the n-th write, fsync, rename, link, creation of a file or folder,
close of what was written, or removal below the run fail: once, or from then on, as on a disk that is full; or writes
half of what it is asked to. Python, Arrow, numpy and Rust all go through it. Needs a C compiler. Each command runs in a
forked process. Calls of one kind on files of one folder and suffix are a site: first one call of each site fails in
every way, ENOSPC before the others, then all calls.

As a program: ``python -m torture.faults FOLDER SECONDS SEED``, started by `attack`.
"""

import ctypes
import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from torture import Broken
from torture.commands import small_run, start

HERE = Path(__file__).resolve().parent
KINDS = {"write": 1, "fsync": 2, "rename": 4, "link": 8, "open": 16, "mkdir": 32, "close": 64, "unlink": 128}
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO)
SHORT = 0
"""In place of an error: half of each write is done."""
NAMES = {**{errno.errorcode[error]: error for error in ERRORS}, "short": SHORT}
WRITABLE_SOON, NOT_OURS = 4, 3
"""Exit codes: 4 wherever something was begun; 3 where the folder of the run itself may not be written (EACCES)."""


def attack(seconds, seed, *, folder, most=None, skip=0, errors=None):
    """Start a process in front of whose C library the shim lies, and give what it counted.

    `most`: faults at most; `skip`: so many that were tried before by the same seed; `errors`: names, all if None.
    """
    library = Path(folder) / "shim.so"
    compiler = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    subprocess.run([compiler, "-O1", "-fPIC", "-shared", "-o", library, HERE / "shim.c", "-ldl"], check=True)
    command = [
        sys.executable,
        "-m",
        "torture.faults",
        str(folder),
        str(seconds),
        str(seed),
        str(most or 10**9),
        str(skip),
        *(errors or NAMES),
    ]
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "LD_PRELOAD": str(library), "SHIM": str(library), "PYTHONPATH": path}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"seed {seed}: {done.stdout[-6000:]}{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def command(arguments, arming, log=None):
    """Run a command in a forked process, armed; its exit code, what it said, calls seen, whether one failed.

    `log`: a file that gets a line for each call.
    """
    shim = ctypes.CDLL(os.environ["SHIM"])
    reading, writing = os.pipe()

    def arm():
        folder, kinds, number, error, sticky = arming
        if log:
            shim.shim_log(str(log).encode())
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
    elif kinds == KINDS["unlink"] and failed:  # what could not be removed goes at the next command
        code, said, *_ = command(arguments, ("", 0, 0, 0, False))
    found = data_files(run)
    wrong = [name for name in {*found, *wanted} if found.get(name) != wanted.get(name)]
    if wrong or any(place.rglob(".tmp-*")):
        raise Broken(f"other files afterwards: {wrong[:3]} {[str(path) for path in place.rglob('.tmp-*')][:3]}")
    return bool(failed)


def all_faults(log, rng, errors):
    """Every fault of every call, in an order by the seed, one call of each site before the others; and the sites.

    `log`: a line for each call, its kind and the file; `errors`: in their order.
    """
    sites, numbers = {}, Counter()
    for line in log.splitlines():
        kind, name = line.split(" ", 1)
        numbers[int(kind)] += 1
        folder, _, file = re.sub(r"[0-9a-f]{32}|\d+", "*", name).rpartition("/")
        site = int(kind), folder, file.rpartition(".")[2]
        sites.setdefault(site, []).append((int(kind), numbers[int(kind)]))
    chosen = {rng.choice(calls) for calls in sites.values()}
    found = [
        (place not in chosen, rank, rng.random(), (*place, error, sticky))
        for calls in sites.values()
        for place in calls
        for rank, error in enumerate(errors)
        if error != SHORT or place[0] == KINDS["write"]
        for sticky in (False, True)
    ]
    return [fault for *_, fault in sorted(found)], len(sites)


def told(fault):
    """A fault in words."""
    name = next(name for name, kind in KINDS.items() if kind == fault[0])
    return f"{name} {fault[1]} {errno.errorcode.get(fault[2], 'short')}{' and all after it' if fault[3] else ''}"


def main(folder, seconds, seed, most, skip, errors):
    """What ``python -m torture.faults`` does."""
    from tiny import data_files

    folder, rng = Path(folder), random.Random(seed)
    config, whole = small_run(folder)
    wanted, run = data_files(whole), folder / "counted" / "run"
    log = folder / "calls"
    arguments = ["run", "-c", str(config), "--set", f"run={run}"]
    code, said, seen, _ = command(arguments, (str(run), 0, 0, 0, False), log=log)
    if code or data_files(run) != wanted:
        raise Broken(f"without a fault: exit {code}: {said[-1500:]}")
    calls = dict(zip(KINDS, seen, strict=True))
    faults, n_sites = all_faults(log.read_text(), rng, errors)
    counts, broken = (
        {"calls": calls, "sites": n_sites, "faults": 0, "failed": 0, "of": len(faults), "by error": Counter()},
        [],
    )
    deadline = time.monotonic() + seconds
    for fault in faults[skip : skip + most]:
        if time.monotonic() > deadline:
            break
        with tempfile.TemporaryDirectory(dir=folder) as place:
            try:
                counts["failed"] += one(Path(place), config, wanted, fault)
            except Broken as error:
                broken.append(f"{told(fault)}: {error}")
                sys.stderr.write(f"{broken[-1]}\n")
        counts["faults"] += 1
        counts["by error"][told((fault[0], "", *fault[2:])).split("  ")[1]] += 1
    sys.stdout.write("".join(f"{line}\n" for line in [*broken, json.dumps(counts)]))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:6]), [NAMES[name] for name in sys.argv[6:]]))
