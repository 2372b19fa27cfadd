import random
import unicodedata
from importlib import import_module

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import icp
from icp.dedup import buckets
from icp.dedup import components as library
from icp.dedup.shingles import shingle_sets
from icp.dedup.verdicts import TYPES
from icp.errors import ConfigError, InputError
from icp.texts import text_buffers

find_duplicates = import_module("icp.dedup.find_duplicates")  # `icp.find_duplicates` is the function

MAX_LEFT = 0.005  # share of removed documents that may be left as duplicates, research/dedup.md section 6


def jaccard(one, other, ngram=5):
    a, b = (set(icp.shingle_hashes(text, ngram=ngram).tolist()) for text in (one, other))
    return len(a & b) / len(a | b)


def found(texts, **arguments):
    return icp.find_duplicates(texts, **arguments).to_pylist()


def edited(words, places, generator):
    words = list(words)
    for place in places:
        words[place] = f"w{generator.random()}"
    return " ".join(words)


def noisy_corpus(n=120, seed=0):
    """Long texts, some edited lightly, some heavily, some copied with other punctuation, in mixed order."""
    generator = random.Random(seed)
    texts = []
    for number in range(n // 4):
        words = [f"t{number}w{generator.randrange(500)}" for _ in range(200)]
        texts += [" ".join(words), ", ".join(words).upper(), edited(words, [50], generator)]
        texts.append(edited(words, range(0, 200, generator.randrange(4, 60)), generator))
    generator.shuffle(texts)
    return texts


def test_exact_copies_are_equal_texts():
    rows = found(["One two three.", "one  TWO\nthree. ", "one two, three", "three two one.", "one two three"])
    assert rows == [{"doc": 0, "duplicate_of": 1, "jaccard": 1.0, "kind": "exact"}]


@pytest.mark.parametrize("verify", ["exact", "estimate", "none"])
def test_short_texts_of_the_same_words_all_stay(verify):
    texts = ["C", "C++", "C#", "-5", "5", "x = -5 + y", "x = 5 - y", "What?", "What!", "Yes.", "Yes"]
    texts += ["one two three four five", "One two, three four five!"]
    assert found(texts, verify=verify) == []
    longer = [f"{text} of all that we ever saw" for text in texts[:3]]
    assert {row["kind"] for row in found(longer, verify=verify)} == {"near"}


def test_vowels_and_points_are_part_of_words():
    assert found(["दिन", "दीन", "दान", "বাবা কলা খায়", "বিবি কলি খায়", "ปีใหม่", "ปูใหม่", "ספר", "סֵפֶר"]) == []


def test_forms_of_one_text_are_one_text():
    words = ["Été", "žluťoučký", "Việt", "カ゚ガ", "한국어", "क़लम", "ά", "й"]
    texts = [unicodedata.normalize(form, " ".join(words)) for form in ("NFC", "NFD")]
    texts += ["\u00ad".join(texts[0]), " ".join([*words[:-1], "other"])]
    assert [(row["doc"], row["kind"]) for row in found(texts, keep="first")] == [(1, "exact"), (2, "exact")]


def colliding_texts():
    """Two texts whose only shingle has the same low half."""
    texts = [f"call {number}" for number in range(150_000)]
    halves = shingle_sets(text_buffers(texts), ngram=5)[0].astype(np.uint32)
    order = np.argsort(halves, kind="stable")
    (places,) = np.nonzero(np.diff(halves[order].astype(np.int64)) == 0)
    return [texts[row] for row in order[places[0] : places[0] + 2]]


def colliding_words():
    """Two words of 16 letters that `icp.kernels.text_words.hash_words` gives the same 64 bits."""
    letters = b"abcdefghijklmnopqrstuvwxyz0123456789_"
    pairs = {a ^ b: (a, b) for a in letters for b in letters}
    full, generator, first = 2**64 - 1, random.Random(1), {}
    while True:
        block = bytes(generator.choice(letters) for _ in range(8))
        h = ((16 * 0xD6E8FEB86659FD93 & full) ^ int.from_bytes(block, "little")) * 0x9E3779B97F4A7C15 & full
        h ^= h >> 29
        for other, before in first.items():
            apart = (h ^ before).to_bytes(8, "little")
            if all(byte in pairs for byte in apart):
                ends = zip(*(pairs[byte] for byte in apart), strict=True)
                return [(start + bytes(end)).decode() for start, end in zip((block, other), ends, strict=True)]
        first[block] = h


def test_texts_whose_halves_of_hashes_collide_all_stay():
    texts = colliding_texts()
    signatures = icp.minhash_signatures(texts)
    assert (signatures[0] == signatures[1]).all()
    assert texts[0] != texts[1]
    for verify in ("exact", "estimate", "none"):
        assert found(texts, verify=verify) == []


def test_words_decide_between_small_sets_whose_hashes_collide():
    one, other = colliding_words()
    texts = [f"{word} is what we call it here today, all of us" for word in (one, other)]
    assert one != other
    assert (icp.shingle_hashes(texts[0]) == icp.shingle_hashes(texts[1])).all()
    assert found(texts) == []
    assert found(texts, threshold=0.7) == [{"doc": 1, "duplicate_of": 0, "jaccard": 0.75, "kind": "near"}]


def test_longest_stays_and_ties_go_to_the_lower_row():
    assert [row["doc"] for row in found(["a b c", "a  b c", "a b c", "a  b c"])] == [0, 2, 3]
    assert [row["doc"] for row in found(["a b c", "a  b c", "a b c"], keep="first")] == [1, 2]


def test_priority_decides_who_stays():
    texts = ["same words here"] * 4
    for values in ([1, 5, 3, 5], np.array([0.1, 0.9, np.nan, 0.9]), np.array([0, 9, 1, 9], np.uint8)):
        rows = found(texts, priority=values)
        assert {row["duplicate_of"] for row in rows} == {1}
        assert [row["doc"] for row in rows] == [0, 2, 3]


def test_texts_without_words_are_copies_only_if_all_but_white_space_is_equal():
    rows = found(["", "...", "", "!", "...", " "], keep="first")
    assert [(row["doc"], row["duplicate_of"]) for row in rows] == [(2, 0), (4, 1), (5, 0)]
    assert {row["kind"] for row in rows} == {"exact"}


def test_near_duplicate_names_its_keeper_and_their_similarity():
    words = [f"w{i}" for i in range(300)]
    texts = [" ".join([*words, "and one more"]), " ".join(words), "something else entirely, in a few words"]
    rows = found(texts)
    assert rows == [{"doc": 1, "duplicate_of": 0, "jaccard": jaccard(*texts[:2]), "kind": "near"}]


def test_copy_of_a_removed_document_follows_it_to_the_survivor():
    words = [f"w{i}" for i in range(300)]
    texts = [" ".join(words), " ".join(words).upper(), " ".join([*words, "and one more"])]
    rows = found(texts)
    assert [(row["doc"], row["duplicate_of"], row["kind"]) for row in rows] == [(0, 2, "near"), (1, 2, "near")]
    assert rows[0]["jaccard"] == rows[1]["jaccard"] == jaccard(texts[1], texts[2])


def test_table_has_fixed_types_even_if_empty():
    for texts in ([], ["one"], pa.array(["one", "two"])):
        table = icp.find_duplicates(texts)
        assert table.num_rows == 0
        assert dict(zip(table.schema.names, table.schema.types, strict=True)) == TYPES


@pytest.mark.parametrize("keep", ["longest", "first"])
@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
def test_removed_documents_have_a_kept_one_alike_and_kept_ones_have_none(keep, threshold):
    texts = noisy_corpus()
    rows = found(texts, threshold=threshold, keep=keep, bands=40, rows=3)
    removed = {row["doc"] for row in rows}
    assert [row["doc"] for row in rows] == sorted(removed)
    for row in rows:
        assert row["duplicate_of"] not in removed
        assert row["jaccard"] == jaccard(texts[row["doc"]], texts[row["duplicate_of"]]) >= threshold
    kept = [text for doc, text in enumerate(texts) if doc not in removed]
    sets = [set(icp.shingle_hashes(text).tolist()) for text in kept]
    for i, one in enumerate(sets):
        assert not any(len(one & other) / len(one | other) >= threshold for other in sets[:i])


def test_order_of_input_changes_only_which_of_equals_stays():
    texts = noisy_corpus()
    lengths = sorted(len(texts[doc]) for doc in set(range(len(texts))) - {r["doc"] for r in found(texts)})
    for seed in range(3):
        shuffled = random.Random(seed).sample(texts, len(texts))
        kept = set(range(len(texts))) - {row["doc"] for row in found(shuffled)}
        assert sorted(len(shuffled[doc]) for doc in kept) == lengths


def test_few_bands_at_a_time_change_nothing(monkeypatch):
    texts = noisy_corpus()
    expected = found(texts)
    monkeypatch.setattr(buckets, "KEY_BYTES", 1)
    assert found(texts) == expected


@pytest.mark.parametrize("verify", ["exact", "estimate", "none"])
def test_candidates_judged_in_many_tasks_are_judged_the_same(monkeypatch, verify):
    texts = noisy_corpus()
    expected = found(texts, verify=verify)
    monkeypatch.setattr(library, "TASK_CANDIDATES", 4)
    judged = []
    real = find_duplicates.judge
    monkeypatch.setattr(find_duplicates, "judge", lambda share, *rest: judged.append(share) or real(share, *rest))
    assert found(texts, verify=verify) == expected
    assert len(judged) > 10, "most topics are a component, and so a task, of their own"
    docs = np.concatenate([share.docs for share in judged])
    assert np.unique(docs).size == docs.size


def test_modes_trade_the_check_for_speed():
    generator = random.Random(5)
    words = [f"w{i}" for i in range(200)]
    texts = [" ".join(words), *(edited(words, range(0, 200, step), generator) for step in (12, 14, 16, 18))]
    assert jaccard(texts[0], texts[1]) < 0.5
    assert found(texts, bands=40, rows=2) == []
    unchecked = found(texts, bands=40, rows=2, verify="none")
    assert len(unchecked) == 4  # what shares a band is taken for one
    assert all(row["jaccard"] < 0.8 for row in unchecked)
    near = [*texts, edited(words, [3], generator)]
    by_estimate = found(near, verify="estimate")
    signatures = icp.minhash_signatures(near)
    assert by_estimate
    for row in by_estimate:
        assert row["jaccard"] == (signatures[row["doc"]] == signatures[row["duplicate_of"]]).mean() >= 0.8


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("ab ,\0é日", max_size=12), max_size=12))
def test_any_texts_keep_the_promise(texts):
    rows = found(texts, ngram=2, bands=10, rows=1, threshold=0.6)
    removed = {row["doc"] for row in rows}
    for row in rows:
        assert row["duplicate_of"] not in removed
        one, other = texts[row["doc"]], texts[row["duplicate_of"]]
        if icp.shingle_hashes(one).size:
            assert row["jaccard"] == jaccard(one, other, 2) >= 0.6
        else:
            assert one == other == "" or row["kind"] == "exact"


