"""Measure how fast this machine runs the steps, with the settings of a configuration; keep that for later plans.

All steps run over samples of the bundled pages in one worker process: 500 whole pages, 2,000, and 20,000 short pieces,
so that what a document costs is told from what its text costs. Processor time is what counts, so that other work does
not disturb. A slow machine or model gets smaller samples: the aim is `MOST_SECONDS`.
"""

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from icp import __version__
from icp.config import Config, parse_config
from icp.engine.executor import Executor
from icp.errors import ArtifactError
from icp.forecast.machine import rates_path
from icp.forecast.rates import Line, PhaseRate, Rates, StepRate, fit, n_plans
from icp.machine import processor
from icp.pipeline import build_graph, pack
from icp.run import records
from icp.run.names import BUILD_STEPS, PACK_STEPS
from icp.run.records import Manifest

MOST_SECONDS = 60.0
WARM_SECONDS = 15.0
"""If the first pages take longer, so few are the sample."""
OWN_MODELS = ("lexical", "static", "hybrid")
WARM_PAGES, PAGES, SHORT_PIECES = 100, (500, 2000), 20_000
SHORT_CHARS = 300
CELLS_FROM = 22_000
"""Documents from which ``graph.method: auto`` searches in cells, where vectors have 512 dimensions."""
SPEED_KEYS = (
    "dedup", "embed", "graph", "order", "tokenizer.name", "pack.seq_len", "pack.method", "pack.min_fill", "pack.split",
)  # fmt: skip
log = logging.getLogger("icp")


@dataclass(frozen=True, slots=True)
class Sample:
    """One run over a sample: documents, bytes of text, and what its steps left in their manifests."""

    n_docs: int
    n_bytes: int
    manifests: dict[str, Manifest]

    @property
    def seconds(self) -> float:
        """What its tasks took."""
        return sum(
            cost[clock_of(step, manifest)]
            for step, manifest in self.manifests.items()
            for cost in manifest.costs.values()
        )


def clock_of(step: str, manifest: Manifest) -> str:
    """Which time tells what a step takes: a processor's, which other work does not disturb, unless a model may run on
    a GPU, for which the processor only waits."""
    own = manifest.basis["config"].get("embed.model") in OWN_MODELS
    return "cpu_seconds" if step != "embeddings" or own else "seconds"


def speed_settings(config: Config, n_docs: int) -> dict[str, Any]:
    """The values that change how long a run of so many documents takes."""
    found = config.values(SPEED_KEYS) | {"order.partitions": 1}  # a sample is too small for pieces
    if config.graph.method == "auto" and n_docs >= CELLS_FROM:
        found["graph.method"] = "cells"
    if config.embed.model.startswith("files:"):
        found["embed.model"] = "static"  # the sample has no vectors of the user's
    if config.dedup.keep.startswith(("max:", "newest:")):
        found["dedup.keep"] = "longest"
    # nor the documents that files of other tools, and of links, name by their ids
    found |= {"dedup.import": None, "graph.edges": [], "graph.similarity": True}
    return {key: value for key, value in found.items() if key not in ("dedup.import_share", "graph.import")}


def stored_rates(config: Config, n_docs: int) -> Rates | None:
    """Rates measured before for these settings; None if there are none, or none that can be read."""
    settings = speed_settings(config, n_docs)
    path = rates_path(settings)
    if not path.exists():
        return None
    try:
        found = Rates.from_json(records.read_json(path, what="calibration"))
    except ArtifactError as error:
        log.warning("%s: %s; measuring again", path, str(error).partition(";")[0])
        return None
    known = (found.version, found.cpu, found.settings) == (__version__, processor(), settings)
    return found if known else None


