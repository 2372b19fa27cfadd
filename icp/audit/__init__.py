"""`icp verify`: a run is audited from its files alone, and what can be made again is made again.

In: a run's folder. Out: findings, one for each of the promises of docs/design.md that is kept, one for each kind of
breach. Memory is bounded by a part of each step, some 50 bytes a document, and a byte for each input row.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from icp.audit import (
    accounts,
    apart,
    documents,
    duplicates,
    encoding,
    files,
    given,
    links,
    order,
    passes,
    removed,
    rows,
    segments,
    tails,
    windows,
)
from icp.audit.findings import Breaches, Finding
from icp.audit.removed import verify_removed
from icp.audit.removed_shards import Sought
from icp.run.names import NODES, TOMBSTONES
from icp.run.reader import Run, WrongForm, open_run
from icp.run.storage import run_folder

log = logging.getLogger("icp")
__all__ = ["Finding", "Sought", "verify_removed", "verify_run"]


def verify_run(run: Path, *, pack: str = "main") -> Iterator[Finding]:
    """Check every promise; findings come as they are made, in the order of the promises.

    Raises: ArtifactError for a file that is missing or cannot be read, for a step that is not finished, and for a pack
        that is not there.
    Cost: every file of the run and the pack is read a few times.
    """
    opened = open_run(run_folder(run), pack=pack)
    opened.require()
    files.check_present(opened)
    for promise, check in ((1, documents.check_documents), (2, duplicates.check_duplicates)):
        found = Breaches(promise)
        text = _guarded(found, lambda found=found, check=check: check(opened, found))  # type: ignore[misc]
        yield from found.findings(text)
    yield from _check_pack(opened)
    if opened.config.holds_apart or opened.config.corpus.exclude is not None:
        found = Breaches(8)
        yield from found.findings(_guarded(found, lambda: apart.check_apart(opened, found)))
    if (opened.folder / TOMBSTONES).exists():
        found = Breaches(9)
        yield from found.findings(_guarded(found, lambda: removed.check_holes(opened, found)))


def _check_pack(run: Run) -> Iterator[Finding]:
    """Promises 3 to 7, which share what they count."""
    content, form, sums, ordered, conflicts = (Breaches(promise) for promise in (3, 4, 5, 6, 7))
    layout = segments.layout_of(run)
    texts = dict.fromkeys((3, 4, 5, 6, 7), "")

    def compare() -> str:
        tokens = segments.TokenFiles(run, layout)
        tally = rows.check_rows(run, layout, tokens, content, form)
        encoded = encoding.check_encoding(run, layout, tokens, content)
        n_packed = tokens.nodes.size - tokens.first
        texts[3] = f"{tally.of_documents:,} tokens of {n_packed:,} documents in their windows, once{passes.told(run)}"
        if tokens.first:
            texts[3] += f" ({tokens.first:,} others stand in the shards of {run.config.extends})"
        texts[3] += f"{tails.told(run, tails.read_tail(run, layout, tokens))}; {encoded}"
        texts[4] = (
            f"{tally.windows:,} rows of {layout.stride:,} tokens, {tally.specials:,} specials and "
            f"{tally.padding:,} padding in place, ids below {layout.tokenizer.vocab_size:,}"
        )
        texts[5] = accounts.check_sums(run, layout, tokens, tally, sums)
        seen, pairs = windows.check_windows(run, layout, tokens, sums, form)
        has_tail = run.config.pack.lists_tail
        accounts.check_stats(run, accounts.window_figures(tokens, tally, seen, layout, has_tail=has_tail), sums)
        texts[6] = order.check_order(run, seen, tokens.nodes.size, ordered)
        texts[7] = order.check_conflicts(run, seen, tokens, pairs, conflicts)
        return ""

    _guarded(content, compare)
    texts[5] += _guarded(sums, lambda: links.check_links(run, run.array("graph", NODES).astype("int64"), sums))
    texts[5] += _guarded(sums, lambda: given.check_given(run, sums))
    texts[5] += f"; {files.check_files(run, layout, sums)}"
    for found in (content, form, sums, ordered, conflicts):
        if content and not texts[7] and not found:
            found.add("not checked to the end, see promise 3")
        yield from found.findings(texts[found.promise])


def _guarded(found: Breaches, check: Callable[[], str]) -> str:
    """Do a check; a file of the wrong form is a breach, and so are files that do not fit together."""
    try:
        return check()
    except WrongForm as wrong:
        found.add(str(wrong))
    except (LookupError, ValueError, TypeError, pa.ArrowException) as error:
        log.debug("promise %d", found.promise, exc_info=True)
        found.add(f"files that do not fit together ({type(error).__name__}: {error}); -v tells where")
    return ""
