"""Make ``icp/embed/data/static.npz`` again: word pieces whose sums are near what MiniLM says of a text.

    python -m icp.jobs.distill_static --corpus a.parquet --corpus b.parquet --out static.npz

It starts from MiniLM's own output for every piece alone (as model2vec does), each weighted by its place in the
vocabulary, and then fits the pieces, by least squares that pull towards this start, to MiniLM's vectors of the texts
(column `text` of every corpus). Labels and links are never looked at. One thread; 30 to 60 minutes, nearly all for
MiniLM's vectors, which ``--vectors FOLDER`` keeps (``minilm-<corpus>.npy``). Needs the extra `transformers`, and scipy,
which comes with it. The same texts, package versions and CPU give the same file.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

DIM = 240
PULL = 1.0
STEPS = 12
SIF = 1e-4
FIRST_RANK = 2
SCALE_BITS = 14
BEFORE, AFTER, MANY = 1 << 31, 1 << 30, 1 << 29


def main() -> None:
    """Parse, distil, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", action="append", type=Path, required=True, help="Parquet file with a column text")
    parser.add_argument("--vectors", type=Path, help="folder that keeps MiniLM's vectors of the corpora")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = load_tokenizer()
    codes, more = code_table(tokenizer)
    trie = piece_trie(tokenizer.get_vocab())
    bags, targets = [], []
    for path in options.corpus:
        texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
        bags.append(piece_bags(texts, tokenizer))
        targets.append(minilm_vectors(texts, path.stem, options.vectors))
    scales, vectors = quantize(fit_pieces(piece_vectors(tokenizer), bags, targets), tokenizer.get_vocab())
    rises = codes - np.arange(codes.size, dtype=np.uint32)  # mostly 0, so that they take little room
    with options.out.open("wb") as stream:
        np.savez_compressed(
            stream, allow_pickle=False, codes=rises, more=more, trie=trie, scales=scales, vectors=vectors
        )


