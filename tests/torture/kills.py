"""Commands killed at random moments, again and again, until they end by themselves: the same bytes, nothing left over.

Scenarios: a run; a run begun anew with ``--fresh-step``; a run that was made otherwise or is damaged, with ``--fresh``;
a second pack; an export; slices of all steps, by turns; a run with worker processes; a run of the Spark driver. Killed
is the whole group of processes, by SIGKILL.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tiny import data_files

from icp.run.names import BUILD_STEPS, PACK_FOLDERS, STEPS, pack_folder
from torture import Broken
from torture.commands import small_run, start

MOST_KILLS = 60
OTHERWISE = (
    "corpus.keep=[]",
    "dedup.near=false",
    "embed.model=lexical",
    "graph.k=3",
    "graph.min_similarity=0.99",
    "order.method=random",
    "pack.seq_len=50",
    "pack.inside=reverse",
    "pack.shuffle=none",
)
"""Settings by which a run is made otherwise, from every step on."""


class Killer:
    """Does commands that are killed, and counts.

    `longest`: seconds after which none is killed any more; less for a command that takes less.
    """

    def __init__(self, rng, longest):
        self.rng, self.longest, self.took = rng, longest, {}
        self.kills = self.commands = 0

    def until_done(self, arguments, first=None):
        """Do a command, `first` the first time, until it ends by itself; its exit code: 0, or 4 of a slice."""
        for attempt in range(MOST_KILLS):
            most = min(self.longest, self.took.get(arguments[0], self.longest))
            wait = None if attempt == MOST_KILLS - 1 else self.rng.uniform(0, most)
            code = self.once(first if first and not attempt else arguments, wait)
            if code is not None:
                return code
        raise Broken(f"{' '.join(arguments)}: never ended")

    def once(self, arguments, wait):
        """Do a command, and kill it after so many seconds (None: never); its exit code, None if it was killed."""
        with tempfile.TemporaryFile("w+") as said:
            started = time.monotonic()
            child = start(arguments, said, before=os.setpgrp)
            killed = self._kill(child, wait)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            self.commands += 1
            said.seek(0)
            if not killed or code != -signal.SIGKILL:
                text = said.read()
                waits_for_others = arguments[0] == "step" and code == 4
                if (code and not waits_for_others) or "Traceback" in text:
                    raise Broken(f"{' '.join(arguments)}: exit {code}: {text[-1500:]}")
                self.took[arguments[0]] = time.monotonic() - started
                return code
            self.kills += 1
            return None

    @staticmethod
    def _kill(child, wait):
        """Kill after so many seconds; False if it ended before."""
        deadline = time.monotonic() + (10**6 if wait is None else wait)
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return False
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        return True


def killed_run(killer, place, config, whole):
    """A run, from nothing."""
    killer.until_done(["run", "-c", str(config), "--set", f"run={place / 'run'}"])


def killed_fresh(killer, place, config, whole):
    """A finished run of which a step is asked for anew; after the first kill plain runs go on."""
    shutil.copytree(whole, place / "run")
    plain = ["run", "-c", str(config), "--set", f"run={place / 'run'}"]
    step = killer.rng.choice(["dedup", "embeddings", "graph", "order", "windows", "shards"])
    killer.until_done(plain, first=[*plain, "--fresh-step", step, "--yes"])


def killed_anew(killer, place, config, whole):
    """A finished run that was made otherwise, or of which a file is lost or cut, with ``--fresh`` until it is done."""
    run, other = place / "run", killer.rng.choice([*OTHERWISE, None])
    command = ["run", "-c", str(config), "--set", f"run={run}"]
    shutil.copytree(whole, run)
    if other is None:
        _damage(killer.rng, run)
    elif killer.once([*command, "--set", other, "--fresh", "--yes"], None) or data_files(run) == data_files(whole):
        raise Broken(f"{other}: nothing else was made")
    try:
        killer.until_done([*command, "--fresh", "--yes"])
    except Broken as error:
        raise Broken(f"after {other or 'damage'}: {error}") from None


def _damage(rng, run):
    """Lose or cut one of the files that steps made."""
    steps = [run / step for step in BUILD_STEPS] + [run / pack_folder("main", step) for step in PACK_FOLDERS]
    path = rng.choice(sorted(path for step in steps for path in step.rglob("*") if path.is_file()))
    if rng.random() < 0.5:
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2)


def killed_pack(killer, place, config, whole):
    """A second pack of a finished run, which then takes the place of the first."""
    shutil.copytree(whole, place / "run")
    killer.until_done(["pack", "-c", str(config), "--set", f"run={place / 'run'}", "--name", "again"])
    shutil.rmtree(place / "run/packs/main")
    (place / "run/packs/again").rename(place / "run/packs/main")
    for name in ("README.md", "export.json"):  # they name the pack
        shutil.copy(whole / "packs/main/exports/parquet" / name, place / "run/packs/main/exports/parquet" / name)


def killed_export(killer, place, config, whole):
    """An export; the run beside it stays as it is."""
    shutil.copytree(whole, place / "run")
    killer.until_done(["export", str(place / "run"), "--format", "parquet", "--out", str(place / "out")])
    if not (place / "out/export.json").is_file() or list((place / "out").glob(".tmp-*")):
        raise Broken(f"an export that is not whole: {sorted(path.name for path in (place / 'out').iterdir())}")
    shutil.rmtree(place / "out")


def killed_slices(killer, place, config, whole):
    """Slices of one step after another, by turns."""
    for step in STEPS:
        for turn in range(40):  # a phase waits for the slice of the one before
            arguments = ["step", step, "-c", str(config), "--set", f"run={place / 'run'}", "--parts", f"{turn % 2}/2"]
            if killer.until_done(arguments) == 0 and turn % 2 == 0:
                break
    killer.until_done(["run", "-c", str(config), "--set", f"run={place / 'run'}"])  # says the rest, and exports


def killed_workers(killer, place, config, whole, *, options=("--workers", "2")):
    """A run whose parts are done by other processes, which must not outlive it."""
    command = [sys.executable, "-m", "icp.cli", "run", "-c", str(config), "--set", f"run={place / 'run'}", *options]
    longest = 8.0 if "spark" not in options else 40.0
    for attempt in range(MOST_KILLS):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            said = process.communicate(timeout=killer.rng.uniform(1, longest) if attempt < 5 else None)[1].decode()
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            killer.kills += 1
            continue
        if process.returncode:
            raise Broken(f"{' '.join(command)}: exit {process.returncode}: {said[-1500:]}")
        return


def killed_spark(killer, place, config, whole):
    """A run of the Spark driver, on this machine."""
    killed_workers(killer, place, config, whole, options=("--engine", "spark", "--master", "local[2]"))


SCENARIOS = {f.__name__.removeprefix("killed_"): f for f in (killed_run, killed_fresh, killed_anew, killed_pack,
             killed_export, killed_slices, killed_workers, killed_spark)}  # fmt: skip
FORKED = ("run", "fresh", "anew", "pack", "export", "slices")


def attack(seconds, seed, *, folder, scenarios=FORKED, longest=None):
    """Go through scenarios until the time is over; counts by scenario, of runs and kills."""
    rng, folder = random.Random(seed), Path(folder)
    config, whole = small_run(folder)
    corpus, started = folder / "rows.jsonl", time.monotonic()
    Killer(rng, 0).once(["run", "-c", str(config), "--set", f"run={folder / 'timed'}"], None)
    killer = Killer(rng, longest or 0.6 * (time.monotonic() - started))
    shutil.rmtree(folder / "timed")
    wanted, before, counts = data_files(whole), corpus.read_bytes(), {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name in scenarios:
            _one(name, killer, (folder, config, whole), wanted, counts)
            if time.monotonic() > deadline:
                break
    if corpus.read_bytes() != before or data_files(whole) != wanted:
        raise Broken(f"seed {seed}: files outside the run were touched")
    return {"runs": counts, "kills": killer.kills}


def _one(name, killer, places, wanted, counts):
    folder, config, whole = places
    with tempfile.TemporaryDirectory(dir=folder) as place:
        place, kills = Path(place), killer.kills
        try:
            SCENARIOS[name](killer, place, config, whole)
            found = data_files(place / "run")
            wrong = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
            left = [str(path) for path in place.rglob("*") if path.name.startswith(".tmp-")]
            if wrong or left or [path.name for path in place.iterdir()] != ["run"]:
                raise Broken(f"other files: {wrong[:5]}; left behind: {left[:5]}")
        except Broken as error:
            raise Broken(f"{name}, after {killer.kills - kills} kills: {error}") from None
    told = counts.setdefault(name, {"runs": 0, "kills": 0})
    told["runs"] += 1
    told["kills"] += killer.kills - kills
