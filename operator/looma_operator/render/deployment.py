"""The Deployment of one revision, rendered from the revision's content alone.

So an older revision is repaired and scaled as it was, whatever the spec says by now. Pods pass the restricted Pod
Security level: non-root, no privileges to gain, read-only root file system, default seccomp profile.
"""

from __future__ import annotations

from ..names import CONTAINER, GATEWAY_ENGINE, PORT, PORT_NAME, RESTARTED_AT
from ..plan.models import told_to_pods
from ..plan.observed import StoredRevision
from ..resources import AIService, Json
from .common import deployment_name, labels, metadata, selector
from .container import (
    DRAIN_SECONDS,
    KEEPS_PEOPLE,
    KEY_RING,
    KEY_RING_MOUNT,
    KEY_RING_SETTING,
    SHARED_SETTINGS,
    TMP,
    TMP_MOUNT,
    port,
    probe,
    restricted,
    settings,
)
from .gateway import gateway_pod
from .models import with_models
from .overlay import lay_over

CUSTOM = "custom"
USER = 65532
GRACE_SECONDS = 30
START_SECONDS = 600  # A first start waits for the database and its migrations.


def _container(service: AIService, revision: StoredRevision) -> Json:
    content = revision.content
    models = {"name": "LOOMA_MODELS", "value": told_to_pods(content, fetched=bool(revision.fetch))}
    container: Json = {
        "name": CONTAINER,
        "image": content["image"],
        "ports": [port(PORT_NAME, PORT)],
        "env": [*settings(service, revision), models],
        "resources": content.get("resources", {}),
        "securityContext": restricted(),
        "startupProbe": probe("/readyz", PORT_NAME, period=1, failures=START_SECONDS),
        "readinessProbe": probe("/readyz", PORT_NAME, period=2, failures=2),
        "livenessProbe": probe("/healthz", PORT_NAME, period=10, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "volumeMounts": [TMP_MOUNT],
    }
    if service.spec.engine != CUSTOM:
        container["command"] = ["looma-engine", service.spec.engine]
        # A custom image is not trusted with Looma's database: it gets these only if its podTemplate says so.
        container["envFrom"] = [
            {"configMapRef": {"name": SHARED_SETTINGS, "optional": True}},
            {"secretRef": {"name": SHARED_SETTINGS, "optional": True}},
        ]
    if service.spec.engine == KEEPS_PEOPLE:
        container["env"].append({**KEY_RING_SETTING})
        container["volumeMounts"].append({**KEY_RING_MOUNT})
    return container


def _engine_pod(service: AIService, revision: StoredRevision) -> Json:
    pod: Json = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [_container(service, revision)],
        "volumes": [TMP, {**KEY_RING}] if service.spec.engine == KEEPS_PEOPLE else [TMP],
    }
    return with_models(pod, revision) if revision.fetch else pod


def render_template(service: AIService, revision: StoredRevision) -> Json:
    """Pod template of a revision, the user's own laid over it."""
    pod = gateway_pod if service.spec.engine == GATEWAY_ENGINE else _engine_pod
    template: Json = {
        "metadata": {"labels": labels(service, revision.name)},
        "spec": {
            "serviceAccountName": service.metadata.name,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": selector(service)},
                }
            ],
            **pod(service, revision),
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
