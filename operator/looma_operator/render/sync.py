"""Children of a SyncJob: the account of its workers with its rights, the Jobs of its runs, and the CronJob.

A Job of the CronJob begins suspended and has no epoch yet: the operator lets it in (`plan.sync` says when). A Job that
the operator makes has its epoch from the beginning.
"""

from __future__ import annotations

from looma_core.api.syncjob import (
    CONTRACT,
    CREDENTIALS_FOLDER,
    DATA_FOLDER,
    EPOCH_ANNOTATION,
    GROUP,
    PLURAL,
    ExitCode,
    Variable,
)

from ..names import API_VERSION, LABEL_INSTANCE, LABEL_NAME, LABEL_PART_OF, PART_OF
from ..plan.content import canonical
from ..resources import Json, to_json
from ..sync_resources import SyncJob
from .children import stamp
from .container import (
    KEY_RING,
    KEY_RING_MOUNT,
    KEY_RING_SETTING,
    SHARED_SETTINGS,
    TMP,
    TMP_MOUNT,
    restricted,
)
from .overlay import lay_over

SYNC = "sync-job"  # app.kubernetes.io/name of everything that belongs to a SyncJob.
WORKER = "worker"
USER = 65532
GRACE_SECONDS = 30
LATE_SECONDS = 600  # A run that the cluster slept through for longer is left out.
COUNTING, RECORDS = ["looma-engine", "sync-worker"], ["looma-engine", "records-worker"]
"""What runs without a target, and with one."""
CREDENTIALS = "looma-source"
"""Volume with the Secret of the source."""
LETTING_IN = "looma-admission"
"""Field manager of epoch and suspend on Jobs, beside `looma` or the CronJob's controller, who wrote all else."""


def labels(job: SyncJob) -> dict[str, str]:
    """Labels of all that belongs to the SyncJob."""
    return {LABEL_NAME: SYNC, LABEL_INSTANCE: job.metadata.name, LABEL_PART_OF: PART_OF}


def child_name(job: SyncJob) -> str:
    """Name of account, rights and CronJob."""
    return f"{job.metadata.name}-sync"


def run_name(job: SyncJob, epoch: int) -> str:
    """Name of the Job that the operator makes for a run."""
    return f"{child_name(job)}-{epoch}"


def _metadata(job: SyncJob, name: str) -> Json:
    return {
        "name": name,
        "namespace": job.metadata.namespace,
        "labels": labels(job),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "SyncJob",
                "name": job.metadata.name,
                "uid": job.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }


