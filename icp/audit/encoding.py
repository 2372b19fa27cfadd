"""Promise 3, second half: some documents are encoded again and must give the tokens that are kept.

In: tokens/, the texts. Out: breaches; how many documents decoding does not give back letter by letter.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.audit.findings import Breaches
from icp.audit.segments import Layout, TokenFiles
from icp.run.reader import Run
from icp.run.texts import TextReader
from icp.streams import AUDIT
from icp.texts import text_buffers

SAMPLED = 1000
ENCODED_AT_ONCE = 64


def check_encoding(run: Run, layout: Layout, tokens: TokenFiles, found: Breaches) -> str:
    """Encode `SAMPLED` documents again; returns what was seen."""
    n_nodes = tokens.nodes.size
    chooser = AUDIT.generator(run.config.seed)
    nodes = np.sort(chooser.choice(n_nodes, min(SAMPLED, n_nodes), replace=False)) if n_nodes else np.arange(0)
    reader = TextReader(run)
    lossy: list[int] = []
    failed: list[int] = []
    trusted, is_imported = 0, getattr(run.config.tokenizer, "import") is not None
    for begin in range(0, nodes.size, ENCODED_AT_ONCE):
        block = nodes[begin : begin + ENCODED_AT_ONCE]
        docs = tokens.nodes[block]
        texts = reader.fetch(docs)
        (ids, bounds), refused = layout.tokenizer.encode_each(text_buffers([texts[doc] for doc in docs.tolist()]))
        for at, (node, doc) in enumerate(zip(block.tolist(), docs.tolist(), strict=True)):
            kept, made = tokens.document(node), ids[bounds[at] : bounds[at + 1]]
            if at in refused:
                failed.append(doc)
                if kept.size:
                    found.add("documents with tokens on which the tokenizer fails", f"doc {doc}: {refused[at]}")
            elif is_imported and not np.array_equal(kept, made):
                trusted += 1
                if layout.tokenizer.decode(kept) not in (texts[doc], layout.tokenizer.decode(made)):
                    found.add("documents whose imported tokens decode to another text", f"doc {doc}")
            elif not np.array_equal(kept, made):
                found.add("documents whose text gives other tokens", f"doc {doc}: {_first_difference(kept, made)}")
            elif layout.tokenizer.decode(made) != texts[doc]:
                lossy.append(doc)
    told = f"{nodes.size - len(failed) - trusted:,} documents encoded again are equal"
    if is_imported:
        told += f" ({trusted:,} imported ones, cut otherwise, have tokens of their text; all are taken on trust)"
    if failed:
        told += f"; the tokenizer fails on {len(failed):,}, which have no tokens, e.g. doc {failed[0]}"
    if lossy:
        return f"{told}; decoding does not give back {len(lossy):,} of them (lossy tokenizer), e.g. doc {lossy[0]}"
    return f"{told} and decode to their text"


def _first_difference(kept: NDArray[Any], made: NDArray[Any]) -> str:
    shared = min(kept.size, made.size)
    differs = np.flatnonzero(kept[:shared] != made[:shared])
    if differs.size:
        return f"token {differs[0]} is {kept[differs[0]]}, encoding gives {made[differs[0]]}"
    return f"{kept.size} tokens, encoding gives {made.size}"
