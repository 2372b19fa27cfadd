from types import SimpleNamespace

import numpy as np
import pytest

from icp.audit.accounts import window_figures
from icp.audit.windows import WindowTally
from icp.pack.similarity import Members, figures_of


@pytest.mark.parametrize("again", [0, 3, 9, 10])
def test_documents_that_come_again_in_part_count_as_the_plan_counts_them(again):
    """`again`: tokens of document 0 that stand in a second window, as ``pack.method: knn`` repeats them."""
    lengths, capacity = np.array([10, 20, 30, 400]), 100
    doc, tokens = np.array([0, 1, 2, 3, 0]), np.array([10, 20, 30, 100, again])
    bounds = np.array([0, 3, 5])
    similarities = np.array([0.1, 0.2, 0.4, 0.8, 0.3])
    members = Members(doc, np.zeros(5, np.int64), tokens, bounds)
    planned = figures_of(members, (similarities, similarities.astype(np.float32)), lengths, capacity=capacity)
    shares = np.where(lengths[doc] <= capacity, tokens / lengths[doc], 0.0)
    audited = window_figures(
        SimpleNamespace(lengths=lengths, packed=lengths),
        SimpleNamespace(windows=2, of_documents=0, specials=0, written=200),
        WindowTally(np.bincount(doc).astype(np.int32), [], float(shares @ similarities), float(shares.sum())),
        SimpleNamespace(document_specials=(0, 0), capacity=capacity),
        has_tail=False,
    )
    for name in ("mean_similarity", "split_documents", "cuts", "long_documents"):
        assert audited[name] == pytest.approx(getattr(planned, name)), name
