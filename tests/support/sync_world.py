"""A cluster in memory for a SyncJob's plans: Jobs are kept as applied, a CronJob makes some, workers report and end.

It stands in for the API server and the controllers where a test asks thousands of times. Reading goes through the same
functions as in production (`kube.read_sync`), so only HTTP is left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from looma_core.api.syncjob import EPOCH_ANNOTATION
from looma_operator.kube import kinds
from looma_operator.kube.read_sync import SCHEDULED_AT, parse_sync_job, run_job
from looma_operator.names import REQUEST
from looma_operator.plan.children import Action, Delete, Notice
from looma_operator.plan.conditions import Refusal
from looma_operator.plan.sync import SyncPlan, plan_sync
from looma_operator.plan.sync_observed import SyncObserved
from looma_operator.resources import format_time
from looma_operator.sync_resources import Run, SyncJob, SyncJobStatus, own_sync_status

from .operator_world import START, copied

Object = dict[str, Any]
IMAGE = "looma-engine:1"


class KilledError(Exception):
    """The operator was killed before this write."""


def spec(**changes: Any) -> Object:
    """A spec as the API server stores it, with the definition's defaults."""
    return {
        "source": {"type": "jsonl", "path": "people.jsonl"},
        "parallelism": 1,
        "batchSize": 500,
        "suspend": False,
        "backoffLimit": 3,
        "historyLimit": 3,
        **changes,
    }


