"""Some documents of a corpus, from all over it, on which libraries that encode are compared.

In: documents/. Out: texts, few enough that the slowest library takes a hundredth of the step or a second or two.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from icp.run.context import Context, part_paths
from icp.run.names import DOCUMENTS

DOCS_PER_SAMPLED = 256
LEAST_DOCS, MOST_DOCS = 64, 4096
MOST_CHARS = 4 << 20
DOCUMENT_CHARS = 1 << 16
"""Of a longer document the begin is taken."""
PLACES = 16
"""Row groups that are looked into."""


def proof_texts(context: Context) -> list[str]:
    """The first documents of some row groups, evenly spread over the corpus."""
    groups: list[tuple[Path, int]] = []
    n_docs = 0
    for path in part_paths(context, "documents", DOCUMENTS):
        metadata = pq.read_metadata(path)
        groups += [(path, group) for group in range(metadata.num_row_groups)]
        n_docs += metadata.num_rows
    wanted = min(max(n_docs // DOCS_PER_SAMPLED, LEAST_DOCS), MOST_DOCS)
    chosen = [groups[at] for at in np.unique(np.linspace(0, len(groups) - 1, PLACES).astype(int))] if groups else []
    return [text for path, group in chosen for text in _begin(path, group, len(chosen), wanted)]


def _begin(path: Path, group: int, n_places: int, wanted: int) -> list[str]:
    """The first texts of a row group: its share of the documents, or of the characters if that is less."""
    texts, n_chars = [], 0
    with pq.ParquetFile(path) as file:
        batches = file.iter_batches(batch_size=-(-wanted // n_places), row_groups=[group], columns=["text"])
        for batch in batches:
            for text in batch.column("text").to_pylist():
                if n_chars >= MOST_CHARS // n_places:
                    break
                texts.append(text[:DOCUMENT_CHARS])
                n_chars += len(texts[-1])
            break
    return texts
