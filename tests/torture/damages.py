"""Every file of a finished run, damaged in every way: `icp verify` names the file, and no other command crashes.

The damage is done to a copy. What looks at it runs in a forked process each, so that a death by signal is seen.
"""

import os
import random
import shutil
import time
import warnings
from pathlib import Path

from icp.audit import verify_run
from icp.dataset.windows import WindowDataset
from icp.engine.executor import SerialExecutor
from icp.errors import IcpError
from icp.export import export_pack
from icp.inspect import show_document, show_duplicate, show_status, show_window
from icp.pipeline import pack
from icp.run.opening import open_folder
from icp.run.reader import read_config
from torture import Broken

SECONDS_A_LOOK = 400


def flip_bit(path, other, rng):
    """One bit is another."""
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def cut(path, other, rng):
    """The end is lost."""
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def zero(path, other, rng):
    """A stretch is zeros, as a file system leaves it that lost power."""
    data = bytearray(path.read_bytes())
    begin = rng.choice([0, rng.randrange(len(data))])
    data[begin:] = bytes(len(data) - begin)
    path.write_bytes(data)


def remove(path, other, rng):
    """The file is gone."""
    path.unlink()


def swap(path, other, rng):
    """It is the one of another run."""
    shutil.copy(other, path)


def append(path, other, rng):
    """Bytes follow."""
    with path.open("ab") as stream:
        stream.write(rng.randbytes(rng.randrange(1, 100)))


def link(path, other, rng):
    """A link stands in its place, to a file of the same bytes outside the run."""
    outside = _outside(path)
    shutil.move(path, outside)
    path.symlink_to(outside)


def folder(path, other, rng):
    """A folder stands in its place."""
    path.unlink()
    path.mkdir()


DAMAGES = {f.__name__: f for f in (flip_bit, cut, zero, remove, swap, append, link, folder)}


def _outside(path):
    run = next(parent for parent in path.parents if parent.name == "run")
    place = run.parent / "outside"
    place.mkdir(exist_ok=True)
    return place / path.name


def files_of(run):
    """Every file of a run that a command reads, by name: not the log, nor the card of the shards."""
    unread = {run / "log.jsonl", *run.glob("packs/*/shards/README.md")}
    return sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file() and path not in unread)


def look(work):
    """What a look at a damaged run gives, in a process of its own: "kept", or the error; raises Broken for a crash."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os._exit(_look(work, writing))
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        told = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise Broken(f"exit {status}: {told[-1500:]}")
    return told


def _look(work, writing):
    """The child of `look`."""
    import signal
    import traceback

    signal.alarm(SECONDS_A_LOOK)
    warnings.simplefilter("ignore")
    with os.fdopen(writing, "w", encoding="utf-8", errors="backslashreplace") as stream:
        try:
            stream.write(work() or "")
        except IcpError as error:
            stream.write(str(error))
        except BaseException:  # noqa: BLE001 - it is told
            stream.write(traceback.format_exc())
            return 1
    return 0


def audit(run):
    """The broken promises that `icp verify` tells."""
    return "\n".join(finding.line() for finding in verify_run(run) if not finding.kept)


def use(run):
    """Everything else that reads a finished run, one after another; errors of ours are what may come."""
    attempts = [
        lambda: open_folder(run),
        lambda: list(show_status(run)),
        lambda: [list(show_window(run, number, pack="main")) for number in (0, 3)],
        lambda: [list(show_document(run, str(number), pack="main")) for number in (0, 5, 40)],
        lambda: list(show_duplicate(run, "21")),
        lambda: [sample["input_ids"].sum() for sample in WindowDataset(run)],
        lambda: export_pack(run, "parquet", run.parent / "export"),
        lambda: pack(read_config(run / "config.yaml"), SerialExecutor(), lambda *_: None, name="again"),
    ]
    told = []
    for attempt in attempts:
        try:
            attempt()
        except IcpError as error:
            told.append(str(error))
    return "\n".join(told)


def strike(run, other, place, rng, what):
    """Damage one file of a copy of a run, and look; `what` is the file's name, the damage, and whether to use it too.

    Raises: Broken if `icp verify` does not name the file, or anything crashes.
    """
    name, damage, and_use = what
    copy = place / "run"
    shutil.copytree(run, copy)
    try:
        before = (copy / name).read_bytes()
        DAMAGES[damage](copy / name, other / name, rng)
        path = copy / name
        if path.is_file() and not path.is_symlink() and path.read_bytes() == before:
            return False
        told = look(lambda: audit(copy))
        if name not in told:
            raise Broken(f"icp verify does not name it, but says: {told[-600:] or 'every promise is kept'}")
        if and_use:
            look(lambda: use(copy))
        return True
    finally:
        shutil.rmtree(place)


def attack(seconds, seed, *, run, other, folder, uses=1.0, most=None):
    """Strike every file in every way, in an order by the seed, until the time is over.

    Counts come back. `run`: finished; `other`: one of the same files and other bytes; `folder`: to work in; `uses`:
    share of strikes after which all other commands are tried too; `most`: damages of each file.
    """
    rng = random.Random(seed)
    deadline = time.monotonic() + seconds
    strikes = [(name, damage) for name in files_of(run) for damage in DAMAGES]
    rng.shuffle(strikes)
    if most:  # so many of each file
        strikes = [strike for name in files_of(run) for strike in [s for s in strikes if s[0] == name][:most]]
    counts, broken = {"files": len(files_of(run)), "damages": 0, "used": 0, "of": len(strikes)}, []
    for name, damage in strikes:
        if time.monotonic() > deadline:
            break
        if damage == "swap" and not (other / name).is_file():
            continue
        place, and_use = Path(folder) / f"{counts['damages']}", rng.random() < uses
        place.mkdir()
        state = rng.getstate()
        try:
            counts["damages"] += strike(run, other, place, rng, (name, damage, and_use))
            counts["used"] += and_use
        except Broken as error:
            broken.append(f"{damage} of {name}: {error}")
        rng.setstate(state)
        rng.random()
    if broken:
        raise Broken(f"seed {seed}, {counts}: {len(broken)} of them:\n" + "\n".join(broken))
    return counts
