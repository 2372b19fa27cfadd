"""A probe as lines for a terminal, and as plain values for a file."""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from icp.probe.arms import BEST_FIT, OURS, RANDOM, SAME_SOURCE, Arms
from icp.probe.figures import QUANTILES, Figures
from icp.probe.gains import CODERS, DEFLATE, N_GRAM
from icp.probe.intervals import Estimates, Interval
from icp.probe.sample import Sample


def lines_of(figures: Figures, arms: Arms, sample: Sample) -> Iterator[str]:
    """The verdict first, then the tables it rests on."""
    yield figures.verdict
    yield ""
    yield f"bits a byte saved by what precedes a text in its window, cuts paid for; sample of {_sampled(sample)}"
    yield f"{'':20} {'n-gram coder':>34} {'deflate':>9} {'headless':>9} {'this pack saves more by':>34}"
    warm, cold = figures.sure[N_GRAM], figures.sure[DEFLATE]
    for name in arms.plans:
        more = "" if name == OURS else _shown(warm.difference(OURS, name))
        headless = f"{100 * figures.headless[name]:.1f}%"
        yield f"{name:20} {_shown(warm.of(name)):>34} {cold.of(name).value:>9.4f} {headless:>9} {more:>34}"
    yield ""
    if SAME_SOURCE in warm.names:
        share = warm.share(SAME_SOURCE, OURS, RANDOM)
        if np.isfinite(share.value):
            middle, low, high = (f"{100 * number:.0f}%" for number in (share.value, share.low, share.high))
            yield f"same source has {middle} [{low}, {high}] of the gain over random windows"
    yield f"under document masks the pack saves {_shown(figures.masked)} more than best-fit: {_word(figures.masked)}"
    for title, table in (
        ("place in the window", figures.by_place),
        ("tokens of the document", figures.by_length),
        ("source", figures.by_source),
    ):
        yield ""
        yield f"n-gram coder by {title}: this pack, random"
        for name, value in table[OURS].items():
            yield f"  {name[:40]:40} {value:8.4f} {table[RANDOM].get(name, float('nan')):8.4f}"
    yield ""
    yield f"tokens in front of a token that it can see, quantiles {', '.join(map(str, QUANTILES))}%"
    for name, (seen, masked) in ((name, figures.context[name]) for name in (OURS, BEST_FIT)):
        yield f"  {name:20} {_list(seen)}; under document masks {_list(masked)}"


def tree_of(figures: Figures, arms: Arms, sample: Sample) -> dict[str, object]:
    """All figures as plain values."""
    return {
        "verdict": figures.verdict,
        "bytes": {name: int((p.end - p.begin).sum()) for name, p in sample.pieces.items()},
        "windows": {name: plan.n_windows for name, plan in arms.plans.items()},
        "saved": {coder: _saved(figures.sure[coder]) for coder in CODERS},
        "by_place": figures.by_place,
        "by_length": figures.by_length,
        "by_source": figures.by_source,
        "headless": figures.headless,
        "context": {name: {"plain": plain, "masked": masked} for name, (plain, masked) in figures.context.items()},
    }


def _saved(found: Estimates) -> dict[str, object]:
    return {
        name: {"bits_per_byte": asdict(found.of(name)), "this_pack_saves_more": asdict(found.difference(OURS, name))}
        for name in found.names
    }


def _sampled(sample: Sample) -> str:
    pieces = sample.pieces[OURS]
    n_mib = int((pieces.end - pieces.begin).sum()) / 2**20
    return f"{np.unique(pieces.window).size:,} windows, {n_mib:.1f} MiB, for each kind of windows"


def _shown(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _word(interval: Interval) -> str:
    return ("nothing", "more, which masks should not leave", "less, the price of its cuts")[interval.sign]


def _list(values: list[int]) -> str:
    return ", ".join(f"{value:,}" for value in values)
