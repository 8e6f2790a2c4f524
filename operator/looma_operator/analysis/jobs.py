"""One look at the Job of a measurement: made if it is not there, and judged once it has ended.

| the Job                                            | the reading                     |
| -------------------------------------------------- | ------------------------------- |
| could not be made, or belongs to somebody else     | an error                        |
| runs, is made, or could not be asked for           | none yet: the next look asks    |
| completed                                          | passed                          |
| failed for its deadline, or did not end after it   | an error: nothing was found out |
| failed otherwise                                   | not passed, with its last words |

Nothing is kept here: a look of another replica goes on where this one was.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from looma_core.kube import KubeError

from ..kube import kinds
from ..kube.client import ConflictError, Kube, NotFoundError, NotLeaderError, RefusedError
from ..kube.pods import list_pods
from ..kube.read import owned_by
from ..kube.read_sync import run_job
from ..metrics import ACTIONS
from ..plan.judging import Reading
from ..plan.sync_observed import RunJob
from ..render.analysis_job import KEPT_SUCCESSFUL
from ..resources import Json

_log = logging.getLogger(__name__)
OVERDUE = timedelta(seconds=60)
"""A Job that goes on for so long after its deadline is ended by nobody: its controller is away, or it is suspended."""
LAST_WORDS = 160  # Characters of what a container said last.
COMPLETE = "Complete"
DEADLINE = "DeadlineExceeded"
NOT_YET = Reading(pending=True)


class Jobs:
    """Makes Jobs and reads how they ended."""

    def __init__(self, kube: Kube, *, clock: Callable[[], datetime]) -> None:
        """`kube` writes behind the fence; `clock` tells this moment."""
        self._kube = kube
        self._clock = clock

    async def read(self, manifest: Json) -> Reading:
        """The reading that the Job of a manifest gives; it is made if it is not there."""
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        try:
            raw = await self._made(manifest)
            if raw is None:
                return NOT_YET
            if not owned_by(raw, manifest["metadata"]["ownerReferences"][0]["uid"]):
                return Reading(error=f"Job {name} exists and does not belong to this AIService: delete it")
            return await self._judged(namespace, raw)
        except RefusedError as error:
            return Reading(error=f"Job {name} was refused: {error.message}")
        except (KubeError, NotLeaderError) as error:
            # Not an error of the measurement: that would begin another one while this may go on.
            _log.warning("Job %s/%s is looked at again: %s", namespace, name, error)
            return NOT_YET

    async def _made(self, manifest: Json) -> Json | None:
        """The Job as it is; None if it has just been made."""
        meta = manifest["metadata"]
        with contextlib.suppress(NotFoundError):
            return await self._kube.get(kinds.JOB, meta["namespace"], meta["name"])
        result = "failed"
        try:
            # Not applied: what somebody else has made meanwhile stays as it is, and the next look finds it.
            await self._kube.create(kinds.JOB, meta["namespace"], manifest)
            result = "done"
        except ConflictError:
            result = "conflict"
        except RefusedError:
            result = "refused"
            raise
        finally:
            ACTIONS.labels(kind=kinds.JOB.name, action="create", result=result).inc()
        _log.info("create Job %s: %s", meta["name"], result)
        return None

    async def _judged(self, namespace: str, raw: Json) -> Reading:
        job, limit = run_job(raw, cron_uid=""), raw["spec"].get("activeDeadlineSeconds", 0)
        if job.going:
            return NOT_YET
        if job.ended == COMPLETE:
            await self._forget(namespace, job.name)
            return Reading(passed=True, note=f"Job {job.name} succeeded{self._after(job)}")
        if job.ended and job.reason == DEADLINE:
            return Reading(error=f"Job {job.name} did not end within {limit} s")
        if job.ended:
            why = await self._last_words(namespace, job.name) or f"{job.reason}: {job.message}"
            return Reading(passed=False, note=f"Job {job.name} failed{self._after(job)}: {why}")
        if self._clock() - job.created_at < timedelta(seconds=limit) + OVERDUE:
            return NOT_YET
        # It must not go on beside the next one.
        await self._delete(namespace, job)
        doing = "is suspended" if job.suspended else "was not ended by its controller"
        return Reading(error=f"Job {job.name} did not end within {limit} s, and {doing}: it was deleted")

    @staticmethod
    def _after(job: RunJob) -> str:
        return "" if job.ended_at is None else f" after {(job.ended_at - job.created_at).total_seconds():g} s"

    async def _last_words(self, namespace: str, name: str) -> str:
        """What a container of the Job's last pod said before it failed; empty where none is there or may be read."""
        pods = await list_pods(self._kube, namespace, f"batch.kubernetes.io/job-name={name}")
        latest = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
        for pod in latest:
            status = pod.get("status") or {}
            states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
            for container in states:
                ended = (container.get("state") or {}).get("terminated") or {}
                if ended.get("exitCode"):
                    said = " ".join(str(ended.get("message", "")).split())[-LAST_WORDS:]
                    code = f"{container.get('name')} ended with {ended['exitCode']}"
                    return f"{code}: {said}" if said else code
        return ""

    async def _forget(self, namespace: str, name: str) -> None:
        """Delete the Job of an earlier measurement that succeeded as well; whatever goes wrong, its time runs out."""
        series, _, number = name.rpartition("-")
        if int(number) < KEPT_SUCCESSFUL:
            return
        with contextlib.suppress(KubeError):
            old = f"{series}-{int(number) - KEPT_SUCCESSFUL}"
            job = run_job(await self._kube.get(kinds.JOB, namespace, old), cron_uid="")
            if job.ended == COMPLETE:
                await self._delete(namespace, job)

    async def _delete(self, namespace: str, job: RunJob) -> None:
        with contextlib.suppress(NotFoundError):
            await self._kube.delete(
                kinds.JOB, namespace, job.name, uid=job.uid, resource_version=job.resource_version
            )
            ACTIONS.labels(kind=kinds.JOB.name, action="delete", result="done").inc()
