import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.config import TokenizerConfig
from icp.errors import ConfigError, InputError
from icp.texts import text_buffers
from icp.tokenizer.byte_level import train_tokenizer
from icp.tokenizer.cutting import Cuts, cut_text, usable_patterns
from icp.tokenizer.tokenizer import Tokenizer, load_tokenizer
from icp.tokenizer.vocabulary import TokenizerFiles

try:
    from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
except ImportError:
    pytest.skip("tokenizers 1.0 makes no tokenizers in Python", allow_module_level=True)

TEXTS = [
    "The quick brown fox jumps over the lazy dog. It's 12 o'clock, isn't it?",
    "für große Bären: straße, Übung; naïve café\n\tdef f(x):\n    return x  # done",
    "東京都は日本の首都です。今天天气很好，我们去公园。 ไทย",  # noqa: RUF001
    "numbers 1234567 and 3.14159, e-mail a_b@c.de https://x.y/z?q=1&r=2",
    "🙂 emoji \u0301 combining, zero\u200bwidth, nbsp\u00a0here, line\u2028sep, \r\n crlf \x00 nul",
] * 3
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train(inner, specials, vocab_size=400):
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(TEXTS, trainer=trainer)
    return inner


def gpt2_like():
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    train(inner, [])
    inner.add_special_tokens(["<|endoftext|>"])
    inner.enable_truncation(4)
    inner.enable_padding(length=9)
    return inner


def llama3_like():
    inner = tokenizers.Tokenizer(models.BPE(ignore_merges=True))
    split = pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated")
    inner.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    inner.decoder = decoders.ByteLevel()
    train(inner, [])
    inner.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
    begin = inner.token_to_id("<|begin_of_text|>")
    inner.post_processor = processors.TemplateProcessing("<|begin_of_text|> $A", None, [("<|begin_of_text|>", begin)])
    return inner


def llama2_like():
    letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "▁")} | set("▁</s>abcxyz"))
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, "▁t", "▁th", "he", "▁the"]
    merges = [("▁", "t"), ("▁t", "h"), ("h", "e"), ("▁t", "he")]
    vocabulary = {name: number for number, name in enumerate(dict.fromkeys(names))}
    inner = tokenizers.Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fallback = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence(fallback)
    inner.add_special_tokens(["<unk>", "<s>", "</s>"])
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 1), ("</s>", 2)])
    return inner


def unigram_like():
    letters = sorted(set("▁abcdefghijklmnopqrstuvwxyz</>"))
    pieces = [("<unk>", 0.0), ("</s>", -1.0), *((letter, -5.0) for letter in letters), ("▁fox", -2.0)]
    inner = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=0))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    inner.add_special_tokens(["<unk>", "</s>"])
    return inner


KINDS = {"gpt2": gpt2_like, "llama3": llama3_like, "llama2": llama2_like}


def load(inner, *, config_json=None, **config):
    files = TokenizerFiles(inner.to_str(), json.dumps(config_json) if config_json is not None else None, "toy")
    return Tokenizer(TokenizerConfig(name="toy", **config), files)


@pytest.fixture(scope="module")
def trained():
    return train_tokenizer(TEXTS, 400)


