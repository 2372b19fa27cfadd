"""A tokenizer's own files say which tokens are special; without them, the flags of its tokenizer.json."""

import json

import numpy as np
import pytest

from icp.config import TokenizerConfig
from icp.errors import ConfigError, InputError
from icp.texts import text_buffers
from icp.tokenizer.byte_level import train_tokenizer
from icp.tokenizer.hiding import hidden_name
from icp.tokenizer.specials import SpecialFinder
from icp.tokenizer.tokenizer import Tokenizer, load_tokenizer
from icp.tokenizer.vocabulary import TokenizerFiles

FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def tree_with(added, **model):
    tree = json.loads(train_tokenizer(["the fox <b> </s>"], 262))
    last = max(tree["model"]["vocab"].values())
    added = [
        {"id": last + 1 + at, "content": token, "special": special, **FLAGS}
        for at, (token, special) in enumerate(added)
    ]
    tree["added_tokens"] += added
    tree["model"] |= model
    return tree


def made(tree, config=None, **settings):
    files = TokenizerFiles(json.dumps(tree), None if config is None else json.dumps(config), "made")
    return Tokenizer(TokenizerConfig(name="made", **settings), files)


def ids_of(tokenizer, text):
    return tokenizer.encode_batch([text])[0].tolist()


GEMMA = [("<s>", False), ("</s>", False), ("<b>", False), ("<eos>", True)]


def test_tokens_that_a_file_declares_ordinary_are_found_in_texts():
    tokenizer = made(tree_with(GEMMA), eos="<eos>")
    ids = tokenizer.definition.ids
    for token in ("<s>", "</s>", "<b>"):
        assert ids_of(tokenizer, f"a{token}") == [*ids_of(tokenizer, "a"), ids[token]]
        assert token not in tokenizer.specials
    assert ids["<eos>"] not in ids_of(tokenizer, "a<eos>")
    assert made(tree_with(GEMMA[:2] + GEMMA[3:]), pad="none", eos="<eos>").pad_id == ids["<eos>"] - 1


def test_a_role_or_a_flag_in_the_files_beside_makes_a_token_special():
    tree = tree_with(GEMMA)
    for config in (
        {"eos_token": "</s>"},
        {"additional_special_tokens": [{"content": "</s>"}]},
        {"added_tokens_decoder": {"264": {"content": "</s>", "special": True}}},
    ):
        tokenizer = made(tree, config)
        assert "</s>" in tokenizer.specials
        assert tokenizer.definition.ids["</s>"] not in ids_of(tokenizer, "a</s>")


def test_among_the_usual_ends_the_one_that_is_special_is_meant():
    tree = tree_with(GEMMA)
    tree["added_tokens"] = tree["added_tokens"][2:]  # without <|endoftext|>
    assert made(tree).eos_id == made(tree).definition.ids["<eos>"]
    with pytest.raises(ConfigError, match=r"</s>', an ordinary token .*or name it as eos_token in a tokenizer_config"):
        made(tree, eos="</s>").roles()


