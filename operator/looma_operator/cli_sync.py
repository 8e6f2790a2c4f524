"""`kubectl looma sync`: a run of a SyncJob now, or the end of the one that goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from kubernetes.client.exceptions import ApiException

from looma_core.api.aiservice import request_patch
from looma_core.api.syncjob import PLURAL

from .cli_watch import FOR_EVER, POLL_SECONDS
from .names import GROUP, VERSION
from .resources import Json

if TYPE_CHECKING:
    from .cli import Cluster

ANSWER_SECONDS = 30
Name = Annotated[str, typer.Argument(help="Name of the SyncJob.", metavar="NAME")]


def sync(  # noqa: PLR0917 - typer reads the parameters as options
    name: Name,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up the run that goes on.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in status.")] = "",
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace; without it the kubeconfig context's.")
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", help="Context of the kubeconfig; without it the current one.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Wait until the run ended, and tell how it goes.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0, help="With --watch: give up waiting after so many seconds; 0 is never."
        ),
    ] = 600,
) -> None:
    """Begin a run of a SyncJob now; with --watch the exit status says how it ended."""
    # The command line imports this module, to have the command.
    from . import cli

    cluster = cli._connect(namespace, context)
    action = "cancel" if cancel else "run"
    made, operations = request_patch(_read(cluster, name), action=action, reason=reason)
    try:
        cluster.api.patch_namespaced_custom_object(
            *(GROUP, VERSION, cluster.namespace, PLURAL, name, operations),
            field_manager="kubectl-looma",
            _content_type="application/json-patch+json",
        )
    except ApiException as error:
        cli._fail(cli._message(error))
    record = _answer(cluster, name, made)
    if record is None:
        cli._fail(
            f"{action} of {name} was not dealt with in {ANSWER_SECONDS} s: does the operator run?",
            cli.TIMED_OUT,
        )
    if record["result"] == "Refused":
        cli._fail(f"{action} of {name} was refused: {record['message']}")
    typer.echo(f"{name}: {record['message']}")
    if watch and not cancel:
        _follow(cluster, name, str(record["at"]), timeout)


def _read(cluster: Cluster, name: str) -> Json:
    from . import cli

    try:
        found = cluster.api.get_namespaced_custom_object(GROUP, VERSION, cluster.namespace, PLURAL, name)
    except ApiException as error:
        if error.status == 404:
            cli._fail(f"there is no SyncJob {name} in namespace {cluster.namespace}", cli.NOT_FOUND)
        cli._fail(cli._message(error))
    return cast("Json", found)


def _status(cluster: Cluster, name: str) -> dict[str, Any]:
    return _read(cluster, name).get("status") or {}


def _answer(cluster: Cluster, name: str, request: str) -> dict[str, Any] | None:

    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        for record in _status(cluster, name).get("requests") or []:
            if record["id"] == request:
                return cast("dict[str, Any]", record)
        time.sleep(POLL_SECONDS)
    return None


def _follow(cluster: Cluster, name: str, begun: str, timeout: float) -> None:
    """Tell how the run that began at that time goes, until it ended."""
    from . import cli

    deadline, said = time.monotonic() + timeout, ""
    while timeout == FOR_EVER or time.monotonic() < deadline:
        found = next(
            (run for run in _status(cluster, name).get("runs") or [] if run["startedAt"] == begun), None
        )
        if found is None:
            cli._fail(f"the run of {name} is not kept any more: see its events")
        line = _line(found)
        if line != said:
            typer.echo(line)
            said = line
        if found["result"] == "Succeeded":
            return
        if found["result"] != "Running":
            cli._fail(found.get("message") or found["result"])
        time.sleep(POLL_SECONDS)
    cli._fail(f"the run of {name} did not end within {timeout:g} s", cli.TIMED_OUT)


def _line(run: dict[str, Any]) -> str:
    """One line about a run: `run 3 Running: 120 of 400 records read, 0 failed (worker counting)`."""
    progress = run.get("progress") or {}
    total = f" of {progress['total']}" if "total" in progress else ""
    worker = f" (worker {run['worker']})" if run.get("worker") else ""
    quarantined = f", {progress['quarantined']} in quarantine" if progress.get("quarantined") else ""
    back = f", {progress['writtenBack']} written back" if progress.get("writtenBack") else ""
    refused = f", {progress['writeRefused']} refused by the source" if progress.get("writeRefused") else ""
    counted = (
        f"{progress.get('read', 0)}{total} records read{quarantined}{back}{refused},"
        f" {progress.get('failed', 0)} failed"
    )
    return f"run {run['epoch']} {run['result']}: {counted}{worker}"
