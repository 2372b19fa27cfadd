"""Documents planted in a corpus that must not be trained on, or must be: copies of held-out and removed ones, text of
evaluation sets, each disguised in one of several ways.

In: documents without any of that. Out: `Planted`, all rows of a corpus and what each planted one is.
"""

import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import xxhash

Words = list[str]
FRACTION = 0.002
LONG = 60
"""Words of a document that is copied: a copy with one word changed shares 83% of its shingles of five."""
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
"""ASCII as the wide forms that East Asian typography has."""


@dataclass(slots=True)
class Planted:
    """A corpus, and what was planted in it.

    Attributes:
        rows: ``id``, ``text``, ``source``, ``url`` of each document.
        listed: ids of `holdout.ids`. by_hash: ids that `FRACTION` holds out.
        near: id of a copy of a held-out document -> how it was disguised.
        evaluation: the records of evaluation sets. contaminated: id of a document with text of them -> how.
        gone_ids, gone_urls: to be removed. twins: id of a copy of one of them -> how it was disguised.
        stays: id of a planted document that is to be trained on -> why.
    """

    rows: list[dict[str, str]]
    listed: list[str] = field(default_factory=list)
    by_hash: list[str] = field(default_factory=list)
    near: dict[str, str] = field(default_factory=dict)
    evaluation: list[dict[str, Any]] = field(default_factory=list)
    contaminated: dict[str, str] = field(default_factory=dict)
    gone_ids: list[str] = field(default_factory=list)
    gone_urls: list[str] = field(default_factory=list)
    twins: dict[str, str] = field(default_factory=dict)
    stays: dict[str, str] = field(default_factory=dict)


def unicode_noise(text: str) -> str:
    """The text decomposed, with soft hyphens in words, and marks without width and other blanks between them."""
    spaced = unicodedata.normalize("NFD", text).split()
    hyphened = (f"{word[:2]}\u00ad{word[2:]}" if len(word) > 3 else word for word in spaced)
    return "\u00a0\u200b".join(hyphened).replace("'", "\u2019").replace('"', "\u201c")


def wide(text: str) -> str:
    """The text in wide forms and ligatures, as some typesetters leave it."""
    return text.replace("fi", "\ufb01").replace("fl", "\ufb02").translate(WIDE)


def _edited(text: str, rng: random.Random, filler: Words, share: float) -> str:
    words = text.split(" ")
    for at in rng.sample(range(len(words)), max(1, int(share * len(words)))):
        words[at] = rng.choice(filler)
    return " ".join(words)


def _quoted(text: str, filler: Words, share: float, rng: random.Random) -> str:
    """A share of the words of a text, in one piece, inside twice as many others."""
    words = text.split(" ")
    piece = words[: round(share * len(words))]
    return " ".join([*rng.choices(filler, k=len(words)), *piece, *rng.choices(filler, k=len(words))])


