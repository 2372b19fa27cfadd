"""Duplicates among texts of ten scripts, forms NFC and NFD mixed, as `words_reference` finds them."""

import random
import unicodedata

import pytest
from words_reference import reference_copy, reference_jaccard, reference_shingles

import icp

SCRIPTS = {
    "Latin": "čšžåøéèêëüñçığ" + "aeiou" * 3,
    "Vietnamese": "ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
    "Greek": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰἀἁἂᾳᾴῷ",
    "Cyrillic": "абвгдежзийклмнопрстуфхцчшщыэюяёїў",
    "Hebrew": "אבגדהוזחטיכלמנסעפצקרשת" + "\u05b0\u05b4\u05b6\u05bc\u05c1",
    "Arabic": "ابتثجحخدذرزسشصضطعغفقكلمنهويآأؤإئ" + "\u064b\u064e\u0650\u0651\u200c",
    "Devanagari": "कखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहक़ख़ज़ड़" + "ािीुूेैोौ्ं\u093c",
    "Bengali": "কখগঘচছজঝটঠডঢণতথদধনপফবভমযরলশষসহড়ঢ়য়" + "ািীুূেৈোৌ্ং",
    "Thai": "กขคฆงจฉชซญดตถทธนบปผพฟภมยรลวสหอ" + "าิีึืุู่้๊๋์็ัะแโใไ",
    "Han": "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏豈更車",
    "Japanese": "あいうえおがぎぐげござじずぜぞばびぶべぼぱぴぷぺぽアイウエオガギグゲゴ",
    "Hangul": "가각간갇갈감갑값강같한글말뜻몸바람하늘땅별밤꽃",
}
MARKS = [", ", " ", " ", " ", ". ", "\n", "  ", " \u200b"]


def corpus(script, generator):
    """Texts from one word up, copies of them in other forms, cases and white space, and edited ones."""
    letters = SCRIPTS[script]
    lexicon = ["".join(generator.choices(letters, k=generator.randint(1, 6))) for _ in range(60)]
    texts = []
    for size in (1, 2, 4, 5, 6, 7, 9, 14, 30, 60, 60):
        words = generator.choices(lexicon, k=size)
        edited = [*words[: size // 2], generator.choice(lexicon), *words[size // 2 + 1 :]]
        longer = [*words, generator.choice(lexicon)]
        for form in (words, words, words, edited, longer):
            text = "".join(word + generator.choice(MARKS) for word in form)
            text = text.upper() if script in ("Latin", "Cyrillic") and generator.random() < 0.3 else text
            texts.append(unicodedata.normalize(generator.choice(["NFC", "NFD"]), text))
    return texts


@pytest.mark.parametrize("script", SCRIPTS)
def test_pairs_are_those_of_the_reference(script):
    generator = random.Random(script)
    texts = corpus(script, generator)
    for threshold in (0.5, 0.8):
        rows = icp.find_duplicates(texts, threshold=threshold, bands=60, rows=2).to_pylist()
        removed = {row["doc"] for row in rows}
        for row in rows:
            one, other = texts[row["doc"]], texts[row["duplicate_of"]]
            assert row["duplicate_of"] not in removed
            if row["kind"] == "exact":
                assert reference_copy(one) == reference_copy(other)
            else:
                assert row["jaccard"] == reference_jaccard(one, other, 5) >= threshold
        kept = [doc for doc in range(len(texts)) if doc not in removed]
        several = {doc for doc in kept if len(reference_shingles(texts[doc], 5)) > 1}
        assert len({reference_copy(texts[doc]) for doc in kept}) == len(kept)
        left = [(a, b) for a in several for b in several if a < b]
        assert not [pair for pair in left if reference_jaccard(texts[pair[0]], texts[pair[1]], 5) >= threshold]
        assert rows