def load_tokenizer() -> Any:
    """MiniLM's tokenizer, of the tokenizers library, that neither cuts nor pads."""
    from tokenizers import Tokenizer

    from icp.embed.model_source import model_source

    tokenizer = Tokenizer.from_file(str(Path(model_source("minilm")) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def code_table(tokenizer: Any) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """What normaliser and pre-tokeniser make of every code point, see `icp.kernels.embed_wordpiece.piece_ids`."""
    codes = np.arange(0x110000, dtype=np.uint32)
    more: list[int] = []
    places: dict[tuple[int, ...], int] = {}
    kinds: dict[str, int] = {}

    def entry(character: str) -> int:
        if character not in kinds:
            # between two letters: one word means a letter, two a space, three a word of its own
            n_words = len(tokenizer.pre_tokenizer.pre_tokenize_str(f"a{character}b"))
            kinds[character] = {1: ord(character), 2: 0, 3: ord(character) | BEFORE | AFTER}[n_words]
        return kinds[character]

    for code in [*range(0xD800), *range(0xE000, 0x110000)]:
        entries = [entry(character) for character in tokenizer.normalizer.normalize_str(f"a{chr(code)}b")[1:-1]]
        if len(entries) == 3 and entries[0] == entries[2] == 0:
            entries = [entries[1] | BEFORE | AFTER]
        if len(entries) == 1:
            codes[code] = entries[0]
            continue
        if tuple(entries) not in places:
            places[tuple(entries)] = len(more)
            more += [len(entries), *entries]
        codes[code] = MANY | places[tuple(entries)]
    return codes, np.array(more, np.uint32)


def piece_trie(vocabulary: dict[str, int]) -> NDArray[np.int32]:
    """A double array of the bytes of all pieces, see `icp.kernels.embed_wordpiece.piece_ids`."""
    children: list[dict[int, int]] = [{}, {}]
    ends = [-1, -1]
    for piece, number in sorted(vocabulary.items()):
        goes_on = piece.startswith("##") and len(piece) > 2
        state = int(goes_on)
        for byte in (piece[2:] if goes_on else piece).encode():
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                ends.append(-1)
            state = children[state][byte]
        ends[state] = number
    bases = _place_states(children)
    trie = np.full((max(bases) + 512, 3), -1, np.int32)
    trie[:, 0] = 0
    waiting = [(0, 0), (1, 1)]
    for state, place in waiting:  # grows while it is read
        trie[place, 0], trie[place, 2] = bases[state], ends[state]
        for byte, child in children[state].items():
            trie[bases[state] + byte, 1] = place
            waiting.append((child, bases[state] + byte))
    return trie


def _place_states(children: list[dict[int, int]]) -> list[int]:
    """A base for every state such that no two children share a place; states of many children choose first."""
    taken = bytearray(len(children) * 4 + 512)
    taken[0] = taken[1] = 1
    bases, hint = [0] * len(children), 1
    for state in sorted((s for s in range(len(children)) if children[s]), key=lambda s: (-len(children[s]), s)):
        wanted = sorted(children[state])
        base = first = max(1, hint - wanted[0])
        while any(taken[base + byte] for byte in wanted):
            base += 1
        if len(wanted) == 1:
            hint = base + wanted[0]
        elif base > first + 50:  # what lies far below is full
            hint = max(hint, base + wanted[0] - 30)
        bases[state] = base
        for byte in wanted:
            taken[base + byte] = 1
    return bases


def piece_bags(texts: list[str], tokenizer: Any) -> Any:
    """(texts, pieces) sparse float32: the square root of how often a piece stands in a text, rows of length 1."""
    import scipy.sparse
    from sklearn.preprocessing import normalize

    rows = [np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.int32) for text in texts]
    indptr = np.concatenate(([0], np.cumsum([row.size for row in rows])))
    shape = (len(texts), tokenizer.get_vocab_size())
    bags = scipy.sparse.csr_matrix((np.ones(indptr[-1], np.float32), np.concatenate(rows), indptr), shape=shape)
    bags.sum_duplicates()
    bags.data = np.sqrt(bags.data)
    return normalize(bags.multiply(_place_weights(shape[1])).tocsr()).astype(np.float32)


def _place_weights(n_pieces: int) -> NDArray[np.float32]:
    """Less for frequent pieces; vocabularies are sorted by frequency. Source: SIF (Arora and others, 2017), Zipf."""
    shares = 1.0 / np.arange(FIRST_RANK, n_pieces + FIRST_RANK)
    weights: NDArray[np.float32] = (SIF / (SIF + shares / shares.sum())).astype(np.float32)
    return weights


def minilm_vectors(texts: list[str], name: str, folder: Path | None) -> NDArray[np.float32]:
    """MiniLM's unit vectors of the first 128 tokens, from `folder` where they were kept."""
    from icp.embed import embed_documents

    path = None if folder is None else folder / f"minilm-{name}.npy"
    if path is not None and path.exists():
        stored: NDArray[np.float32] = np.load(path, allow_pickle=False).astype(np.float32)
        return stored
    vectors = embed_documents(texts, model="minilm").astype(np.float16)
    if path is not None:
        np.save(path, vectors, allow_pickle=False)
    return vectors.astype(np.float32)


def piece_vectors(tokenizer: Any) -> NDArray[np.float32]:
    """MiniLM's last hidden state of every piece that stands alone between the specials: (pieces, 384), length 1."""
    import torch
    from transformers import AutoModel

    from icp.embed.model_source import model_source

    torch.set_num_threads(1)
    model = AutoModel.from_pretrained(model_source("minilm")).eval()
    begin, end = (tokenizer.token_to_id(special) for special in ("[CLS]", "[SEP]"))
    states = []
    with torch.inference_mode():
        for pieces in torch.arange(tokenizer.get_vocab_size()).split(512):
            edges = (torch.full_like(pieces, begin), torch.full_like(pieces, end))
            ids = torch.stack([edges[0], pieces, edges[1]], 1)
            states.append(model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[:, 1].numpy())
    vectors = np.concatenate(states)
    return _unit(vectors - vectors.mean(axis=0))


def fit_pieces(start: NDArray[np.float32], bags: list[Any], targets: list[Any]) -> NDArray[np.float32]:
    """(pieces, DIM): the pieces whose sums over the texts are near the targets, by conjugate gradients from `start`."""
    import scipy.sparse

    goal = np.vstack([_unit(target - target.mean(axis=0)) for target in targets])
    directions = np.linalg.eigh((goal.T @ goal).astype(np.float64))[1][:, ::-1][:, :DIM].astype(np.float32)
    bag = scipy.sparse.vstack(bags).tocsr()
    back = bag.T.tocsr()
    start, goal = start @ directions, goal @ directions
    sums = bag @ start
    offset = sums.mean(axis=0)
    share = np.float32(((sums - offset) * goal).sum() / ((sums - offset) ** 2).sum())
    pieces = share * start
    left = back @ (goal - (bag @ pieces - share * offset))
    step, squares = left.copy(), (left * left).sum(axis=0)
    for _ in range(STEPS):
        moved = back @ (bag @ step) + np.float32(PULL) * step
        length = squares / np.maximum((step * moved).sum(axis=0), 1e-12)
        pieces += length * step
        left -= length * moved
        before, squares = squares, (left * left).sum(axis=0)
        step = left + squares / np.maximum(before, 1e-12) * step
    weighted: NDArray[np.float32] = pieces * _place_weights(len(pieces))[:, None]
    return weighted


def quantize(vectors: NDArray[np.float32], vocabulary: dict[str, int]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """A scale and an int8 vector for every piece; scales 0 for specials and pieces that no text holds."""
    largest = np.abs(vectors).max(axis=1)
    scales = np.rint(largest / np.median(largest) * (1 << SCALE_BITS)).astype(np.int32)
    small = np.rint(vectors / np.maximum(largest, 1e-30)[:, None] * 127).astype(np.int8)
    for piece, number in vocabulary.items():
        if piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") or piece.startswith("[unused"):
            scales[number] = small[number] = 0
    return scales, small


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    units: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return units


if __name__ == "__main__":
    main()
