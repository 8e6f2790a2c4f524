"""Reading what a plan is made from: the service itself first, so that its children are as new or newer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from looma_core.kube import KubeError

from ..names import (
    ACTIVATED_AT,
    CHANGE_REASON,
    CHANGED_BY,
    FETCH,
    LABEL_HASH,
    LABEL_INSTANCE,
    LABEL_PART_OF,
    LABEL_REVISION,
    PART_OF,
    RESTARTED_AT,
    revision_number,
)
from ..plan.author import Author, decide_author
from ..plan.content import digest
from ..plan.observed import Observed, Pods, StoredRevision
from ..render.children import CONTENT
from ..render.route import ParentGateway
from ..resources import AIService, Json, ModelVersion, parse_time
from . import kinds
from .client import Kube, NotFoundError, RefusedError
from .fetches import names_that_fetch, read_failures, with_failures
from .nodes import read_nodes
from .peers import Neighbours, Peers, gateways_of, peer_of
from .quotas import may_begin, read_quotas
from .waiting import names_that_wait, with_waiting

FORBIDDEN = 403
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read for one AIService, with who changed it last; `fetching` while pods may still fetch models.

    `supposed` where children were not read, but supposed not to be there.
    """

    observed: Observed
    author: Author
    resource_version: str
    fetching: bool = False
    supposed: bool = False


def parse_service(raw: Json) -> AIService:
    """The AIService that a stored object is.

    Raises:
        msgspec.ValidationError: if its fields have other types than the definition says.
    """
    return msgspec.convert(raw, AIService, strict=False)


def parse_model(raw: Json) -> ModelVersion:
    """The ModelVersion that a stored object is."""
    return msgspec.convert(raw, ModelVersion, strict=False)


def owned_by(raw: Json, uid: str) -> bool:
    """Whether the object's controller has that uid."""
    references = raw.get("metadata", {}).get("ownerReferences") or []
    return any(reference.get("controller") and reference.get("uid") == uid for reference in references)


def stored_revision(raw: Json) -> StoredRevision | None:
    """The revision that a ControllerRevision holds, or a Deployment whose ControllerRevision is gone."""
    meta = raw["metadata"]
    annotations: dict[str, str] = meta.get("annotations") or {}
    if raw["kind"] == kinds.REVISION.name:
        content = raw.get("data")
    else:
        try:
            content = msgspec.json.decode(annotations.get(CONTENT, ""))
        except msgspec.DecodeError:
            return None
    try:
        number = revision_number((meta.get("labels") or {}).get(LABEL_REVISION, ""))
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    created = parse_time(meta.get("creationTimestamp")) or EPOCH
    return StoredRevision(
        number=number,
        hash=(meta.get("labels") or {}).get(LABEL_HASH) or digest(content),
        content=content,
        created_at=created,
        activated_at=parse_time(annotations.get(ACTIVATED_AT)) or created,
        changed_by=annotations.get(CHANGED_BY, ""),
        reason=annotations.get(CHANGE_REASON, ""),
        restarted_at=annotations.get(RESTARTED_AT, ""),
        fetch=annotations.get(FETCH, ""),
    )


def pods_of(deployment: Json) -> Pods:
    """Pods of a revision, as its Deployment counts them."""
    status = deployment.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or []}
    failure = conditions.get("ReplicaFailure", {})
    return Pods(
        spec=int(deployment["spec"].get("replicas", 1)),
        available=int(status.get("availableReplicas", 0)),
        ready=int(status.get("readyReplicas", 0)),
        total=int(status.get("replicas", 0)) + int(status.get("terminatingReplicas") or 0),
        failure=str(failure.get("message", "")) if failure.get("status") == "True" else "",
    )


def _revisions(children: Mapping[tuple[str, str], Json]) -> tuple[StoredRevision, ...]:
    found: dict[int, StoredRevision] = {}
    # ControllerRevisions after Deployments, so that they win where both are there.
    for (kind, _), raw in sorted(children.items(), key=lambda item: item[0][0] == kinds.REVISION.name):
        if kind in (kinds.REVISION.name, kinds.DEPLOYMENT.name):
            revision = stored_revision(raw)
            if revision is not None:
                found[revision.number] = revision
    return tuple(found[number] for number in sorted(found))


def _pods(children: Mapping[tuple[str, str], Json]) -> dict[str, Pods]:
    return {
        (raw["metadata"].get("labels") or {}).get(LABEL_REVISION, ""): pods_of(raw)
        for (kind, _), raw in children.items()
        if kind == kinds.DEPLOYMENT.name and (raw["metadata"].get("labels") or {}).get(LABEL_REVISION)
    }


async def _neighbours(kube: Kube, service: AIService, peers: Peers | None) -> Neighbours:
    """The AIServices that a service meets, by its paths or as its route's targets, from `peers` where it keeps them."""
    namespace, route = service.metadata.namespace, service.spec.route
    targets = (target.service for target in (route.fallback, route.shadow) if target is not None)
    if peers is not None and peers.watches(namespace):
        return await peers.near(namespace, paths=route.path_prefixes, names=targets)
    services = await kube.list(kinds.AI_SERVICE, namespace)
    return Neighbours(
        peers=[peer for raw in services if (peer := peer_of(raw)) is not None],
        gateways=sum(gateways_of(raw) for raw in services),
    )


