"""The passes of a pack: how often each document must stand in the windows, and where each pass begins.

In: documents/, the configuration, the facts of plan/. Out: `Passes`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.audit.segments import TokenFiles
from icp.run.names import DOCUMENTS
from icp.run.passes import passes_of
from icp.run.reader import Run, WrongForm


@dataclass(frozen=True, slots=True)
class Passes:
    """What the configuration asks for, and where the plan says that passes begin.

    Attributes:
        times: (n_nodes,) int64, passes that each node stands in, one after another from the first on.
        firsts: (passes + 1,) int64, the first window of each pass; of a pack without passes, no window is the last.
    """

    times: NDArray[np.int64]
    firsts: NDArray[np.int64]

    def slots(self, node: NDArray[np.int64], window: NDArray[np.int64]) -> NDArray[np.int64]:
        """(m,) int64: a number for each node in the pass of a window, the first pass for those of no window."""
        number = np.clip(np.searchsorted(self.firsts, window, side="right") - 1, 0, self.firsts.size - 2)
        slots: NDArray[np.int64] = number * self.times.size + node
        return slots

    def wanted(self, whole: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """(passes * n_nodes,) uint64: `whole` (n_nodes,) where a node stands in a pass, else 0."""
        n_passes = self.firsts.size - 1
        there = self.times[None, :] > np.arange(n_passes)[:, None]
        return np.where(there, whole[None, :], np.uint64(0)).ravel()

    def more(self, node: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int32]:
        """(n_nodes,) int32: pieces that come again, those of `node` (m,) and those of later passes."""
        later = np.maximum(self.times - 1, 0) * (lengths > 0)
        return np.asarray(np.bincount(node, minlength=self.times.size) + later, np.int32)

    def counts(self, lengths: NDArray[np.int64]) -> dict[str, int]:
        """Tokens that come again in later passes, and those of documents in no pass; `lengths` (n_nodes,) int64."""
        never = (self.times == 0) & (lengths > 0)
        return {
            "repeated": int((lengths * np.maximum(self.times - 1, 0)).sum()),
            "left_out": int(lengths[never].sum()),
            "left_out_documents": int(never.sum()),
        }


def read_passes(run: Run, tokens: TokenFiles) -> Passes:
    """The passes of a pack; raises WrongForm where the plan does not say where they begin."""
    pack = run.config.pack
    times = passes_of(run.paths("documents", DOCUMENTS), tokens.nodes, pack) if pack.has_passes else None
    if times is None:
        times = np.ones(tokens.nodes.size, np.int64)
    if pack.epochs == 1:
        return Passes(times, np.array([0, np.iinfo(np.int64).max]))
    facts = run.manifests["windows"].facts
    firsts = np.array(facts.get("passes", ()), np.int64)
    if firsts.size != pack.epochs + 1 or firsts[0] or np.any(np.diff(firsts) < 0) or firsts[-1] != facts.get("count"):
        raise WrongForm(f"plan/ says that its passes begin at windows {facts.get('passes')}")
    return Passes(times, firsts)


def mixed(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Numbers without pattern, one for each value (splitmix64)."""
    with np.errstate(over="ignore"):
        state = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))


def told(run: Run) -> str:
    """A phrase of the passes; empty without any."""
    pack = run.config.pack
    told = f" in each of {pack.epochs} passes" if pack.epochs > 1 else ""
    if pack.sources:
        told += ", as often as pack.sources says"
    return told