def disguises(rng: random.Random, filler: Words) -> dict[str, Callable[[str], str]]:
    """Ways to make a near copy of a text; the words that are not its own come from `filler`."""
    return {
        "word for word": lambda text: text,
        "a few words changed": lambda text: _edited(text, rng, filler, 0.03),
        "spaces": lambda text: " \n\t ".join(text.split()),
        "case": str.swapcase,
        "unicode": unicode_noise,
        "wide forms": wide,
        "punctuation": lambda text: " -- ".join(text.split()).replace(".", ";"),
        "truncated": lambda text: text[: len(text) * 6 // 10],
        "its end alone": lambda text: text[len(text) * 7 // 10 :],
        "quoted in a longer one": lambda text: _quoted(text, filler, 0.92, rng),
        "longer by a half": lambda text: f"{text} {' '.join(rng.choices(filler, k=len(text.split()) // 2))}",
    }


def plant(rows: Sequence[dict[str, str]], n: int, seed: int = 11) -> Planted:
    """Plant about `n` documents of each kind among documents of `LONG` words and more."""
    rng = random.Random(seed)
    rows = [{**row, "url": f"https://example.org/{row['id']}"} for row in rows]
    seen = (word for row in rng.sample(rows, min(len(rows), 2000)) for word in row["text"].split())
    filler = sorted({word for word in seen if re.fullmatch("[A-Za-z0-9]+", word)})
    long = [row for row in rows if is_prose(row["text"])]
    rng.shuffle(long)
    planted = Planted(rows)
    listed, hosts, rest = long[:n], long[n : 3 * n], long[3 * n :]
    planted.listed = [row["id"] for row in listed]
    _plant_gone(planted, [row for row in rest if not is_held(row["id"])][: 2 * n], rng, filler)
    _plant_near(planted, listed, rng, filler)
    _plant_evaluation(planted, hosts, rng, filler)
    planted.gone_ids += [row["id"] for row in listed[: 1 + n // 20]]  # held-out documents can be removed too
    planted.by_hash = [row["id"] for row in rows if is_held(row["id"])]
    rng.shuffle(rows)
    return planted


def is_prose(text: str) -> bool:
    """Whether a text is long, and mostly words between blanks: of others a change of a few blanks changes more."""
    tokens = text.split(" ")
    return len(tokens) >= LONG and 0.8 < len(re.findall(r"\w+", text)) / len(tokens) < 1.3


def is_held(doc_id: str) -> bool:
    """Whether the hash of an id holds a document out."""
    return xxhash.xxh3_64_intdigest(doc_id.encode()) < int(FRACTION * 2**64)


def _plant_near(planted: Planted, listed: list[dict[str, str]], rng: random.Random, filler: Words) -> None:
    """Copies of held-out documents: of those of the list, and of those that the hash holds out."""
    held = [*listed, *(row for row in planted.rows if is_held(row["id"]) and is_prose(row["text"]))]
    ways = disguises(rng, filler)
    for number, row in enumerate(held):
        for name in rng.sample(sorted(ways), 2):
            doc_id = f"near-{number}-{name.replace(' ', '_')}"
            planted.near[doc_id] = name
            planted.rows.append(_row(doc_id, ways[name](row["text"])))
        quoted = _quoted(row["text"], filler, 0.6, rng)
        planted.stays[f"part-{number}"] = "quotes 60% of a held-out document"
        planted.rows.append(_row(f"part-{number}", quoted))


def _row(doc_id: str, text: str, url: str = "") -> dict[str, str]:
    return {"id": doc_id, "text": text, "source": "planted", "url": url or f"https://example.org/{doc_id}"}


def _plant_evaluation(planted: Planted, hosts: list[dict[str, str]], rng: random.Random, filler: Words) -> None:
    """Records of evaluation sets, and their text in the middle of documents."""

    def some(n: int) -> str:
        return " ".join(rng.choices(filler, k=n))

    for number, host in enumerate(hosts):
        record = {"id": number, "question": some(rng.randrange(26, 60)), "short": some(rng.randrange(8, 13)),
                  "choices": ["yes", {"text": some(15)}], "quiz": some(6), "answer": some(7), "tiny": "no"}  # fmt: skip
        planted.evaluation.append(record)
        question, middle = str(record["question"]).split(), rng.randrange(5, 10)
        thirteen = question[middle : middle + 13]
        ways = {
            "a whole question": " ".join(question),
            "13 words of a question": " ".join(thirteen),
            "case": " ".join(thirteen).swapcase(),
            "punctuation": "; ".join(thirteen) + "?!",
            "spaces": " \n\n\t".join(thirteen),
            "unicode": unicode_noise(" ".join(thirteen)),
            "wide forms": wide(" ".join(thirteen)),
            "a short question": str(record["short"]),
            "a choice": record["choices"][1]["text"],
            "a short question and its answer": f"{record['quiz']}?\n\n{record['answer']}.",
        }
        controls = {
            "holds 12 words of a question": " ".join(thirteen[:12]),
            "holds a question of 6 words": str(record["quiz"]),
            "holds one with a word before its answer": f"{record['quiz']} A: {record['answer']}",
            "holds a short question less a word": " ".join(str(record["short"]).split()[:-1]),
        }
        name = rng.choice(sorted(ways))
        planted.contaminated[f"eval-{number}"] = name
        planted.rows.append(_row(f"eval-{number}", _inside(host["text"], ways[name], rng, filler)))
        name = rng.choice(sorted(controls))
        planted.stays[f"clean-{number}"] = name
        planted.rows.append(_row(f"clean-{number}", _inside(some(60), controls[name], rng, filler)))


def _inside(host: str, text: str, rng: random.Random, filler: Words) -> str:
    """A text in the middle of other words: of a host, and others around, so that it is no copy of the host."""
    words = host.split(" ")
    half = len(words) // 2
    others = rng.choices(filler, k=len(words))
    return " ".join([*words[:half], *others, "::", text, "::", *words[half:], *others])


def _new_id(kind: str, number: int, rng: random.Random) -> str:
    """A name that is found wherever it stands, and that the hash does not hold out."""
    names = (f"{kind}-{number}-{rng.randrange(16**6):06x}" for _ in iter(int, 1))
    return next(name for name in names if not is_held(name))


def _plant_gone(planted: Planted, chosen: list[dict[str, str]], rng: random.Random, filler: Words) -> None:
    """Documents to be removed, half of them by URL, each with copies that dedup finds."""
    ways = disguises(rng, filler)
    kinds = ("word for word", "a few words changed", "spaces", "case", "unicode", "punctuation")
    for number, row in enumerate(chosen):
        row["id"] = _new_id("gone", number, rng)
        row["url"] = f"https://gone.example/{number}/{rng.randrange(16**6):06x}"
        if number % 2:
            planted.gone_ids.append(row["id"])
        else:
            planted.gone_urls.append(row["url"])
        name = rng.choice(kinds)
        doc_id = _new_id("twin", number, rng)
        # a single word, so that no more than 5 of its shingles differ
        changed = _edited(row["text"], rng, filler, 0.0) if name == kinds[1] else ways[name](row["text"])
        planted.twins[doc_id] = name
        if number % 25 == 3:
            planted.listed.append(doc_id)  # so that the document itself is near to a held-out one, and refused
        planted.rows.append(_row(doc_id, changed))
