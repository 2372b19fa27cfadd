"""MinHash signatures and the shingle hashes they stand for.

In: texts. Out: sets of 32-bit hashes of word n-grams, and signatures equal bit by bit to ``datasketch.MinHash``
(>= 2, its default scheme) fed those hashes. A hash stands for its n-gram: of n n-grams about n^2 / 2^33 pairs share
one by chance, so that a Jaccard similarity of sets of 100,000 is off by about 1e-5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from icp.checks import public
from icp.errors import ArtifactError, ConfigError
from icp.kernels.dedup_minhash import Hashing, drop_repeats, list_shingles, sign_texts
from icp.kernels.text_words import normalize_texts
from icp.texts import WORDS_VERSION, Texts, text_buffers, word_table

MAX_NGRAM = 16
MAX_PERMUTATIONS = 65_536
PERMUTATION = "affine32"  # datasketch's name of the family
_METADATA_KEY = "icp.dedup.minhash."


@dataclass(frozen=True, slots=True)
class Scheme:
    """Everything that decides the values of a signature; signatures of two schemes cannot be compared.

    Attributes:
        num_perm: values in a signature, 1 or more.
        ngram: words in a shingle, 1 to `MAX_NGRAM`.
        seed: of the permutations, 0 to 2^32 - 1.
        permutation: name of the family, datasketch's.
        words: version of the rule that splits words.
    """

    num_perm: int
    ngram: int
    seed: int
    permutation: str = PERMUTATION
    words: str = WORDS_VERSION

    def metadata(self) -> dict[str, str]:
        """The scheme as key-value metadata of a file."""
        return {_METADATA_KEY + name: str(getattr(self, name)) for name in self.__slots__}

    def check(self, metadata: Mapping[bytes, bytes] | None, where: str) -> None:
        """Refuse the file `where` if its `metadata` (as Arrow gives it) name another scheme.

        Raises: ArtifactError naming both.
        """
        found = {key.decode(): value.decode() for key, value in (metadata or {}).items()}
        for key, expected in self.metadata().items():
            if found.get(key) != expected:
                name = key.removeprefix(_METADATA_KEY)
                raise ArtifactError(
                    f"{where}: signatures were made with {name} {found.get(key, 'unknown')}, this run has {name} "
                    f"{expected}; redo the step dedup (--fresh), or set the configuration back"
                )


@public
def shingle_hashes(text: str, *, ngram: int = 5) -> NDArray[np.uint32]:
    """The set of word n-grams of a text as hashes; a text of fewer words has one n-gram, all of them; of none, none.

    Returns: (n,) uint32, ascending, no value twice.

    Raises: InputError if `text` is not text; ConfigError for an impossible `ngram`.
    """
    return shingle_sets(text_buffers([text]), ngram=check_integer("ngram", ngram, 1, MAX_NGRAM))[0]


@public
def minhash_signatures(
    texts: Sequence[str] | Any, *, num_perm: int = 120, ngram: int = 5, seed: int = 1
) -> NDArray[np.uint32]:
    """MinHash signatures, equal to ``datasketch.MinHash(num_perm, seed)`` over `shingle_hashes`.

    Args:
        texts: a sequence of str, or a pyarrow string Array or ChunkedArray.
        num_perm: values in a signature.
        ngram: words in a shingle.
        seed: of the permutations.

    Returns: (n, num_perm) uint32; the share of equal values in two rows estimates their Jaccard similarity. A text
        without words has all bits set.

    Raises: ConfigError naming the argument, InputError naming the row.
    """
    scheme = make_scheme(num_perm=num_perm, ngram=ngram, seed=seed)
    buffers = text_buffers(texts)
    none = np.zeros(0, np.uint8)
    signatures: NDArray[np.uint32] = sign_texts(
        buffers.data, buffers.offsets, word_table(), make_hashing(scheme), none
    )[0]
    return signatures


def to_lean_minhash(signature: NDArray[np.uint32], seed: int = 1) -> Any:
    """A row of `minhash_signatures` as a ``datasketch.LeanMinHash``: to query an index, or to compare with others'.

    Args:
        signature: (num_perm,) uint32.
        seed: that of the signatures.

    Raises: ConfigError naming the argument.
    """
    from datasketch import LeanMinHash

    if getattr(signature, "dtype", None) != np.uint32 or signature.ndim != 1 or not signature.size:
        found = f"{type(signature).__name__} {getattr(signature, 'dtype', '')}{getattr(signature, 'shape', '')}"
        raise ConfigError(f"signature is {found}, must be one row of minhash_signatures: uint32 of shape (num_perm,)")
    checked = check_integer("seed", seed, 0, 2**32 - 1)
    return LeanMinHash(seed=checked, hashvalues=signature.copy(), scheme=PERMUTATION)


def from_lean_minhash(lean: Any, *, seed: int = 1) -> NDArray[np.uint32]:
    """(num_perm,) uint32, the values of a ``datasketch.LeanMinHash`` or ``MinHash``, as a row of `minhash_signatures`.

    They agree with ours only if datasketch was fed hashes of `shingle_hashes`: a signature does not tell.

    Raises: ConfigError if it was made with another scheme or seed, naming both.
    """
    for name, found, expected in (("scheme", lean.scheme, PERMUTATION), ("seed", lean.seed, seed)):
        if found != expected:
            raise ConfigError(
                f"the MinHash was made with {name} {found}, expected {name} {expected}; signatures of different "
                "schemes or seeds cannot be compared: make it again"
            )
    return np.asarray(lean.hashvalues).astype(np.uint32)


def sign_and_digest(texts: Texts, scheme: Scheme) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.uint64]]:
    """Signatures, numbers of shingles, and what tells exact copies, in one pass over the text.

    Returns: signatures (n, num_perm) uint32; n_shingles (n,) int64, repeats counted, 0 without words; digests as
        `word_digests`.
    """
    normal = np.empty(2 * texts.data.size + texts.n_docs + 1, np.uint8)
    signatures, n_shingles, normal_offsets = sign_texts(
        texts.data, texts.offsets, word_table(), make_hashing(scheme), normal
    )
    return signatures, n_shingles, _digests(texts, normal, normal_offsets)


def word_digests(texts: Texts) -> NDArray[np.uint64]:
    """(n, 2) uint64: 128-bit hash of the word sequence, of the bytes where there is no word.

    Source: XXH3-128 of the words with a blank between two; of the bytes with seed 1.
    """
    return _digests(texts, *normalize_texts(texts.data, texts.offsets, word_table()))


def make_scheme(*, num_perm: int, ngram: int, seed: int) -> Scheme:
    """A checked `Scheme`.

    Raises: ConfigError naming the argument.
    """
    return Scheme(
        num_perm=check_integer("num_perm", num_perm, 1, MAX_PERMUTATIONS),
        ngram=check_integer("ngram", ngram, 1, MAX_NGRAM),
        seed=check_integer("seed", seed, 0, 2**32 - 1),
    )


def make_hashing(scheme: Scheme) -> Hashing:
    """The constants of a scheme; permutations drawn as datasketch 2 draws them."""
    random = np.random.RandomState(scheme.seed)
    a = random.randint(0, 1 << 31, scheme.num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    b = random.randint(0, 1 << 32, scheme.num_perm, dtype=np.uint32)
    return Hashing(_multipliers(scheme.ngram), a, b)


def shingle_sets(texts: Texts, *, ngram: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The distinct shingle hashes of each text.

    Returns: values (total,) uint32, ascending inside a text; indptr (n + 1,) int64, bounds of the texts.
    """
    values, indptr = list_shingles(texts.data, texts.offsets, word_table(), _multipliers(ngram))
    for start, stop in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
        values[start:stop].sort()  # numpy's vectorised sort; compiled kernels have a slower one
    drop_repeats(values, indptr)
    return values[: indptr[-1]], indptr


