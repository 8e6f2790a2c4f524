"""Reading what a SyncJob's plan is made from: the SyncJob first, so that its Jobs are as new or newer."""

from __future__ import annotations

import asyncio

import msgspec

from looma_core.api.syncjob import EPOCH_ANNOTATION

from ..names import LABEL_INSTANCE, LABEL_NAME, LABEL_PART_OF, PART_OF
from ..plan.sync_observed import RunJob, SyncObserved
from ..render.sync import SYNC
from ..resources import Json, parse_time
from ..sync_resources import SyncJob
from . import kinds
from .client import Kube, NotFoundError
from .read import EPOCH, owned_by

# The CronJob's controller writes the one, kubectl create job --from the other.
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


def parse_sync_job(raw: Json) -> SyncJob:
    """The SyncJob that a stored object is.

    Raises:
        msgspec.ValidationError: if its fields have other types than the definition says.
    """
    return msgspec.convert(raw, SyncJob, strict=False)


def run_job(raw: Json, *, cron_uid: str) -> RunJob:
    """What the decisions need of a Job; `cron_uid` is the CronJob's, empty if there is none."""
    meta, spec = raw["metadata"], raw["spec"]
    annotations = (spec["template"].get("metadata") or {}).get("annotations") or {}
    text = annotations.get(EPOCH_ANNOTATION, "")
    conditions = (raw.get("status") or {}).get("conditions") or []
    end = next((c for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), None)
    return RunJob(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        created_at=parse_time(meta.get("creationTimestamp")) or EPOCH,
        epoch=int(text) if text.isdecimal() else 0,
        suspended=bool(spec.get("suspend")),
        ended=end["type"] if end else "",
        reason=str(end.get("reason", "")) if end else "",
        message=str(end.get("message", "")) if end else "",
        ended_at=parse_time(end.get("lastTransitionTime")) if end else None,
        going=bool(meta.get("deletionTimestamp")),
        from_cron=bool(cron_uid) and owned_by(raw, cron_uid),
        scheduled=SCHEDULED_AT in (meta.get("annotations") or {}),
    )


async def read_sync_job(kube: Kube, namespace: str, name: str) -> SyncObserved | None:
    """Everything a plan for one SyncJob needs, or None where it is gone or going.

    Raises:
        KubeError: if the API server does not answer.
    """
    try:
        raw = await kube.get(kinds.SYNC_JOB, namespace, name)
    except NotFoundError:
        return None
    job = parse_sync_job(raw)
    if job.metadata.deletion_timestamp is not None:
        return None
    selector = f"{LABEL_NAME}={SYNC},{LABEL_INSTANCE}={name},{LABEL_PART_OF}={PART_OF}"
    jobs, *by_kind = await asyncio.gather(
        *(kube.list(kind, namespace, selector=selector) for kind in (kinds.JOB, *kinds.SYNC_CHILDREN))
    )
    children = {
        (item["kind"], item["metadata"]["name"]): item
        for items in by_kind
        for item in items
        if owned_by(item, job.metadata.uid) and not item["metadata"].get("deletionTimestamp")
    }
    cron_uid = next(
        (item["metadata"]["uid"] for (kind, _), item in children.items() if kind == kinds.CRON_JOB.name), ""
    )
    owners = {job.metadata.uid, cron_uid} - {""}
    return SyncObserved(
        job=job,
        jobs=tuple(
            run_job(item, cron_uid=cron_uid) for item in jobs if any(owned_by(item, uid) for uid in owners)
        ),
        children=children,
    )
