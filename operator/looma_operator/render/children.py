"""The whole set of an AIService's children."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..names import (
    ACTIVATED_AT,
    CHANGE_REASON,
    CHANGED_BY,
    FETCH,
    GATEWAY_ENGINE,
    GROUP,
    LABEL_HASH,
    LABEL_PART_OF,
    PART_OF,
    PORT,
    PORT_NAME,
    RENDERED,
    RESTARTED_AT,
    SERVING_REVISION,
)
from ..plan.content import canonical, digest
from ..plan.observed import StoredRevision
from ..resources import AIService, Json, format_time
from .common import deployment_name, metadata, selector, stable_service_name
from .deployment import render_deployment
from .gateway import render_gateway_policy, render_peers

# Beside the ControllerRevision, so that one that is deleted by hand can be made again as it was.
CONTENT = f"{GROUP}/content"


def _notes(revision: StoredRevision) -> dict[str, str]:
    notes = {
        ACTIVATED_AT: format_time(revision.activated_at),
        CHANGED_BY: revision.changed_by,
        CHANGE_REASON: revision.reason,
        RESTARTED_AT: revision.restarted_at,
        FETCH: revision.fetch,
    }
    return {name: value for name, value in notes.items() if value}


def render_revision(service: AIService, revision: StoredRevision) -> Json:
    """The ControllerRevision that keeps a revision's content; its data never changes, its annotations do."""
    meta = metadata(service, deployment_name(service.metadata.name, revision.name), revision.name)
    meta["labels"][LABEL_HASH] = revision.hash
    meta["annotations"] = _notes(revision)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": meta,
        "revision": revision.number,
        "data": revision.content,
    }


def render_account(service: AIService) -> Json:
    """A ServiceAccount without a token: pods have no business with the Kubernetes API, but for a gateway's own."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(service, service.metadata.name),
        "automountServiceAccountToken": False,
    }


def render_service(service: AIService, serving: str, *, only: str | None = None) -> Json:
    """The Service that callers in the cluster ask: by default the pods of all revisions, so that capacity never drops
    while they change. With `only` it is that revision's pods: requests for others have a Service of their own.

    `serving` is the revision that serves, for gateways to name in status.traffic.
    """
    meta = metadata(service, stable_service_name(service.metadata.name))
    meta["annotations"] = {SERVING_REVISION: serving}
    return _service(meta, selector(service, only))


def render_revision_service(service: AIService, revision: str) -> Json:
    """The Service of one revision's pods, to which a route gives its part of the requests."""
    meta = metadata(service, deployment_name(service.metadata.name, revision), revision)
    meta["annotations"] = {SERVING_REVISION: revision}
    return _service(meta, selector(service, revision))


def _service(meta: Json, selected: Mapping[str, str]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {
            "type": "ClusterIP",
            "selector": dict(selected),
            "ports": [{"name": PORT_NAME, "port": 80, "protocol": "TCP", "targetPort": PORT_NAME}],
        },
    }


def render_budget(service: AIService) -> Json:
    """A quarter of the pods, rounded up, may be drained at once: with one replica that one, so no drain is blocked."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(service, service.metadata.name),
        "spec": {"maxUnavailable": "25%", "selector": {"matchLabels": selector(service)}},
    }


def render_policy(service: AIService) -> Json:
    """Only pods of Looma in the same namespace may call the service; where it may call to is left open."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(service, service.metadata.name),
        "spec": {
            "podSelector": {"matchLabels": selector(service)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"podSelector": {"matchLabels": {LABEL_PART_OF: PART_OF}}}],
                    "ports": [{"port": PORT, "protocol": "TCP"}],
                }
            ],
        },
    }


def _with_content(deployment: Json, revision: StoredRevision) -> Json:
    meta = deployment["metadata"]
    meta["labels"][LABEL_HASH] = revision.hash
    meta["annotations"] = {
        **_notes(revision),
        CONTENT: canonical(revision.content),
    }
    return deployment


def stamp(child: Json) -> Json:
    """The child with a digest of itself, by which a later look tells a change by hand from a change of mind."""
    annotations = {**child["metadata"].get("annotations", {}), RENDERED: digest(child)}
    return {**child, "metadata": {**child["metadata"], "annotations": annotations}}


def render_children(
    *,
    service: AIService,
    revisions: Sequence[StoredRevision],
    counts: Mapping[str, int],
    serving: str = "",
    route: Json | None = None,
    only: str | None = None,
    with_service: Sequence[str] = (),
) -> list[Json]:
    """All children, stamped, in the order in which they are applied.

    `serving` is the revision that serves, `route` the HTTPRoute where there is one, `only` the revision that the
    service's own Service is limited to, and `with_service` those that have one of their own. What pods need comes
    before them.
    The order of the Deployments does not matter: what is taken away was judged by the pods that answer already.
    """
    known = {revision.name: revision for revision in revisions}
    deployments = [
        _with_content(render_deployment(service, known[name], replicas=count), known[name])
        for name, count in counts.items()
        if name in known
    ]
    is_gateway = service.spec.engine == GATEWAY_ENGINE
    children = [
        *(render_revision(service, revision) for revision in revisions),
        render_account(service),
        render_gateway_policy(service) if is_gateway else render_policy(service),
        render_service(service, serving, only=only),
        *(render_revision_service(service, name) for name in with_service),
        *([render_peers(service)] if is_gateway else []),
        render_budget(service),
        *deployments,
        *([route] if route is not None else []),
    ]
    return [stamp(child) for child in children]
