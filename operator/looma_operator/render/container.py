"""What the containers of all pods have in common: how they are held, probed, drained and told who they are."""

from __future__ import annotations

from ..plan.content import canonical
from ..plan.observed import StoredRevision
from ..resources import AIService, Json

SHARED_SETTINGS = "looma-engines"  # ConfigMap and Secret that the chart makes for Looma's own engines.
DRAIN_SECONDS = 5  # For endpoints to leave the tables of kube-proxy and gateways before the process ends.
TMP: Json = {"name": "tmp", "emptyDir": {}}
TMP_MOUNT: Json = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - the pod's own emptyDir

KEEPS_PEOPLE = "talent-sync"
"""The engine that seals what it stores of people; workers that bring records in do as well."""
_RING_FOLDER = "/etc/looma/key-ring"
# Optional: an engine without it says itself what it lacks, which a pod that waits for a volume does not.
KEY_RING: Json = {
    "name": "key-ring",
    "secret": {"secretName": "looma-key-ring", "optional": True, "defaultMode": 0o440},
}
KEY_RING_MOUNT: Json = {"name": "key-ring", "mountPath": _RING_FOLDER, "readOnly": True}
KEY_RING_SETTING: Json = {"name": "LOOMA_KEY_RING_FILE", "value": f"{_RING_FOLDER}/ring.json"}


def restricted() -> Json:
    """A container's securityContext for the restricted Pod Security level, and a root file system to read only."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def probe(path: str, port: str, *, period: int, failures: int) -> Json:
    """A probe by GET; `period` in seconds."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def port(name: str, number: int) -> Json:
    """A port that the container listens on."""
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def settings(service: AIService, revision: StoredRevision) -> list[Json]:
    """Environment that tells a container which service and revision it is, with the engine's config as JSON."""
    values = {
        "LOOMA_SERVICE": service.metadata.name,
        "LOOMA_REVISION": revision.name,
        "LOOMA_NAMESPACE": service.metadata.namespace,
        "LOOMA_CONFIG": canonical(revision.content.get("config", {})),
    }
    return [{"name": name, "value": value} for name, value in values.items()]
