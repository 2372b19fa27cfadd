import json

import pytest
from forecast_rates import planted

from icp.errors import ArtifactError
from icp.forecast.rates import Line, Rates, fit

DOCS, BYTES = (500, 2000, 8000), (1_800_000, 7_200_000, 2_400_000)


def test_line_is_constant_and_documents_and_bytes():
    assert Line(1, 2, 3).at(10, 100) == 1 + 20 + 300
    assert Line(1, 2, 3).varying(10, 100) == 320


@pytest.mark.parametrize("truth", [(2.0, 0.001, 1e-6), (0, 0.001, 0), (0, 0, 1e-6), (3.0, 0, 1e-6)])
def test_exact_samples_give_back_their_line(truth):
    values = [truth[0] + truth[1] * d + truth[2] * b for d, b in zip(DOCS, BYTES, strict=True)]
    found = fit(DOCS, BYTES, values)
    assert (found.constant, found.per_doc, found.per_byte) == pytest.approx(truth, abs=1e-9)


def test_no_number_is_negative():
    found = fit(DOCS, BYTES, (5.0, 1.0, 3.0))
    assert min(found.constant, found.per_doc, found.per_byte) >= 0


def test_one_sample_is_explained_by_its_bytes():
    assert fit((100,), (50_000,), (2.0,)) == Line(0, 0, pytest.approx(2.0 / 50_000))


def test_nothing_measured_costs_nothing():
    assert fit(DOCS, BYTES, (0, 0, 0)) == Line()


def test_rates_come_back_from_json():
    rates = planted({"order: one": Line(1, 2, 3)}, settings={"graph.k": 10})
    assert Rates.from_json(json.loads(json.dumps(rates.to_json()))) == rates


@pytest.mark.parametrize("tree", [{}, {"phases": 3}, {"phases": [{}], "steps": []}, [], {"phases": [], "steps": []}])
def test_other_json_is_refused(tree):
    with pytest.raises(ArtifactError, match="not rates of a calibration"):
        Rates.from_json(tree)
