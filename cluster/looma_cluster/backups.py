"""Backups of the release's own database: taken at once, listed, and brought back.

Everything goes by the CronJobs of the chart: a Job is made of one as `kubectl create job --from` does, so that what
runs by hand is what runs at night. docs/backups.md tells how the same is done by kubectl alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from looma_cluster.commands import CommandError
from looma_cluster.kubernetes import Kubectl, Object
from looma_cluster.steps import Report

DATABASE = "looma-postgres"
SCHEDULES = ("looma-backup-full", "looma-backup-incremental")
RESTORE, UPKEEP = "looma-restore", "looma-upkeep"
LONGEST_SECONDS = 4 * 3600.0
"""After which a backup or a restore is given up."""
_PAUSE_SECONDS = 0.5
CHECKED = "checked"
"""The annotation of a backup that was restored beside and found whole."""


class BackupError(RuntimeError):
    """A backup or a restore that failed, or cannot begin; the message says what to do."""


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """One backup of the repository.

    `kind` is full or incr, `size` what it holds and `stored` what it takes in the repository, both in bytes; `checked`
    is when it was restored beside and found whole, None if it was not.
    """

    label: str
    kind: str
    began: datetime
    ended: datetime
    size: int
    stored: int
    checked: str | None = None


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore came to: the last transaction that it has, and the seconds for which there was no database."""

    last_transaction: str
    seconds: float


def read_backups(info: str) -> list[Backup]:
    """What `pgbackrest info --output=json` lists, the oldest first."""
    stanzas: Sequence[Mapping[str, Any]] = json.loads(info)
    return [
        Backup(
            label=found["label"],
            kind=found["type"],
            began=datetime.fromtimestamp(found["timestamp"]["start"], UTC),
            ended=datetime.fromtimestamp(found["timestamp"]["stop"], UTC),
            size=found["info"]["size"],
            stored=found["info"]["repository"]["delta"],
            checked=(found.get("annotation") or {}).get(CHECKED),
        )
        for stanza in stanzas
        for found in stanza["backup"]
    ]


