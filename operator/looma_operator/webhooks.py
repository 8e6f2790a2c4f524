"""The admission webhook: who asked is noted, and what one object alone cannot show is refused.

Kopf serves each handler at the path of its id; the chart's webhook configuration points there:

| path             | kind     | resource   |
| ---------------- | -------- | ---------- |
| /admit-aiservice | mutating | aiservices |

That of SyncJobs is in `webhooks_sync`. One call does both, since the API server's time for a thousand new services goes
to such calls. It comes before the definition's schema is asked, so what has other types than that is let through: the
API server refuses it next, in its own words. Should another webhook change the object afterwards, it is called again.

Both replicas answer, leading or not. The failure policy is Ignore: without an answer the change is taken, and what the
webhook would have refused shows up as a condition.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import kopf
import msgspec

from looma_core.kube import KubeError

from .kube import kinds
from .kube.client import Kube, RefusedError
from .kube.peers import Peers
from .kube.read import parse_service
from .metrics import ADMISSIONS
from .names import CHANGE_REASON, CHANGED_BY, CHANGED_DIGEST, GROUP, REQUEST, REQUESTED_BY, VERSION
from .plan.author import spec_digest
from .plan.content import digest
from .plan.observed import StoredRevision
from .plan.requests import parse_request
from .plan.signatures import sign
from .render.deployment import render_deployment
from .resources import AIService, Json
from .sync_resources import SyncJob

ADMIT_SERVICE = "admit-aiservice"
REASON_LIMIT = 1000
_log = logging.getLogger(__name__)


def requester(userinfo: Mapping[str, Any]) -> str:
    """Who asked: the person for whom the console acted, else the user that the API server knows."""
    person = (userinfo.get("extra") or {}).get("person") or []
    return str(person[0]) if person else str(userinfo.get("username", ""))


def note_change(*, old: Json | None, new: Json, who: str) -> dict[str, str | None]:
    """Annotations to set (or, with None, to remove) on an AIService that is created or updated.

    | spec    | reason annotation    | answer                                       |
    | ------- | -------------------- | -------------------------------------------- |
    | changed | given anew           | changed-by and digest set, the reason kept   |
    | changed | as before, or absent | changed-by and digest set, the reason removed |
    | same    | any                  | changed-by and digest as they were            |
    """
    annotations: dict[str, str] = new["metadata"].get("annotations") or {}
    before: dict[str, str] = ((old or {}).get("metadata") or {}).get("annotations") or {}
    old_digest = spec_digest((old or {}).get("spec") or {}) if old else None
    new_digest = spec_digest(new.get("spec") or {})
    if old_digest == new_digest:
        # Nobody writes a name over that of who really changed it.
        wanted: dict[str, str | None] = {name: before.get(name) for name in (CHANGED_BY, CHANGED_DIGEST)}
    else:
        wanted = {CHANGED_BY: who, CHANGED_DIGEST: new_digest}
        reason = annotations.get(CHANGE_REASON)
        if reason is not None and reason == before.get(CHANGE_REASON):
            # What was said about the last change is not said about this one.
            wanted[CHANGE_REASON] = None
    return {name: value for name, value in wanted.items() if annotations.get(name) != value}


def note_request(*, old: Json | None, new: Json, who: str) -> dict[str, str | None]:
    """The annotation to set (or, with None, to remove) where a request is made: nobody signs for somebody else."""
    annotations: dict[str, str] = new["metadata"].get("annotations") or {}
    before: dict[str, str] = ((old or {}).get("metadata") or {}).get("annotations") or {}
    wanted = sign(annotations=annotations, before=before, who=who)
    return {} if annotations.get(REQUESTED_BY) == wanted else {REQUESTED_BY: wanted}


def path_owner(*, raw: Json, others: list[Json]) -> tuple[str, str] | None:
    """The first path of `raw` that another service has, and that service's name."""
    mine = ((raw.get("spec") or {}).get("route") or {}).get("pathPrefixes") or []
    for other in others:
        if other["metadata"]["name"] == raw["metadata"].get("name") or other["metadata"].get(
            "deletionTimestamp"
        ):
            continue
        theirs = ((other.get("spec") or {}).get("route") or {}).get("pathPrefixes") or []
        for path in mine:
            if path in theirs:
                return path, other["metadata"]["name"]
    return None


def trial_deployment(raw: Json) -> Json:
    """The Deployment that the spec would lead to, under a name of its own, to be tried without being kept."""
    service = parse_service(raw)
    spec = raw["spec"]
    content = {name: spec[name] for name in ("image", "resources", "config", "podTemplate") if spec.get(name)}
    now = datetime.now(UTC)
    revision = StoredRevision(
        number=0, hash=digest(content), content=content, created_at=now, activated_at=now
    )
    manifest = render_deployment(service, revision, replicas=service.spec.replicas)
    # A service that is being created has no uid yet, and an owner without one is refused.
    del manifest["metadata"]["ownerReferences"]
    return manifest


