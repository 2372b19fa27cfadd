"""The tiny model: it sees what stands before a token, and no other document under masks; it learns to copy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from icp.probe.trial.model import Shape, logits, n_parameters, new_weights  # noqa: E402
from icp.probe.trial.training import UNSEEN, Pace, Rows, labels_of, repeatable, trained  # noqa: E402

SMALL = Shape(vocabulary=32, dim=32, heads=2, layers=2, hidden=48)


@pytest.fixture(scope="module")
def weights():
    """Weights of which every part matters."""
    generator = torch.Generator().manual_seed(5)
    fresh = new_weights(SMALL, 0)
    return {n: w if w.any() else torch.randn(w.shape, generator=generator) * 0.2 for n, w in fresh.items()}


def ids_of(*rows):
    return torch.tensor(rows, dtype=torch.long)


def test_later_tokens_change_nothing(weights):
    one, two = logits(weights, SMALL, ids_of([3, 1, 4, 1, 5, 9])), logits(weights, SMALL, ids_of([3, 1, 4, 1, 7, 2]))
    torch.testing.assert_close(one[:, :4], two[:, :4])
    assert not torch.allclose(one[:, 4:], two[:, 4:])


def test_a_masked_document_is_as_if_it_stood_alone(weights):
    piece = ids_of([0, 0, 0, 1, 1, 1, 1])
    together = logits(weights, SMALL, ids_of([3, 1, 4, 1, 5, 9, 2]), piece)
    torch.testing.assert_close(together[:, 3:], logits(weights, SMALL, ids_of([1, 5, 9, 2])))
    assert not torch.allclose(together[:, 3:], logits(weights, SMALL, ids_of([3, 1, 4, 1, 5, 9, 2]))[:, 3:])


def test_skipped_places_are_left_out(weights):
    ids = ids_of([3, 1, 4, 1, 5])
    torch.testing.assert_close(logits(weights, SMALL, ids, skip=2), logits(weights, SMALL, ids)[:, 2:])


def test_no_loss_is_taken_where_a_piece_begins_or_pads():
    ids, piece = ids_of([0, 5, 6, 0, 7, 0, 0]), ids_of([0, 0, 0, 1, 1, -1, -1])
    assert labels_of(ids, piece).tolist() == [[5, 6, UNSEEN, 7, UNSEEN, UNSEEN]]


def test_default_size():
    weights = new_weights(Shape(), 0)
    assert n_parameters(weights) == 2048 * 128 + 2 * (4 * 128 * 128 + 2 * 128 * 384 + 4)


def repeated_rows(n, seed):
    """Windows of which the second half repeats the first: what only a context can tell."""
    half = np.random.default_rng(seed).integers(1, 32, (n, 24))
    ids = np.concatenate((half, half), axis=1).astype(np.int16)
    piece = np.repeat(np.repeat([[0, 1]], 24, axis=1), n, axis=0).astype(np.int16)
    return Rows(ids, piece)


def loss_of_repeats(weights):
    rows = repeated_rows(32, 99)
    found = logits(weights, SMALL, torch.as_tensor(rows.ids.astype(np.int64))[:, :-1])[:, 24:]
    wanted = torch.as_tensor(rows.ids.astype(np.int64))[:, 25:]
    return torch.nn.functional.cross_entropy(found.flatten(0, 1), wanted.flatten()).item()


def test_copying_is_there_from_the_first_step():
    shape = Shape()
    first, second = half_losses(new_weights(shape, 3), shape)
    assert first > np.log(shape.vocabulary) - 0.1
    assert second < first - 1


def half_losses(weights, shape):
    """Nats a token of windows of chance, and of the same once more behind them."""
    half = torch.randint(1, shape.vocabulary, (4, 200), generator=torch.Generator().manual_seed(0))
    ids = torch.cat((half, half), 1)
    nats = torch.nn.functional.cross_entropy(
        logits(weights, shape, ids[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="none"
    )
    return nats[:, :199].mean().item(), nats[:, 200:].mean().item()


def test_copying_is_learnt_from_open_windows_and_not_from_masked_ones():
    rows = repeated_rows(2400, 0)
    with repeatable():
        fresh = new_weights(SMALL, 1)
        before = {name: w.clone() for name, w in fresh.items()}
        opened, _ = trained(fresh, SMALL, rows, Pace(8, 1.0, 30))
        masked, _ = trained(fresh, SMALL, rows, Pace(8, 1.0, 30), masked=True)
        again, _ = trained(fresh, SMALL, rows, Pace(8, 1.0, 30))
    assert loss_of_repeats(opened) < 1.5 < 3 < loss_of_repeats(masked)
    assert all(torch.equal(fresh[name], before[name]) for name in fresh)
    assert all(torch.equal(opened[name], again[name]) for name in fresh)


def test_settings_of_torch_are_left_as_they_were():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with repeatable():
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (1, True)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
