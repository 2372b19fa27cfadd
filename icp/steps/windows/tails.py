"""`pack.tail` over files: a plan without room in its windows, and what is counted for that."""

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.data import PackPlan
from icp.engine.step import ALL, PartOutput
from icp.errors import InputError
from icp.pack.continuation import begun_again
from icp.pack.tail import NOTHING, Related, left_out, without_open_windows
from icp.plurals import counted
from icp.run.arrays import load_nodes, load_order, token_offsets
from icp.run.context import Context
from icp.run.extended import first_packed
from icp.steps.windows.inputs import Inputs, save_array

MUCH = 0.01
"""Share of all tokens from which what is left out is worth a warning."""


def whole_windows(plan: PackPlan, config: Config) -> PackPlan:
    """The plan without windows that have room, if `pack.tail` is ``drop``."""
    return without_open_windows(plan, config.capacity) if config.pack.tail == "drop" else plan


def filled(context: Context, inputs: Inputs, plan: PackPlan) -> tuple[PackPlan, NDArray[np.int64]]:
    """The plan with room filled, if `pack.tail` is ``repeat``, and what is repeated, or left out."""
    config = context.config
    if not config.pack.lists_tail:
        return plan, NOTHING
    if not plan.n_windows:
        raise InputError(
            f"{config.run}: pack.tail is drop, and no window of {config.pack.seq_len:,} tokens is full, so none is "
            "left; lower pack.seq_len, or set pack.tail to pad or repeat"
        )
    again = begun_again(plan) if config.pack.continuation == "restart" else NOTHING
    if config.pack.tail == "repeat":
        order, conflicts = load_order(context), np.asarray(inputs.conflicts)
        related = Related(inputs.graph, order, inputs.lengths, inputs.specials, inputs.groups, conflicts)
        plan, more = related.fill(plan, config.capacity)
        return plan, np.concatenate((again, more))
    return plan, left_out(plan, inputs.lengths) if config.pack.tail == "drop" else again


def leave_tail(context: Context, inputs: Inputs, tail: NDArray[np.int64], output: PartOutput) -> None:
    """Write what is repeated, or left out, and count it; documents that stand in several passes, or none, as well."""
    if context.config.pack.lists_tail:
        save_array(output, "tail", tail)
    if context.config.pack.lists_tail or context.config.pack.has_passes:
        count_tail(context, inputs, tail, output)


def count_tail(context: Context, inputs: Inputs, tail: NDArray[np.int64], output: PartOutput) -> None:
    """Count tokens without specials, and documents of which some are left out; those of passes as well."""
    tokens, again = plain_tokens(tail, inputs.lengths, inputs.specials), tail[:, 3] >= 0
    output.count("repeated", int(tokens[again].sum()))
    output.count("left_out", int(tokens[~again].sum()))
    output.count("left_out_documents", int(np.unique(tail[~again, 0]).size))
    if inputs.times is not None:
        plain, more = np.diff(token_offsets(context)), np.maximum(inputs.times - 1, 0)
        plain[: first_packed(context, inputs.nodes)] = 0
        output.count("repeated", int((plain * more).sum()))
        output.count("left_out", int(plain[inputs.times == 0].sum()))
        output.count("left_out_documents", int(((inputs.times == 0) & (plain > 0)).sum()))


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
    offsets = token_offsets(context)
    n_tokens = int(offsets[-1] - offsets[first_packed(context, load_nodes(context))])
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
