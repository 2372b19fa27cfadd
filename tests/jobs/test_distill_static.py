import numpy as np
import pytest

from icp.jobs import distill_static
from icp.kernels import embed_wordpiece

VOCABULARY = {"[UNK]": 0, "a": 1, "ab": 2, "abcd": 3, "##c": 4, "##cd": 5, "##": 6, "世": 7}


def split(word):
    low = np.frombuffer(word.encode(), np.uint8)
    ids = np.empty(3 * low.size + 1, np.int32)
    n_ids = embed_wordpiece.split_word(low, 0, low.size, distill_static.piece_trie(VOCABULARY), 0, ids, 0)
    return ids[:n_ids].tolist()


@pytest.mark.parametrize(
    ("word", "pieces"),
    [("a", [1]), ("abc", [2, 4]), ("abcd", [3]), ("abcdc", [3, 4]), ("abccd", [2, 4, 5]), ("世", [7]), ("b", [0])],
)
def test_the_trie_finds_the_longest_pieces(word, pieces):
    assert split(word) == pieces


def test_a_word_with_a_rest_that_is_no_piece_is_unknown():
    assert split("abx") == [0]


def test_no_two_states_share_a_place():
    generator = np.random.default_rng(0)
    names = {"".join(map(chr, generator.integers(97, 110, size))) for size in generator.integers(1, 9, 3000)}
    trie = distill_static.piece_trie({name: number for number, name in enumerate(sorted(names))})
    ends = trie[:, 2][trie[:, 2] >= 0]
    assert sorted(ends.tolist()) == list(range(len(names)))


def test_quantized_vectors_are_near_and_specials_count_nothing():
    vectors = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    scales, small = distill_static.quantize(vectors, VOCABULARY)
    assert scales[0] == 0
    again = scales[1:, None] * small[1:].astype(np.float64)
    again *= np.linalg.norm(vectors[1]) / np.linalg.norm(again[0])
    assert np.abs(again - vectors[1:]).max() < 0.03


def test_fitted_pieces_say_more_of_the_texts(monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    generator = np.random.default_rng(0)
    monkeypatch.setattr(distill_static, "DIM", 6)
    bags = sparse.random(300, 40, density=0.2, random_state=0, format="csr", dtype=np.float32)
    taught = generator.normal(size=(40, 6)).astype(np.float32)
    start = taught + generator.normal(size=(40, 6)).astype(np.float32)
    target = bags @ taught

    def similarity(pieces):
        sums = bags @ (pieces / distill_static._place_weights(40)[:, None])
        sums -= sums.mean(axis=0)
        goal = target - target.mean(axis=0)
        return np.mean(np.sum(sums @ np.linalg.lstsq(sums, goal, rcond=None)[0] * goal)) / np.sum(goal**2)

    fitted = distill_static.fit_pieces(start, [bags], [target])
    assert fitted.shape == (40, 6)
    assert similarity(fitted) > 0.9
