"""The command `looma`: brings Looma up on this machine, tells how it does, takes it away.

Commands only parse and print; the work is in `lifecycle`, `status`, `logs`, `doctor` and `access`. Progress and errors
go to the error output, answers to the output, so that `$(looma kubeconfig)` works.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import httpx
import typer

from looma_cluster import (
    access,
    binaries,
    cli_backups,
    cli_models,
    doctor,
    lifecycle,
    logs,
    paths,
    person,
    record,
    status,
)
from looma_cluster.access import NoIssuerError
from looma_cluster.backups import BackupError
from looma_cluster.binaries import NotBuiltError, SourcesMissingError
from looma_cluster.builtin.cluster import ClusterError
from looma_cluster.builtin.network import NoRoomError
from looma_cluster.choose import ChoiceError, Kind
from looma_cluster.commands import CommandError
from looma_cluster.context import RegistryMissingError
from looma_cluster.kubernetes import Kubectl
from looma_cluster.lifecycle import BusyError, NotReadyError, NotRootError
from looma_cluster.models import ModelError
from looma_cluster.paths import InvalidNameError
from looma_cluster.prerequisites import PrerequisiteError
from looma_cluster.record import NoInstanceError
from looma_cluster.steps import StepError

# What a person can do something about is told in one sentence; anything else is a bug and shows its traceback.
EXPECTED = (
    *(StepError, ChoiceError, BusyError, NotRootError, NotReadyError, NoRoomError, RegistryMissingError),
    *(NoInstanceError, InvalidNameError, CommandError, ClusterError, NotBuiltError, SourcesMissingError),
    *(NoIssuerError, BackupError, ModelError, PrerequisiteError, httpx.HTTPError, LookupError, TimeoutError),
)

app = typer.Typer(
    help="Looma on a real Kubernetes: up, down, and how it does.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
images_app = typer.Typer(help="Looma's container images.", no_args_is_help=True)
demo_app = typer.Typer(help="The demonstration data of the environment dev.", no_args_is_help=True)
app.add_typer(images_app, name="images")
app.add_typer(demo_app, name="demo")
app.add_typer(cli_models.app, name="model")
app.add_typer(cli_backups.app, name="backup")
app.command()(cli_backups.restore)

Name = Annotated[
    str, typer.Option("--name", help="Which instance; each has its own cluster, data and ports.")
]
Output = Annotated[str, typer.Option("--output", "-o", help="`text` for people, `json` for programs.")]


@app.command()
def up(
    name: Name = "looma",
    cluster: Annotated[
        Kind,
        typer.Option(
            help="Where: the context named in LOOMA_CONTEXT, kind, or the built-in cluster; `auto` takes the first "
            "of these that is there."
        ),
    ] = Kind.AUTO,
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment", "-e", help="dev, staging or production; what it has, or dev, if not given."
        ),
    ] = None,
    without_release: Annotated[bool, typer.Option("--without-release", hidden=True)] = False,
) -> None:
    """Build what is missing and run Looma; on a running instance, bring it to what the sources say now."""
    began = time.monotonic()
    instance = paths.instance(name)
    chosen = lifecycle.up(instance, wanted=cluster, environment=environment, with_release=not without_release)
    seconds = time.monotonic() - began
    if without_release:
        typer.echo(f"The bare cluster runs after {seconds:.0f} s. KUBECONFIG={instance.kubeconfig}")
        return
    document = lifecycle.read_status(instance)
    typer.echo(f"Looma runs after {seconds:.0f} s: {document.address}")
    password = Kubectl(instance=instance).secret("looma-console").get("admin-password")
    if password is not None and chosen.environment == "dev":
        typer.echo(f"First login: admin / {password.decode()}")
    typer.echo(f"export KUBECONFIG={instance.kubeconfig}")


@app.command()
def down(
    name: Name = "looma",
    purge: Annotated[bool, typer.Option(help="Remove the data too: database, volumes, keys.")] = False,
) -> None:
    """Stop Looma and leave nothing running; the data stay for the next `looma up`."""
    began = time.monotonic()
    instance = paths.instance(name)

    def report(text: str) -> None:
        typer.echo(f"stopping {text}", err=True)

    if not lifecycle.down(instance, report, purge=purge):
        typer.echo(f"There is no instance named {name}.")
        return
    kept = "its data are gone" if purge else f"its data are kept in {instance.state}"
    typer.echo(f"{name} is down after {time.monotonic() - began:.0f} s; {kept}.")


@app.command("status")
def show_status(name: Name = "looma", output: Output = "text") -> None:
    """Tell what runs and where; exit code 1 if it is not ready."""
    document = lifecycle.read_status(paths.instance(name))
    typer.echo(status.to_json(document) if output == "json" else status.as_text(document))
    if not document.ready:
        raise typer.Exit(1)


@app.command("logs")
def show_logs(
    what: Annotated[
        str,
        typer.Argument(
            help="A service (resume), a part of Looma (looma-console), or a process of the built-in cluster (kubelet); "
            "all pods of Looma if empty."
        ),
    ] = "",
    name: Name = "looma",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option(min=0, help="Lines of each log.")] = 100,
    save: Annotated[
        Path | None, typer.Option(help="Put every log and the cluster's objects into this folder instead.")
    ] = None,
) -> None:
    """Show logs, or save all of them for a report."""
    instance = paths.instance(name)
    if save is None:
        logs.show(instance, what, follow=follow, lines=lines)
        return
    for sentence in logs.save(instance, save):
        typer.echo(f"missing: {sentence}", err=True)
    typer.echo(str(save))


@app.command("doctor")
def examine(name: Name = "looma", output: Output = "text") -> None:
    """Look at the machine and the instance, and say what is wrong and what helps."""
    findings = doctor.examine(paths.instance(name))
    if output == "json":
        typer.echo(status.to_json(findings))
    else:
        for finding in findings:
            typer.echo(f"{'ok ' if finding.good else 'BAD'} {finding.check}: {finding.found}")
            if not finding.good and finding.help:
                typer.echo(f"      {finding.help}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


@app.command()
def build(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="`binaries`, `images`, the file system of one image alone: `haproxy`, the gateway's, `prometheus` "
            "or `registry`, or nothing but the Debian `packages` that are needed; binaries and images if not given. "
            "May be repeated."
        ),
    ] = None,
) -> None:
    """Build the programs and images without starting anything."""
    wanted = only or ["binaries", "images"]
    if unknown := set(wanted) - lifecycle.BUILDS:
        known = ", ".join(f"`{name}`" for name in sorted(lifecycle.BUILDS))
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: there are {known}")
    lifecycle.build(only=wanted)


@images_app.command()
def push(
    registry: Annotated[
        str, typer.Argument(help="As registry.example.org/looma; log in with buildah before.")
    ],
) -> None:
    """Build the images, push them to a registry, and write images.yaml for the Chartfile."""
    from looma_cluster import images, yaml_text

    def report(text: str) -> None:
        typer.echo(text, err=True)

    built = images.build(cache=paths.cache(), report=report)
    pushed = images.push(built, registry.rstrip("/"), cache=paths.cache(), report=report)
    target = paths.ROOT / "images.yaml"
    target.write_text(yaml_text.dump(images.values(pushed)))
    typer.echo(f"{target} names them; helmfile and `looma up` read it.")


@app.command()
def kubeconfig(name: Name = "looma") -> None:
    """Print the path of the instance's kubeconfig."""
    instance = paths.instance(name)
    record.require(instance)
    typer.echo(str(instance.kubeconfig))