async def _gateways(kube: Kube, namespace: str, peers: Peers | None) -> int | None:
    """How many pods the gateways of a namespace have; None if it may not be read."""
    try:
        if peers is not None and peers.watches(namespace):
            return (await peers.near(namespace, paths=(), names=())).gateways
        return sum(gateways_of(raw) for raw in await kube.list(kinds.AI_SERVICE, namespace))
    except KubeError as error:
        if error.code != FORBIDDEN:
            raise
        return None


async def read_service(
    kube: Kube,
    namespace: str,
    name: str,
    *,
    gateway: ParentGateway,
    peers: Peers | None = None,
    suppose_new: bool = False,
    heard: Json | None = None,
) -> Reading | None:
    """Everything a plan for one AIService needs, or None where it is gone or going.

    Gateway pods are counted in the namespace of `gateway`, where the chart has them. Other services are of `peers`,
    where that keeps the namespace. With `suppose_new` a service without a status is supposed to have no children yet:
    whoever makes them has each be refused that is there, and then reads the whole. `heard` is such a service as a watch
    told of it, which then is not read again.

    Raises:
        KubeError: if the API server does not answer.
    """
    try:
        raw = heard or await kube.get(kinds.AI_SERVICE, namespace, name)
    except NotFoundError:
        return None
    service = parse_service(raw)
    if service.metadata.deletion_timestamp is not None:
        return None
    if peers is not None:
        peers.note(raw)
    supposed = suppose_new and service.status.observed_generation == 0
    selector = f"{LABEL_INSTANCE}={name},{LABEL_PART_OF}={PART_OF}"
    routes, neighbours, (*children_by_kind, models) = await asyncio.gather(
        _none_if_served(kube, kinds.HTTP_ROUTE, namespace, selector)
        if supposed
        else _list_if_served(kube, kinds.HTTP_ROUTE, namespace, selector),
        _neighbours(kube, service, peers),
        asyncio.gather(
            *(kube.list(kind, namespace, selector=selector) for kind in kinds.CHILDREN if not supposed),
            kube.list(kinds.MODEL_VERSION, namespace) if service.spec.model_refs else _nothing(),
        ),
    )
    children = {
        (item["kind"], item["metadata"]["name"]): item
        for items in (*children_by_kind, routes or [])
        for item in items
        if owned_by(item, service.metadata.uid) and not item["metadata"].get("deletionTimestamp")
    }
    revisions = _revisions(children)
    pods = _pods(children)
    fetching = names_that_fetch(revisions, pods)
    if fetching:
        pods = with_failures(pods, await read_failures(kube, namespace, selector), fetching)
    waiting = names_that_wait(service.status.rollout, pods, datetime.now(UTC))
    if waiting:
        pods = await with_waiting(kube, namespace, selector, pods, waiting)
    target = next((item for item in revisions if item.name == service.status.target_revision), None)
    return Reading(
        observed=Observed(
            service=service,
            revisions=revisions,
            pods=pods,
            children=children,
            models={item["metadata"]["name"]: parse_model(item) for item in models},
            peers=tuple(peer for peer in neighbours.peers if peer.name != name),
            gateway_api=routes is not None,
            quotas=await read_quotas(kube, namespace) if may_begin(service) else (),
            nodes=await read_nodes(kube) if may_begin(service) else None,
            gateways=neighbours.gateways
            if gateway.in_namespace(namespace) == namespace
            else await _gateways(kube, gateway.namespace, peers),
        ),
        author=decide_author(
            annotations=service.metadata.annotations,
            spec=raw["spec"],
            managed_fields=raw["metadata"].get("managedFields") or [],
            last_reason=target.reason if target else "",
        ),
        resource_version=service.metadata.resource_version,
        fetching=bool(fetching),
        supposed=supposed,
    )


async def _list_if_served(kube: Kube, kind: kinds.Kind, namespace: str, selector: str) -> list[Json] | None:
    """Objects of the kind, or None where the cluster does not serve it."""
    try:
        return await kube.list(kind, namespace, selector=selector)
    except NotFoundError:
        return None


async def _none_if_served(kube: Kube, kind: kinds.Kind, namespace: str, selector: str) -> list[Json] | None:
    """No objects, or None where the cluster does not serve the kind; a list waits until the server's cache is fresh."""
    try:
        return [] if await kube.serves(kind) else None
    except RefusedError:
        return await _list_if_served(kube, kind, namespace, selector)


async def _nothing() -> list[Json]:
    return []


async def find_foreign(
    kube: Kube, namespace: str, uid: str, names: Sequence[tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    """Those of (kind, name) that exist and belong to somebody else than the owner with that uid."""
    found: dict[tuple[str, str], Json] = {}

    async def look(kind: str, name: str) -> None:
        with contextlib.suppress(NotFoundError):
            found[kind, name] = await kube.get(kinds.BY_NAME[kind], namespace, name)

    await asyncio.gather(*(look(kind, name) for kind, name in names))
    return frozenset(key for key, raw in found.items() if not owned_by(raw, uid))
