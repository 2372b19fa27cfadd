"""`pack.least_fill` over files: how many windows are under the floor, and what is said of them."""

from typing import Any

from icp.pack.floor import floor_tokens
from icp.pack.tail import tokens_of
from icp.plurals import counted
from icp.run.context import Context
from icp.steps.windows.inputs import load_plan


def floor_figures(context: Context) -> dict[str, Any]:
    """Facts of a plan with a floor: the windows under it, the emptiest one, and a warning; nothing without a floor."""
    config = context.config
    if not config.pack.least_fill:
        return {}
    tokens = tokens_of(load_plan(context))
    below = int((tokens < floor_tokens(config.pack.least_fill, config.capacity)).sum())
    facts: dict[str, Any] = {"below_least_fill": below, "lowest_fill": int(tokens.min()) / config.capacity}
    if below:
        facts["warnings"] = [
            f"windows: {counted(below, 'window')} of {tokens.size:,} hold less than pack.least_fill "
            f"{config.pack.least_fill:g} (the emptiest {facts['lowest_fill']:.3f}): no window nearby could give them "
            "tokens and stay above it; lower pack.least_fill, raise pack.min_fill or allow cuts (pack.split, "
            "pack.min_piece)"
        ]
    return facts
