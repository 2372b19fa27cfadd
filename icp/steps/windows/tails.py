"""`pack.tail` over files: a plan without room in its windows, and what is counted for that."""

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.data import PackPlan
from icp.engine.step import ALL, PartOutput
from icp.errors import InputError
from icp.pack.continuation import begun_again
from icp.pack.tail import Related, left_out, without_open_windows
from icp.plurals import counted
from icp.run.arrays import load_order, token_offsets
from icp.run.context import Context
from icp.steps.windows.inputs import Inputs, save_array

MUCH = 0.01
"""Share of all tokens from which what is left out is worth a warning."""


def whole_windows(plan: PackPlan, config: Config) -> PackPlan:
    """The plan without windows that have room, if `pack.tail` is ``drop``."""
    return without_open_windows(plan, config.capacity) if config.pack.tail == "drop" else plan


def finish_tail(context: Context, inputs: Inputs, plan: PackPlan, output: PartOutput) -> PackPlan:
    """The plan with room filled, if `pack.tail` is ``repeat``; leaves what is repeated, or left out, and counts it."""
    config = context.config
    if not config.pack.lists_tail:
        return plan
    if not plan.n_windows:
        raise InputError(
            f"{config.run}: pack.tail is drop, and no window of {config.pack.seq_len:,} tokens is full, so none is "
            "left; lower pack.seq_len, or set pack.tail to pad or repeat"
        )
    if config.pack.tail == "repeat":
        order, conflicts = load_order(context), np.asarray(inputs.conflicts)
        related = Related(inputs.graph, order, inputs.lengths, inputs.specials, inputs.groups, conflicts)
        tail = begun_again(plan)
        plan, filled = related.fill(plan, config.capacity)
        tail = np.concatenate((tail, filled)) if config.pack.continuation == "restart" else filled
    elif config.pack.tail == "pad":
        tail = begun_again(plan)
    else:
        tail = left_out(plan, inputs.lengths)
    save_array(output, "tail", tail)
    _count(inputs, tail, output)
    return plan


def _count(inputs: Inputs, tail: NDArray[np.int64], output: PartOutput) -> None:
    """Tokens without specials, and documents of which some are left out."""
    tokens, again = plain_tokens(tail, inputs.lengths, inputs.specials), tail[:, 3] >= 0
    output.count("repeated", int(tokens[again].sum()))
    output.count("left_out", int(tokens[~again].sum()))
    output.count("left_out_documents", int(np.unique(tail[~again, 0]).size))


def plain_tokens(tail: NDArray[np.int64], lengths: NDArray[np.int64], specials: tuple[int, int]) -> NDArray[np.int64]:
    """(m,) int64: tokens of pieces, their document's specials not counted."""
    n_bos, n_eos = specials
    plain = lengths[tail[:, 0]] - n_bos - n_eos
    start, stop = (np.clip(tail[:, column] - n_bos, 0, plain) for column in (1, 2))
    return np.asarray(stop - start, dtype=np.int64)


def warn_of_tail(context: Context, output: PartOutput) -> None:
    """Warn of many tokens that are left out, and of room that could not be filled."""
    counts, config, facts = context.records("plan")[ALL].counts, context.config, output.info
    if config.pack.tail == "pad":
        return
    n_tokens = int(token_offsets(context)[-1])
    if counts["left_out"] > MUCH * n_tokens:
        facts.setdefault("warnings", []).append(
            f"windows: pack.tail is drop, which leaves out {counts['left_out']:,} tokens "
            f"({counts['left_out'] / n_tokens:.1%}) of {counted(counts['left_out_documents'], 'document')}; "
            "lower pack.seq_len, or set pack.tail to pad or repeat"
        )
    if facts["fill"] < 1:
        facts.setdefault("warnings", []).append(
            f"windows: some keep padding ({1 - facts['fill']:.2%} of all tokens) though pack.tail is "
            f"{config.pack.tail}: pack.group_by and near-copies allow no document to be repeated in them"
        )
