"""The Job that takes one measurement of a metric: the user's pod, with who is judged in its environment.

One measurement has one Job, whose name follows from what is measured: an operator that is killed at any point finds
the one that it made. Another template of the metric is another measurement.

| variable           | value                                                                    |
| ------------------ | ------------------------------------------------------------------------ |
| LOOMA_NAMESPACE    | namespace of the AIService                                               |
| LOOMA_SERVICE      | its name                                                                 |
| LOOMA_REVISION     | the new revision, as r2                                                  |
| LOOMA_STABLE       | the one that serves, as r1                                               |
| LOOMA_URL          | address of the new revision's own Service; empty where it has none       |
| LOOMA_STABLE_URL   | the same of the one that serves                                          |
"""

from __future__ import annotations

from datetime import datetime

from ..names import LABEL_INSTANCE, LABEL_NAME, LABEL_PART_OF, PART_OF
from ..plan.canonical import digest
from ..resources import AIService, Json, format_time
from ..resources_analysis import JobTemplate
from .common import deployment_name, metadata
from .container import TMP, TMP_MOUNT, restricted
from .overlay import lay_over

ANALYSIS_JOB = "analysis-job"  # app.kubernetes.io/name of the Jobs, and of their pods.
METRIC = "looma.dev/metric"
USER = 65532
GRACE_SECONDS = 30
KEPT_SECONDS = 86400
"""How long a Job that has ended is kept: who looks in the morning still finds what its pods said in the night."""
KEPT_SUCCESSFUL = 3
"""So many of a metric's Jobs that succeeded are kept; of those that failed all, until their time is up."""
RESOURCES: Json = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"memory": "1Gi"},
}


def job_name(
    service: AIService, template: JobTemplate, *, run: str, metric: str, revision: str, started_at: datetime
) -> str:
    """What the names of a metric's Jobs begin with; the number of the measurement follows."""
    what = [
        service.metadata.uid,
        run,
        metric,
        revision,
        format_time(started_at),
        template.pod_spec,
        template.backoff_limit,
        template.active_deadline_seconds,
    ]
    return f"{service.metadata.name}-check-{digest(what)[:8]}"


def own_address(service: AIService, revision: str, *, routed: bool) -> str:
    """Address of a revision's own Service: only one that a gateway divides requests for has one."""
    name = deployment_name(service.metadata.name, revision)
    return f"http://{name}.{service.metadata.namespace}.svc" if routed and revision else ""


def render_analysis_job(
    service: AIService,
    template: JobTemplate,
    *,
    name: str,
    metric: str,
    revision: str,
    stable: str,
    routed: bool,
) -> Json:
    """The Job of one measurement.

    Args:
        service: its owner.
        template: what the metric asks for.
        name: its whole name.
        metric: name of the metric, for whoever looks at the Job.
        revision: the new revision.
        stable: the one that serves.
        routed: the service's requests come through a gateway.
    """
    # Not the revision's: its pods are none of those that are counted, or may be asked.
    labels = {LABEL_NAME: ANALYSIS_JOB, LABEL_INSTANCE: service.metadata.name, LABEL_PART_OF: PART_OF}
    environment = {
        "LOOMA_NAMESPACE": service.metadata.namespace,
        "LOOMA_SERVICE": service.metadata.name,
        "LOOMA_REVISION": revision,
        "LOOMA_STABLE": stable,
        "LOOMA_URL": own_address(service, revision, routed=routed),
        "LOOMA_STABLE_URL": own_address(service, stable, routed=routed),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            **metadata(service, name),
            "labels": labels,
            "annotations": {METRIC: f"{metric} of {revision}"},
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": template.backoff_limit,
            "activeDeadlineSeconds": template.active_deadline_seconds,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            # Two pods never ask at once.
            "podReplacementPolicy": "Failed",
            # A node that is drained is no revision's failure.
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "template": lay_over(
                {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": service.metadata.name,
                        "automountServiceAccountToken": False,
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
                        "volumes": [TMP],
                        **{
                            kind: [_container(theirs, environment) for theirs in template.pod_spec[kind]]
                            for kind in ("initContainers", "containers")
                            if template.pod_spec.get(kind)
                        },
                    },
                },
                {"spec": template.pod_spec},
            ),
        },
    }


def _container(theirs: Json, environment: dict[str, str]) -> Json:
    """What Looma says of a container; the user's is laid over it."""
    return {
        "name": theirs["name"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": RESOURCES,
        "securityContext": restricted(),
        # Its last words are the reason in status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [TMP_MOUNT],
    }
