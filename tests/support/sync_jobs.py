"""SyncJobs on a real API server as a person sees them, and workers in the place of pods, with their rights."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import httpx

from looma_core.api.syncjob import CONTRACT, Variable
from looma_engines.sync_worker.cluster import SyncJobInCluster
from looma_engines.sync_worker.inputs import Inputs, read_inputs

from .operator_process import Looma

BATCH = "batch/v1"
EPOCH = "looma.dev/epoch"
Object = dict[str, Any]


def apply(looma: Looma, name: str, **spec: Any) -> tuple[int, Object]:
    body = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "SyncJob",
        "metadata": {"name": name},
        "spec": {"source": {"type": "csv", "path": "people.csv"}, "image": "worker:1", **spec},
    }
    return looma.plane.apply(looma.path("syncjobs", name), body, manager="person")


def made(looma: Looma, name: str, **spec: Any) -> None:
    code, answer = apply(looma, name, **spec)
    assert code in (200, 201), answer


def get(looma: Looma, name: str) -> Object:
    return looma.plane.request("GET", looma.path("syncjobs", name))[1]


def status(looma: Looma, name: str) -> Object:
    return get(looma, name).get("status") or {}


def job(looma: Looma, name: str) -> Object:
    return looma.child("jobs", name, BATCH)[1]


def jobs(looma: Looma, name: str) -> dict[str, Object]:
    items = looma.plane.request("GET", looma.path("jobs", group=BATCH))[1]["items"]
    mine = [item for item in items if item["metadata"]["labels"]["app.kubernetes.io/instance"] == name]
    return {item["metadata"]["name"]: item for item in mine}


def runs(looma: Looma, name: str) -> Object:
    """Jobs that have pods on a cluster: neither suspended nor ended."""
    return {
        key: item
        for key, item in jobs(looma, name).items()
        if not item["spec"]["suspend"] and "completionTime" not in (item.get("status") or {})
    }


def ask(looma: Looma, name: str, action: str, *, request: str = "") -> tuple[int, Object]:
    text = json.dumps({"id": request or action, "action": action, "reason": "because"})
    body = {"metadata": {"annotations": {"looma.dev/request": text}}}
    return looma.plane.request(
        "PATCH", looma.path("syncjobs", name), body, content_type="application/merge-patch+json"
    )


def phase(looma: Looma, name: str, wanted: str) -> None:
    looma.until(lambda: status(looma, name).get("phase") == wanted, f"{name} is {wanted}")


def end(looma: Looma, name: str, kind: str = "Complete", *, reason: str = "", message: str = "") -> None:
    """Write what the Job's controller writes when its last pod has ended."""
    moment = "2026-01-01T12:00:00Z"
    common = {"status": "True", "reason": reason, "message": message, "lastTransitionTime": moment}
    before = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
    state: Object = {"conditions": [{"type": before, **common}, {"type": kind, **common}]}
    state |= {"startTime": "2026-01-01T11:59:00Z", "active": 0, "ready": 0, "terminating": 0}
    state["uncountedTerminatedPods"] = {}
    if kind == "Complete":
        count = job(looma, name)["spec"]["completions"]
        state |= {"completionTime": moment, "succeeded": count}
        state["completedIndexes"] = f"0-{count - 1}" if count > 1 else "0"
    path = looma.path("jobs", name, group=BATCH) + "/status"
    code, answer = looma.plane.request(
        "PATCH", path, {"status": state}, content_type="application/merge-patch+json"
    )
    assert code == 200, answer


def shard(looma: Looma, job_name: str, folder: Path, index: int = 0) -> tuple[Inputs, SyncJobInCluster]:
    """What a pod of the Job would be told, and its view of the SyncJob with its account's rights."""
    spec = job(looma, job_name)["spec"]["template"]
    told = {item["name"]: item["value"] for item in spec["spec"]["containers"][0]["env"] if "value" in item}
    assert told[Variable.CONTRACT] == CONTRACT
    inputs = read_inputs(
        {
            **told,
            Variable.RUN: job_name,
            Variable.EPOCH: spec["metadata"]["annotations"][EPOCH],
            Variable.SHARD: str(index),
            Variable.DATA: str(folder),
        }
    )
    context = ssl.create_default_context(cafile=str(looma.plane.pki.folder / "ca.crt"))
    context.load_cert_chain(looma.plane.pki.folder / "admin.crt", looma.plane.pki.folder / "admin.key")
    account = f"system:serviceaccount:{looma.namespace}:{spec['spec']['serviceAccountName']}"
    headers = {"Impersonate-User": account}
    client = httpx.Client(base_url=looma.plane.server, verify=context, headers=headers)
    return inputs, SyncJobInCluster(client, inputs)


def people(folder: Path, count: int) -> None:
    (folder / "people.csv").write_text("id\n" + "".join(f"{number}\n" for number in range(count)))
