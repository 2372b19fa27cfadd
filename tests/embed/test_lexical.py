import numpy as np
import pyarrow as pa
import pytest

from icp import texts as buffers
from icp.embed import embed_documents as embed_any
from icp.embed import lexical
from icp.embed.two_pass import BUCKETS, Reading, Totals, count_words, row_totals
from icp.texts import text_blocks, text_buffers

N_TOPICS = 5


def embed_documents(texts, **settings):
    return embed_any(texts, model="lexical", **settings)


def topical_corpus(n_docs=300, seed=0):
    """Documents of 30 words, most of them of one of five topics; row i has topic i % 5."""
    generator = np.random.default_rng(seed)
    texts = []
    for row in range(n_docs):
        topic = row % N_TOPICS
        inside = [f"topic{topic}word{word}" for word in generator.integers(0, 60, 20)]
        texts.append(" ".join([*inside, *(f"common{word}" for word in generator.integers(0, 200, 10)), "the"]))
    return texts


def test_rows_are_unit_vectors_of_512_dimensions():
    vectors = embed_documents(topical_corpus())
    assert vectors.shape == (300, 512)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(300), abs=1e-5)


def test_neighbours_share_the_topic():
    vectors = embed_documents(topical_corpus())
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -1)
    nearest = np.argsort(-similarities, axis=1)[:, :10]
    share = (nearest % N_TOPICS == np.arange(300)[:, None] % N_TOPICS).mean()
    assert share > 0.95


def test_the_mean_over_all_documents_is_removed():
    vectors = embed_documents(topical_corpus())
    similarities = vectors @ vectors.T
    off_diagonal = similarities[~np.eye(300, dtype=bool)]
    assert abs(off_diagonal.mean()) < 0.01


def test_a_lone_document_has_a_unit_vector():
    vectors = embed_documents(["a lone document"])
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)


def test_two_documents_with_common_words_are_alike_and_not_opposites():
    one, two, other = embed_documents(["the red fox jumps", "the red fox sleeps", "quantum field theory"])
    assert one @ two > 0.4
    assert abs(one @ other) < 0.3


def test_identical_documents_of_a_small_corpus_have_one_unit_vector():
    vectors = embed_documents(["same words here"] * 3)
    assert vectors @ vectors[0] == pytest.approx(np.ones(3), abs=1e-5)


def test_a_document_without_words_is_zero():
    vectors = embed_documents(["some words", "", " \n", "?!...", "--"])
    assert vectors.any(axis=1).tolist() == [True, False, False, False, False]


def test_words_of_all_documents_or_of_one_alone_embed_to_nothing():
    texts = [*topical_corpus(150), "the", "the the the", "hapax legomenon"]
    texts = [text if "the" in text.split() else f"{text} the" for text in texts]
    assert np.flatnonzero(~embed_documents(texts).any(axis=1)).tolist() == [150, 151, 152]


def test_no_documents():
    assert embed_documents([]).shape == (0, 512)


def test_case_does_not_count():
    vectors = embed_documents(["Straße nach Berlin", "STRASSE NACH BERLIN", "straße NACH berlin"])
    assert vectors[0] @ vectors[2] == pytest.approx(1, abs=1e-5)


def test_arrow_and_lists_give_the_same_bytes():
    texts = topical_corpus(120)
    expected = embed_documents(texts).tobytes()
    assert embed_documents(pa.array(texts)).tobytes() == expected
    chunked = pa.chunked_array([pa.array(texts[:50], pa.large_string()), pa.array(texts[50:], pa.large_string())])
    assert embed_documents(chunked).tobytes() == expected


def test_the_seed_changes_the_vectors_but_hardly_the_similarities():
    texts = topical_corpus(120)
    zero, one = embed_documents(texts, seed=0), embed_documents(texts, seed=1)
    assert np.abs(np.sum(zero * one, axis=1)).max() < 0.3
    assert np.abs(zero @ zero.T - one @ one.T).mean() < 0.08


