"""Luxical (arXiv 2512.09015) taught by MiniLM on the texts that it then embeds, as the peer of `hybrid`.

In: texts, the teacher's vectors. Out: a function from texts to vectors. The recipe is the package's own: n-grams of up
to five word pieces, tf-idf, a small net, Kullback-Leibler of tempered Gram matrices. Widths are those of Luxical-One;
steps and rate are ours, the package has no trainer. Its weights are not on PyPI. ``pip install luxical``.
"""

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIMS = (96, 3072, 3072, 192)
MOST_NGRAMS, LEAST_TIMES = 200_000, 2.0
STEPS, BATCH, RATE, TEMPERATURE = 400, 512, 1e-3, 0.1


def why_not() -> str:
    """What is missing; empty if nothing is."""
    return "" if find_spec("luxical") and find_spec("arrow_tokenize") else "luxical is not installed"


def name() -> str:
    """With its version."""
    return f"luxical {version('luxical')}"


def teach(
    texts: list[str], teacher: NDArray[np.float32], tokenizer: Path, *, steps: int = STEPS
) -> Callable[[list[str]], NDArray[np.float32]]:
    """An embedder that has learnt the teacher's similarities of these texts.

    Args:
        teacher: (n, dim), a row of norm 1 for each text.
        tokenizer: a ``tokenizer.json``.
        steps: of training.
    """
    import torch
    from luxical.csr_matrix_utils import csr_matrix_to_torch
    from luxical.embedder import initialize_embedder_from_ngram_summary
    from luxical.ngrams import space_saving_ngram_summary
    from luxical.sparse_to_dense_neural_nets import SparseToDenseEmbedder
    from luxical.tokenization import arrow_tokenize_texts, load_arrow_tokenizer_from_file
    from luxical.training import contrastive_distillation_loss, equal_beta_adamw, wsd_lr_schedule

    pieces = load_arrow_tokenizer_from_file(tokenizer)
    tokens = arrow_tokenize_texts(texts, pieces, progress_bar=False)
    rows = [row.values.to_numpy() for chunk in tokens.chunks for row in chunk]
    summary = space_saving_ngram_summary(rows, num_top_items=4_000_000)
    embedder = initialize_embedder_from_ngram_summary(
        summary, pieces, DIMS, min_ngram_count_multiple=LEAST_TIMES, max_vocabulary_size=MOST_NGRAMS
    )
    features = embedder.tfidf_from_bow(embedder.bow_from_texts(texts))
    net = embedder.bow_to_dense_embedder.to_torch()
    optimizer = equal_beta_adamw(net.parameters(), lr=RATE)
    random, batch = np.random.default_rng(0), min(BATCH, len(texts))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * wsd_lr_schedule(step + 1, steps, steps // 20, steps // 2)
        chosen = random.permutation(len(texts))[:batch]
        loss = contrastive_distillation_loss(
            net(csr_matrix_to_torch(features[chosen])), torch.as_tensor(teacher[chosen]), TEMPERATURE
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    taught = embedder.replace_sparse_to_dense_embedder(SparseToDenseEmbedder.from_torch(net))
    return lambda others: taught(others)
