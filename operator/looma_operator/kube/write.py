"""Carrying a plan out: children, status and events, each write behind the fence and on the state that was judged."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from looma_core.kube import KubeError

from ..metrics import ACTIONS
from ..names import API_VERSION, CONTROLLER, Reason
from ..plan.children import Action, Apply, Delete, Notice
from ..plan.conditions import Refusal
from ..resources import Json, Metadata
from . import kinds
from .client import ConflictError, Kube, NotFoundError, RefusedError

Answered = Callable[[Action, Json | None], None]

_log = logging.getLogger(__name__)
NOTE_LIMIT = 1000  # In bytes; the API server's limit is 1024, and a Chinese character has three.


async def carry_out(
    kube: Kube,
    namespace: str,
    actions: Sequence[Action],
    *,
    answered: Answered | None = None,
    absent: bool = False,
) -> list[Refusal]:
    """Carry the actions out in their order; answers the children that the API server will not take.

    `answered` hears of each write that was taken, and what the API server said to it. With `absent`, what is to be made
    must not be there, whosever it is; else the caller has looked.

    Raises:
        ConflictError: if something changed since it was read, or is there and should not be: the caller reads anew.
        NotLeaderError: if this replica may not write any more.
        KubeError: if the API server does not answer.
    """
    refusals: list[Refusal] = []
    came: list[str] = []
    try:
        for action in actions:
            await _carry_out(
                kube, namespace, action, answered=answered, absent=absent, refusals=refusals, came=came
            )
    finally:
        # One line a look: a new service has seven children.
        if came:
            _log.info("%s", ", ".join(came))
    return refusals


async def _carry_out(
    kube: Kube,
    namespace: str,
    action: Action,
    *,
    answered: Answered | None,
    absent: bool,
    refusals: list[Refusal],
    came: list[str],
) -> None:
    """Carry one out; adds to `refusals` if it is refused, and to `came` what came of it."""
    kind = kinds.BY_NAME[action.kind]
    verb = "apply" if isinstance(action, Apply) else "delete"
    result = "done"
    try:
        answer: Json | None = None
        if isinstance(action, Apply):
            answer = await kube.apply(
                kind,
                action.manifest,
                resource_version=action.resource_version,
                absent=absent and action.resource_version is None,
                manager=action.manager,
            )
        elif isinstance(action, Delete):
            await kube.delete(
                kind, namespace, action.name, uid=action.uid, resource_version=action.resource_version
            )
        if answered is not None:
            answered(action, answer)
    except RefusedError as error:
        result = "refused"
        refusals.append(
            Refusal(kind=action.kind, name=action.name, reason=Reason.CHILD_REFUSED, message=error.message)
        )
    except NotFoundError:
        # Deleting what is gone is done; applying into a namespace that is gone ends with the service itself.
        result = "gone"
    except KubeError as error:
        result = "conflict" if isinstance(error, ConflictError) else "failed"
        raise
    finally:
        ACTIONS.labels(kind=action.kind, action=verb, result=result).inc()
        came.append(f"{verb} {action.kind} {action.name}: {result}")


async def write_status(
    kube: Kube, kind: kinds.Kind, metadata: Metadata, status: Json, *, resource_version: str
) -> Json:
    """Write a status as a whole, on the state that it was made from; answers the object as it is then.

    Raises:
        ConflictError: if the object changed since: the caller reads anew.
    """
    manifest = {
        "apiVersion": API_VERSION,
        "kind": kind.name,
        "metadata": {"name": metadata.name, "namespace": metadata.namespace},
        "status": status,
    }
    result = "done"
    try:
        return await kube.apply(kind, manifest, resource_version=resource_version, subresource="status")
    except KubeError as error:
        result = "conflict" if isinstance(error, ConflictError) else "failed"
        raise
    finally:
        ACTIONS.labels(kind=kind.name, action="status", result=result).inc()


async def post_events(
    kube: Kube, *, kind: kinds.Kind, metadata: Metadata, notices: Sequence[Notice], instance: str
) -> None:
    """Post the notices as events; an event that cannot be posted is logged and forgotten."""
    for notice in notices:
        await post_event(kube, event_body(kind=kind, metadata=metadata, notice=notice, instance=instance))


def event_body(*, kind: kinds.Kind, metadata: Metadata, notice: Notice, instance: str) -> Json:
    """The event of this moment that tells of a notice."""
    moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata.name}.{secrets.token_hex(8)}", "namespace": metadata.namespace},
        "eventTime": moment,
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "action": "Reconcile",
        "reason": str(notice.reason),
        "type": "Warning" if notice.warning else "Normal",
        "note": notice.note.encode()[:NOTE_LIMIT].decode(errors="ignore"),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": kind.name,
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
        },
    }


async def post_event(kube: Kube, body: Json) -> None:
    """Post one event; one that cannot be posted is logged and forgotten."""
    try:
        await kube.create(kinds.EVENT, body["metadata"]["namespace"], body)
    except KubeError as error:
        _log.warning(
            "event %s about %s was not posted: %s", body["reason"], body["regarding"]["name"], error.message
        )
