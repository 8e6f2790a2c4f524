"""The admission webhook's part for SyncJobs: who made a request is noted, and what the schema cannot judge is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import kopf

from .kube import kinds
from .kube.client import Kube, RefusedError
from .kube.read_sync import parse_sync_job
from .names import GROUP, REQUEST, VERSION
from .plan.sync_requests import parse_sync_request
from .render.sync import render_cron_job, render_run
from .resources import Json
from .sync_resources import SyncJob
from .webhooks import counted, has_types, named, note_request, plain

ADMIT_SYNC_JOB = "admit-syncjob"
TRIAL_IMAGE = (
    "trial"  # For a SyncJob without one: what the operator runs then is not the author's to correct.
)


def _annotations(raw: Json | None) -> dict[str, str]:
    found: dict[str, str] = ((raw or {}).get("metadata") or {}).get("annotations") or {}
    return found


async def check_sync_job(kube: Kube, raw: Json, old: Json | None) -> None:
    """Refuse what one object's schema cannot show.

    Raises:
        kopf.AdmissionError: with a message that says what to write.
    """
    request = _annotations(raw).get(REQUEST, "")
    if request and request != _annotations(old).get(REQUEST):
        try:
            parse_sync_request(request)
        except ValueError as error:
            raise kopf.AdmissionError(str(error), code=400) from error
    if old is not None and old.get("spec") == raw["spec"]:
        return
    job = parse_sync_job(raw)
    trials = [("spec.schedule", kinds.CRON_JOB, render_cron_job(job, job.spec.image or TRIAL_IMAGE))]
    if job.spec.pod_template:
        trials.insert(0, ("spec.podTemplate", kinds.JOB, render_run(job, job.spec.image or TRIAL_IMAGE, 1)))
    for field, kind, manifest in trials:
        if manifest is None:
            continue
        # A SyncJob that is being created has no uid yet, and an owner without one is refused. A name of its own, since
        # a Job that is there may not change.
        del manifest["metadata"]["ownerReferences"]
        manifest["metadata"]["name"] += "-trial"
        try:
            await kube.apply(kind, manifest, dry_run=True)
        except RefusedError as error:
            raise kopf.AdmissionError(
                f"{field}: no {kind.name} could be made of it: {error.message}", code=422
            ) from error


def register(
    registry: kopf.OperatorRegistry, kube: Kube, requester: Callable[[Mapping[str, Any]], str]
) -> None:
    """Register the handler; `requester` says who asked, from the API server's account of the user."""

    @kopf.on.mutate(GROUP, VERSION, kinds.SYNC_JOB.plural, id=ADMIT_SYNC_JOB, registry=registry)
    async def admit_syncjob(
        body: kopf.Body, userinfo: Mapping[str, Any], patch: kopf.Patch, **kwargs: Any
    ) -> None:
        old, new = plain(kwargs["old"]), dict(body)
        async with counted(ADMIT_SYNC_JOB, "a SyncJob"):
            if has_types(named(new), SyncJob):
                await check_sync_job(kube, named(new), old)
        changes = note_request(old=old, new=new, who=requester(userinfo))
        if changes:
            patch.metadata.annotations.update(changes)
