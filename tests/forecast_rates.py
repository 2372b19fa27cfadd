"""Rates made by hand, and a machine."""

from icp.config import parse_config
from icp.forecast.estimate import Size
from icp.forecast.rates import Line, PhaseRate, Rates, StepRate
from icp.machine import Machine
from icp.run.names import BUILD_STEPS, PACK_STEPS

SIZE = Size(n_docs=1_000_000, n_bytes=3_600_000_000, n_tokens=900_000_000, n_parts=10)
MACHINE = Machine(cores=8, memory=64 << 30, disk=1 << 40)
CONFIG = parse_config({"run": "run", "corpus": {"input": "x.jsonl"}})
NAMES = {("neighbors", "shared"): "search", ("order", "one"): "visit"}


def planted(seconds=None, *, settings=None):
    """One serial and one shared phase a step, nothing taken but what `seconds` says by ``step: phase``; the shared one
    of neighbors is *search*, the serial one of order *visit*."""
    seconds = seconds or {}
    names = (*BUILD_STEPS, *PACK_STEPS)
    phases = [
        PhaseRate(
            step,
            NAMES.get((step, phase), phase),
            phase == "one",
            seconds.get(f"{step}: {phase}", Line()),
            Line(per_byte=0.5),
        )
        for step in names
        for phase in ("one", "shared")
    ]
    steps = [StepRate(step, names[:number][-1:], Line(per_byte=0.25), Line(), 2.0) for number, step in enumerate(names)]
    return Rates("0", "cpu", "2026-01-01", settings or {}, 10_000, 3600, 4.0, 9.0, tuple(phases), tuple(steps))
