"""How the pods of a revision come to their models: an init container fetches them before the engine starts.

It writes to a volume of the pod that the engine has to read only, and ends with an error, which keeps the pod from
being ready, if a model is missing, another one, or not what its format says.
"""

from __future__ import annotations

import json

from looma_core.api.models import MODELS_FOLDER, REGISTRY_LOGIN, REGISTRY_LOGIN_SECRET

from ..names import CONTAINER
from ..plan.models import told_to_pods
from ..plan.observed import StoredRevision
from ..resources import Json
from .container import TMP_MOUNT, restricted

FETCH_CONTAINER = "fetch-models"
VOLUME = "models"
LOGIN: Json = {
    "name": "registry-login",
    "secret": {"secretName": REGISTRY_LOGIN_SECRET, "optional": True, "defaultMode": 0o440},
}
LOGIN_MOUNT: Json = {
    "name": "registry-login",
    "mountPath": REGISTRY_LOGIN.rpartition("/")[0],
    "readOnly": True,
}
SPARE_BYTES = 16 * 1024 * 1024  # For folders and what a file system rounds up.
_RESOURCES: Json = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}


def size_limit(sizes: dict[str, int], count: int) -> Json:
    """The volume's `sizeLimit`, from the sizes in bytes of its `count` models; none where one is not stated."""
    if len(sizes) < count:
        return {}
    kibibytes = -(-(sum(sizes.values()) + SPARE_BYTES) // 1024)
    return {"sizeLimit": f"{kibibytes}Ki"}


def with_models(pod: Json, revision: StoredRevision) -> Json:
    """The pod with the models of its revision in MODELS_FOLDER."""
    how: Json = json.loads(revision.fetch)
    mount = {"name": VOLUME, "mountPath": MODELS_FOLDER}
    fetching = {
        "name": FETCH_CONTAINER,
        "image": how["image"],
        "command": ["looma-model-fetch"],
        "env": [
            {"name": "LOOMA_MODELS", "value": told_to_pods(revision.content, fetched=True)},
            {"name": "LOOMA_PLAIN_HTTP_REGISTRY", "value": how.get("plainHttpRegistry", "")},
        ],
        "resources": _RESOURCES,
        "securityContext": restricted(),
        "volumeMounts": [TMP_MOUNT, mount, {**LOGIN_MOUNT}],
    }
    volume = {"name": VOLUME, "emptyDir": size_limit(how.get("sizes", {}), len(revision.content["models"]))}
    containers = [
        {**container, "volumeMounts": [*container["volumeMounts"], {**mount, "readOnly": True}]}
        if container["name"] == CONTAINER
        else container
        for container in pod["containers"]
    ]
    return {
        **pod,
        "initContainers": [fetching],
        "containers": containers,
        "volumes": [*pod["volumes"], volume, {**LOGIN}],
    }