def components(n, pairs):
    """Sets of rows that pairs connect."""
    root = list(range(n))
    for a, b in pairs:
        joined = {root[a], root[b]}
        root = [min(joined) if value in joined else value for value in root]
    return [{row for row in range(n) if root[row] == value} for value in set(root)]


WORDY = st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=6).map(" ".join), max_size=14)


@settings(max_examples=40, deadline=None)
@given(texts=WORDY, keep=st.sampled_from(["longest", "first"]))
def test_unchecked_every_component_of_shared_bands_keeps_exactly_one(texts, keep):
    signatures = icp.minhash_signatures(texts, num_perm=6, ngram=2)
    pairs = [
        (a, b)
        for a in range(len(texts))
        for b in range(a)
        if (min(texts[a].count(" "), texts[b].count(" ")) > 1 or texts[a] == texts[b])  # texts of one shingle stay
        and (signatures[a].reshape(3, 2) == signatures[b].reshape(3, 2)).all(axis=1).any()
    ]
    rows = found(texts, ngram=2, bands=3, rows=2, verify="none", keep=keep)
    removed = {row["doc"] for row in rows}
    for component in components(len(texts), pairs):
        assert len(component - removed) == 1
        size = {row: len(texts[row]) for row in component}
        assert min(component - removed) == (
            min(size, key=lambda row: (-size[row], row)) if keep == "longest" else min(size)
        )


