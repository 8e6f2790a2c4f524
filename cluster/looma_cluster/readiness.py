"""Whether a release's objects do what they should, and if not, in one line each why not.

Pure reading of what `kubectl get … -o json` answered; `release` asks again until nothing is left to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]

KINDS = "deployments,statefulsets,jobs,aiservices,pods"
"""What `kubectl get` is asked for."""

_PATIENCE = 5
"""Restarts of a container after which waiting longer is of no use."""


def unready(objects: Iterable[Object]) -> list[str]:
    """One line for each object that is not as it should be yet; an empty list means all are.

    | object                  | is as it should be when                                        |
    | ----------------------- | -------------------------------------------------------------- |
    | Deployment, StatefulSet | its newest spec is out, and all replicas are ready             |
    | Job of the release      | it has the condition Complete                                  |
    | other Job               | always: a run of a SyncJob, or a backup, has failed by itself  |
    | AIService               | its newest spec was seen, it is Ready, and no rollout goes on  |
    | Pod                     | always: pods are judged by what owns them                      |
    """
    lines = []
    for found in objects:
        kind, name = found["kind"], found["metadata"]["name"]
        waiting = _JUDGES[kind](found) if kind in _JUDGES else ""
        if waiting:
            lines.append(f"{kind} {name}: {waiting}")
    return lines


def hopeless(objects: Iterable[Object], *, since: str = "") -> list[str]:
    """One line for each pod that will not start however long one waits: a missing image, a crash again and again.

    Pods made before `since` (RFC 3339) do not count: they are what an upgrade is about to replace.
    """
    lines = []
    for found in objects:
        if found["kind"] != "Pod" or found["metadata"].get("creationTimestamp", "") < since:
            continue
        status = found.get("status", {})
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            waiting = container.get("state", {}).get("waiting", {})
            reason = waiting.get("reason", "")
            looping = reason == "CrashLoopBackOff" and container.get("restartCount", 0) >= _PATIENCE
            if looping or reason in {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"}:
                message = waiting.get("message", "")
                lines.append(f"Pod {found['metadata']['name']}: {reason} {message}".rstrip())
    return lines


def _workload(found: Object) -> str:
    wanted = found["spec"].get("replicas", 1)
    status = found.get("status", {})
    if status.get("observedGeneration", 0) < found["metadata"].get("generation", 0):
        return "not yet seen"
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    if updated < wanted or ready < wanted or status.get("replicas", 0) > wanted:
        return f"{min(updated, ready)} of {wanted} ready"
    return ""


def _job(found: Object) -> str:
    if found["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "Helm":
        return ""
    conditions = {
        c["type"]: c for c in found.get("status", {}).get("conditions", []) if c["status"] == "True"
    }
    if "Failed" in conditions:
        return f"failed: {conditions['Failed'].get('message', '')}".rstrip()
    return "" if "Complete" in conditions else "not done"


def _service(found: Object) -> str:
    status = found.get("status", {})
    if status.get("observedGeneration", 0) < found["metadata"].get("generation", 0):
        return "not yet seen by the operator"
    conditions = {c["type"]: c for c in status.get("conditions", [])}
    ready, progressing = conditions.get("Ready", {}), conditions.get("Progressing", {})
    if ready.get("status") != "True":
        return ready.get("message") or status.get("phase") or "not ready"
    # A rollout that was given up or paused is somebody's to decide on: the service answers meanwhile.
    return progressing.get("message") or "rolls out" if progressing.get("status") == "True" else ""


_JUDGES = {"Deployment": _workload, "StatefulSet": _workload, "Job": _job, "AIService": _service}
