"""The Deployment of one revision, rendered from the revision's content alone.

So an older revision is repaired and scaled as it was, whatever the spec says by now. Pods pass the restricted Pod
Security level: non-root, no privileges to gain, read-only root file system, default seccomp profile.
"""

from __future__ import annotations

from ..names import CONTAINER, PORT, PORT_NAME, RESTARTED_AT
from ..plan.content import canonical
from ..plan.observed import StoredRevision
from ..resources import AIService, Json
from .common import deployment_name, labels, metadata, selector
from .overlay import lay_over

CUSTOM = "custom"
USER = 65532
SHARED_SETTINGS = "looma-engines"  # ConfigMap and Secret that the chart makes for Looma's own engines.
DRAIN_SECONDS = 5  # For endpoints to leave kube-proxy's and the console's tables before the process ends.
GRACE_SECONDS = 30
START_SECONDS = 600  # A first start waits for the database and its migrations.


def _probe(path: str, *, period: int, failures: int) -> Json:
    return {
        "httpGet": {"path": path, "port": PORT_NAME},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _environment(service: AIService, revision: StoredRevision) -> list[Json]:
    content = revision.content
    values = {
        "LOOMA_SERVICE": service.metadata.name,
        "LOOMA_REVISION": revision.name,
        "LOOMA_NAMESPACE": service.metadata.namespace,
        "LOOMA_CONFIG": canonical(content.get("config", {})),
        "LOOMA_MODELS": canonical(content.get("models", [])),
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _container(service: AIService, revision: StoredRevision) -> Json:
    content = revision.content
    container: Json = {
        "name": CONTAINER,
        "image": content["image"],
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "env": _environment(service, revision),
        "resources": content.get("resources", {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": _probe("/readyz", period=1, failures=START_SECONDS),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the pod's own emptyDir
    }
    if service.spec.engine != CUSTOM:
        container["command"] = ["looma-engine", service.spec.engine]
        # A custom image is not trusted with Looma's database: it gets these only if its podTemplate says so.
        container["envFrom"] = [
            {"configMapRef": {"name": SHARED_SETTINGS, "optional": True}},
            {"secretRef": {"name": SHARED_SETTINGS, "optional": True}},
        ]
    return container


def render_template(service: AIService, revision: StoredRevision) -> Json:
    """Pod template of a revision, the user's own laid over it."""
    template: Json = {
        "metadata": {"labels": labels(service, revision.name)},
        "spec": {
            "serviceAccountName": service.metadata.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(service, revision)],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": selector(service)},
                }
            ],
        },
    }
    if revision.restarted_at:
        template["metadata"]["annotations"] = {RESTARTED_AT: revision.restarted_at}
    return lay_over(template, revision.content.get("podTemplate", {}))


def render_deployment(service: AIService, revision: StoredRevision, *, replicas: int) -> Json:
    """The revision's Deployment with that many replicas."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(service, deployment_name(service.metadata.name, revision.name), revision.name),
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": service.spec.rollout.progress_deadline_seconds,
            # Between two templates of one revision: a restart, or a newer operator that renders otherwise.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "selector": {"matchLabels": selector(service, revision.name)},
            "template": render_template(service, revision),
        },
    }
