"""`icp add`: new documents to a finished run, in a run of their own beside it."""

from typing import Any

import click

from icp.cli.making import pack_with_validation, print_summary
from icp.cli.options import PLACE, run_options
from icp.cli.session import start_logging, working
from icp.run.names import STEPS


@click.command("add")
@click.argument("run", type=PLACE)
@run_options
@click.option("--to", type=PLACE, metavar="FOLDER", help="The new run; default: what FILE says, else RUN-added.")
@click.option(
    "--windows",
    type=click.Choice(["all", "new"]),
    default="all",
    show_default=True,
    help="Pack all documents anew, or new ones alone, beside the shards that RUN has.",
)
@click.option("--name", default="main", show_default=True, help="The pack, in RUN (its settings) and in the new run.")
def add_command(
    run: str, config_path: str, overrides: tuple[str, ...], to: str | None, windows: str, name: str, **options: Any
) -> None:
    """Add new documents to a finished run, without redoing the rest.

    FILE names the new documents in `corpus`; all other settings are those of RUN, which stays as it is. The new run
    holds all documents: those of RUN first, as they are; what is known of them is taken over.
    """
    from icp.growing import added_config

    start_logging(options)
    config = added_config(run, config_path, overrides, to=to, windows=windows, pack=name)

    def check() -> None:
        from icp.export import check_exports
        from icp.pipeline import check_tokenizer
        from icp.run.extended import check_extended

        check_extended(config)
        check_tokenizer(config)
        check_exports(config)

    with working(options, check) as (executor, progress):
        from icp.pipeline import build_graph, pack

        progress.expect(config, STEPS, executor.workers)
        build_graph(config, executor, progress)
        pack(config, executor, progress, name=name)
        pack_with_validation(config, executor, progress, name)
    print_summary(config, name)
