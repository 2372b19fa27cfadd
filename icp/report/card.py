"""The card beside the shards: what they hold, how they were made, how to load them, for Hugging Face's hub and readers.

In: a finished pack. Out: ``shards/README.md``, whose head is YAML. The same run gives the same card.
"""

import logging
from collections.abc import Mapping
from typing import Any

import yaml

from icp import __version__
from icp.config import Config
from icp.plurals import counted
from icp.run.names import CARD, CONFIG, PACKS, pack_folder
from icp.run.stats import read_stats
from icp.run.storage import mirror_of, run_folder

log = logging.getLogger("icp")
_TEXT = """---
{head}---

# {windows:,} windows of {seq_len:,} tokens

Made by icp {version} for language-model pretraining: related documents share a window, {which} stands in the
windows exactly once{passes}{but}.

| | |
|---|---:|
| documents read | {read:,} |
| rows refused | {rejected:,} |
| documents held out for validation | {held_out:,} |
| exact duplicates removed | {exact_duplicates:,} |
| near-duplicates removed | {near_duplicates:,} |
| semantic duplicates removed | {semantic_duplicates:,} |
{removed}| documents kept | {kept:,} |
| tokens of documents | {documents_in:,} |
| special tokens | {specials:,} |
| tokens of padding | {padding:,} |
| fill of windows | {fill:.4f} |
| mean similarity in a window | {mean_similarity:.4f} |
| ... of random windows | {random_mean_similarity:.4f} |
| ... of the paper's method | {algorithm1_mean_similarity:.4f} |

## How it was made

| | |
|---|---|
| embeddings | `{model}` |
| duplicates | Jaccard {threshold} over word {ngram}-grams, verify: {verify} |
| tokenizer | `{tokenizer}`, sha256 `{tokenizer_sha256}` |
| windows | `{method}`, split `{split}`, in the order `{shuffle}` |
| seed | {seed} |

`{configuration}` beside this folder makes it again.

## Load

```python
from icp import WindowDataset

dataset = WindowDataset("RUN", pack="{pack}")  # RUN is the folder that holds {packs}/
```

Rows are raw little-endian `{dtype}`, {stride:,} tokens each, without a header:
`numpy.fromfile(name, "{dtype}").reshape(-1, {stride})`. `segments/*.parquet` says which tokens of which document stand
where, `windows/*.parquet` what each window holds.

## Limits

Texts are as their sources gave them: licences, personal data and errors included; nothing here filters by quality.
Duplicates are those of the same words; what says the same in other words stays. Similarity is that of the embeddings
named above.
"""


def write_card(config: Config, pack: str) -> None:
    """Leave the card of a finished pack beside its shards."""
    folder = run_folder(config.run)
    if mirror_of(config.run) is not None:  # what lies on a server is written by the steps alone
        return
    card, path = card_text(config, pack, read_stats(folder)), folder / pack_folder(pack, "shards") / CARD
    try:
        if not path.exists() or path.read_text(encoding="utf-8") != card:
            path.write_text(card, encoding="utf-8")
    except OSError as error:  # a run that was moved to where nothing can be written
        log.debug("%s: cannot be written (%s)", path, error.strerror)


def card_text(config: Config, pack: str, stats: Mapping[str, Any]) -> str:
    """The card as text, from the configuration and the figures of the run."""
    made = stats[PACKS][pack]
    windows, shards, n_removed = made["windows"], made["shards"], stats["documents"].get("removed", 0)
    head = {
        "pretty_name": f"{windows['count']:,} windows of {windows['seq_len']:,} tokens",
        "task_categories": ["text-generation"],
        "tags": ["pretraining", "in-context-pretraining", "icp"],
        "size_categories": [_size(windows["count"])],
        "configs": [{"config_name": "windows", "data_files": "windows/*.parquet"}],
    }
    return _TEXT.format(
        head=yaml.safe_dump(head, sort_keys=False, allow_unicode=True),
        version=__version__,
        windows=windows["count"],
        pack=pack,
        packs=PACKS,
        configuration=CONFIG,
        which="each document" if config.pack.documents == "all" else f"each document that is not in {config.extends}",
        removed=f"| documents removed on request | {n_removed:,} |\n" if n_removed else "",
        passes=_passes(config),
        but=_but(made["tokens"], config.pack.epochs),
        model=config.embed.model,
        threshold=config.dedup.threshold,
        ngram=config.dedup.ngram,
        verify=config.dedup.verify,
        tokenizer=config.tokenizer.name,
        method=config.pack.method,
        split=config.pack.split,
        shuffle=config.pack.shuffle,
        seed=config.seed,
        **{name: shards[name] for name in ("tokenizer_sha256", "dtype", "stride")},
        **{"held_out": 0} | {name: n for name, n in stats["documents"].items() if name != "removed"},
        **{name: made["tokens"][name] for name in ("documents_in", "specials", "padding")},
        **{name: windows[name] for name in windows if name in ("seq_len", "fill") or name.endswith("mean_similarity")},
    )


def _passes(config: Config) -> str:
    """How often documents are read."""
    told = f" in each of {config.pack.epochs} passes" if config.pack.epochs > 1 else ""
    sources = ", ".join(f"{name} {source.epochs:g}" for name, source in config.pack.sources.items())
    return told + (f", of sources as often as asked ({sources} times)" if sources else "")


def _but(tokens: Mapping[str, int], epochs: int) -> str:
    """What is not there exactly once; `epochs`: passes, which repeat tokens as well."""
    told = []
    if repeated := tokens.get("repeated"):
        told.append(f"{repeated:,} tokens that are repeated" + (" by passes or inside them" if epochs > 1 else ""))
    if lost := tokens.get("left_out"):
        told.append(f"{lost:,} tokens of {counted(tokens['left_out_documents'], 'document')} that are left out")
    return f", but for {' and '.join(told)}" if told and (epochs == 1 or lost) else f" ({told[0]})" if told else ""


def _size(n: int) -> str:
    """Hugging Face's class of sizes."""
    bounds = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
    return next((name for bound, name in bounds if n < bound), "10M<n<100M" if n < 10**8 else "n>100M")
