"""JSON of a run with values of other types, keys that are missing, numbers that are huge, nesting without end.

Half of the changed files get the seal of what they say now. A finished run is audited and
used; an unfinished one, with its records and basis, is gone on with. An `IcpError` comes out, or a result.
"""

import json
import random
import shutil
import time
from pathlib import Path

from icp.engine.executor import SerialExecutor
from icp.pipeline import build_graph, run_part
from icp.run.reader import read_config
from icp.run.seals import SEAL, sealed
from torture import Broken
from torture.damages import audit, look, use

HOSTILE = [
    None,
    "",
    "x" * 5000,
    "../../x",
    "\x1b[2J",
    -1,
    0,
    2**63,
    2**200,
    -(2**70),
    1e308,
    float("nan"),
    True,
    [],
    {},
]
HOSTILE += [[[]], {"a": 1}, 0.5]
DEEP = "[" * 3000 + "]" * 3000


def change(tree, rng):
    """The tree with one value, key or level that icp would not write; it may become text that is no JSON."""
    holders = [tree]
    for holder in holders:
        values = holder.values() if isinstance(holder, dict) else holder
        holders += [value for value in values if isinstance(value, dict | list) and value]
    holder = rng.choice(holders)
    key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    kind = rng.randrange(6)
    if kind == 0:
        holder.pop(key)
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice(["../x", "", "a" * 300, "\u202e"])] = holder.pop(key)
    elif kind == 2:
        holder[key] = "DEEP"
    else:
        holder[key] = rng.choice(HOSTILE)
    return tree


def spoil(path, rng):
    """Change the JSON in a file, and put its seal right in half of the cases."""
    tree = change(json.loads(path.read_text()), rng)
    if SEAL in tree and rng.random() < 0.5:
        tree = sealed({key: value for key, value in tree.items() if key != SEAL})
    path.write_text(json.dumps(tree, indent=1, sort_keys=True).replace('"DEEP"', DEEP) + "\n")


def begin(config):
    """Leave documents, and dedup of which one slice of two is done; the JSON files of it."""
    build_graph(config, SerialExecutor(), lambda *_: None, until="documents")
    run_part(config, "dedup", 0, 2, SerialExecutor())
    return Path(config.run)


def go_on(run):
    """Go on with an unfinished run."""
    config = read_config(run / "config.yaml")
    build_graph(config.model_copy(update={"run": str(run)}), SerialExecutor(), lambda *_: None, until="dedup")


def attack(seconds, seed, *, finished, begun, folder, most=None, uses=0.5):
    """Change one JSON file after another until the time is over; counts of it.

    `finished`, `begun`: runs, see `begin`; `uses`: share of changes after which all other commands are tried too.
    """
    rng, deadline = random.Random(seed), time.monotonic() + seconds
    counts, broken = {"changes": 0, "used": 0, "gone on": 0}, []
    while time.monotonic() < deadline and counts["changes"] < (most or 10**9):
        run, is_begun = (begun, True) if rng.random() < 0.3 else (finished, False)
        names = sorted(path.relative_to(run) for path in run.rglob("*.json") if path.name != "tokenizer.json")
        name, place = rng.choice(names), Path(folder) / f"json-{counts['changes']}"
        shutil.copytree(run, place / "run")
        spoil(place / "run" / name, rng)
        what = f"{name}: {(place / 'run' / name).read_text()[:300] if is_begun else ''}"
        try:
            counts["changes"] += 1
            if is_begun:
                look(lambda place=place: go_on(place / "run"))
                counts["gone on"] += 1
            else:
                look(lambda place=place: audit(place / "run"))
                if rng.random() < uses:
                    look(lambda place=place: use(place / "run"))
                    counts["used"] += 1
        except Broken as error:
            broken.append(f"{what}: {error}")
        shutil.rmtree(place)
    if broken:
        raise Broken(f"seed {seed}, {counts}: {len(broken)} of them:\n" + "\n".join(broken))
    return counts
