"""MinHash signatures, and what tells exact copies.

In: texts. Out: signatures equal bit by bit to ``datasketch.MinHash`` (>= 2, its default scheme) fed the low halves, 32
bits, of `icp.shingle_hashes`; they propose what may be alike, and decide nothing (but with ``verify`` estimate or
none). 128-bit hashes of canonical texts, equal for exact copies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from icp.checks import public
from icp.dedup.shingles import MAX_NGRAM, check_integer, multipliers
from icp.errors import ArtifactError, ConfigError
from icp.kernels.dedup_minhash import Hashing, sign_texts
from icp.kernels.text_canonical import GROWTH
from icp.kernels.text_words import canonical_texts
from icp.texts import Texts, text_buffers
from icp.words import WORDS_VERSION, alphabet

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
def minhash_signatures(
    texts: Sequence[str] | Any, *, num_perm: int = 120, ngram: int = 5, seed: int = 1
) -> NDArray[np.uint32]:
    """MinHash signatures, equal to those of ``datasketch.MinHash(num_perm, seed)`` over the low halves of the hashes
    that `shingle_hashes` gives.

    Args:
        texts: a sequence of str, or a pyarrow string Array or ChunkedArray.
        num_perm: number of permutations, and so of values in a signature.
        ngram: words in a shingle.
        seed: of the permutations.

    Returns: (n, num_perm) uint32. The share of values in which two rows agree estimates the Jaccard similarity of the
        texts. In the row of a text without words, all bits are set.

    Raises: ConfigError naming the argument, InputError naming the row.
    """
    scheme = make_scheme(num_perm=num_perm, ngram=ngram, seed=seed)
    buffers = text_buffers(texts)
    none = np.zeros(0, np.uint8)
    signatures: NDArray[np.uint32] = sign_texts(buffers.data, buffers.offsets, alphabet(), make_hashing(scheme), none)[
        0
    ]
    return signatures


def to_lean_minhash(signature: NDArray[np.uint32], seed: int = 1) -> Any:
    """A row of `minhash_signatures` as a ``datasketch.LeanMinHash``, for queries of an index or for comparisons.

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

    They agree with ours only if datasketch was fed low halves (``.astype(np.uint32)``) of `shingle_hashes`: a signature
    does not tell.

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
        `text_digests`.
    """
    canonical = np.empty(GROWTH * texts.data.size + 1, np.uint8)
    signatures, n_shingles, bounds = sign_texts(texts.data, texts.offsets, alphabet(), make_hashing(scheme), canonical)
    return signatures, n_shingles, _digests(canonical, bounds)


def text_digests(texts: Texts) -> NDArray[np.uint64]:
    """(n, 2) uint64: 128-bit hash of each canonical text, equal for exact copies.

    The full stop that closes a text of five words or more does not count.

    Source: XXH3-128.
    """
    return _digests(*canonical_texts(texts.data, texts.offsets, alphabet()))


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
    return Hashing(multipliers(scheme.ngram).astype(np.uint32), a, b)


def _digests(canonical: NDArray[np.uint8], bounds: NDArray[np.int64]) -> NDArray[np.uint64]:
    data = canonical.data
    pieces = zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    digests = [xxhash.xxh3_128_digest(data[start:stop]) for start, stop in pieces]
    return np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2).astype(np.uint64)