@settings(max_examples=40, deadline=None)
@given(texts=WORDY)
def test_checked_every_group_keeps_exactly_one_and_no_component_is_emptied(texts):
    rows = found(texts, ngram=2, bands=12, rows=1, threshold=0.5)
    removed = {row["doc"] for row in rows}
    for group in components(len(texts), [(row["doc"], row["duplicate_of"]) for row in rows]):
        assert len(group - removed) == 1
    alike = [(a, b) for a in range(len(texts)) for b in range(a) if jaccard(texts[a], texts[b], 2) >= 0.5]
    for component in components(len(texts), alike):
        assert component - removed


def test_all_equal_texts_leave_one():
    assert len(found(["the same text again and again"] * 1000)) == 999


def test_a_million_equal_words_are_one_shingle():
    rows = found(["tick " * 1_000_000, "tick " * 7])
    assert rows == [{"doc": 1, "duplicate_of": 0, "jaccard": 1.0, "kind": "near"}]


@pytest.mark.shared
def test_real_near_duplicates_by_their_truth_table(shared_data):
    docs = pq.read_table(shared_data / "versioned-docs.parquet", columns=["id", "text"])
    pairs = pq.read_table(shared_data / "versioned-docs-pairs.parquet")
    row_of = {key: row for row, key in enumerate(docs["id"].to_pylist())}
    alike = pairs.filter(pairs["jaccard_word5"].to_numpy() >= 0.8)
    a, b = (np.array([row_of[key] for key in alike[name].to_pylist()]) for name in ("id_a", "id_b"))
    kept = np.ones(docs.num_rows, bool)
    kept[icp.find_duplicates(docs["text"])["doc"].to_numpy()] = False
    has_kept_twin = np.zeros(docs.num_rows, bool)
    has_kept_twin[a[kept[b]]] = has_kept_twin[b[kept[a]]] = True
    assert (~kept).sum() > 2500
    assert not (~kept & ~has_kept_twin).any()
    assert (kept & has_kept_twin).sum() <= MAX_LEFT * (~kept).sum()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 0}, "threshold is 0, must be above 0"),
        ({"threshold": 1.1}, "threshold is 1.1"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": "0.8"}, "threshold is '0.8'"),
        ({"bands": 0}, "bands is 0"),
        ({"rows": 2.5}, "rows is 2.5"),
        ({"bands": 60000, "rows": 2}, "rows is 2, must be a whole number from 1 to 1"),
        ({"ngram": 0}, "ngram is 0"),
        ({"verify": "maybe"}, "verify is 'maybe', use one of exact, estimate, none"),
        ({"keep": "max:score"}, "keep is 'max:score', use longest or first"),
        ({"seed": -1}, "seed is -1"),
        ({"priority": [1]}, r"priority is int64 of shape \(1,\), must be one number for each of 2 texts"),
        ({"priority": ["a", "b"]}, "priority is <U1"),
    ],
)
def test_impossible_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ConfigError, match=message):
        icp.find_duplicates(["a", "b"], **arguments)


def test_what_is_not_text_is_refused_by_row():
    with pytest.raises(InputError, match="row 1 is null"):
        icp.find_duplicates(pa.array(["a", None]))
