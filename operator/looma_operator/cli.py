"""`kubectl looma`: what runs, what ran before, and back to it.

kubectl finds the command `kubectl-looma` on the PATH and runs it as `kubectl looma`. It uses kubectl's kubeconfig
(KUBECONFIG, or ~/.kube/config) and needs no more rights than reading and patching AIServices and reading
ControllerRevisions.

Exit status: 0 done, 1 failed or refused, 2 wrong command line, 3 no such service or revision, 4 not done in time; of
`diff` 0 nothing differs, 1 something does, 2 they could not be compared.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, cast

import typer
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from looma_core.api.aiservice import request_patch, roll_back

from .cli_diff import diff
from .cli_sync import sync
from .cli_text import HEADER, describe, service_row, table
from .cli_watch import POLL_SECONDS, follow
from .names import GROUP, LABEL_INSTANCE, LABEL_PART_OF, LABEL_REVISION, PART_OF, VERSION
from .resources import Json
from .rollback_patch import choose_revision

FAILED, NOT_FOUND, TIMED_OUT = 1, 3, 4
PLURAL = "aiservices"

app = typer.Typer(
    name="kubectl-looma",
    help="See Looma's services, their history, and go back to an earlier revision.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Name = Annotated[str, typer.Argument(help="Name of the AIService.", metavar="NAME")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace; without it the kubeconfig context's.")
]
Context = Annotated[
    str | None, typer.Option("--context", help="Context of the kubeconfig; without it the current one.")
]
Output = Annotated[str, typer.Option("--output", "-o", help="text or json.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the history and in status.lastRollback.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Wait until it is done, and tell how it goes.")]
Timeout = Annotated[
    float,
    typer.Option("--timeout", min=0, help="With --watch: give up waiting after so many seconds; 0 is never."),
]


@dataclass(frozen=True)
class Cluster:
    """The API server and the namespace that the command line chose."""

    api: client.CustomObjectsApi
    apps: client.AppsV1Api
    namespace: str

    def service(self, name: str) -> Json:
        """The AIService; ends the command with 3 if there is none."""
        try:
            return self.read(name)
        except ApiException as error:
            self.refuse(name, error)

    def read(self, name: str) -> Json:
        """The AIService.

        Raises:
            ApiException: the API server refuses to say; 404 where there is none.
        """
        found = self.api.get_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name)
        return cast("Json", found)

    def refuse(self, name: str, error: ApiException) -> NoReturn:
        """End the command in the API server's words."""
        if error.status == 404:
            _fail(f"there is no AIService {name} in namespace {self.namespace}", NOT_FOUND)
        _fail(_message(error))

    def services(self) -> list[Json]:
        """All AIServices of the namespace."""
        try:
            answer = self.api.list_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL)
        except ApiException as error:
            _fail(_message(error))
        return list(cast("Json", answer)["items"])

    def revisions(self, name: str) -> list[Json]:
        """ControllerRevisions of the AIService, as JSON."""
        selector = f"{LABEL_INSTANCE}={name},{LABEL_PART_OF}={PART_OF}"
        try:
            answer = self.apps.list_namespaced_controller_revision(
                self.namespace, label_selector=selector, _preload_content=False
            )
        except ApiException as error:
            _fail(_message(error))
        # Without preloading it is the answer itself; the stubs know only the model.
        return list(json.loads(cast("Any", answer).data)["items"])

    def patch(self, name: str, operations: Sequence[Json]) -> Json:
        """The AIService after a JSON patch; ends the command with 1 if it is refused."""
        try:
            return self._patch(name, operations)
        except ApiException as error:
            _fail(_message(error))

    def roll_back(self, service: Json, *, content: Json, reason: str) -> None:
        """Write an earlier content back on the spec that was read; ends the command with 1 if that was changed."""
        name = service["metadata"]["name"]
        try:
            roll_back(
                service,
                content=content,
                reason=reason,
                send=lambda patch: self._patch(name, patch),
                read=lambda: self.service(name),
                is_conflict=_is_conflict,
            )
        except ApiException as error:
            if _is_conflict(error):
                _fail(f"{name} was changed by somebody else meanwhile: look at it, and try again")
            _fail(_message(error))

    def _patch(self, name: str, operations: Sequence[Json]) -> Json:
        changed = self.api.patch_namespaced_custom_object(
            *(GROUP, VERSION, self.namespace, PLURAL, name, list(operations)),
            field_manager="kubectl-looma",
            # Left to itself the client calls every patch a merge patch.
            _content_type="application/json-patch+json",
        )
        return cast("Json", changed)


def _is_conflict(error: Exception) -> bool:
    return isinstance(error, ApiException) and error.status == 409


def _fail(message: str, status: int = FAILED) -> NoReturn:
    typer.echo(f"kubectl looma: {message}", err=True)
    raise typer.Exit(status)


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return f"the API server answered {error.status} {error.reason}"


def _connect(namespace: str | None, context: str | None) -> Cluster:
    try:
        api = config.new_client_from_config(context=context)  # type: ignore[no-untyped-call]
        contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        _fail(f"no cluster: {error}. Set KUBECONFIG, as in KUBECONFIG=$(looma kubeconfig)")
    chosen = next((item for item in contexts if item["name"] == context), current)
    return Cluster(
        client.CustomObjectsApi(api),
        client.AppsV1Api(api),
        namespace or chosen["context"].get("namespace") or "default",
    )


