"""How a command ends when something is wrong: one line on stderr, and the exit code of its error."""

import errno
import sys
from typing import Any, NoReturn

import click

from icp.cli.signals import INTERRUPTED
from icp.cli.terminal import say
from icp.errors import ArtifactError, ConfigError, IcpError, Interrupted, PartsFailedError
from icp.machine import open_files

TEMPORARY = "/.tmp-"
"""What every file is called while it is written; see `icp.run.records`."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
_ROOM = "make room, then run the same command to go on; what is done is kept"
ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EACCES: "get the right to use it, or give another folder",
    errno.EPERM: "get the right to use it, or give another folder",
    errno.EROFS: "give a folder that can be written",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n), then run the same command to go on",
}


class Group(click.Group):
    """A command group that prints an `IcpError`, or a wrong use, as one line and exits with its code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Group.parse_args`."""
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            return _end_of_use(ctx, error)

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group.invoke`."""
        from icp.cli.progress import tell_warnings

        open_files(raised=True)
        tell_warnings()
        try:
            return super().invoke(ctx)
        except IcpError as error:
            # of a configuration, several things may be wrong
            from icp.cli.progress import tell_error

            lines = str(error).split("\n") if isinstance(error, ConfigError) else [str(error)]
            if not tell_error(str(error), error.exit_code):
                say(f"icp: {lines[0]}", err=True)
                for line in lines[1:]:
                    say(line, err=True)
            ctx.exit(error.exit_code)
        except click.UsageError as error:
            _end_of_use(ctx, error)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has gone, as `head` does
                sys.stderr = None
                ctx.exit(0)
            from icp.cli.progress import tell_error

            code = PartsFailedError.exit_code if _is_of_writing(error) else ArtifactError.exit_code
            if not tell_error(reason_of(error), code):
                say(f"icp: {reason_of(error)}", err=True)
            ctx.exit(code)
        except KeyboardInterrupt:
            say(INTERRUPTED, err=True)
            ctx.exit(Interrupted.exit_code)


def _end_of_use(ctx: click.Context, error: click.UsageError) -> NoReturn:
    """Say what was wrong with a command line, and where more is told."""
    said = error.format_message().rstrip(".?").replace(". Did you mean", "; did you mean")
    name = "" if error.ctx is None or error.ctx.parent is None else f" {error.ctx.info_name}"
    say(f"icp:{name and f'{name}:'} {said[:1].lower()}{said[1:]}; see icp{name} --help", err=True)
    ctx.exit(ConfigError.exit_code)


def _is_of_writing(error: OSError) -> bool:
    """Whether something could not be written, so that the same command goes on once it can."""
    names = (str(name) for name in (error.filename, error.filename2) if name is not None)
    return error.errno in FULL or any(TEMPORARY in name for name in names)


def reason_of(error: OSError) -> str:
    """What the system refused, of which file, and what to do about it."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    what = error.strerror or str(error) or type(error).__name__
    advice = ADVICE.get(error.errno or 0, "mend that, then run the same command to go on; what is done is kept")
    return f"{' -> '.join(names) or 'a file'}: {what}; {advice}"
