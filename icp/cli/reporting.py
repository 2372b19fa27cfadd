"""`icp report`: a run as one page for a browser."""

from pathlib import Path
from typing import Any

import click

from icp.cli.options import PACK, PLACE, shared_options
from icp.cli.overwriting import FORCE, check_target
from icp.cli.session import set_up_logging
from icp.cli.terminal import say


@click.command()
@click.argument("run_folder", type=PLACE, metavar="RUN")
@PACK
@click.option("--out", type=PLACE, metavar="FILE", default="report.html", show_default=True, help="Where to write it.")
@click.option("--verify", "audit", is_flag=True, help="Audit the run first, and show the verdict.")
@FORCE
@shared_options
def report(run_folder: str, pack_name: str, out: str, audit: bool, force: bool, **options: Any) -> None:
    """Write a page for a browser: what stands in the windows and why, pictures, figures, warnings."""
    from icp.report import write_report
    from icp.run.opening import open_folder

    set_up_logging(options)
    folder = open_folder(run_folder)
    check_target("--out", out, "report", force=force)
    verdict = _verdict(run_folder, pack_name) if audit else None
    written = write_report(folder, Path(out), pack=pack_name, verdict=verdict)
    say(f"report      {written} ({written.stat().st_size / 1e6:,.1f} MB); open it in a browser, it needs no network")


def _verdict(run_folder: str, pack_name: str) -> list[str]:
    """The findings of `icp verify`; an audit that cannot be made is a line too, and the rest is shown all the same."""
    from icp.audit import verify_run
    from icp.errors import IcpError
    from icp.run.opening import fresh_folder

    lines = []
    try:
        with fresh_folder(run_folder) as folder:
            for finding in verify_run(folder, pack=pack_name):
                say(finding.line())
                lines.append(finding.line())
    except IcpError as error:
        lines.append(f"not audited: {error}")
    return lines
