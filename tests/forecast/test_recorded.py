"""The time left that recorded runs of 29,976 abstracts would have been told: rates of another machine, busy cores.

A recording holds the moments, in seconds from the first, at which a phase told how many of its parts were done.
"""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from tiny import tiny_config

from icp.forecast import left
from icp.forecast.left import time_left
from icp.run.names import STEPS

RECORDINGS = json.loads((Path(__file__).parent / "recorded.json").read_text(encoding="utf-8"))
N_DOCS, N_BYTES = 29_976, 42_697_733


def forecasts(recording, monkeypatch, tmp_path):
    """Share of the run that had gone, and what was told of the rest as a multiple of what it took, a hundred times."""
    now = [0.0]
    monkeypatch.setattr(left.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(left, "corpus_size", lambda context: (N_DOCS, N_BYTES))
    monkeypatch.setattr(left, "stored_rates", lambda config, n_docs: None)
    options = {
        "graph": {"method": recording["method"]},
        "corpus": {"part_mib": 256},
        "tokenizer": {"name": recording["tokenizer"]},
    }
    watch = time_left(tiny_config(tmp_path, **options), STEPS, recording["workers"])
    told, events = [], recording["events"]
    end = events[-1][0]
    for (moment, label, done, total), (following, *_) in pairwise(events):
        now[0] = moment
        watch.begin(*label.split(": ")) if done == 0 else None
        while len(told) < 100 and len(told) * end / 100 < following:
            now[0] = max(moment, len(told) * end / 100)
            told.append((now[0] / end, watch.seconds(done / total) / (end - now[0])))
    return told


@pytest.mark.parametrize("name", RECORDINGS)
def test_at_half_of_a_run_the_time_left_is_told_within_half_of_it(name, monkeypatch, tmp_path):
    told = forecasts(RECORDINGS[name], monkeypatch, tmp_path)
    _, at_half = min(told, key=lambda row: abs(row[0] - 0.5))
    assert 0.5 < at_half < 1.5, [round(ratio, 2) for _, ratio in told]
    later = [ratio for share, ratio in told if 0.25 <= share <= 0.8]
    assert sum(0.5 < ratio < 1.5 for ratio in later) > 0.9 * len(later)
