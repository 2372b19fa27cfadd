"""How a command ends when something is wrong: one line on stderr, and the exit code of its error."""

import sys
from typing import Any

import click

from icp.errors import IcpError, Interrupted


class Group(click.Group):
    """Turns errors of ours into one line and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group.invoke`."""
        try:
            return super().invoke(ctx)
        except IcpError as error:
            click.echo(f"icp: {shown(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("icp: interrupted; what is done is kept, run the same command to go on", err=True)
            ctx.exit(Interrupted.exit_code)


def shown(text: str) -> str:
    """A text for the user, in which files of a run on a server go by their URL."""
    storage = sys.modules.get("icp.run.storage")
    return str(storage.shown(text)) if storage is not None else text
