"""A corpus that tries to break out of a page, and the report of its run."""

import random

import pytest
from tiny import make_run, tiny_config, write_jsonl

from icp.report import write_report

SCRIPT = (
    "<script>window.broken = 1</script></script></textarea></pre><img src=x onerror='window.broken = 2'><!--<script>"
)
BIDI = "start \u202egnp.exe\u202c \u2066isolated\u2069 \u200e end \u2028 next"
SUBJECTS = ("river stone bridge forest water boat fish", "music paper silver market village winter night")
URLS = ("https://a.example.co.uk/x", "https://b.example.co.uk:443/y?z", "http://user:pa@www.other.org/", "no address")


def hostile_rows():
    """Documents on two subjects, copies, and some that hold markup, marks of direction, and a line of a megabyte."""
    rng, rows = random.Random(5), []
    for number in range(48):
        text = " ".join(rng.choices(SUBJECTS[number % 2].split(), k=60))
        rows.append({"id": f"doc-{number}", "text": f"{number} {text}", "source": f"s{number % 3}"})
    rows += [{"id": f"copy-{n}", "text": f"{rows[n]['text']} again", "source": SCRIPT} for n in (3, 4)]
    rows.append({"id": "same", "text": rows[5]["text"], "source": "s0"})
    rows.append({"id": SCRIPT, "text": f"{SCRIPT} markup {SCRIPT}", "source": SCRIPT})
    rows.append({"id": BIDI, "text": f"{BIDI} direction", "source": BIDI})
    rows.append({"id": "long", "text": "x" * 1_000_000 + " end", "source": "s1"})
    return [{**row, "url": URLS[at % len(URLS)], "language": "en" if at % 3 else "de"} for at, row in enumerate(rows)]


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory):
    """A finished run of `hostile_rows`; read it, do not change it."""
    folder = tmp_path_factory.mktemp("hostile")
    corpus = {"input": str(write_jsonl(folder / "rows.jsonl", hostile_rows())), "keep": ["url", "language"]}
    return make_run(tiny_config(folder, corpus=corpus, dedup={"threshold": 0.6}, pack={"seq_len": 2048}))


@pytest.fixture(scope="session")
def hostile_page(hostile_run, tmp_path_factory):
    """The file of its report."""
    out = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(hostile_run, out, verdict=["1 holds   it <b>does</b>"])