@dataclass
class SyncWorld:
    """One SyncJob with its children. `seen` has every (epoch, uid of a Job) that ever could run."""

    spec: Object = field(default_factory=spec)
    status: Object = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    jobs: dict[str, Object] = field(default_factory=dict)
    foreign: frozenset[tuple[str, str]] = frozenset()
    image: str = IMAGE
    now: datetime = START
    notices: list[Notice] = field(default_factory=list)
    ended: list[Run] = field(default_factory=list)
    writes: int = 0
    seen: set[tuple[int, str]] = field(default_factory=set)
    epochs: list[int] = field(default_factory=list)
    _made: int = 0
    _left: int | None = None

    @property
    def job(self) -> SyncJob:
        """The SyncJob as it would be read."""
        meta = {
            "name": "people",
            "namespace": "looma",
            "uid": "u1",
            "resourceVersion": str(self.writes),
            "generation": 1,
            "annotations": self.annotations,
        }
        return parse_sync_job({"metadata": meta, "spec": self.spec, "status": self.status})

    @property
    def read(self) -> SyncJobStatus:
        """Status as a typed value."""
        return self.job.status

    def observe(self) -> SyncObserved:
        """What would be read now."""
        return SyncObserved(
            job=self.job,
            jobs=tuple(run_job(raw, cron_uid="cron") for raw in copied(self.jobs).values()),
            children={key: copied(child) for key, child in self.children.items()},
            foreign=self.foreign,
        )

    def plan(self, refusals: tuple[Refusal, ...] = ()) -> SyncPlan:
        """The plan that would be made now."""
        return plan_sync(observed=self.observe(), default_image=self.image, now=self.now, refusals=refusals)

    def look(self, *, crash_after: int | None = None) -> bool:
        """One reconcile; with `crash_after`, killed after that many writes. Answers whether it came to its end."""
        made = self.plan()
        self._left = crash_after
        try:
            for action in made.setup:
                self._carry_out(action)
            if made.status != self.read:
                self._count()
                shards = {"shards": self.status["shards"]} if "shards" in self.status else {}
                self.status = own_sync_status(made.status) | shards
                self.epochs.append(made.status.epoch)
            for action in made.then:
                self._carry_out(action)
        except KilledError:
            return False
        finally:
            self._left = None
        self.notices.extend(made.notices)
        self.ended.extend(made.ended)
        return True

    def settle(self) -> None:
        """Look until nothing is written any more."""
        for _ in range(10):
            before = self.writes
            self.look()
            if self.writes == before:
                return
        raise AssertionError(f"not at rest: {self.status} {list(self.jobs)}")

    def _count(self) -> None:
        if self._left is not None:
            if self._left == 0:
                raise KilledError
            self._left -= 1
        self.writes += 1

    def _carry_out(self, action: Action) -> None:
        self._count()
        if isinstance(action, Delete):
            if action.kind == kinds.JOB.name:
                if action.name in self.jobs and self.jobs[action.name]["metadata"]["uid"] == action.uid:
                    del self.jobs[action.name]
            else:
                del self.children[action.kind, action.name]
            return
        manifest = copied(action.manifest)
        if action.kind != kinds.JOB.name:
            manifest["metadata"]["resourceVersion"] = str(self.writes)
            manifest["metadata"]["uid"] = "cron" if action.kind == "CronJob" else f"uid-{action.name}"
            self.children[action.kind, action.name] = manifest
            return
        there = self.jobs.get(action.name)
        if there is None:
            assert action.resource_version is None, "a Job that is gone is not made by letting it in"
            self._make(manifest)
        else:
            there["spec"]["suspend"] = manifest["spec"]["suspend"]
            meta = there["spec"]["template"].setdefault("metadata", {}).setdefault("annotations", {})
            wanted = manifest["spec"]["template"]["metadata"]["annotations"]
            assert not there.get("started") or meta == wanted, "a template that started never changes"
            meta.update(wanted)
        self._note_started(self.jobs[action.name])

    def _make(self, manifest: Object) -> Object:
        self._made += 1
        manifest["metadata"].update(
            uid=f"job-{self._made}", resourceVersion=str(self._made), creationTimestamp=format_time(self.now)
        )
        self.jobs[manifest["metadata"]["name"]] = manifest
        return manifest

    def _note_started(self, job: Object) -> None:
        if job["spec"]["suspend"] or self.is_ended(job):
            return
        job["started"] = True
        epoch = int(job["spec"]["template"]["metadata"]["annotations"][EPOCH_ANNOTATION])
        self.seen.add((epoch, job["metadata"]["uid"]))

    @staticmethod
    def is_ended(job: Object) -> bool:
        """Whether the Job has its last condition."""
        return bool((job.get("status") or {}).get("conditions"))

    @property
    def running(self) -> list[str]:
        """Names of Jobs that may have pods."""
        return [
            name for name, job in self.jobs.items() if not job["spec"]["suspend"] and not self.is_ended(job)
        ]

    def cron_fires(self, *, by_hand: bool = False) -> str:
        """What the CronJob's controller makes at its time, or `kubectl create job --from`; answers the name."""
        template = copied(self.children["CronJob", "people-sync"]["spec"]["jobTemplate"])
        name = f"people-sync-{29000000 + self._made}"
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "uid": "cron", "controller": True}
        meta = {**template["metadata"], "name": name, "ownerReferences": [owner]}
        meta["annotations"] = {} if by_hand else {SCHEDULED_AT: format_time(self.now)}
        self._make({"metadata": meta, "spec": template["spec"]})
        return name

    def ask(self, action: str, request: str | None = None) -> None:
        """A request by annotation."""
        self.annotations[REQUEST] = json.dumps({"id": request or f"{action}-{self.writes}", "action": action})

    def report(self, *, epoch: int, shard: int = 0, **said: Any) -> None:
        """A worker writes its entry, as the API server would take it: only in the current epoch."""
        if epoch != self.status.get("epoch"):
            return
        kept = [entry for entry in self.status.get("shards", []) if entry["shard"] != shard]
        self.status["shards"] = [*kept, {"shard": shard, "epoch": epoch, "state": "Running", **said}]

    def end(self, name: str, condition: str = "Complete", *, reason: str = "", message: str = "") -> None:
        """The Job's controller ends it."""
        self.jobs[name]["status"] = {
            "conditions": [
                {
                    "type": condition,
                    "status": "True",
                    "reason": reason,
                    "message": message,
                    "lastTransitionTime": format_time(self.now),
                }
            ]
        }

    def tick(self, seconds: float = 1) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)