@pytest.fixture
def trained_file(trained, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(trained, encoding="utf-8")
    return path


def test_bytes_are_their_own_ids():
    tokenizer = load_tokenizer(TokenizerConfig(name="bytes"))
    ids, offsets = tokenizer.encode_batch(["hé", "", "<|endoftext|>"])
    assert ids[:3].tolist() == [104, 195, 169]
    assert offsets.tolist() == [0, 3, 3, 16]
    assert (tokenizer.vocab_size, tokenizer.dtype) == (257, np.dtype("uint16"))
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (None, 256, 256)
    assert tokenizer.decode([104, 195, 169, 256]) == "hé<|endoftext|>"


def test_bytes_agree_with_their_own_tokenizer_json():
    tokenizer = load_tokenizer(TokenizerConfig(name="bytes"))
    inner = tokenizers.Tokenizer.from_str(tokenizer.text)
    ids, _ = tokenizer.encode_batch(["".join(TEXTS)])
    assert ids.tolist() == inner.encode("".join(TEXTS)).ids


def test_trained_tokenizer_has_n_ids_and_gives_text_back(trained_file):
    tokenizer = load_tokenizer(TokenizerConfig(name="train:400"), trained=trained_file)
    assert tokenizer.vocab_size == 400
    ids, offsets = tokenizer.encode_batch(TEXTS)
    for row, text in enumerate(TEXTS):
        assert tokenizer.decode(ids[offsets[row] : offsets[row + 1]]) == text


def test_small_sample_gives_fewer_ids():
    assert len(json.loads(train_tokenizer(["ab ab"], 400))["model"]["vocab"]) < 262


def test_training_repeats_bytes_in_any_order_and_process(trained):
    assert train_tokenizer(iter(TEXTS[::-1]), 400) == trained
    script = (
        "import json, sys; from icp.tokenizer.byte_level import train_tokenizer;"
        "sys.stdout.write(train_tokenizer(json.load(sys.stdin), 400))"
    )
    environment = {"RAYON_NUM_THREADS": "3", "PYTHONHASHSEED": "2", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(TEXTS), capture_output=True, text=True, check=True,
        encoding="utf-8", env=environment,
    )  # fmt: skip
    assert done.stdout == trained


@pytest.mark.parametrize("kind", KINDS)
def test_special_strings_in_text_are_ordinary_text(kind):
    tokenizer = load(KINDS[kind]())
    texts = [f"abc {token}xyz" for token in tokenizer.specials] + ["".join(tokenizer.specials) * 3]
    ids, offsets = tokenizer.encode_batch(texts)
    forbidden = [tokenizer._ids[token] for token in tokenizer.specials]
    assert not np.isin(ids, forbidden).any()
    for row, text in enumerate(texts):
        assert tokenizer.decode(ids[offsets[row] : offsets[row + 1]]) == text
    assert tokenizer.count_specials(text_buffers(texts)) == 4 * len(tokenizer.specials)


def test_special_that_the_model_itself_holds_is_out_of_its_reach():
    tokenizer = load(unigram_like())
    eos = tokenizer.eos_id
    assert eos in tokenizers.Tokenizer.from_str(tokenizer.text).encode("fox</s>fox").ids  # the model alone finds an end
    for text in ("fox</s>fox </s></s>", "a<unk>b", "<unk>"):
        ids, _ = tokenizer.encode_batch([text])
        assert not {0, eos} & set(ids.tolist())
        assert tokenizer.decode(ids) == text
    ids, _ = tokenizer.encode_batch(["fox Я fox"])
    assert 0 in ids.tolist()  # unknown is no role


def test_named_tokens_become_special_though_the_json_does_not_say_so():
    inner = gpt2_like()
    inner.add_tokens(["<|stop|>"])
    ordinary = load(inner, eos="<|endoftext|>")
    assert ordinary.encode_batch(["<|stop|>"])[0].size == 1
    named = load(inner, config_json={"eos_token": {"content": "<|stop|>"}})
    assert named.eos_id == inner.token_to_id("<|stop|>")
    assert named.encode_batch(["<|stop|>"])[0].size > 1


def test_truncation_padding_and_dropout_of_the_json_do_not_count():
    tree = json.loads(gpt2_like().to_str())
    tree["model"]["dropout"] = 0.5
    tokenizer = Tokenizer(TokenizerConfig(name="toy"), TokenizerFiles(json.dumps(tree), None, "toy"))
    first, offsets = tokenizer.encode_batch(["a", TEXTS[0] * 20])
    assert offsets[1] == 1
    assert np.array_equal(first, tokenizer.encode_batch(["a", TEXTS[0] * 20])[0])
    assert tokenizer.decode(first[1:]) == TEXTS[0] * 20


def test_empty_documents_give_no_tokens():
    for make in KINDS.values():
        ids, offsets = load(make()).encode_batch(["", "a", ""])
        assert offsets[1] == 0
        assert offsets[2] == offsets[3] == ids.size > 0
    ids, offsets = load(gpt2_like()).encode_batch([])
    assert (ids.size, offsets.tolist()) == (0, [0])


def cut_and_encode(tokenizer, text, piece_chars):
    """The pieces of a text, and its ids from them."""
    pieces = list(cut_text(text, tokenizer._cuts, piece_chars=piece_chars, longest_chars=10_000))
    assert "".join(pieces) == text
    return pieces, tokenizer._encode_pieces(pieces).tolist()


@pytest.mark.parametrize("kind", ["gpt2", "llama3", "llama2", "unigram"])
def test_pieces_encode_like_the_whole(kind):
    tokenizer = load((KINDS | {"unigram": unigram_like})[kind]())
    assert tokenizer._cuts.patterns
    assert (tokenizer._cuts.joined is not None) == (kind in ("llama2", "unigram"))
    for text in (" ".join(TEXTS), "\n\n".join(TEXTS), "".join(TEXTS).replace(" ", "")):
        whole = tokenizer.encode_batch([text])[0].tolist()
        for piece_chars in (1, 3, 10, 40):
            pieces, ids = cut_and_encode(tokenizer, text, piece_chars)
            assert len(pieces) > 1
            assert ids == whole


ALPHABET = st.sampled_from([*"ab 1.,;'_-\n\r\t的。é\u0301\u00a0\u200b🙂th", " the", "'s", "  ", "\n\n", "▁"])


@settings(max_examples=60, deadline=None)
@given(st.lists(ALPHABET, max_size=60), st.sampled_from([1, 2, 5]))
def test_pieces_of_any_text_encode_like_the_whole(letters, piece_chars):
    text = "".join(letters)
    for kind in CUT:
        if text:
            _, ids = cut_and_encode(CUT[kind], text, piece_chars)
            assert ids == CUT[kind].encode_batch([text])[0].tolist()


CUT = {kind: load(make()) for kind, make in {**KINDS, "unigram": unigram_like}.items()}


@pytest.mark.parametrize("kind", ["gpt2", "llama2", "unigram"])
def test_text_without_boundaries_is_cut_at_the_limit_and_given_back(kind):
    tokenizer = CUT[kind]
    text = "x" * 1_500_000
    ids, _ = tokenizer.encode_batch([text])
    assert tokenizer.decode(ids) == text
    cuts = Cuts(tokenizer._cuts.patterns)
    assert list(cut_text("x" * 50, cuts, piece_chars=5, longest_chars=20)) == ["x" * 20, "x" * 20, "x" * 10]


def test_a_pattern_that_changes_ids_is_not_used():
    def encode(pieces):
        return [number for piece in pieces for number in (len(piece), *piece.encode())]

    assert usable_patterns(encode) == []
    assert list(cut_text("a b " * 10, Cuts(), piece_chars=3)) == ["a b " * 10]
    assert list(cut_text("", Cuts())) == []


def test_ids_do_not_depend_on_the_batch():
    tokenizer = load(gpt2_like())
    ids, offsets = tokenizer.encode_batch(TEXTS)
    single = [tokenizer.encode_batch([text])[0] for text in TEXTS]
    assert np.array_equal(ids, np.concatenate(single))
    assert np.diff(offsets).tolist() == [block.size for block in single]


def test_dtype_counts_added_tokens():
    vocabulary = {f"w{number}": number for number in range(65535)}
    inner = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.add_special_tokens(["<|endoftext|>"])
    full = load(inner)
    assert (full.vocab_size, full.dtype) == (65536, np.dtype("uint16"))
    inner.add_special_tokens(["<pad>"])
    over = load(inner)
    assert (over.vocab_size, over.dtype) == (65537, np.dtype("uint32"))
    declared = load(inner, config_json={"added_tokens_decoder": {"70000": {"content": "<extra>"}}})
    assert declared.vocab_size == 70001


def test_roles_follow_the_tokenizer_config_then_the_usual_names():
    inner = gpt2_like()
    inner.add_special_tokens(["</s>", "<s>", "<pad>"])
    number = inner.token_to_id
    named = load(inner, config_json={"eos_token": "</s>", "bos_token": {"content": "<|endoftext|>"}}, bos="document")
    assert (named.bos_id, named.eos_id, named.pad_id) == tuple(map(number, ("<|endoftext|>", "</s>", "<pad>")))
    usual = load(inner, eos="<|endoftext|>", bos="window", pad="</s>")
    assert (usual.bos_id, usual.eos_id, usual.pad_id) == tuple(map(number, ("<s>", "<|endoftext|>", "</s>")))
    without = load(inner, eos="none")
    assert (without.bos_id, without.eos_id, without.pad_id) == (None, None, number("<pad>"))
    assert load(gpt2_like(), pad="none").pad_id == load(gpt2_like()).eos_id


@pytest.mark.parametrize(
    ("specials", "config", "message"),
    [
        (["</s>"], {}, r"tokenizer.eos is 'auto', .* knows <\|endoftext\|> and </s>; set tokenizer.eos"),
        ([], {"eos": "<|endoftex|>"}, r"does not know; did you mean <\|endoftext\|>\?"),
        ([], {"eos": "a"}, "tokenizer.eos is 'a', an ordinary token"),
        ([], {"pad": "[nothing]"}, r"tokenizer.pad is '\[nothing\]', which toy does not know; its special tokens are"),
        ([], {"eos": "none"}, "tokenizer.pad is 'auto' and tokenizer.eos is 'none'"),
        ([], {"eos": "none", "pad": "none"}, "tokenizer.pad is 'none' and tokenizer.eos is 'none'"),
        ([], {"bos": "document"}, r"tokenizer.bos needs a token, .* knows none of .*; set tokenizer.bos to none"),
    ],
)
def test_refuses_roles_it_cannot_fill(specials, config, message):
    inner = gpt2_like()
    inner.add_special_tokens(specials)
    tokenizer = load(inner, **config)
    with pytest.raises(ConfigError, match=message):
        tokenizer.roles()


def test_refuses_a_tokenizer_without_an_end():
    inner = tokenizers.Tokenizer(models.WordLevel({"a": 0, "?": 1}, unk_token="?"))
    with pytest.raises(ConfigError, match=r"knows none of .*; set tokenizer.eos .* or to none .*no special tokens"):
        load(inner).roles()


@pytest.mark.parametrize("name", ["train:257", "train:x", "train:", "train:-5", "train:99999999999"])
def test_refuses_impossible_training(name):
    with pytest.raises(ConfigError, match="expected train:N with N from 258"):
        load_tokenizer(TokenizerConfig(name=name))


def test_refuses_missing_and_broken_files(tmp_path):
    cases = {
        str(tmp_path): "holds no tokenizer.json",
        str(tmp_path / "missing.json"): 'no such file or folder.*need no download: "train:16384", "bytes"',
    }
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    cases[str(broken)] = "is no tokenizer of Hugging Face"
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe")
    cases[str(tmp_path / "latin.json")] = "not UTF-8"
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            load_tokenizer(TokenizerConfig(name=name))
    with pytest.raises(InputError, match="has to be trained"):
        load_tokenizer(TokenizerConfig(name="train:300"))


def test_refuses_a_broken_tokenizer_config(trained_file):
    trained_file.with_name("tokenizer_config.json").write_text("[1]")
    with pytest.raises(InputError, match=r"tokenizer_config\.json holds list, expected a mapping"):
        load_tokenizer(TokenizerConfig(name=str(trained_file)))


def test_folder_and_file_and_copy_are_the_same_tokenizer(trained_file):
    trained_file.with_name("tokenizer_config.json").write_text('{"eos_token": "<|begin_of_text|>"}')
    names = (str(trained_file), str(trained_file.parent))
    found = [load_tokenizer(TokenizerConfig(name=name)) for name in names]
    found.append(load_tokenizer(TokenizerConfig(name="somewhere/else"), trained=trained_file))
    assert len({(tokenizer.sha256, tokenizer.eos_id, tokenizer.vocab_size) for tokenizer in found}) == 1


def test_hub_that_cannot_be_asked_names_what_needs_no_download(monkeypatch):
    import huggingface_hub

    def refuse(name, file):
        raise OSError("Name or service not known\nmore")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(InputError, match=r"gpt2 is no file or folder here .*not known\); these need no download"):
        load_tokenizer(TokenizerConfig(name="gpt2"))


def test_hub_files_are_read_as_text(monkeypatch, trained_file):
    import huggingface_hub

    Path(trained_file.with_name("tokenizer_config.json")).write_text('{"eos_token": "<|begin_of_text|>"}')

    def download(name, file):
        if not trained_file.with_name(file).exists():
            raise huggingface_hub.errors.LocalEntryNotFoundError(f"no {file} here, and no network")
        return str(trained_file.with_name(file))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    tokenizer = load_tokenizer(TokenizerConfig(name="some/model"))
    assert tokenizer.eos_id == 1