@app.command()
def status(  # noqa: PLR0917 - typer reads the parameters as options
    name: Annotated[
        str | None, typer.Argument(help="Name of the AIService; without it all.", metavar="[NAME]")
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    output: Output = "text",
    watch: Watch = False,
    timeout: Timeout = 600,
) -> None:
    """What runs: all services, or one with its conditions and its last rollback.

    With --watch, one service is followed until what its spec asks for is Ready (exit status 0), or was given up (1).
    """
    cluster = _connect(namespace, context)
    if watch and not name:
        raise typer.BadParameter("name the service to watch", param_hint="--watch")
    if watch and name:
        _wait(cluster, name, "", timeout, to_stderr=output == "json")
    found = [cluster.service(name)] if name else cluster.services()
    if output == "json":
        typer.echo(json.dumps(found[0] if name else found, indent=2, ensure_ascii=False))
    elif name:
        typer.echo(describe(found[0]))
    else:
        typer.echo(table(HEADER, [service_row(service) for service in found]))


@app.command()
def history(
    name: Name, namespace: Namespace = None, context: Context = None, output: Output = "text"
) -> None:
    """The revisions that are kept, the latest active first: what, when, who and why."""
    service = _connect(namespace, context).service(name)
    rows = (service.get("status") or {}).get("revisions") or []
    if output == "json":
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    typer.echo(
        table(
            ["REVISION", "STATE", "PODS", "ACTIVATED", "BY", "REASON", "IMAGE"],
            [
                [
                    row["name"],
                    row.get("state"),
                    f"{row.get('availableReplicas', 0)}/{row.get('replicas', 0)}",
                    row.get("activatedAt"),
                    row.get("changedBy"),
                    row.get("reason"),
                    row.get("image"),
                ]
                for row in rows
            ],
        )
    )


app.command()(diff)


@app.command()
def rollback(  # noqa: PLR0917 - typer reads the parameters as options
    name: Name,
    to: Annotated[
        str,
        typer.Option("--to", help="Revision to go back to, as r3; without it the latest active one before."),
    ] = "",
    reason: Reason = "",
    namespace: Namespace = None,
    context: Context = None,
    watch: Watch = False,
    timeout: Timeout = 600,
) -> None:
    """Write an earlier revision's content back into the spec; replicas, route and paused stay."""
    cluster = _connect(namespace, context)
    service = cluster.service(name)
    target = (service.get("status") or {}).get("targetRevision", "")
    chosen = choose_revision(revisions=cluster.revisions(name), target=target, asked=to)
    if chosen is None:
        _fail(f"{name} keeps no revision {to}" if to else f"{name} keeps no earlier revision", NOT_FOUND)
    revision = chosen["metadata"]["labels"][LABEL_REVISION]
    if revision == target:
        typer.echo(f"{name} asks for {revision} already")
    else:
        cluster.roll_back(service, content=chosen["data"], reason=reason)
        typer.echo(f"{name}: back from {target} to {revision}")
        if service["spec"].get("paused"):
            typer.echo(f"{name} is paused: the rollback begins when spec.paused is false again")
    if watch:
        _wait(cluster, name, revision, timeout)


@app.command()
def restart(name: Name, reason: Reason = "", namespace: Namespace = None, context: Context = None) -> None:
    """Replace the pods of the revision that is asked for, a quarter at a time."""
    _request(_connect(namespace, context), name, "restart", reason)


@app.command()
def retry(name: Name, reason: Reason = "", namespace: Namespace = None, context: Context = None) -> None:
    """Try a rollout again that was given up."""
    _request(_connect(namespace, context), name, "retry", reason)


@app.command()
def promote(
    name: Name,
    full: Annotated[bool, typer.Option("--full", help="Leave out all further steps.")] = False,
    reason: Reason = "",
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Take a canary to its next step."""
    _request(_connect(namespace, context), name, "promote-full" if full else "promote", reason)


@app.command()
def pause(name: Name, reason: Reason = "", namespace: Namespace = None, context: Context = None) -> None:
    """Keep a rollout where it is."""
    _request(_connect(namespace, context), name, "pause", reason)


@app.command()
def resume(name: Name, reason: Reason = "", namespace: Namespace = None, context: Context = None) -> None:
    """Let a rollout go on that was paused by request."""
    _request(_connect(namespace, context), name, "resume", reason)


@app.command()
def abort(name: Name, reason: Reason = "", namespace: Namespace = None, context: Context = None) -> None:
    """Give a rollout up: the revision before it serves everything."""
    _request(_connect(namespace, context), name, "abort", reason)


app.command()(sync)


def _request(cluster: Cluster, name: str, action: str, reason: str) -> None:
    service = cluster.service(name)
    made, operations = request_patch(service, action=action, reason=reason)
    cluster.patch(name, operations)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        records = (cluster.service(name).get("status") or {}).get("requests") or []
        record = next((item for item in records if item["id"] == made), None)
        if record is not None:
            if record["result"] == "Refused":
                _fail(f"{action} of {name} was refused: {record['message']}")
            typer.echo(f"{name}: {record['message']}")
            return
        time.sleep(POLL_SECONDS)
    _fail(f"{action} of {name} was not dealt with in 30 s: does the operator run?", TIMED_OUT)


def _wait(cluster: Cluster, name: str, revision: str, timeout: float, *, to_stderr: bool = False) -> None:
    """Tell how a rollout goes until `revision` serves, or, if that is empty, whichever the spec asks for."""
    try:
        last = follow(lambda: cluster.read(name), revision, timeout=timeout, to_stderr=to_stderr)
    except ApiException as error:
        cluster.refuse(name, error)
    if last.outcome == "failed":
        _fail(last.why)
    if last.outcome == "waits":
        _fail(f"{name} was not at {revision or 'what its spec asks for'} within {timeout:g} s", TIMED_OUT)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
