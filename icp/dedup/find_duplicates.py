"""Which documents repeat others, and which one of each group stays.

In: texts. Out: rows ``doc, duplicate_of, jaccard, kind``. The step ``dedup`` calls the same functions over files, part
by part.

Exact copies, whose canonical texts are equal, are found first, by a 128-bit hash. Among the remaining texts of more
than `ngram` words, MinHash bands propose pairs, signatures reject most of these, and sets of shingles decide: as 64-bit
hashes, and word by word where sets are small. With ``verify="exact"`` every removed document that is not an exact copy
has a kept one, `duplicate_of`, and the Jaccard similarity of their `icp.shingle_hashes` is at least `threshold`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from icp.checks import public
from icp.dedup.buckets import signature_buckets
from icp.dedup.candidates import first_copies, length_priority, order_by_priority, pick_near
from icp.dedup.components import shares_of
from icp.dedup.minhash import MAX_PERMUTATIONS, make_scheme, sign_and_digest
from icp.dedup.shingles import check_integer
from icp.dedup.verdicts import Rules, compared_sets, evidence_of, follow_twins, joined_verdicts, judge
from icp.errors import ConfigError
from icp.texts import Texts, text_buffers

VERIFY = ("exact", "estimate", "none")


@public
def find_duplicates(
    texts: Sequence[str] | Any,
    *,
    threshold: float = 0.8,
    bands: int = 20,
    rows: int = 6,
    ngram: int = 5,
    verify: str = "exact",
    keep: str = "longest",
    seed: int = 1,
    priority: ArrayLike | None = None,
) -> Any:
    """Find the documents that repeat others, and for each the document that stays in its place.

    Args:
        texts: a sequence of str, or a pyarrow string Array or ChunkedArray.
        threshold: the Jaccard similarity of two sets of word n-grams from which one document is removed, in (0, 1].
        bands, rows: a signature consists of `bands` bands of `rows` values each; more bands find more pairs, more rows
            propose fewer.
        ngram: words in a shingle.
        verify: how proposed pairs are checked: ``exact`` compares sets of shingles, ``estimate`` signatures, ``none``
            accepts any shared band and removes many documents that are not duplicates.
        keep: which document of a group stays: the ``longest`` (in bytes of text) or the ``first``; of equals, that of
            the lower row.
        seed: of the permutations.
        priority: (n,) numbers in place of `keep`: the document with the highest stays; NaN is lower than any number.

    Returns: pyarrow.Table with a row for each removed document, sorted by ``doc`` (int64). ``duplicate_of``, int64, is
        the row that stays; ``jaccard``, float64, is exact or estimated, as `verify` says; ``kind`` is ``exact`` for
        texts that differ at most in case, white space, Unicode's canonical form, soft hyphens and zero-width
        characters, else ``near``. Texts of up to `ngram` words are never near-duplicates.

    Raises: ConfigError naming the argument, InputError naming the row.
    """
    rules = _check_rules(threshold, bands, rows, verify)
    scheme = make_scheme(num_perm=rules.bands * rules.rows, ngram=ngram, seed=seed)
    buffers = text_buffers(texts)
    signatures, n_shingles, digests = sign_and_digest(buffers, scheme)
    order = order_by_priority(_priorities(buffers, keep, priority))
    twins = first_copies(digests, order)
    near = pick_near(order, twins, n_shingles)
    verdicts = []
    for share in shares_of(signature_buckets(signatures, near, bands=rules.bands, rows=rules.rows)):
        batches = map(buffers.take, [share.docs])
        sets = compared_sets(batches, share.docs.size, rules, ngram=scheme.ngram)
        verdicts.append(judge(share, evidence_of(sets, signatures, share.docs), rules))
    return follow_twins(twins, joined_verdicts(verdicts)).table()


def _check_rules(threshold: float, bands: int, rows: int, verify: str) -> Rules:
    if not isinstance(threshold, int | float | np.number) or not 0 < threshold <= 1:
        raise ConfigError(f"threshold is {threshold!r}, must be above 0 and at most 1")
    if verify not in VERIFY:
        raise ConfigError(f"verify is {verify!r}, use one of {', '.join(VERIFY)}")
    bands = check_integer("bands", bands, 1, MAX_PERMUTATIONS)
    rows = check_integer("rows", rows, 1, MAX_PERMUTATIONS // bands)
    return Rules(float(threshold), bands, rows, verify)


def _priorities(texts: Texts, keep: str, priority: ArrayLike | None) -> NDArray[Any]:
    if keep not in ("longest", "first"):
        raise ConfigError(f"keep is {keep!r}, use longest or first (or pass priority=, an array)")
    if priority is None:
        return length_priority(keep, np.diff(texts.offsets))
    given = np.asarray(priority)
    if given.shape != (texts.n_docs,) or given.dtype.kind not in "biuf":
        found = f"{given.dtype} of shape {given.shape}"
        raise ConfigError(f"priority is {found}, must be one number for each of {texts.n_docs} texts")
    return given
