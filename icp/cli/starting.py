"""The commands for those who begin: a configuration from a look at the data, and the bundled ones."""

import sys
from pathlib import Path
from typing import Any

import click

from icp.cli.options import PLACE, shared_options
from icp.cli.session import set_up_logging
from icp.cli.terminal import say
from icp.errors import ConfigError, InputError

SEQ_LEN = 8192


@click.command()
@click.argument("inputs", metavar="FILES...", nargs=-1, required=True)
@click.option("--out", type=PLACE, default="icp.yaml", show_default=True, metavar="FILE", help="Where to write it.")
@click.option("--run", "run_name", default="runs/mine", show_default=True, metavar="RUN", help="The folder of the run.")
@click.option("--seq-len", type=click.IntRange(2), metavar="N", help=f"Context length of the model; default {SEQ_LEN}.")
@shared_options
def init(inputs: tuple[str, ...], out: str, run_name: str, seq_len: int | None, **options: Any) -> None:
    """Write a configuration with comments from a look at the data: files, folders, globs or URLs."""
    from icp.forecast.first_look import first_config

    set_up_logging(options)
    target = Path(out)
    if target.exists():
        raise ConfigError(f"{target}: is there already, and is not overwritten; name another file with --out")
    if seq_len is None and sys.stdin.isatty() and sys.stderr.isatty():
        seq_len = click.prompt(
            "Context length of your model, in tokens", default=SEQ_LEN, type=click.IntRange(2), err=True
        )
    text = first_config(inputs, run=run_name, seq_len=seq_len or SEQ_LEN, out=out)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {target}: cannot be written ({error.strerror}); name another file") from None
    for line in text.splitlines():
        say(line)


@click.command()
@shared_options
def presets(**options: Any) -> None:
    """List the bundled configurations, which -c takes by name."""
    from icp.config.loading import preset_lines

    set_up_logging(options)
    for line in preset_lines():
        say(line)