def _digests(texts: Texts, normal: NDArray[np.uint8], normal_offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    words, raw = normal.data, texts.data.data
    starts, stops = normal_offsets[:-1].tolist(), normal_offsets[1:].tolist()
    digests = [xxhash.xxh3_128_digest(words[start:stop]) for start, stop in zip(starts, stops, strict=True)]
    for row in np.flatnonzero(np.diff(normal_offsets) == 0).tolist():
        start, stop = texts.offsets[row], texts.offsets[row + 1]
        digests[row] = xxhash.xxh3_128_digest(raw[start:stop], seed=1)
    return np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2).astype(np.uint64)


def check_integer(name: str, value: Any, low: int, high: int) -> int:
    """`value` as int if it is a whole number from `low` to `high`.

    Raises: ConfigError naming the argument.
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}, must be a whole number from {low} to {high}")
    return int(value)


def _multipliers(ngram: int) -> NDArray[np.uint32]:
    """(ngram,) uint32, odd, the same for every seed: shingle hashes are comparable between runs.

    Source: splitmix64, low halves.
    """
    state, full = 777, 2**64 - 1
    values = []
    for _ in range(ngram):
        state = (state + 0x9E3779B97F4A7C15) & full
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & full
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & full
        values.append((mixed ^ (mixed >> 31)) & 0xFFFFFFFF | 1)
    return np.array(values, np.uint32)
