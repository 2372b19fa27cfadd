"""How much each phase of each step takes: a constant, so much a document, and so much a byte of text.

In: what the phases of a few sample runs took. Out: `Rates`, as JSON and back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.errors import ArtifactError

LEAST = 1e-9
FEW_DOCS, PLANS = 4096, 5
"""Documents up to which so many plans of windows are made, as `icp.pack.planner` has it, which is slow to import."""


@dataclass(frozen=True, slots=True)
class Line:
    """``constant + per_doc * documents + per_byte * bytes of text``; none is negative."""

    constant: float = 0.0
    per_doc: float = 0.0
    per_byte: float = 0.0

    def at(self, n_docs: float, n_bytes: float) -> float:
        """The value for so many documents of so many bytes of text together."""
        return self.constant + self.varying(n_docs, n_bytes)

    def varying(self, n_docs: float, n_bytes: float) -> float:
        """The same without the constant."""
        return self.per_doc * n_docs + self.per_byte * n_bytes


@dataclass(frozen=True, slots=True)
class PhaseRate:
    """What a phase takes.

    Attributes:
        step, phase: its names.
        serial: True if it is one task whatever the corpus.
        seconds: of one processor.
        written: bytes, scratch files included.
    """

    step: str
    phase: str
    serial: bool
    seconds: Line
    written: Line


@dataclass(frozen=True, slots=True)
class StepRate:
    """What a step leaves.

    Attributes:
        inputs: steps it reads.
        left: bytes.
        read: bytes of vectors read again and again, as the step counts them.
        files_per_part: files for each documents part.
    """

    step: str
    inputs: tuple[str, ...]
    left: Line
    read: Line
    files_per_part: float


@dataclass(frozen=True, slots=True)
class Rates:
    """What a calibration found, and where and when.

    Attributes:
        version, cpu, date: of icp, of the processor, of the day (ISO).
        settings: the configuration that changes speed, flat.
        n_docs: of the largest sample.
        bytes_per_doc, bytes_per_token: of text in the sample's whole pages.
        seconds: the calibration took.
    """

    version: str
    cpu: str
    date: str
    settings: dict[str, Any]
    n_docs: int
    bytes_per_doc: float
    bytes_per_token: float
    seconds: float
    phases: tuple[PhaseRate, ...]
    steps: tuple[StepRate, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "Rates":
        """Rates from plain values; raises ArtifactError if they are none."""
        try:
            phases = [
                PhaseRate(**{**row, "seconds": Line(**row["seconds"]), "written": Line(**row["written"])})
                for row in tree["phases"]
            ]
            steps = [
                StepRate(
                    **{**row, "inputs": tuple(row["inputs"]), "left": Line(**row["left"]), "read": Line(**row["read"])}
                )
                for row in tree["steps"]
            ]
            return cls(**{**tree, "phases": tuple(phases), "steps": tuple(steps)})
        except (KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"not rates of a calibration ({error!r})") from None


def n_plans(step: str, phase: str, n_docs: int, settings: Mapping[str, Any]) -> int:
    """How many plans a phase makes of so many documents: rates are of one."""
    several = settings.get("pack.method") == "windows" and settings.get("pack.split") != "never"
    return PLANS if (step, phase) == ("windows", "plan") and several and n_docs <= FEW_DOCS else 1


def fit(n_docs: Sequence[float], n_bytes: Sequence[float], values: Sequence[float]) -> Line:
    """The line that meets the values best, relative to their size, with no negative number in it.

    With fewer samples than numbers, bytes explain before documents, and documents before a constant.
    """
    columns = np.array([np.ones(len(values)), n_docs, n_bytes], np.float64).T
    target = np.array(values, np.float64)
    weights = 1 / np.maximum(target, max(LEAST, float(target.max(initial=0)) / 100))
    best, least = np.zeros(3), float(((target * weights) ** 2).sum()) - LEAST
    for chosen in ((2,), (1,), (1, 2), (0, 2), (0, 1), (0, 1, 2)):
        if len(chosen) > len(values):
            continue
        found = _solved(columns[:, chosen] * weights[:, None], target * weights)
        error = float((((columns[:, chosen] @ found) - target) ** 2 * weights**2).sum())
        if (found >= 0).all() and error < least - LEAST:
            best, least = np.zeros(3), error
            best[list(chosen)] = found
    return Line(*(float(number) for number in best))


def _solved(columns: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    scale = np.linalg.norm(columns, axis=0)
    return np.asarray(np.linalg.lstsq(columns / scale, target, rcond=None)[0] / scale)
