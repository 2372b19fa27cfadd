"""Every library gives the ids of the reference, or is not used. Holds for tokenizers 0.2x and 1.0."""

import gc
import json
import threading
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icp.config import TokenizerConfig
from icp.errors import InputError
from icp.texts import text_buffers
from icp.tokenizer import choice, faster
from icp.tokenizer.byte_level import train_tokenizer
from icp.tokenizer.choice import choose_engine, engine_named, hard_texts
from icp.tokenizer.engines import Reference
from icp.tokenizer.faster import Gigatoken
from icp.tokenizer.tokenizer import Tokenizer, load_tokenizer
from icp.tokenizer.vocabulary import TokenizerFiles
from icp.warm import tiny_rows

needs_gigatoken = pytest.mark.skipif(find_spec("gigatoken") is None, reason="gigatoken has no build here")
ODD = [
    "",
    " ",
    "naïve café 12,345 don't",
    "今天天气很好。",
    "हिन्दी दिन",
    "a<|endoftext|>b <|begin_of_text|>",
    "x" * 300,
]
TEXTS = [*(row["text"] for row in tiny_rows()), *ODD, "🙂🙂 ok\n\n\tend "]
PATTERNS = [
    "\\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
    "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]
SPLITS = [{"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False} for regex in PATTERNS]
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
DEEPSEEK = {"type": "Sequence", "pretokenizers": [*SPLITS, BYTES]}
NEW_LETTER = "\u1c89"  # assigned in Unicode 16


def of_tree(tree, **config):
    return Tokenizer(TokenizerConfig(name="made", **config), TokenizerFiles(json.dumps(tree), None, "made"))


def gpt2(n_ids=600):
    return json.loads(train_tokenizer(TEXTS, n_ids))


def deepseek():
    return gpt2() | {"pre_tokenizer": DEEPSEEK}


def sentencepiece():
    words = sorted({letter for text in TEXTS for letter in text.replace(" ", "▁")} | {"▁t", "▁th", "he", "▁the"})
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tree = gpt2(300)
    tree["added_tokens"] = [{"id": number, "content": names[number], **flags} for number in range(3)]
    tree["pre_tokenizer"] = None
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    tree["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace]}
    tree["decoder"] = {"type": "ByteFallback"}
    tree["model"] |= {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    tree["model"]["vocab"] = {name: number for number, name in enumerate(dict.fromkeys(names))}
    tree["model"]["merges"] = [["▁", "t"], ["▁t", "h"], ["h", "e"], ["▁t", "he"]]
    return tree


def unigram():
    tree = gpt2(300)
    letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "▁")})
    pieces = [["<unk>", 0.0], ["<|endoftext|>", -1.0], *([letter, -5.0] for letter in letters), ["▁the", -2.0]]
    tree["added_tokens"] = [token | {"id": 1} for token in tree["added_tokens"][:1]]
    tree["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    tree["model"] = {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": False}
    return tree


def wordpiece():
    tree = gpt2(300)
    letters = sorted({letter for text in TEXTS for letter in text if not letter.isspace()})
    names = ["[UNK]", "<|endoftext|>", *letters, *(f"##{letter}" for letter in letters)]
    tree["added_tokens"] = [token | {"id": 1} for token in tree["added_tokens"][:1]]
    tree["pre_tokenizer"] = {"type": "BertPreTokenizer"}
    tree["model"] = {
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {name: number for number, name in enumerate(names)},
    }  # fmt: skip
    return tree


KNOWN = {"gpt2": gpt2, "deepseek": deepseek, "sentencepiece": sentencepiece}
UNKNOWN = {"unigram": unigram, "wordpiece": wordpiece}
TOKENIZERS = {name: of_tree(make()) for name, make in (KNOWN | UNKNOWN).items()}


def assert_equal(tokenizer, texts):
    mine, mine_offsets = tokenizer.with_engine(Gigatoken(tokenizer.definition)).encode(texts)
    expected, offsets = tokenizer.encode(texts)
    assert mine_offsets.tolist() == offsets.tolist()
    assert mine.tolist() == expected.tolist()
    assert (mine.dtype, mine_offsets.dtype) == (tokenizer.dtype, np.int64)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_reference_gives_texts_as_ids_and_back(name):
    tokenizer = TOKENIZERS[name]
    ids, offsets = tokenizer.encode_batch(TEXTS)
    alone = [tokenizer.encode_batch([text])[0].tolist() for text in TEXTS]
    assert [ids[begin:end].tolist() for begin, end in pairwise(offsets)] == alone
    assert offsets[-1] == ids.size > 1000
    if name in ("gpt2", "deepseek"):
        assert [tokenizer.decode(row) for row in alone] == TEXTS
    forbidden = {tokenizer.definition.ids[token] for token in tokenizer.specials} - {*tokenizer.definition.unknown_ids}
    assert not forbidden & set(ids.tolist())


@needs_gigatoken
@pytest.mark.parametrize("name", KNOWN)
def test_ids_are_those_of_the_reference(name):
    for texts in (TEXTS, [], [""], ["", ""]):
        assert_equal(TOKENIZERS[name], text_buffers(texts))
    assert_equal(TOKENIZERS[name], hard_texts(TOKENIZERS[name].definition))


@needs_gigatoken
@given(st.lists(st.text(max_size=40) | st.sampled_from(TEXTS), max_size=6), st.sampled_from(sorted(KNOWN)))
def test_any_texts_give_the_ids_of_the_reference(texts, name):
    assert_equal(TOKENIZERS[name], text_buffers(texts))


@needs_gigatoken
def test_characters_younger_than_the_libraries_go_to_the_reference(monkeypatch):
    tokenizer = TOKENIZERS["deepseek"]
    texts = text_buffers(["old", f"a{NEW_LETTER}b", f"{NEW_LETTER}", "older", "", f"x {NEW_LETTER}"])
    assert_equal(tokenizer, texts)
    seen = []
    encode = Reference.encode
    monkeypatch.setattr(Reference, "encode", lambda self, asked: seen.extend(asked.strings()) or encode(self, asked))
    tokenizer.with_engine(Gigatoken(tokenizer.definition)).encode(texts)
    assert seen == [f"a{NEW_LETTER}b", NEW_LETTER, f"x {NEW_LETTER}"]


@needs_gigatoken
def test_slices_and_large_arrays_are_read_where_they_lie():
    tokenizer = TOKENIZERS["gpt2"]
    whole = pa.array(TEXTS, pa.large_string())
    fast = tokenizer.with_engine(Gigatoken(tokenizer.definition))
    ids, offsets = fast.encode_batch(whole[3:9])
    expected, bounds = tokenizer.encode_batch(TEXTS[3:9])
    assert ids.tolist() == expected.tolist()
    assert offsets.tolist() == bounds.tolist()


@needs_gigatoken
@pytest.mark.parametrize("name", KNOWN)
def test_long_texts_are_cut_as_for_the_reference(name):
    words = " ".join(TEXTS[:160]) * 6
    assert len(words) > 1 << 17
    assert_equal(TOKENIZERS[name], text_buffers([words, "short", words + " x", "", words]))


@needs_gigatoken
@pytest.mark.parametrize(("rows", "room"), [(1, 1 << 20), (7, 1 << 20), (256, 100), (3, 1)])
def test_rectangles_of_any_size_change_nothing(monkeypatch, rows, room):
    monkeypatch.setattr(faster, "ROWS", rows)
    monkeypatch.setattr(faster, "ROOM", room)
    assert_equal(TOKENIZERS["gpt2"], text_buffers(TEXTS))


@needs_gigatoken
@pytest.mark.parametrize("told", [True, False])
def test_an_engine_that_has_seen_many_words_is_made_anew(monkeypatch, told):
    loads = []
    load = faster._load_gigatoken
    monkeypatch.setattr(faster, "_load_gigatoken", lambda text: loads.append(1) or load(text))
    if not told:
        monkeypatch.setattr(faster, "resident_bytes", lambda: 0)
    monkeypatch.setattr(Gigatoken, "SPARE_BYTES", -1)
    monkeypatch.setattr(Gigatoken, "LEAST_BYTES", 2000)
    monkeypatch.setattr(Gigatoken, "block_bytes", 1000)
    assert_equal(TOKENIZERS["gpt2"], text_buffers(TEXTS))
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    assert n_bytes // 4000 < len(loads) <= n_bytes // 2000 + 1


def with_added(content, **flags):
    tree = gpt2(400)
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    last = max(tree["model"]["vocab"].values())
    tree["added_tokens"] += [{"id": last + 1, "content": content, **plain, **flags}]
    return tree, last + 1


@needs_gigatoken
def test_added_tokens_that_are_no_specials_are_found_in_texts():
    tree, number = with_added("<b>")
    tokenizer = of_tree(tree)
    assert number in tokenizer.encode_batch(["is <b>bold"])[0]
    assert_equal(tokenizer, text_buffers(["is <b>bold", "plain", "<b><b>", "a < b", "<|endoftext|><b>"]))


@needs_gigatoken
@pytest.mark.parametrize("flags", [{"normalized": True}, {"lstrip": True, "rstrip": True}, {"single_word": True}])
def test_what_is_odd_about_added_tokens_is_seen_though_no_document_holds_them(flags):
    tree, _ = with_added("\u00e9x", **flags)
    tree["normalizer"] = {"type": "NFC"}
    tokenizer = of_tree(tree)
    chosen = choose_engine(tokenizer, text_buffers(["nothing of that"]))
    texts = text_buffers(["a e\u0301x b", "\u00e9x", "\u00e9xy", " \u00e9x \u00e9x"])
    if chosen.engine.startswith("gigatoken"):
        assert_equal(tokenizer, texts)
    else:
        assert "gives other ids for hard text" in chosen.reason or "in normalized text" in chosen.reason


@needs_gigatoken
@pytest.mark.parametrize("name", KNOWN)
def test_the_sample_proves_the_library(name):
    chosen = choose_engine(TOKENIZERS[name], text_buffers(TEXTS))
    assert chosen.engine.startswith("gigatoken 0.")
    assert f"ids of {len(TEXTS):,} documents and 400 hard texts equal those of tokenizers " in chosen.reason
    assert chosen.warning is None
    assert isinstance(engine_named(chosen.engine, TOKENIZERS[name].definition), Gigatoken)


@needs_gigatoken
@pytest.mark.parametrize(("wrong", "what"), [("hard", "hard text 4"), ("sample", "document of the sample 4")])
def test_a_library_that_differs_anywhere_is_not_used_and_the_run_says_so(monkeypatch, wrong, what):
    encode = Gigatoken.encode
    asked = []

    def falsified(self, texts):
        ids, offsets = encode(self, texts)
        asked.append(texts)
        if (len(asked) == 1) == (wrong == "hard"):
            ids = ids.copy()
            ids[offsets[4]] ^= 1
        return ids, offsets

    monkeypatch.setattr(Gigatoken, "encode", falsified)
    chosen = choose_engine(TOKENIZERS["gpt2"], text_buffers(TEXTS))
    assert chosen.engine.startswith("tokenizers ")
    assert f"gives other ids for {what}" in chosen.reason
    assert chosen.warning.startswith(f"tokens: {chosen.reason}; {chosen.engine} is used")
    assert engine_named(chosen.engine, TOKENIZERS["gpt2"].definition) is None


class PanicError(BaseException):
    """What a library in Rust raises: no Exception."""


@needs_gigatoken
def test_texts_that_a_library_fails_on_go_to_the_reference_and_it_is_not_chosen_if_the_sample_holds_one(monkeypatch):
    rows = faster._encode_rows

    def fail(inner, texts):
        if any("dog" in text for text in texts.strings()):
            raise PanicError("called `Option::unwrap()` on a `None` value")
        return rows(inner, texts)

    monkeypatch.setattr(faster, "_encode_rows", fail)
    assert_equal(TOKENIZERS["gpt2"], text_buffers(TEXTS))
    assert_equal(TOKENIZERS["gpt2"], text_buffers(["a cat"]))
    assert choose_engine(TOKENIZERS["gpt2"], text_buffers(["a cat"])).engine.startswith("gigatoken ")
    chosen = choose_engine(TOKENIZERS["gpt2"], text_buffers(["a cat", "a dog"]))
    assert chosen.engine.startswith("tokenizers ")
    assert "fails on documents of the sample" in chosen.reason


def test_a_missing_library_is_no_error(monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    chosen = choose_engine(TOKENIZERS["gpt2"], text_buffers(TEXTS))
    assert (chosen.engine, chosen.reason) == (TOKENIZERS["gpt2"].reference.name, "gigatoken is not installed")
    assert engine_named("gigatoken 0.10.0", TOKENIZERS["gpt2"].definition) is None


@needs_gigatoken
def test_a_library_of_another_version_than_was_proven_is_not_used():
    assert engine_named("gigatoken 0.9.0", TOKENIZERS["gpt2"].definition) is None


@needs_gigatoken
@pytest.mark.parametrize("name", UNKNOWN)
def test_tokenizers_that_no_other_library_knows_go_to_the_reference(name):
    chosen = choose_engine(TOKENIZERS[name], text_buffers(TEXTS))
    assert chosen.engine.startswith("tokenizers ")
    assert chosen.reason.startswith("gigatoken does not know this tokenizer (")
    assert chosen.warning is None


def test_bytes_need_no_library():
    tokenizer = load_tokenizer(TokenizerConfig(name="bytes"))
    assert choose_engine(tokenizer, text_buffers(TEXTS)).engine == "none"


def test_a_file_that_no_library_can_read_is_named():
    tree = gpt2(300)
    tree["model"]["merges"] = [["nobody", "knows"]]
    tokenizer = of_tree(tree)
    with pytest.raises(InputError, match="made is no tokenizer of Hugging Face tokenizers"):
        tokenizer.encode_batch(["a"])
    with pytest.raises(InputError, match="made is no tokenizer of Hugging Face tokenizers"):
        choose_engine(tokenizer, text_buffers(TEXTS))
    with pytest.raises(InputError, match="it has no 'model'"):
        of_tree({})


def test_what_cuts_fills_or_draws_in_a_file_does_not_count():
    tree = gpt2()
    tree["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    tree["padding"] = {
        "strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "<|endoftext|>",
    }  # fmt: skip
    tree["model"]["dropout"] = 0.5
    tokenizer = of_tree(tree)
    assert np.array_equal(tokenizer.encode_batch(TEXTS)[0], TOKENIZERS["gpt2"].encode_batch(TEXTS)[0])
    if find_spec("gigatoken"):
        assert_equal(tokenizer, text_buffers(TEXTS))


def test_only_the_list_of_added_tokens_changes_in_what_libraries_load():
    definition = TOKENIZERS["gpt2"].definition
    tree = json.loads(definition.plain_json)
    assert tree == json.loads(definition.files.text) | {"added_tokens": []}
    assert definition.marked_json == definition.files.text
    files = TokenizerFiles(definition.files.text, '{"pad_token": "the"}', "made")
    named = Tokenizer(TokenizerConfig(name="made"), files).definition
    assert "the" in named.ids
    assert "the" in [token["content"] for token in json.loads(named.marked_json)["added_tokens"]]


def test_what_the_library_keeps_of_words_goes_with_its_engine():
    """It keeps it with the thread, 0.6 MiB for each tokenizer that a worker loads: one a part, and parts are many."""
    tokenizer = of_tree(json.loads(train_tokenizer(text_buffers(TEXTS), 300)))
    hard = hard_texts(tokenizer.definition)
    threads = set(threading.enumerate())
    for _ in range(4):
        Reference(tokenizer.definition).encode(hard)
    gc.collect()
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)
        assert not thread.is_alive()
