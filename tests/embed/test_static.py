import numpy as np
import pyarrow.parquet as pq
import pytest

from icp.embed import embed_documents
from icp.embed.static import static_model

RELATED = ["A cat sat on the mat.", "Stock prices fell sharply.", "", "Kittens like to sleep on rugs."]


@pytest.mark.parametrize("model", ["static", "hybrid"])
def test_related_texts_are_alike(model):
    vectors = embed_documents(RELATED, model=model)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 1], abs=1e-5)
    assert vectors[0] @ vectors[3] > vectors[0] @ vectors[1] + 0.1


@pytest.mark.parametrize(("model", "dim"), [("static", 240), ("hybrid", 512)])
def test_any_number_of_texts(model, dim):
    assert embed_documents([], model=model).shape == (0, dim)
    assert np.linalg.norm(embed_documents(["one text"], model=model)) == pytest.approx(1, abs=1e-5)
    same = embed_documents(["same words here"] * 3, model=model)
    assert same @ same[0] == pytest.approx(np.ones(3), abs=1e-5)


@pytest.mark.parametrize("n_texts", [99, 100, 101, 250])
def test_hybrid_rows_are_unit_vectors_around_the_size_where_the_mean_goes(n_texts):
    generator = np.random.default_rng(0)
    texts = [" ".join(f"word{n}" for n in generator.integers(0, 50, 20)) for _ in range(n_texts)]
    assert np.linalg.norm(embed_documents(texts), axis=1) == pytest.approx(np.ones(n_texts), abs=1e-5)


def test_languages_that_the_pieces_do_not_know_embed_by_their_words():
    texts = ["лиса прыгает через собаку", "собака спит, лиса прыгает", "квантовая теория поля"] * 2
    vectors = embed_documents(texts)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_the_file_is_small_and_whole():
    from importlib.resources import files

    model = static_model()
    assert (files("icp.embed") / "data" / "static.npz").stat().st_size <= 8_000_000
    assert model.vectors.shape == (30522, 240)
    assert not model.scales[:104][np.r_[0, 100:104]].any()  # specials


@pytest.mark.shared
def test_hybrid_finds_linked_pages_and_pages_of_the_topic(shared_data):
    """Measured on quickstart: links@10 0.479, same_topic@10 0.415; MiniLM 0.337 and 0.359."""
    least_links, least_topics = 0.46, 0.40
    table = pq.read_table(shared_data / "quickstart.parquet", columns=["id", "text", "links", "topics", "source"])
    vectors = embed_documents(table["text"])
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -2)
    nearest = np.argpartition(-similarities, 10, axis=1)[:, :10].tolist()
    row_of = {key: row for row, key in enumerate(table["id"].to_pylist())}
    links = [{row_of[key] for key in keys or () if key in row_of} for keys in table["links"].to_pylist()]
    found = [len(rows & set(near)) / min(10, len(rows)) for rows, near in zip(links, nearest, strict=True) if rows]
    topics = [names[0] for names in table["topics"].to_pylist()]
    same = [topics[row] == topics[other] for row, near in enumerate(nearest) for other in near]
    assert np.mean(found) >= least_links, f"links@10 is {np.mean(found):.3f}, was at least {least_links}"
    assert np.mean(same) >= least_topics, f"same_topic@10 is {np.mean(same):.3f}, was at least {least_topics}"
