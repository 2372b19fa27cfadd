"""What a model of the corpus took from all documents, kept for runs that extend this one, which embed by it.

In: what *weigh* and *settle* left, or the run extended. Out: ``frozen.npz``: the buckets of words that count anything,
int32, and their weights, int32 (of a model that counts words); the arrays of *settle*.
"""

from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.embed.two_pass import BUCKETS
from icp.engine.step import PartOutput
from icp.errors import InputError
from icp.run.context import Context
from icp.run.extended import carried, extended
from icp.run.names import FROZEN, VECTORS
from icp.steps.embeddings.survivors import load_array, made

SETTLED, WORDS, WEIGHTS = "settled.", "words", "weights"


def carry(context: Context, part: str, output: PartOutput) -> None:
    """Take over the vectors of the run extended, by what they were made, and what its manifest counts."""
    base = extended(context)
    assert base is not None
    for name, path, record in carried(base, "embeddings", (VECTORS, FROZEN)):
        output.carry(name, path, record)
    for name, n in base.manifest("embeddings").counts.items():
        output.count(name, n)


def word_weights(context: Context) -> NDArray[np.int32]:
    """(BUCKETS,) int32: what each word counts."""
    if extended(context) is None:
        return np.array(load_array(context, "weights.npy"))
    weights, found = np.zeros(BUCKETS, np.int32), _frozen(context)
    weights[found[WORDS]] = found[WEIGHTS]
    return weights


def settled_arrays(context: Context) -> dict[str, NDArray[Any]]:
    """What *settle* left, by name."""
    if extended(context) is None:
        names = made(context, "settle", "settled")
        return {PurePosixPath(name).stem: np.array(load_array(context, name)) for name in names}
    found = _frozen(context)
    return {name.removeprefix(SETTLED): array for name, array in found.items() if name.startswith(SETTLED)}


def leave_frozen(context: Context, output: PartOutput, *, counts_words: bool) -> None:
    """Write ``frozen.npz``; of a run that extends another one, *carry* has taken it over."""
    if extended(context) is not None:
        return
    arrays = {f"{SETTLED}{name}": array for name, array in settled_arrays(context).items()}
    if counts_words:
        weights = word_weights(context)
        arrays[WORDS] = np.flatnonzero(weights).astype(np.int32)
        arrays[WEIGHTS] = weights[arrays[WORDS]]
    with output.path(FROZEN).open("wb") as stream:
        np.savez(stream, allow_pickle=False, **dict(sorted(arrays.items())))


def _frozen(context: Context) -> dict[str, NDArray[Any]]:
    base = extended(context)
    assert base is not None
    path = base.path("embeddings", FROZEN)
    if not path.exists():
        raise InputError(
            f"{path}: missing, as the run was made before runs could be extended; make its vectors again with "
            "`icp build-graph --fresh-step embeddings` and its configuration"
        )
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}
