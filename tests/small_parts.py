"""Windows of a tiny corpus made as those of a large one are: small partitions, runs and ranges, in workers too."""

import random

from tiny import tiny_config, write_jsonl

from icp.engine.executor import ProcessExecutor
from icp.pack import partitions
from icp.steps.windows import figure_tasks, training_path_tasks

SIZES = {
    (partitions, "PARTITION_DOCS"): 40,
    (partitions, "SEGMENT_DOCS"): 4,
    (partitions, "RANGE_SEGMENTS"): 9,
    (training_path_tasks, "PATH_WINDOWS"): 12,
    (training_path_tasks, "RANGE_WINDOWS"): 5,
    (figure_tasks, "SMALL_PIECES"): 60,
}


def topic_documents():
    """200 documents of 12 topics, a word to several windows long, in two sources."""
    rng = random.Random(3)
    words = [["".join(rng.choices("abcdefghij", k=rng.randint(3, 8))) for _ in range(40)] for _ in range(12)]
    lengths = [1, 400, *(rng.randint(5, 60) for _ in range(198))]
    texts = [" ".join(rng.choices(words[n % 12], k=length)) for n, length in enumerate(lengths)]
    return [{"id": f"d{n}", "text": text, "source": "ab"[n % 2]} for n, text in enumerate(texts)]


def topics_config(folder, **options):
    """The configuration of these documents in `folder`, with options of ``pack``."""
    if not (folder / "rows.jsonl").exists():
        write_jsonl(folder / "rows.jsonl", topic_documents())
    return tiny_config(
        folder,
        corpus={"input": str(folder / "rows.jsonl")},
        dedup={"near": False},
        pack={"seq_len": 512, **options},
    )


def make_small(monkeypatch):
    """Small sizes in this process."""
    for (module, name), size in SIZES.items():
        monkeypatch.setattr(module, name, size)


class SmallExecutor(ProcessExecutor):
    """Workers with small sizes, which get the last item first."""

    def map(self, task, items):
        """See `icp.engine.executor.Executor.map`."""
        for position, outcome in super().map(_Small(task), items[::-1]):
            yield len(items) - 1 - position, outcome


class _Small:
    def __init__(self, task):
        self.task = task

    def __call__(self, item):
        for (module, name), size in SIZES.items():
            setattr(module, name, size)
        return self.task(item)
