"""Which documents repeat others, and which one of each group stays.

In: texts. The step ``dedup`` calls the same functions over files, part by part. Out: rows ``doc, duplicate_of,
jaccard, kind``. Exact copies (equal canonical texts) go first, by a 128-bit hash; MinHash bands propose pairs among the
rest of more than `ngram` words, signatures reject most, sets of shingles decide: 64-bit hashes, and the words
themselves where sets are small. Promise with ``verify="exact"``: every removed document that is no exact copy has a
kept one, `duplicate_of`, with Jaccard similarity of their `icp.shingle_hashes` >= threshold.
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
    """The documents that repeat others.

    Args:
        texts: a sequence of str, or a pyarrow string Array or ChunkedArray.
        threshold: least Jaccard similarity of the sets of word n-grams, in (0, 1].
        bands, rows: the signature has `bands` bands of `rows` values; more bands find more, more rows propose less.
        ngram: words in a shingle.
        verify: ``exact`` (sets of shingles), ``estimate`` (signatures), ``none`` (a shared band is enough: removes
            much that is no duplicate).
        keep: which one of a group stays: ``longest`` (bytes of text) or ``first``; ties: the lower row.
        seed: of the permutations.
        priority: (n,) numbers, the highest stays; replaces `keep`. NaN is lowest.

    Returns: pyarrow.Table, a row for each removed document, by doc: ``doc`` int64; ``duplicate_of`` int64, a row that
        stays; ``jaccard`` float64, exact or as `verify` says; ``kind`` exact (equal but for case, white space,
        Unicode's canonical form, soft hyphens and characters without width) or near, which texts of up to `ngram` words
        never are.

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
