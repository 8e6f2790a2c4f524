"""`looma backup` and `looma restore`: the database's backups. Only parses and prints; the work is in `backups`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from looma_cluster import backups, paths, record, status
from looma_cluster.kubernetes import Kubectl

app = typer.Typer(help="Backups of the database.", no_args_is_help=True)

Name = Annotated[str, typer.Option("--name", help="Which instance.")]


def _report(text: str) -> None:
    typer.echo(text, err=True)


def _kubectl(name: str) -> Kubectl:
    instance = paths.instance(name)
    record.require(instance)
    return Kubectl(instance=instance)


@app.command()
def now(
    full: Annotated[bool, typer.Option(help="All of it, not only what changed since the last one.")] = False,
    name: Name = "looma",
) -> None:
    """Back up now; the backup is restored beside and looked through."""
    taken = backups.take(_kubectl(name), full=full, report=_report)
    typer.echo(_line(taken))


@app.command("list")
def show(
    output: Annotated[str, typer.Option("--output", "-o", help="`text` or `json`.")] = "text",
    name: Name = "looma",
) -> None:
    """List the backups, the oldest first."""
    found = backups.listing(_kubectl(name))
    if output == "json":
        typer.echo(status.to_json(found))
        return
    for backup in found:
        typer.echo(_line(backup))


def restore(
    to: Annotated[
        str, typer.Option(help="The moment, as 2026-05-01T12:00:00Z; the last change if not given.")
    ] = "",
    backup: Annotated[
        str, typer.Option(help="Begin from this one; the last one before the moment if not given.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    name: Name = "looma",
) -> None:
    """Bring the database back as it was; what came after that moment is gone from it, and stays in the repository."""
    kubectl = _kubectl(name)
    moment = backups.parse_moment(to, now=datetime.now(UTC)) if to else None
    # Where the database does not start, nobody can ask it: the restore itself tells then.
    if (found := backups.listing_if_up(kubectl)) is not None:
        backups.check_reach(moment, found)
    until = f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else "its last change"
    if not yes:
        typer.confirm(f"Stop the database of {name} and bring it back to {until}?", abort=True)
    restored = backups.restore(kubectl, to=moment, label=backup, report=_report)
    last = restored.last_transaction or "that of the backup"
    typer.echo(f"Restored after {restored.seconds:.0f} s without a database; the last transaction is {last}.")


def _line(backup: backups.Backup) -> str:
    state = f"checked {backup.checked}" if backup.checked else "not checked"
    return (
        f"{backup.label}  {backup.kind}  {backup.ended:%Y-%m-%dT%H:%M:%SZ}  "
        f"{backup.size / 2**20:.1f} MiB, {backup.stored / 2**20:.1f} stored  {state}"
    )