def calibrate(config: Config, n_docs: int, executor: Executor) -> Rates:
    """Run the samples and keep what they took; `n_docs` is what is planned for."""
    settings = speed_settings(config, n_docs)
    with tempfile.TemporaryDirectory(prefix="icp-rates-") as folder, _quiet_log():
        started = time.monotonic()
        samples = _run_samples(Path(folder), config, settings, executor)
        rates = rates_of(samples, settings, time.monotonic() - started)
    path = rates_path(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        records.write_json(path, rates.to_json())
    except OSError as error:
        log.warning("%s: cannot be written (%s); the next plan measures again", path, error.strerror)
    return rates


def _run_samples(folder: Path, config: Config, settings: dict[str, Any], executor: Executor) -> list[Sample]:
    """The samples that fit the time, after a run that counts for nothing, since it loads libraries and kernels."""
    texts = _pages()
    pieces = [text[at : at + SHORT_CHARS] for text in texts for at in range(0, len(text) - SHORT_CHARS, SHORT_CHARS)]
    warm = _run_sample(folder / "warm", texts[:WARM_PAGES], config, settings, executor)
    slow = warm.seconds > WARM_SECONDS
    small = _run_sample(folder / "small", texts[: WARM_PAGES if slow else PAGES[0]], config, settings, executor)
    left = MOST_SECONDS - warm.seconds - small.seconds
    share = min(1.0, left / (small.seconds * (PAGES[1] + SHORT_PIECES / 6) / small.n_docs))
    if share < 2 * small.n_docs / PAGES[1]:
        return [small]
    many, short = texts[: int(share * PAGES[1])], pieces[: int(share * SHORT_PIECES)]
    return [
        small,
        _run_sample(folder / "many", many, config, settings, executor),
        _run_sample(folder / "short", short, config, settings, executor),
    ]


def _pages() -> list[str]:
    table = pq.read_table(Path(str(files("icp.configs"))) / "quickstart.parquet", columns=["text"])
    found: list[str] = table["text"].to_pylist()
    return found


def _run_sample(folder: Path, texts: list[str], config: Config, settings: dict[str, Any], executor: Executor) -> Sample:
    folder.mkdir()
    table = pa.table({"id": [str(number) for number in range(len(texts))], "text": texts})
    pq.write_table(table, folder / "sample.parquet", compression="zstd", row_group_size=500)
    made = parse_config(_sample_tree(folder, config, settings))
    manifests = build_graph(made, executor, _silent) | pack(made, executor, _silent)
    return Sample(len(texts), sum(len(text.encode()) for text in texts), manifests)


def _sample_tree(folder: Path, config: Config, settings: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {"run": str(folder / "run"), "corpus": {"input": str(folder / "sample.parquet")}}
    for key, value in settings.items():
        section, _, name = key.partition(".")
        tree.setdefault(section, {})[name] = tuple(value) if isinstance(value, list) else value
    return tree


def rates_of(samples: list[Sample], settings: dict[str, Any], seconds: float) -> Rates:
    """What the phases take, by what they took on samples."""
    n_docs, n_bytes = [sample.n_docs for sample in samples], [sample.n_bytes for sample in samples]

    def fitted(values: list[float]) -> Line:
        return fit(n_docs, n_bytes, values)

    phases, steps, last = [], [], samples[-1].manifests
    for step in (*BUILD_STEPS, *PACK_STEPS):
        found = [sample.manifests[step] for sample in samples]
        clock = clock_of(step, found[-1])
        for phase in found[-1].costs:
            costs = [manifest.costs.get(phase, {}) for manifest in found]
            took, wrote = ([cost.get(name, 0.0) for cost in costs] for name in (clock, "bytes"))
            took = [one / n_plans(step, phase, n, settings) for one, n in zip(took, n_docs, strict=True)]
            phases.append(PhaseRate(step, phase, bool(costs[-1]["serial"]), fitted(took), fitted(wrote)))
        left = fitted([sum(file.bytes for file in manifest.files.values()) for manifest in found])
        read = fitted([manifest.counts.get("vector_bytes_read", 0) for manifest in found])
        per_part = sum("part-" in name for name in last[step].files)
        steps.append(StepRate(step, tuple(found[-1].basis["inputs"]), left, read, per_part))
    whole = samples[min(1, len(samples) - 1)]
    tokens = whole.manifests["shards"].counts["documents_in"]
    return Rates(
        __version__,
        processor(),
        datetime.now(UTC).date().isoformat(),
        settings,
        max(n_docs),
        whole.n_bytes / whole.n_docs,
        whole.n_bytes / max(1, tokens),
        round(seconds, 1),
        tuple(phases),
        tuple(steps),
    )


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Silence warnings of the steps: they concern the sample, not the user's corpus."""
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _silent(label: str, done: int, total: int) -> None:
    pass
