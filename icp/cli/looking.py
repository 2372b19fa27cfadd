"""The commands that look: at a run that is there, at one that might be made, at the installation."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from icp.choices import EXPORT_FORMATS, GRAPH_EXPORTS
from icp.cli.options import PACK, PLACE, run_options, shared_options
from icp.cli.overwriting import FORCE, check_target
from icp.cli.session import set_up_logging, start
from icp.cli.signals import watch_signals
from icp.cli.terminal import say
from icp.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from icp.audit import Finding


@click.command("plan")
@run_options
@click.option("--name", default="main", show_default=True, help="The pack whose steps are shown.")
@click.option("--docs", type=click.IntRange(1), metavar="N", help="Documents to plan for, instead of those at hand.")
@click.option("--tokens", type=click.IntRange(1), metavar="N", help="Tokens to plan for.")
@click.option("--calibrate", is_flag=True, help="Measure this machine again.")
def plan_command(
    config_path: str, overrides: tuple[str, ...], name: str, docs: int | None, tokens: int | None, **options: Any
) -> None:
    """What would run, what is done already, what the bands of dedup would find; hours, memory, disk, network, files.

    Hours rest on rates measured on this machine, once for each choice of settings (about a minute).
    """
    from icp.cli.progress import heartbeat
    from icp.forecast.dry_run import show_plan
    from icp.forecast.lines import Wanted, show_forecast

    config = start(config_path, overrides, options)
    for line in show_plan(config, pack=name, needs_input=docs is None or tokens is None):
        say(line)
    watch_signals()
    with heartbeat("plan"):
        lines = list(show_forecast(config, Wanted(docs, tokens, options["workers"], options["calibrate"])))
    for line in lines:
        say(line)


@click.command()
@click.argument("run_folder", type=PLACE, metavar="RUN")
@click.option(
    "--format",
    "fmt",
    required=True,
    metavar="F",
    help=f"One of {', '.join(EXPORT_FORMATS)}; of the graph alone {' or '.join(GRAPH_EXPORTS)}.",
)
@click.option("--out", type=PLACE, required=True, metavar="DIR", help="A new or empty folder, or the URL of one.")
@PACK
@click.option("--allow-reshuffle", is_flag=True, help="Export though the loader gives up an order that matters.")
@click.option("--allow-padding", is_flag=True, help="Export though the trainer would be trained on padding.")
@click.option("--verify", "audit", is_flag=True, help="Check every promise first, not only hashes and sizes.")
@shared_options
def export(run_folder: str, fmt: str, out: str, pack_name: str, audit: bool, **options: Any) -> None:
    """Shards in the format of a trainer, with a README that tells how to load them whole."""
    from icp.export import export_pack
    from icp.run.opening import open_folder

    set_up_logging(options)
    if audit:
        _audit(run_folder, pack_name)
    allowed = {name: options[name] for name in ("allow_reshuffle", "allow_padding")}
    for line in export_pack(open_folder(run_folder), fmt, out, pack=pack_name, **allowed).lines():
        say(line)


@click.command()
@click.argument("run_folder", type=PLACE, metavar="RUN")
@PACK
@click.option(
    "--removed", type=PLACE, metavar="FILE", help="Only prove that nothing of these ids is left in any pack or file."
)
@shared_options
def verify(run_folder: str, pack_name: str, removed: str | None, **options: Any) -> None:
    """Audit a run from its files alone; exits 0 only if every promise holds."""
    set_up_logging(options)
    if removed is not None:
        _prove_removed(run_folder, removed)
        return
    _audit(run_folder, pack_name)


def _prove_removed(run_folder: str, removed: str) -> None:
    from icp.audit import Sought, verify_removed
    from icp.remove import read_wanted
    from icp.run.opening import fresh_folder
    from icp.texts import url_key

    wanted = read_wanted(removed)
    urls = frozenset(url_key(key) for key in wanted.keys if "://" in key)
    with fresh_folder(run_folder) as folder:
        _tell(run_folder, verify_removed(folder, Sought(wanted.keys, wanted.texts, urls)))


def _audit(run_folder: str, pack_name: str) -> None:
    from icp.audit import verify_run
    from icp.run.opening import fresh_folder

    with fresh_folder(run_folder) as folder:
        _tell(run_folder, verify_run(folder, pack=pack_name))


def _tell(run_folder: str, findings: "Iterable[Finding]") -> None:
    from icp.errors import BrokenPromise

    broken = 0
    for finding in findings:
        say(finding.line())
        broken += not finding.kept
    if broken:
        raise BrokenPromise(f"{run_folder}: {broken} broken {'promise' if broken == 1 else 'promises'}, see above")


@click.command()
@click.argument("run_folder", type=PLACE, metavar="RUN")
@shared_options
def status(run_folder: str, **options: Any) -> None:
    """Progress of a run: steps, parts done, failed parts with their last error."""
    from icp.inspect import show_status
    from icp.run.opening import open_folder

    set_up_logging(options)
    for line in show_status(open_folder(run_folder, records=True)):
        say(line)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one JSON array.")
@click.option("--licences", "wants_licences", is_flag=True, help="List the packages that icp uses, and their licences.")
@shared_options
def doctor(as_json: bool, wants_licences: bool, **options: Any) -> None:
    """Check the installation: libraries, both faiss wheels, GPU, Java, threads, kernel cache."""
    from icp.doctor import examine, licences

    set_up_logging(options)
    if wants_licences:
        for line in licences():
            say(line)
        return
    checks = []
    for check in examine():
        checks.append(check)
        if not as_json:
            say(check.line())
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
    if not all(check.sound for check in checks):
        raise ConfigError("doctor: something is missing or broken, see above")


@click.command()
@click.argument("run_folder", type=PLACE, metavar="RUN")
@PACK
@click.option(
    "--sample-mib", default=8.0, show_default=True, type=click.FloatRange(0.01), help="Text of each kind of windows."
)
@click.option("--batch", default=32, show_default=True, type=click.IntRange(1), help="Windows of a step of training.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of samples and controls.")
@click.option("--json", "json_path", type=PLACE, metavar="FILE", help="All figures, into a file.")
@click.option("--train", is_flag=True, help="Train tiny models too, ten minutes on two cores; needs torch.")
@click.option("--trunks", type=click.IntRange(2), help="Of --train: models to begin with, 3 by default.")
@click.option("--trunk-tokens", type=click.IntRange(1), help="Of --train: for each, 600,000 by default.")
@click.option("--branch-tokens", type=click.IntRange(1), help="Of --train: for each kind of windows, 200,000.")
@FORCE
@shared_options
def probe(run_folder: str, pack_name: str, json_path: str | None, force: bool, **options: Any) -> None:
    """What the documents of a window save one another, beside cheap controls: no training, no GPU.

    With --train also what tiny models learn from such windows.
    """
    from icp.probe import Budget, Wanted, probe_run, require_torch, train_on
    from icp.run.opening import open_folder

    set_up_logging(options)
    given = {name: options[name] for name in ("trunks", "trunk_tokens", "branch_tokens") if options[name] is not None}
    if given and not options["train"]:
        raise click.UsageError(f"--{next(iter(given)).replace('_', '-')} goes with --train")
    if options["train"]:
        require_torch()
    if json_path:
        check_target("--json", json_path, "probe", force=force)
    folder, cores = open_folder(run_folder), len(os.sched_getaffinity(0))
    wanted = Wanted(options["sample_mib"], options["batch"], options["seed"], cores)
    found = probe_run(folder, wanted, pack=pack_name)
    for line in found.lines():
        say(line)
    tree = found.tree()
    if options["train"]:
        say("")
        budget = Budget(**given, seed=options["seed"], processes=cores)
        trial = train_on(folder, budget, pack=pack_name)
        for line in trial.lines():
            say(line)
        tree["trained"] = trial.tree()
    if json_path:
        try:
            Path(json_path).write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"--json {json_path}: cannot be written ({error.strerror}); name another file") from None
