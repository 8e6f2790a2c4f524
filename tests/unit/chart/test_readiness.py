"""What counts as ready, and what is beyond waiting."""

from __future__ import annotations

from typing import Any

import pytest

from looma_cluster.readiness import hopeless, unready

Object = dict[str, Any]


def made(kind: str, *, spec: Object | None = None, status: Object | None = None, **metadata: Any) -> Object:
    return {
        "kind": kind,
        "metadata": {"name": "it", "generation": 2, **metadata},
        "spec": spec or {},
        "status": status or {},
    }


def deployment(**status: Any) -> Object:
    whole = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}
    return made("Deployment", spec={"replicas": 2}, status=whole | status)


def service(ready: str, *, seen: int = 2, message: str = "") -> Object:
    condition = {"type": "Ready", "status": ready, "message": message}
    return made("AIService", status={"observedGeneration": seen, "conditions": [condition]})


def rolling(status: str) -> Object:
    found = service("True")
    found["status"]["conditions"].append({"type": "Progressing", "status": status, "message": "r2 of 1 pod"})
    return found


def job(kind: str | None, message: str = "", *, by: str = "Helm") -> Object:
    conditions = [{"type": kind, "status": "True", "message": message}] if kind else []
    found = made("Job", status={"conditions": conditions})
    return {**found, "metadata": {**found["metadata"], "labels": {"app.kubernetes.io/managed-by": by}}}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        pytest.param(deployment(), None, id="deployment out and ready"),
        pytest.param(deployment(readyReplicas=1), "Deployment it: 1 of 2 ready", id="one pod not ready"),
        pytest.param(deployment(updatedReplicas=1), "Deployment it: 1 of 2 ready", id="old pods still serve"),
        pytest.param(deployment(replicas=3), "Deployment it: 2 of 2 ready", id="an old pod still goes"),
        pytest.param(deployment(observedGeneration=1), "Deployment it: not yet seen", id="spec not seen"),
        pytest.param(
            made("Deployment", spec={"replicas": 0}, status={"observedGeneration": 2}),
            None,
            id="scaled to zero",
        ),
        pytest.param(
            made("StatefulSet", status={}), "StatefulSet it: not yet seen", id="stateful set just made"
        ),
        pytest.param(job("Complete"), None, id="job done"),
        pytest.param(job(None), "Job it: not done", id="job running"),
        pytest.param(job("Failed", "too often"), "Job it: failed: too often", id="job failed"),
        pytest.param(job("Failed", by="looma-operator"), None, id="somebody's run failed, not the release"),
        pytest.param(service("True"), None, id="service ready"),
        pytest.param(service("False", message="no pods"), "AIService it: no pods", id="service not ready"),
        pytest.param(rolling("True"), "AIService it: r2 of 1 pod", id="service rolls out"),
        pytest.param(rolling("False"), None, id="rollout done, paused or given up"),
        pytest.param(
            service("True", seen=1),
            "AIService it: not yet seen by the operator",
            id="service changed just now",
        ),
        pytest.param(
            made("AIService"), "AIService it: not yet seen by the operator", id="service without status"
        ),
        pytest.param(made("Pod"), None, id="a pod alone"),
    ],
)
def test_one_line_for_what_is_not_ready(found: Object, line: str | None) -> None:
    assert unready([found]) == ([line] if line else [])


def pod(reason: str, *, restarts: int = 0, at: str = "2026-01-01T10:00:00Z") -> Object:
    waiting = {"waiting": {"reason": reason, "message": "so"}}
    status = {"containerStatuses": [{"state": waiting, "restartCount": restarts}]}
    return made("Pod", status=status, creationTimestamp=at)


@pytest.mark.parametrize(
    ("found", "beyond"),
    [
        pytest.param(pod("ContainerCreating"), False, id="starting"),
        pytest.param(
            pod("CrashLoopBackOff", restarts=2), False, id="crashed twice: the database may be late"
        ),
        pytest.param(pod("CrashLoopBackOff", restarts=5), True, id="crashes again and again"),
        pytest.param(pod("ErrImageNeverPull"), True, id="no image"),
        pytest.param(pod("CreateContainerConfigError"), True, id="a Secret is missing"),
        pytest.param(made("Pod"), False, id="not scheduled yet"),
        pytest.param(pod("ErrImageNeverPull") | {"kind": "Deployment"}, False, id="no pod"),
    ],
)
def test_what_is_beyond_waiting(found: Object, beyond: bool) -> None:
    assert bool(hopeless([found])) is beyond


def test_pods_that_an_upgrade_replaces_do_not_count() -> None:
    old = pod("CrashLoopBackOff", restarts=9, at="2026-01-01T10:00:00Z")
    assert hopeless([old], since="2026-01-01T10:00:01Z") == []
    assert hopeless([old], since="2026-01-01T10:00:00Z") == ["Pod it: CrashLoopBackOff so"]
