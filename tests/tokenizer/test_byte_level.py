"""`train:N` gives, letter by letter, what the trainer of Hugging Face tokenizers gives."""

import json
import random

import pytest
import tokenizers

from icp.tokenizer.byte_level import TRAINED_SPECIALS, bytes_json, train_tokenizer

try:
    from tokenizers import decoders, models, pre_tokenizers, trainers
except ImportError:
    pytest.skip("tokenizers 1.0 has no trainers to compare with", allow_module_level=True)

CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
POOLS = {
    "two letters": list("ab "),
    "lines and apostrophes": list("abc \n'"),
    "English": ["the", " cat", " sat", "on'll", " 've", "it's", "12", " 345", ",", ".", "!?", "\n", "\t", "  "],
    "all of Unicode": CHARACTERS,
    "specials": ["<|endoftext|>", "<|begin_of_text|>", "a", "b", " "],
    "odd spaces": ["é", "e\u0301", " ", "\u00a0", "\u2003", "\u0085", "\x1c", "\ufeff", "x"],
}


def of_the_reference(texts, n_ids):
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_ids, special_tokens=list(TRAINED_SPECIALS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(texts, trainer=trainer)
    return made.to_str(pretty=False)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("seed", range(4))
def test_the_same_file_as_the_reference_trainer(pool, seed):
    chooser = random.Random(f"{pool} {seed}")
    for most in (5, 80, 1000):
        texts = [
            "".join(chooser.choices(POOLS[pool], k=chooser.randrange(most))) for _ in range(chooser.randrange(1, 25))
        ]
        for n_ids in (258, 259, chooser.randrange(260, 400), 2000):
            assert train_tokenizer(texts, n_ids) == of_the_reference(texts, n_ids)


def test_real_text_gives_the_file_of_the_reference_trainer():
    from icp.warm import tiny_rows

    texts = [row["text"] for row in tiny_rows()] + [test_the_same_file_as_the_reference_trainer.__doc__ or "", __doc__]
    assert train_tokenizer(texts, 1000) == of_the_reference(texts, 1000)
    assert train_tokenizer([], 300) == of_the_reference([], 300)


def test_bytes_json_is_as_the_library_writes_it():
    assert tokenizers.Tokenizer.from_str(bytes_json()).to_str(pretty=False) == bytes_json()
    assert json.loads(bytes_json())["model"]["vocab"]["A"] == 65