@app.command()
def token(
    role: Annotated[str, typer.Option(help="recruiter, operator or admin.")] = "recruiter",
    tenant: Annotated[str, typer.Option(help="Whose data it opens.")] = "demo",
    name: Name = "looma",
) -> None:
    """Print a bearer token of the development issuer, good for twelve hours."""
    instance = paths.instance(name)
    record.require(instance)
    typer.echo(access.token(Kubectl(instance=instance), role=role, tenant=tenant))


@demo_app.command("remove")
def demo_remove(tenant: Annotated[str, typer.Option(help="Whose.")] = "demo", name: Name = "looma") -> None:
    """Delete the demonstration data, and nothing else."""
    instance = paths.instance(name)
    bearer = access.token(Kubectl(instance=instance), role="admin", tenant=tenant)
    address = lifecycle.read_status(instance).address
    headers = {"Authorization": f"Bearer {bearer}"}
    with httpx.Client(base_url=address, headers=headers, timeout=30, trust_env=False) as client:
        typer.echo(f"{access.remove_demo(client)} people removed")


@demo_app.command("load")
def demo_load(name: Name = "looma") -> None:
    """Load the demonstration data again."""
    instance = paths.instance(name)
    record.require(instance)
    access.load_demo(Kubectl(instance=instance))
    typer.echo("loaded")


def main() -> None:
    """Run the command; what a person can do something about ends with one message and exit code 1."""
    for variable, folder in person.tools_environment().items():
        os.environ.setdefault(variable, folder)
    try:
        app()
    except PermissionError as error:
        # For root, sudo would change nothing: that is something else, and wants its whole story.
        if os.geteuid() == 0:
            raise
        typer.echo(f"looma: {error.filename} is root's: run it again by sudo", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("interrupted; run it again to go on from here", err=True)
        sys.exit(130)
    except EXPECTED as error:
        typer.echo(f"looma: {error}", err=True)
        sys.exit(1)


__all__ = ["app", "binaries", "main"]