async def check_service(
    kube: Kube, raw: Json, old: Json | None, peers: Peers | None = None, *, keeps: bool = True
) -> None:
    """Refuse what one object alone cannot show; other services are of `peers`, where that keeps the namespace.

    What is let through claims its paths there, unless it is only tried or has no name yet (then `keeps` is False).

    Raises:
        kopf.AdmissionError: with a message that says what to write.
    """
    meta = raw["metadata"]
    request = (meta.get("annotations") or {}).get(REQUEST, "")
    if request and request != ((((old or {}).get("metadata") or {}).get("annotations")) or {}).get(REQUEST):
        try:
            parse_request(request)
        except ValueError as error:
            raise kopf.AdmissionError(str(error), code=400) from error
    if len((meta.get("annotations") or {}).get(CHANGE_REASON, "")) > REASON_LIMIT:
        raise kopf.AdmissionError(
            f"annotation {CHANGE_REASON}: write at most {REASON_LIMIT} characters", code=400
        )
    template = raw["spec"].get("podTemplate")
    if template and (old is None or old.get("spec", {}).get("podTemplate") != template):
        try:
            await kube.apply(kinds.DEPLOYMENT, trial_deployment(raw), dry_run=True)
        except RefusedError as error:
            raise kopf.AdmissionError(
                f"spec.podTemplate: pods could not be made of it: {error.message}", code=422
            ) from error
    paths = ((raw.get("spec") or {}).get("route") or {}).get("pathPrefixes") or []
    if peers is not None and peers.watches(meta["namespace"]):
        taken = await peers.owner_of(meta["namespace"], paths, other_than=meta["name"])
        if taken is None and keeps:
            # Nothing waits between the question and this, so of two that come together only one is let through.
            peers.claim(meta["namespace"], meta["name"], paths)
    else:
        taken = path_owner(raw=raw, others=await kube.list(kinds.AI_SERVICE, meta["namespace"]))
    if taken is not None:
        path, owner = taken
        raise kopf.AdmissionError(
            f"spec.route.pathPrefixes: {path} belongs to AIService {owner}; "
            "write another path, or take it from there first",
            code=409,
        )


def named(raw: Json) -> Json:
    """The object; one that the API server is still to name (`generateName`) under a name that it might get."""
    meta = raw["metadata"]
    if "name" in meta:
        return raw
    return {**raw, "metadata": {**meta, "name": str(meta.get("generateName", "")).rstrip("-.") or "unnamed"}}


def has_types(raw: Json, form: type[AIService | SyncJob]) -> bool:
    """Whether the object has the types of its definition, so that a check can read it."""
    try:
        msgspec.convert(raw, form, strict=False)
    except msgspec.ValidationError:
        return False
    return True


@asynccontextmanager
async def counted(webhook: str, what: str) -> AsyncIterator[None]:
    """Count the answer of a check; where the API server does not answer, `what` is let through unchecked."""
    answer = "failed"
    try:
        yield
        answer = "allowed"
    except kopf.AdmissionError:
        answer = "refused"
        raise
    except KubeError as error:
        # As with no webhook at all: the change is taken, and what is wrong with it becomes a condition.
        _log.warning("%s was let through unchecked: %s", what, error.message)
    finally:
        ADMISSIONS.labels(webhook=webhook, answer=answer).inc()


def register(registry: kopf.OperatorRegistry, kube: Kube, peers: Peers) -> None:
    """Register both handlers; `peers` knows whose path is whose, `kube` tries Deployments without keeping them."""

    @kopf.on.mutate(GROUP, VERSION, kinds.AI_SERVICE.plural, id=ADMIT_SERVICE, registry=registry)
    async def admit_aiservice(
        body: kopf.Body, userinfo: Mapping[str, Any], patch: kopf.Patch, **kwargs: Any
    ) -> None:
        old, new, who = plain(kwargs["old"]), dict(body), requester(userinfo)
        async with counted(ADMIT_SERVICE, "an AIService"):
            if has_types(named(new), AIService):
                keeps = not kwargs["dryrun"] and "name" in new["metadata"]
                await check_service(kube, named(new), old, peers, keeps=keeps)
        changes = note_change(old=old, new=new, who=who) | note_request(old=old, new=new, who=who)
        if changes:
            patch.metadata.annotations.update(changes)


def plain(body: kopf.Body | None) -> Json | None:
    """The object as JSON; None for none."""
    return None if body is None else dict(body)