def render_rights(job: SyncJob) -> list[Json]:
    """The workers' account: it may read its own SyncJob and write that one's status, and nothing else."""
    name, names = child_name(job), [job.metadata.name]
    rules = [
        {"apiGroups": [GROUP], "resources": [PLURAL], "resourceNames": names, "verbs": ["get"]},
        {"apiGroups": [GROUP], "resources": [f"{PLURAL}/status"], "resourceNames": names, "verbs": ["patch"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _metadata(job, name),
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "Role",
            "metadata": _metadata(job, name),
            "rules": rules,
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": _metadata(job, name),
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": job.metadata.namespace}],
        },
    ]


def _environment(job: SyncJob) -> list[Json]:
    spec = job.spec
    values = {
        Variable.CONTRACT: CONTRACT,
        Variable.JOB: job.metadata.name,
        Variable.UID: job.metadata.uid,
        Variable.NAMESPACE: job.metadata.namespace,
        Variable.SHARDS: str(job.spec.parallelism),
        Variable.SOURCE: canonical(spec.source),
        Variable.BATCH_SIZE: str(job.spec.batch_size),
        Variable.DATA: DATA_FOLDER,
    }
    if spec.source_secret:
        values[Variable.CREDENTIALS] = CREDENTIALS_FOLDER
    if spec.target is not None:
        rules = {
            "conflictPolicy": spec.conflict_policy,
            "validation": spec.validation,
            "onMissing": spec.on_missing,
            "direction": spec.direction,
            # Left out where nothing is said of them: so the Jobs of such SyncJobs stay what they are.
            **({"references": spec.references} if spec.references else {}),
            **({"writeBack": spec.write_back} if spec.write_back else {}),
        }
        values[Variable.TARGET] = canonical({**to_json(spec.target), **rules})
    # What differs between the Jobs of one CronJob comes from the pod itself.
    fields = {
        Variable.RUN: "metadata.labels['batch.kubernetes.io/job-name']",
        Variable.EPOCH: f"metadata.annotations['{EPOCH_ANNOTATION}']",
    }
    return [
        *({"name": name, "value": value} for name, value in values.items()),
        *(
            {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
            for name, path in fields.items()
        ),
    ]


def _template(job: SyncJob, image: str, epoch: int | None) -> Json:
    container: Json = {
        "name": WORKER,
        "image": image,
        "env": _environment(job),
        "resources": job.spec.resources,
        "securityContext": restricted(),
        "volumeMounts": [TMP_MOUNT],
    }
    volumes: list[Json] = [TMP]
    if not job.spec.image:
        # Another image has an entry point of its own, and is not trusted with Looma's database: it gets these only if
        # its podTemplate says so.
        container["command"] = COUNTING if job.spec.target is None else RECORDS
        if job.spec.target is not None:
            container["envFrom"] = [
                {"configMapRef": {"name": SHARED_SETTINGS, "optional": True}},
                {"secretRef": {"name": SHARED_SETTINGS, "optional": True}},
            ]
            container["env"].append({**KEY_RING_SETTING})
            container["volumeMounts"].append({**KEY_RING_MOUNT})
            volumes.append({**KEY_RING})
    if job.spec.source_secret:
        # As files: neither `kubectl describe` nor a dump of the environment shows them. A run waits until it is there.
        secret = {"secretName": job.spec.source_secret, "defaultMode": 0o440}
        volumes.append({"name": CREDENTIALS, "secret": secret})
        container["volumeMounts"].append(
            {"name": CREDENTIALS, "mountPath": CREDENTIALS_FOLDER, "readOnly": True}
        )
    template: Json = {
        "metadata": {
            "labels": labels(job),
            "annotations": {} if epoch is None else {EPOCH_ANNOTATION: str(epoch)},
        },
        "spec": {
            "serviceAccountName": child_name(job),
            "automountServiceAccountToken": True,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": volumes,
        },
    }
    user = {**job.spec.pod_template}
    theirs = dict((user.get("metadata") or {}).get("annotations") or {})
    # The operator alone gives an epoch.
    theirs.pop(EPOCH_ANNOTATION, None)
    user["metadata"] = {**(user.get("metadata") or {}), "annotations": theirs}
    return lay_over(template, user)


def _job_spec(job: SyncJob, image: str, *, suspend: bool, epoch: int | None) -> Json:
    def fails_all(code: int) -> Json:
        return {
            "action": "FailJob",
            "onExitCodes": {"containerName": WORKER, "operator": "In", "values": [code]},
        }

    optional = {
        "activeDeadlineSeconds": job.spec.active_deadline_seconds,
        "ttlSecondsAfterFinished": job.spec.ttl_seconds_after_finished,
    }
    return {
        "suspend": suspend,
        "completionMode": "Indexed",
        "completions": job.spec.parallelism,
        "parallelism": job.spec.parallelism,
        # Each shard has tries of its own, and the others go on where one has none left.
        "backoffLimitPerIndex": job.spec.backoff_limit,
        # Two pods of one shard never run at once.
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                fails_all(ExitCode.BAD_INPUT),
                fails_all(ExitCode.FENCED),
                # A node that is drained is nobody's failure.
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        **{name: value for name, value in optional.items() if value is not None},
        "template": _template(job, image, epoch),
    }


def render_run(job: SyncJob, image: str, epoch: int) -> Json:
    """The Job of a run that the operator makes."""
    return stamp(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": _metadata(job, run_name(job, epoch)),
            "spec": _job_spec(job, image, suspend=job.spec.suspend, epoch=epoch),
        }
    )


def render_cron_job(job: SyncJob, image: str) -> Json | None:
    """The CronJob, or None without a schedule. Its Jobs wait, suspended, until the operator lets them in."""
    schedule = job.spec.schedule
    if schedule is None:
        return None
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _metadata(job, child_name(job)),
        "spec": {
            "schedule": schedule.cron,
            "timeZone": schedule.time_zone,
            "suspend": job.spec.suspend,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": LATE_SECONDS,
            "successfulJobsHistoryLimit": job.spec.history_limit,
            "failedJobsHistoryLimit": job.spec.history_limit,
            "jobTemplate": {
                "metadata": {"labels": labels(job)},
                "spec": _job_spec(job, image, suspend=True, epoch=None),
            },
        },
    }


def render_sync_children(job: SyncJob, image: str) -> list[Json]:
    """Everything but the runs' own Jobs, in the order in which it is written."""
    cron = render_cron_job(job, image) if image else None
    return [stamp(child) for child in (*render_rights(job), *([cron] if cron is not None else []))]


def render_letting_in(*, job: SyncJob, name: str, epoch: int) -> Json:
    """What the operator writes on a Job that it lets in, and whenever its pods are to be stopped or go on."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": job.metadata.namespace},
        "spec": {
            "suspend": job.spec.suspend,
            "template": {"metadata": {"annotations": {EPOCH_ANNOTATION: str(epoch)}}},
        },
    }
