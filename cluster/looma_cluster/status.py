"""What an instance does right now, as one document for people and programs: `looma status`.

`summarize` and `ready` are pure: objects in, document out. `read` asks the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import httpx
import msgspec

from looma_cluster.builtin.facts import GATEWAY_HTTPS_NODE_PORT
from looma_cluster.commands import CommandError
from looma_cluster.kubernetes import Object
from looma_cluster.paths import Instance
from looma_cluster.record import Record

SERVICES = "aiservices.looma.dev"
WORKLOADS = ("deployments.apps", "statefulsets.apps")
EXPOSED = ("ingresses.networking.k8s.io", "gateways.gateway.networking.k8s.io", "services")
ON_ONE_MACHINE = (SERVICES, *WORKLOADS, "services")
"""The kinds that are listed there; `builtin.api` knows their paths."""
GATEWAY = "looma-gateway"
"""Label `app.kubernetes.io/name` of what makes Looma's address."""
Objects = Callable[[str], list[Object]]


class Service(msgspec.Struct, kw_only=True):
    """One AIService as its status tells it."""

    name: str
    phase: str = "Unknown"
    revision: str = ""
    ready: bool = False
    message: str = ""


class Workload(msgspec.Struct, kw_only=True):
    """One Deployment or StatefulSet of Looma's namespace: pods that are ready, of those wanted."""

    name: str
    ready: int
    wanted: int


class Status(msgspec.Struct, kw_only=True):
    """The document of `looma status --output json`."""

    name: str
    cluster: str
    environment: str
    running: bool
    ready: bool = False
    address: str = ""
    https_address: str = ""
    kubeconfig: str = ""
    services: list[Service] = msgspec.field(default_factory=list)
    workloads: list[Workload] = msgspec.field(default_factory=list)
    processes: dict[str, bool] = msgspec.field(default_factory=dict)
    problems: list[str] = msgspec.field(default_factory=list)


def service(found: Object) -> Service:
    """One AIService, told from its object; what its status does not say counts as not ready."""
    status = found.get("status", {})
    conditions = {item.get("type"): item for item in status.get("conditions", [])}
    condition = conditions.get("Ready", {})
    # A status about an earlier generation says nothing about what is asked for now.
    current = status.get("observedGeneration") == found["metadata"].get("generation")
    return Service(
        name=found["metadata"]["name"],
        phase=status.get("phase", "Pending"),
        revision=status.get("stableRevision", ""),
        ready=current and condition.get("status") == "True",
        message=condition.get("message", ""),
    )


def workload(found: Object) -> Workload:
    """One Deployment or StatefulSet, told from its object."""
    return Workload(
        name=found["metadata"]["name"],
        ready=found.get("status", {}).get("readyReplicas", 0),
        wanted=found["spec"].get("replicas", 1),
    )


def problems(
    *, services: Sequence[Service], workloads: Sequence[Workload], processes: Mapping[str, bool], console: str
) -> list[str]:
    """Everything that keeps the instance from being ready, one sentence each; none if it is.

    Args:
        services: the AIServices.
        workloads: what runs in Looma's namespace.
        processes: the parts of the built-in cluster and whether each runs; empty for other clusters.
        console: why the console does not answer; empty if it does.
    """
    found = [f"{name} does not run" for name, runs in processes.items() if not runs]
    found += [
        f"{item.name}: {item.ready} of {item.wanted} pods are ready"
        for item in workloads
        if item.ready < item.wanted
    ]
    found += [
        f"service {item.name} is {item.phase}: {item.message or 'not ready'}"
        for item in services
        if not item.ready
    ]
    if not services:
        found.append("no service is there yet")
    if console:
        found.append(f"the console does not answer through the gateway: {console}")
    return found


def console_answer(address: str, *, seconds: float = 5) -> str:
    """Why the console is not ready, or nothing if it is."""
    if not address:
        return "it has no address yet"
    try:
        answer = httpx.get(f"{address}/readyz", timeout=seconds, trust_env=False)
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return "" if answer.status_code == 200 else f"/readyz says {answer.status_code}"


def address(record: Record, *, exposed: Sequence[Object] = ()) -> str:
    """The one URL of the instance.

    Args:
        record: the instance's choices; on one machine they decide.
        exposed: Ingress, Gateway and Service of the gateway, which decide on an existing cluster, in this order: a
            host name that somebody chose is before an address that something got.
    """
    if record.cluster != "context":
        return f"http://127.0.0.1:{record.console_port}" if record.console_port else ""
    return next((found for look in (_host_name, _given_address) for found in map(look, exposed) if found), "")


