"""Kubernetes' own controllers of Jobs beside a test's control plane, and what a kubelet would say of their pods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .control_plane import ControlPlane, free_port
from .operator_process import Looma

Object = dict[str, Any]
CONTROLLERS = "job-controller,cronjob-controller,garbage-collector-controller,ttl-after-finished-controller"
RETRY_SECONDS = 90  # The Job's controller waits 10 seconds before it tries a shard again, then 20.


@pytest.fixture(scope="module")
def job_controllers(control_plane: ControlPlane) -> Iterator[None]:
    """Kubernetes' controllers of Jobs, for one module alone: other tests play them."""
    control_plane.run(
        "kube-controller-manager",
        f"--kubeconfig={control_plane.kubeconfig}",
        f"--authentication-kubeconfig={control_plane.kubeconfig}",
        f"--authorization-kubeconfig={control_plane.kubeconfig}",
        f"--controllers={CONTROLLERS}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
    )
    yield
    process = control_plane.processes.pop("kube-controller-manager")
    process.terminate()
    process.wait(timeout=20)


def pods(looma: Looma, job_name: str) -> list[Object]:
    """Pods of the Job that did not end."""
    items = looma.plane.request("GET", looma.path("pods", group="v1"))[1]["items"]
    return [
        item
        for item in items
        if item["metadata"]["labels"].get("batch.kubernetes.io/job-name") == job_name
        and (item.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]


def wait_pods(looma: Looma, job_name: str, count: int) -> list[Object]:
    """Its pods, once there are so many that did not end."""
    looma.until(
        lambda: len(pods(looma, job_name)) == count,
        f"{job_name} has {count} pods",
        seconds=RETRY_SECONDS,
    )
    return pods(looma, job_name)


def ends(looma: Looma, pod: Object, code: int, said: str = "") -> None:
    """The kubelet says with which code the pod's container ended, and what it said last."""
    ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "message": said}
    container = {
        "name": pod["spec"]["containers"][0]["name"],
        "state": {"terminated": ended},
        "ready": False,
        "restartCount": 0,
        "image": "worker:1",
        "imageID": "",
    }
    state = {"phase": "Succeeded" if code == 0 else "Failed", "containerStatuses": [container]}
    path = looma.path("pods", pod["metadata"]["name"], group="v1") + "/status"
    code, answer = looma.plane.request(
        "PATCH", path, {"status": state}, content_type="application/strategic-merge-patch+json"
    )
    assert code == 200, answer
