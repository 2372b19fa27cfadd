import numpy as np
import pytest
from datasketch.lsh import _optimal_param
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.config import load_config
from icp.dedup.bands import probability_found, turning_point, warnings_of

PRESETS = {"fineweb": (14, 8), "datasketch": (9, 13), "curator": (20, 13)}


def test_one_band_of_one_row_finds_as_often_as_documents_are_alike():
    assert probability_found([0, 0.25, 1], bands=1, rows=1).tolist() == [0, 0.25, 1]


def test_two_bands_of_two_rows_by_hand():
    assert probability_found(0.5, bands=2, rows=2) == 1 - (1 - 0.25) ** 2
    assert turning_point(bands=4, rows=2) == 0.5


def test_defaults_find_nearly_all_at_the_threshold():
    assert 0.997 < probability_found(0.8, bands=20, rows=6) < 0.998
    assert round(turning_point(bands=20, rows=6), 2) == 0.61


@settings(max_examples=50)
@given(bands=st.integers(1, 60), rows=st.integers(1, 30))
def test_curve_rises_with_similarity_and_bands_and_falls_with_rows(bands, rows):
    at = np.linspace(0, 1, 11)
    curve = probability_found(at, bands=bands, rows=rows)
    assert curve[0] == 0
    assert curve[-1] == 1
    assert (np.diff(curve) >= 0).all()
    assert (probability_found(at, bands=bands + 1, rows=rows) >= curve).all()
    assert (probability_found(at, bands=bands, rows=rows + 1) <= curve).all()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_what_others_use_and_tell_what_it_costs(name):
    config = load_config(name).dedup
    assert (config.bands, config.rows) == PRESETS[name]
    assert (config.ngram, config.verify, config.keep) == (5, "none", "first")
    lines = warnings_of(bands=config.bands, rows=config.rows, threshold=config.threshold, verify=config.verify)
    assert len(lines) == 2
    assert "removed unread" in lines[0]
    missed = 1 - float(probability_found(0.8, bands=config.bands, rows=config.rows))
    assert f"{missed:.0%} of the pairs of Jaccard 0.8 share no band" in lines[1]


def test_preset_datasketch_is_its_optimum_for_128_permutations():
    assert PRESETS["datasketch"] == _optimal_param(0.8, 128, 0.5, 0.5)


def test_defaults_need_no_warning_and_an_estimate_does():
    assert warnings_of(bands=20, rows=6, threshold=0.8, verify="exact") == []
    (line,) = warnings_of(bands=20, rows=6, threshold=0.8, verify="estimate")
    assert "120 values tell a Jaccard similarity of 0.8 to 0.037" in line
