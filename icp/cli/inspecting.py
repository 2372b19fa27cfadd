"""`icp inspect`: a window, a document, a duplicate, and documents that stand out, at the terminal or as a file."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from icp.cli.options import PACK, PLACE, shared_options
from icp.cli.overwriting import FORCE, MARKS, check_target
from icp.cli.session import set_up_logging
from icp.cli.terminal import say, shown
from icp.errors import ConfigError

WANTED = ("window", "doc", "dup", "sample", "hubs", "groups", "alone")
_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option("--window", type=click.IntRange(0), metavar="N", help="Show a window whole: its documents and text."),
    click.option("--chars", type=click.IntRange(0), metavar="N", help="With --window: characters shown of each piece."),
    click.option("--text", is_flag=True, help="With --window: its text alone, as it is trained on."),
    click.option("--jsonl", is_flag=True, help="With --window: a JSON object for each piece."),
    click.option("--doc", metavar="ID", help="Show a document and its neighbours. An id or a doc number."),
    click.option("--dup", metavar="ID", help="Show a removed document beside the one kept in its place."),
    click.option("--hubs", is_flag=True, help="List the documents with most links."),
    click.option("--groups", is_flag=True, help="List the largest groups of copies."),
    click.option("--alone", is_flag=True, help="List documents that have their windows to themselves."),
    click.option("--sample", type=click.IntRange(1), metavar="N", help="Write N windows to a file; needs --out."),
    click.option("--out", type=PLACE, metavar="FILE", help="With --sample: a file that ends in .jsonl or .csv."),
    FORCE,
    click.option("--no-pager", is_flag=True, help="Print all at once, however long it is."),
)


def _options(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command()
@click.argument("run_folder", type=PLACE, metavar="RUN")
@_options
@PACK
@shared_options
def inspect(run_folder: str, pack_name: str, **options: Any) -> None:
    """Show a window, a document, a removed duplicate, or what stands out, in the terminal."""
    from icp.inspect import write_sample
    from icp.run.opening import open_folder

    set_up_logging(options)
    if sum(options[name] is not None and options[name] is not False for name in WANTED) != 1:
        names = ", ".join(f"--{name}" for name in WANTED)
        raise ConfigError(f"inspect: give one of {names}, e.g. --window 0")
    folder = open_folder(run_folder)
    if options["sample"] is not None:
        if options["out"] is None:
            raise ConfigError("--sample: name a file with --out, e.g. --out windows.jsonl")
        out = Path(options["out"])
        check_target("--out", options["out"], out.suffix if out.suffix in MARKS else ".jsonl", force=options["force"])
        n = write_sample(folder, options["sample"], out, pack=pack_name)
        say(f"{n} windows in {options['out']}")
        return
    _page(_lines(folder, pack_name, options), paged=not options["no_pager"])


def _lines(folder: Path, pack: str, options: dict[str, Any]) -> Iterable[str]:
    """The lines that are asked for."""
    from icp import inspect as look

    if options["window"] is not None:
        if options["text"] or options["jsonl"]:
            show = look.show_text if options["text"] else look.show_rows
            return show(folder, options["window"], pack=pack)
        return look.show_window(folder, options["window"], pack=pack, chars=options["chars"])
    if options["doc"] is not None:
        return look.show_document(folder, options["doc"], pack=pack)
    if options["dup"] is not None:
        return look.show_duplicate(folder, str(options["dup"]))
    listing = next(name for name in ("hubs", "groups", "alone") if options[name])
    return {"hubs": look.show_hubs, "groups": look.show_groups, "alone": look.show_alone}[listing](folder, pack=pack)


def _page(lines: Iterable[str], *, paged: bool) -> None:
    """Print lines; on a terminal that they do not fit, a screen at a time.

    A terminal without a height is one of a program, which would wait for the pager as the pager waits for keys.
    """
    if not (paged and sys.stdout.isatty() and os.get_terminal_size(sys.stdout.fileno()).lines):
        for line in lines:
            say(line)
        return
    texts = [shown(line) for line in lines]
    if len(texts) < shutil.get_terminal_size().lines:
        click.echo("\n".join(texts))
    else:
        click.echo_via_pager("\n".join(texts) + "\n")
