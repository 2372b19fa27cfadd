"""`icp remove`: documents leave a finished run."""

from typing import Any

import click

from icp.choices import REMOVAL_WINDOWS
from icp.cli.options import PLACE, shared_options
from icp.cli.session import set_up_logging, working
from icp.cli.terminal import say
from icp.errors import ConfigError


@click.command()
@click.argument("run_folder", type=PLACE, metavar="RUN")
@click.option("--ids", type=PLACE, metavar="FILE", help="Ids, one a line; or JSONL or Parquet with a column id.")
@click.option("--urls", type=PLACE, metavar="FILE", help="URLs likewise, of the kept field url.")
@click.option(
    "--windows",
    "how",
    type=click.Choice(REMOVAL_WINDOWS),
    default=REMOVAL_WINDOWS[0],
    show_default=True,
    help="Windows that held them: their other documents repacked among them, dropped with them, or left with padding.",
)
@click.option("--reason", default="removed", show_default=True, help="Kept with each id that may never come back.")
@click.option("--keep-old-shards", is_flag=True, help="Leave the shards as they were beside the new ones.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes; default: all at hand.")
@shared_options
def remove(run_folder: str, ids: str | None, urls: str | None, how: str, dry_run: bool, **options: Any) -> None:
    """Take documents, and every copy of them, out of a finished run: all packs, all that was made of them."""
    from pathlib import Path

    from icp.remove import Asked, read_wanted, remove_documents, show_removal

    set_up_logging(options)
    if (ids is None) == (urls is None):
        raise ConfigError("icp remove: give --ids FILE or --urls FILE, one of them")
    wanted = read_wanted(str(ids or urls), by_url=urls is not None)
    asked = Asked(how, options["reason"], options["keep_old_shards"])
    if dry_run:
        found = show_removal(Path(run_folder), wanted, asked)
    else:
        with working({**options, "engine": "local"}) as (executor, progress):
            found = remove_documents(Path(run_folder), wanted, asked, executor, progress)
    for line in found.lines():
        say(line)