def of_words(kind):
    """Models that hold their specials among their words."""
    names = ["[UNK]", "</s>", "fox", "a", "<", "/", "s", ">", "##>", "##/", "##s"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tree = tree_with([])
    tree["added_tokens"] = [{"id": at, "content": names[at], "special": True, **FLAGS} for at in (0, 1)]
    tree["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    tree["model"] = {"type": kind, "unk_token": "[UNK]", "vocab": vocabulary}
    if kind == "WordPiece":
        tree["model"] |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    return made(tree)


def test_models_of_words_do_not_find_their_specials():
    assert ids_of(of_words("WordPiece"), "fox </s> a") == [2, 4, 9, 10, 8, 3]
    assert ids_of(of_words("WordLevel"), "fox </s> a [UNK]") == [2, 0, 3, 0]
    assert of_words("WordLevel").decode([2, 1]) == of_words("WordPiece").decode([2, 1]) == "fox</s>"


@pytest.mark.parametrize("whole_words", [False, True])
def test_merges_and_whole_words_do_not_lead_to_specials(whole_words):
    tree = tree_with([])
    model = tree["model"]
    for token in ("</", "s>", "</s>"):
        model["vocab"][token] = len(model["vocab"])
    model["merges"] = [["<", "/"], ["s", ">"], ["</", "s>"]]
    model["ignore_merges"] = whole_words
    tree["pre_tokenizer"]["use_regex"] = False
    tree["added_tokens"].append({"id": model["vocab"]["</s>"], "content": "</s>", "special": True, **FLAGS})
    tokenizer = made(tree, eos="</s>")
    assert ids_of(tokenizer, "</s>") == [model["vocab"]["</"], model["vocab"]["s>"]]
    assert tokenizer.decode([tokenizer.eos_id]) == "</s>"
    tree["model"]["merges"] = ["< /", "s >", "</ s>"]  # as files before 2024 wrote them
    assert ids_of(made(tree, eos="</s>"), "</s>") == [model["vocab"]["</"], model["vocab"]["s>"]]


def test_a_text_that_would_give_a_special_all_the_same_is_refused():
    tokenizer = of_words("WordLevel")
    (ids, offsets), refused = tokenizer.encode_each(text_buffers(["a fox", hidden_name("</s>"), "a"]))
    assert (ids.tolist(), offsets.tolist()) == ([3, 2, 3], [0, 2, 2, 3])
    assert refused == {1: "it gives the id of a special token, which no text may"}


def test_count_of_specials_is_of_the_longest_without_overlap():
    finder = SpecialFinder(["<s>", "<s><s>", "ab", "x"])
    texts = ["<s><s><s>", "a", "b", "abab x", "", "<s", ">"]
    assert finder.count(text_buffers(texts)) == 2 + 2 + 1
    assert SpecialFinder([]).count(text_buffers(texts)) == SpecialFinder(["q"]).count(text_buffers([])) == 0
    many = SpecialFinder([f"{chr(65 + at)}!" for at in range(20)])
    assert many.count(text_buffers(["A!B!", "!A", "T!x"])) == 3


@pytest.mark.parametrize("name", ["tokenizer.model", "spiece.model", "qwen.tiktoken"])
def test_a_vocabulary_of_another_library_is_named_for_what_it_is(tmp_path, name):
    (tmp_path / name).write_bytes(b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    with pytest.raises(InputError, match=rf"{name} is a vocabulary of SentencePiece or tiktoken, .*save_pretrained"):
        load_tokenizer(TokenizerConfig(name=str(tmp_path / name)))
    with pytest.raises(InputError, match=rf"holds {name} but no tokenizer.json; save the tokenizer there"):
        load_tokenizer(TokenizerConfig(name=str(tmp_path)))


@pytest.mark.parametrize(("text", "message"), [("{", "not valid JSON"), ("[1]", "holds list, expected a mapping")])
def test_refuses_a_broken_map_of_special_tokens(tmp_path, text, message):
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree_with([])))
    (tmp_path / "special_tokens_map.json").write_text(text)
    with pytest.raises(InputError, match=rf"special_tokens_map\.json {message}|special_tokens_map\.json is {message}"):
        load_tokenizer(TokenizerConfig(name=str(tmp_path)))


def test_the_map_fills_only_what_the_configuration_leaves_open(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree_with(GEMMA)))
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": "</s>", "bos_token": "<s>"}')
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<eos>", "bos_token": null}')
    tokenizer = load_tokenizer(TokenizerConfig(name=str(tmp_path), bos="document"))
    ids = tokenizer.definition.ids
    assert (tokenizer.eos_id, tokenizer.bos_id) == (ids["<eos>"], ids["<s>"])
    assert tokenizer.specials == sorted(["<|endoftext|>", "<|begin_of_text|>", "<eos>", "<s>"])
    assert np.isin(ids["</s>"], ids_of(tokenizer, "a</s>"))