@pytest.mark.parametrize("n_pieces", [1, 2, 7])
def test_pieces_of_a_corpus_give_the_bytes_of_the_whole(n_pieces):
    texts = topical_corpus(150)
    pieces = [text_buffers(list(piece)) for piece in np.array_split(np.array(texts, dtype=object), n_pieces)]
    embedder = lexical.LexicalEmbedder()
    readings = [embedder.read(piece) for piece in pieces]
    frequencies = np.sum([count_words(reading) for reading in readings], axis=0, dtype=np.uint32)
    weights = embedder.weigh(frequencies, len(texts))
    rows = [embedder.project(reading, weights) for reading in readings]
    totals = [row_totals(block) for block in rows]
    sums = Totals(sum(sums for sums, _ in totals), sum(n for _, n in totals), len(texts), rows[0][:0])
    vectors = np.concatenate([embedder.finish(block, embedder.settle(sums)) for block in rows])
    assert vectors.tobytes() == embed_documents(texts).tobytes()


def test_blocks_of_text_do_not_change_the_result(monkeypatch):
    texts = topical_corpus(120)
    expected = embed_documents(texts).tobytes()
    monkeypatch.setattr(buffers, "BLOCK_BYTES", 700)
    assert embed_documents(texts).tobytes() == expected


def test_blocks_cover_all_texts_once(monkeypatch):
    monkeypatch.setattr(buffers, "BLOCK_BYTES", 10)
    bounds = text_blocks(np.array([0, 4, 8, 8, 40, 41, 41]))
    assert bounds == [(0, 3), (3, 4), (4, 6)]
    assert text_blocks(np.array([0])) == []


def test_a_million_words_in_one_text():
    vectors = embed_documents([" ".join(f"w{number % 50_000}" for number in range(1_000_000)), "w1 w2"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(2), abs=1e-5)


def test_weights_fall_with_frequency():
    frequencies = np.zeros(BUCKETS, np.uint32)
    frequencies[:7] = [1, 2, 10, 199, 200, 0, 350]  # the last: two words of one bucket
    weights = lexical.word_weights(frequencies, 200, rarity=0.5)
    assert weights[0] == 0
    assert weights[1] > weights[2] > weights[3] > 0
    assert weights[4] == 0
    assert weights[5] == weights[6] == 0
    assert weights[1] == round(lexical.WEIGHT_ONE * np.sqrt(np.log(201 / 3)))


def test_a_word_counts_by_a_power_of_its_mass():
    words = np.array([1, 2 << 44], np.uint64)
    reading = Reading(words, np.array([16, 81], np.uint32), np.array([0, 2]), np.zeros((1, 0), np.int8))
    weights = np.ones(BUCKETS, np.int32)
    for quarters, ratio in ((2, 9 / 4), (3, 27 / 8)):
        row = lexical.project(reading, weights, lexical.Projection(0, 1 << 14, quarters))[0]
        sizes = np.unique(np.abs(row[row != 0]))
        assert sizes[1] / sizes[0] == pytest.approx(ratio, rel=1e-3)


@pytest.mark.shared
def test_linked_pages_are_found_among_the_nearest(shared_data):
    """Measured: links@10 0.435 on quickstart, MiniLM 0.338."""
    import pyarrow.parquet as pq

    expected = 0.42
    table = pq.read_table(shared_data / "quickstart.parquet", columns=["id", "text", "links"])
    vectors = embed_documents(table["text"])
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -2)
    nearest = np.argpartition(-similarities, 10, axis=1)[:, :10]
    row_of = {key: row for row, key in enumerate(table["id"].to_pylist())}
    shares = []
    for near, links in zip(nearest, table["links"].to_pylist(), strict=True):
        rows = {row_of[link] for link in links or () if link in row_of}
        if rows:
            shares.append(len(rows & set(near.tolist())) / min(10, len(rows)))
    assert np.mean(shares) >= expected, f"links@10 is {np.mean(shares):.3f}, was at least {expected}"