def parse_moment(text: str, *, now: datetime) -> datetime:
    """The moment that a person wrote, as 2026-05-01T12:00:00Z; without a time zone it is UTC.

    Raises:
        BackupError: it is none, or has not been yet.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BackupError(f"--to {text}: write a moment as 2026-05-01T12:00:00Z") from error
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise BackupError(f"--to {text}: that is still to come; it is {now:%Y-%m-%dT%H:%M:%SZ}")
    return moment


def check_reach(moment: datetime | None, backups: Sequence[Backup]) -> None:
    """See that a restore can come to that moment, before anything is stopped.

    Raises:
        BackupError: there is no backup, or none as old as that.
    """
    if not backups:
        raise BackupError("there is no backup yet: `looma backup now` takes one")
    if moment is not None and moment < (oldest := min(backup.ended for backup in backups)):
        raise BackupError(
            f"the oldest backup is of {oldest:%Y-%m-%dT%H:%M:%SZ}: nothing before it can be restored"
        )


def job_of(cron_job: Object, *, name: str, environment: Mapping[str, str]) -> Object:
    """A Job of what the CronJob runs, with more in the environment of its first container."""
    template = json.loads(json.dumps(cron_job["spec"]["jobTemplate"]["spec"]))
    container = template["template"]["spec"]["containers"][0]
    container.setdefault("env", []).extend(
        {"name": key, "value": value} for key, value in environment.items()
    )
    metadata = cron_job["metadata"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": template["template"].get("metadata", {}).get("labels", {}),
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
        },
        "spec": {**template, "ttlSecondsAfterFinished": 24 * 3600},
    }


def listing(kubectl: Kubectl) -> list[Backup]:
    """The backups of the repository, the oldest first.

    Raises:
        BackupError: the release has none of its own.
        CommandError: the database's pod does not answer.
    """
    _schedule(kubectl, RESTORE)
    command = ("pgbackrest", "info", "--output=json")
    return read_backups(kubectl.text("exec", f"{DATABASE}-0", "--container", "backup", "--", *command))


def listing_if_up(kubectl: Kubectl) -> list[Backup] | None:
    """The backups, or None where the database's pod does not answer.

    Raises:
        BackupError: the release has none of its own.
    """
    try:
        return listing(kubectl)
    except CommandError:
        return None


def take(kubectl: Kubectl, *, full: bool, report: Report) -> Backup:
    """Back the database up now, and see that the backup is whole.

    Raises:
        BackupError: it failed, or the release has no backups of its own.
    """
    report("a full backup" if full else "a backup of what changed")
    _run(kubectl, SCHEDULES[0 if full else 1], {})
    return listing(kubectl)[-1]


def restore(kubectl: Kubectl, *, to: datetime | None, label: str, report: Report) -> Restored:
    """Bring the database back as it was at a moment, or to its last change; it is away meanwhile.

    Backups rest until it is there again. Where it fails the database stays stopped, for a half restored one serves
    nobody; a restore can be begun again at any time.

    Raises:
        BackupError: it failed, or cannot begin.
    """
    schedule = _schedule(kubectl, RESTORE)
    wanted = {"SET": label, "TO": f"{to:%Y-%m-%d %H:%M:%S.%f+00}" if to else ""}
    variables = {f"LOOMA_RESTORE_{name}": value for name, value in wanted.items() if value}
    try:
        for name in SCHEDULES:
            _suspend(kubectl, name, suspended=True)
        report("the database stops")
        began = time.monotonic()
        kubectl.text("scale", f"statefulset/{DATABASE}", "--replicas=0")
        kubectl.text("wait", f"pod/{DATABASE}-0", "--for=delete", "--timeout=300s", seconds=310)
        report("its data come back" + (f" as of {to:%Y-%m-%dT%H:%M:%SZ}" if to else ""))
        try:
            said = _run(kubectl, RESTORE, variables, schedule=schedule)
        except BackupError as error:
            raise BackupError(
                f"{error}\nThe database stays stopped. `looma restore` without --to brings back its last change."
            ) from error
        report("the database starts")
        kubectl.text("scale", f"statefulset/{DATABASE}", "--replicas=1")
        kubectl.text("rollout", "status", f"statefulset/{DATABASE}", "--timeout=600s", seconds=610)
        seconds = time.monotonic() - began
        report("its tables are brought to this version")
        _run(kubectl, UPKEEP, {})
    finally:
        for name in SCHEDULES:
            _suspend(kubectl, name, suspended=False)
    return Restored(last_transaction=last_transaction(said), seconds=seconds)


def last_transaction(log: str) -> str:
    """What a restore's pod said of the last transaction; empty if there was none after the backup."""
    for line in reversed(log.splitlines()):
        if line.startswith("{") and '"restored"' in line:
            return str(json.loads(line)["last_transaction"])
    return ""


def _schedule(kubectl: Kubectl, name: str) -> Object:
    found = kubectl.objects("cronjob", name)
    if not found:
        raise BackupError(
            "this release keeps no backups: postgres.backup.enabled is false, or the database is another's"
        )
    return found[0]


def _suspend(kubectl: Kubectl, name: str, *, suspended: bool) -> None:
    kubectl.text("patch", "cronjob", name, "--patch", json.dumps({"spec": {"suspend": suspended}}))


def _run(
    kubectl: Kubectl, name: str, environment: Mapping[str, str], *, schedule: Object | None = None
) -> str:
    """Run what a CronJob runs, once and now; what its pod said.

    Raises:
        BackupError: it failed, with the end of its log.
    """
    job = job_of(
        schedule or _schedule(kubectl, name),
        name=f"{name}-{int(time.time())}",
        environment=environment,
    )
    kubectl.text("create", "-f", "-", stdin=json.dumps(job))
    title = f"job/{job['metadata']['name']}"
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        conditions = kubectl.objects(title)[0].get("status", {}).get("conditions", [])
        held = {condition["type"] for condition in conditions if condition["status"] == "True"}
        if "Complete" in held or "Failed" in held:
            try:
                said = kubectl.text("logs", title, "--all-containers", "--tail=200")
            except CommandError as error:
                said = error.output
            if "Failed" in held:
                raise BackupError(f"{title} failed:\n" + "\n".join(said.strip().splitlines()[-12:]))
            return said
        time.sleep(_PAUSE_SECONDS)
    raise BackupError(
        f"{title} did not end within {LONGEST_SECONDS / 3600:.0f} hours: `kubectl logs {title}`"
    )
