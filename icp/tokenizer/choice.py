"""Which library encodes a corpus: the fastest that gives the ids of the reference on a sample of it.

In: a tokenizer, texts of the corpus. Out: `Choice`. Texts made to be hard go with the sample: what few documents hold
would otherwise not be seen.
"""

import random
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from icp.failures import first_line, pass_on
from icp.texts import Texts, text_buffers
from icp.tokenizer.definition import Definition
from icp.tokenizer.engines import Engine
from icp.tokenizer.faster import Gigatoken
from icp.tokenizer.tokenizer import Tokenizer

HARD_TEXTS = 400
_SCRAPS = (
    *"abzQ 019.,;:!?-_/\\'\"()[]{}<>|@#$%&*+=~^\n\r\t\x00\x1f\x7f",
    *"éüßñøΩяЖאشहไ한カ一龥。「」①½٣Ⅷª\uff0c\u00a0\u00ad\u0301\u200b\u200d\u2028\u3000\ufeff\ufffd",
    *"\U0001f642\U0001f1ea\U00020000",
    *("  ", "    ", "\n\n", "\r\n", " \n ", "\t\t", "'s", "'LL", "'re", " the", "The", "ing", "123", "4567", "e\u0301"),
    *("\U0001f468\u200d\U0001f469\u200d\U0001f467", "http://", "=====", "----", "東京都", "ไทย", "नमस्ते", "안녕"),
    *("\ufb01", "\u0130", "ς"),
)
"""What hard texts are made of: alphabets, digits, marks, spaces, and what stands together."""
_HELD = 8
_MOST_ADDED = 256
"""Added tokens that are no specials: each of so many is tried, as texts may well hold them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which library encodes, and why.

    Attributes:
        engine: library and version.
        reason: a clause for the manifest.
        warning: a line for the log where a faster library gave other ids.
    """

    engine: str
    reason: str
    warning: str | None = None


def choose_engine(tokenizer: Tokenizer, sample: Texts) -> Choice:
    """Encode a sample with every library at hand.

    Args:
        tokenizer: any; only what it says of its files is used.
        sample: documents of the corpus.

    Raises: InputError if the reference does not know the tokenizer.
    Cost: two encodings of the sample, one of them by the reference.
    """
    if tokenizer.is_bytes:
        return Choice("none", "bytes need no library")
    reference = tokenizer.reference
    if find_spec("gigatoken") is None:
        return Choice(reference.name, "gigatoken is not installed")
    try:
        faster = Gigatoken(tokenizer.definition)
    except BaseException as error:  # noqa: BLE001 - whatever it raises, it does not know this tokenizer
        pass_on(error)
        return Choice(reference.name, f"gigatoken does not know this tokenizer ({first_line(error)})")
    hard = hard_texts(tokenizer.definition)
    for texts, what in ((hard, "hard text"), (sample, "document of the sample")):
        differing = first_difference(tokenizer, faster, reference, texts)
        if differing is not None:
            reason = f"{faster.name} gives other ids for {what} {differing}"
            return Choice(reference.name, reason, f"tokens: {reason}; {reference.name} is used, which takes longer")
    if faster.n_failures:
        return Choice(reference.name, f"{faster.name} fails on documents of the sample or hard texts")
    proof = f"ids of {sample.n_docs:,} documents and {hard.n_docs:,} hard texts equal those of {reference.name}"
    return Choice(faster.name, proof)


def first_difference(tokenizer: Tokenizer, left: Engine, right: Engine, texts: Texts) -> int | None:
    """The first text that two libraries encode differently, None if there is none; what only one refuses counts."""
    (ids, offsets), refused = tokenizer.with_engine(left).encode_each(texts)
    (others, other_offsets), others_refused = tokenizer.with_engine(right).encode_each(texts)
    for number in range(texts.n_docs):
        mine = ids[offsets[number] : offsets[number + 1]]
        theirs = others[other_offsets[number] : other_offsets[number + 1]]
        if (number in refused) != (number in others_refused) or not np.array_equal(mine, theirs):
            return number
    return None


def engine_named(name: str, definition: Definition) -> Engine | None:
    """The library that a choice names, if it is here in that version; None: the reference, which gives the same."""
    if not name.startswith("gigatoken ") or find_spec("gigatoken") is None:
        return None
    engine = Gigatoken(definition)
    return engine if engine.name == name else None


def hard_texts(definition: Definition) -> Texts:
    """Short texts of many alphabets, odd spaces, marks, and added tokens; the same every time."""
    chooser = random.Random(0)
    ordinary = [str(token["content"]) for token in definition.added if token["content"] not in definition.specials]
    added = [*definition.specials[:_HELD], *ordinary[:_HELD]]
    scraps = [*_SCRAPS, *added, *(other for token in added for other in (token.lower(), token.upper(), token[:-1]))]
    texts = ["", *("".join(chooser.choices(scraps, k=chooser.randrange(1, 40))) for _ in range(HARD_TEXTS - 1))]
    texts += [form.format(token) for token in ordinary[:_MOST_ADDED] for form in ("{}", "a {} b", "a{0}{0}b", "\n{}\t")]
    return text_buffers(texts)
