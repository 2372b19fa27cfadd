"""Files made to do harm are refused, or fail on texts, within bounded time and memory."""

import json
import time

import pytest
import tokenizers

from icp.config import TokenizerConfig
from icp.errors import InputError
from icp.texts import text_buffers
from icp.tokenizer import limits, vocabulary
from icp.tokenizer.byte_level import train_tokenizer
from icp.tokenizer.limits import growth
from icp.tokenizer.tokenizer import Tokenizer, load_tokenizer
from icp.tokenizer.vocabulary import TokenizerFiles

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def made(**changed):
    tree = json.loads(train_tokenizer(["the quick brown fox"], 270)) | changed
    return Tokenizer(TokenizerConfig(name="made"), TokenizerFiles(json.dumps(tree), None, "made"))


def replace(content, **pattern):
    return {"type": "Replace", "pattern": pattern, "content": content}


def sequence(*members):
    return {"type": "Sequence", "normalizers": list(members)}


@pytest.mark.parametrize(
    "normalizer",
    [
        sequence(*[replace("aa", String="a")] * 40),
        sequence(*[replace("ab", String="b"), replace("ba", String="a")] * 20),
        sequence(sequence(*[replace("zz", Regex="z")] * 20), replace("y", String="x")),
        sequence(*[replace(" ", Regex="(?=.)")] * 9),
        replace("x" * 100, String="y"),
        replace("x" * 100, Regex="\\w*"),
    ],
)
def test_a_normalizer_that_grows_texts_without_end_is_refused(normalizer):
    with pytest.raises(InputError, match=r"the normalizer of made can make a text more than 64 times as long"):
        made(normalizer=normalizer)


def test_a_decoder_that_grows_texts_is_refused():
    with pytest.raises(InputError, match="the decoder of made"):
        made(decoder={"type": "Sequence", "decoders": [replace("aa", String="a")] * 30})


def test_growth_of_usual_normalizers_is_small():
    blanks = [replace("▁", String=" "), {"type": "Prepend", "prepend": "▁"}, {"type": "NFKC"}]
    assert growth({"normalizer": sequence(*blanks)}, "made") == 1
    assert growth({"normalizer": None}, "made") == growth({}, "made") == 1
    quotes = [
        replace('"', String="``"),
        replace('"', String="''"),
        replace(" ", Regex=" {2,}"),
        replace("...", String="…"),
    ]
    assert growth({"normalizer": sequence(*quotes)}, "made") == 3
    assert growth({"normalizer": replace("a b", Regex="x+")}, "made") == 3


def test_what_grows_is_given_in_smaller_blocks():
    tokenizer = made(normalizer=replace("....", String="a"))
    assert tokenizer.reference.block_bytes == (1 << 20) // 4
    assert tokenizer.decode(tokenizer.encode_batch(["bab"])[0]) == "b....b"


@pytest.mark.parametrize("number", [10**11, limits.LARGEST_ID + 1, -1, 1.5, "7", True, None])
def test_ids_that_are_none_are_refused_before_they_ask_for_memory(number):
    added = {
        "id": number,
        "content": "<x>",
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
    }
    with pytest.raises(InputError, match=r"the id of '<x>' is .*, expected 0 to 16,777,215"):
        made(added_tokens=[added | {"special": True}])


def test_ids_of_the_configuration_are_held_to_the_same_limit():
    config = json.dumps({"added_tokens_decoder": {str(10**11): {"content": "<y>"}}})
    with pytest.raises(InputError, match="the id of '<y>' is 100000000000"):
        Tokenizer(TokenizerConfig(name="made"), TokenizerFiles(train_tokenizer(["a"], 258), config, "made"))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"model":' * 50_000,
        "{}",
        "null",
        '{"model": {"vocab": 3}}',
        '{"model": {"vocab": {"a": {}}}, "added_tokens": 7}',
        '{"model": {"vocab": [["a"]]}}',
    ],
)
def test_files_that_are_no_tokenizer_are_named_in_one_line(text):
    with pytest.raises(InputError, match=r"^tokenizer.name: made ") as caught:
        Tokenizer(TokenizerConfig(name="made"), TokenizerFiles(text, None, "made"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.skipif(tokenizers.__version__ >= "1", reason="1.0 refuses such patterns or bounds them itself")
def test_a_pattern_without_end_is_a_document_that_fails_not_a_run_that_hangs():
    nested = {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": False}
    tokenizer = made(pre_tokenizer={"type": "Sequence", "pretokenizers": [nested, BYTES]})
    start = time.process_time()
    (ids, offsets), refused = tokenizer.encode_each(text_buffers(["fine", "x" * 60, "the fox"]))
    assert time.process_time() - start < 60
    assert list(refused) == [1]
    assert offsets[1] == offsets[2] < ids.size


@pytest.mark.skipif(tokenizers.__version__ >= "1", reason="1.0 refuses such patterns or bounds them itself")
def test_patterns_nested_deep_are_refused():
    split = {
        "type": "Split",
        "pattern": {"Regex": "(" * 50_000 + ")" * 50_000},
        "behavior": "Isolated",
        "invert": False,
    }
    with pytest.raises(InputError, match="made is no tokenizer of Hugging Face tokenizers"):
        made(pre_tokenizer=split).check()


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary, "_MOST_BYTES", 10)
    (tmp_path / "tokenizer.json").write_text(train_tokenizer(["a"], 258))
    with pytest.raises(InputError, match="bytes, at most 10 are read"):
        load_tokenizer(TokenizerConfig(name=str(tmp_path)))
