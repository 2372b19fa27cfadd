"""Files that commands write where the user says: of their own kind they are replaced, others are left alone."""

from collections.abc import Callable
from pathlib import Path

import click

from icp.errors import ConfigError, InputError

MARKS = {
    "report": b"icp report</title>",
    ".jsonl": b'"max_pair_similarity": ',
    ".csv": b"window,mean_similarity,max_pair_similarity,",
    "probe": b'{\n "verdict": ',
}
"""What stands near the beginning of each kind of file."""
BEGINNING = 1 << 16
FORCE: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--force", is_flag=True, help="Write over a file that is there, whatever it is."
)


def check_target(option: str, path: str, kind: str, *, force: bool) -> None:
    """Refuse to write over a file of another kind; for before the work begins.

    Args:
        option: by which the user named it, for the message.
        path: what is to be written; may be absent, empty, a pipe or a device.
        kind: of `MARKS`.
        force: let it go.

    Raises: ConfigError; InputError for a file that cannot be read.
    """
    if force or not Path(path).is_file() or not Path(path).stat().st_size:
        return
    try:
        with Path(path).open("rb") as stream:
            beginning = stream.read(BEGINNING)
    except OSError as error:
        raise InputError(f"{option} {path}: cannot be read ({error.strerror}); name another file") from None
    if MARKS[kind] not in beginning:
        raise ConfigError(
            f"{option} {path}: is there already and was not written by this command; name another file, or replace it "
            "with --force"
        )
