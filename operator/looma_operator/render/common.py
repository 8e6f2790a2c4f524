"""What all children share: names, labels and the reference to their owner."""

from __future__ import annotations

from ..names import API_VERSION, LABEL_INSTANCE, LABEL_NAME, LABEL_PART_OF, LABEL_REVISION, PART_OF
from ..resources import AIService, Json


def labels(service: AIService, revision: str | None = None) -> dict[str, str]:
    """Labels of a child; with its revision where it belongs to one."""
    common = {
        LABEL_NAME: service.spec.engine,
        LABEL_INSTANCE: service.metadata.name,
        LABEL_PART_OF: PART_OF,
    }
    return {**common, LABEL_REVISION: revision} if revision else common


def selector(service: AIService, revision: str | None = None) -> dict[str, str]:
    """Labels that select the service's pods, of all revisions or of one."""
    chosen = {LABEL_NAME: service.spec.engine, LABEL_INSTANCE: service.metadata.name}
    return {**chosen, LABEL_REVISION: revision} if revision else chosen


def metadata(service: AIService, name: str, revision: str | None = None) -> Json:
    """ObjectMeta of a child: it goes with its owner, and never holds the owner's deletion up."""
    return {
        "name": name,
        "namespace": service.metadata.namespace,
        "labels": labels(service, revision),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "AIService",
                "name": service.metadata.name,
                "uid": service.metadata.uid,
                "controller": True,
                # True would ask for the right to set finalizers on AIServices.
                "blockOwnerDeletion": False,
            }
        ],
    }


def deployment_name(service: str, revision: str) -> str:
    """Name of a revision's Deployment."""
    return f"{service}-{revision}"


def stable_service_name(service: str) -> str:
    """Name of the Service that the one address forwards to."""
    return f"{service}-stable"


def peers_service_name(service: str) -> str:
    """Name of the headless Service by which gateway pods find each other."""
    return f"{service}-peers"