def https_address(record: Record, *, exposed: Sequence[Object] = ()) -> str:
    """The URL with TLS on one machine, where the gateway's Service has the port that leads there; else nothing."""
    ports = [port for item in exposed for port in item.get("spec", {}).get("ports", [])]
    there = any(port.get("nodePort") == GATEWAY_HTTPS_NODE_PORT for port in ports)
    if record.cluster == "context" or not record.https_port or not there:
        return ""
    return f"https://127.0.0.1:{record.https_port}"


def _host_name(item: Object) -> str:
    """The URL with the host name of an Ingress, or of a Gateway's HTTPS listener."""
    if item["kind"] == "Ingress":
        scheme = "https" if item["spec"].get("tls") else "http"
        hosts = [rule["host"] for rule in item["spec"].get("rules", []) if rule.get("host")]
    else:
        scheme = "https"
        listeners = item["spec"].get("listeners", [])
        hosts = [one["hostname"] for one in listeners if one["protocol"] == "HTTPS" and one.get("hostname")]
    return next((f"{scheme}://{host}" for host in hosts if not host.startswith("*")), "")


def _given_address(item: Object) -> str:
    """The URL with the address that a Service got from its load balancer, or a Gateway from its implementation."""
    found = item.get("status", {})
    points = [
        point.get("hostname") or point.get("ip") for point in found.get("loadBalancer", {}).get("ingress", [])
    ]
    if item["kind"] == "Gateway":
        points += [point.get("value") for point in found.get("addresses", [])]
    return next((f"http://{host}" for host in points if host), "")


def read(
    instance: Instance, record: Record, *, objects: Objects, processes: Mapping[str, bool], running: bool
) -> Status:
    """The document for an instance; a cluster that does not answer is a problem in it, not an error.

    Args:
        instance: which one.
        record: its choices.
        objects: lists the objects of a kind (plural and group) in Looma's namespace.
        processes: the parts of the built-in cluster and whether each runs; empty for other clusters.
        running: whether the cluster runs at all.
    """
    document = Status(
        name=instance.name,
        cluster=record.cluster,
        environment=record.environment,
        running=running,
        kubeconfig=str(instance.kubeconfig),
        processes=dict(processes),
    )
    if not running:
        document.problems = [f"it does not run: `looma up --name {instance.name}`"]
        return document
    try:
        # On one machine the record decides where; elsewhere the gateway's own objects tell.
        exposed = [
            found
            for kind in (EXPOSED if record.cluster == "context" else ("services",))
            for found in objects(kind)
            if found["metadata"].get("labels", {}).get("app.kubernetes.io/name") == GATEWAY
        ]
        document.services = [service(found) for found in objects(SERVICES)]
        document.workloads = [workload(found) for kind in WORKLOADS for found in objects(kind)]
    except (CommandError, httpx.HTTPError, OSError) as error:
        document.problems = [f"the cluster does not answer: {error}"]
        return document
    document.address = address(record, exposed=exposed)
    document.https_address = https_address(record, exposed=exposed)
    document.problems = problems(
        services=document.services,
        workloads=document.workloads,
        processes=processes,
        console=console_answer(document.address),
    )
    document.ready = not document.problems
    return document


def as_text(document: Status) -> str:
    """The document for a person."""
    lines = [
        f"{document.name}: {'ready' if document.ready else 'not ready'} ({document.cluster}, {document.environment})",
        f"address     {document.address or '-'}",
        *([f"with TLS    {document.https_address}"] if document.https_address else []),
        f"kubeconfig  {document.kubeconfig}",
    ]
    lines += [
        f"service     {item.name:<16} {item.phase:<12} {item.revision:<6} {'' if item.ready else item.message}"
        for item in document.services
    ]
    lines += [f"pods        {item.name:<24} {item.ready}/{item.wanted}" for item in document.workloads]
    lines += [f"problem     {sentence}" for sentence in document.problems]
    return "\n".join(line.rstrip() for line in lines)


def to_json(document: object) -> str:
    """The document for a program."""
    return msgspec.json.format(msgspec.json.encode(document)).decode()
