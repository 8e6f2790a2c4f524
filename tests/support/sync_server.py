"""The part of an API server that sync workers see: one SyncJob with epochs and versions, over HTTP's own messages."""

from __future__ import annotations

import json
from typing import Any

import httpx

from looma_engines.sync_worker.cluster import SyncJobInCluster
from looma_engines.sync_worker.inputs import Inputs

PATH = "/apis/looma.dev/v1alpha1/namespaces/looma/syncjobs"


class Server:
    """One SyncJob: a version that each write raises, an epoch, and the entries that workers applied."""

    def __init__(self, epoch: int = 1, uid: str = "uid-1", job: str = "people") -> None:
        self.epoch = epoch
        self.uid = uid
        self.path = f"{PATH}/{job}"
        self.version = 1
        self.shards: dict[int, dict[str, Any]] = {}
        self.gone = False
        self.trouble: list[int] = []
        self.reports: list[dict[str, Any]] = []
        self.asked = 0
        self.before_patch = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.trouble:
            return httpx.Response(self.trouble.pop(0), json={"message": "trouble"})
        if self.gone:
            return httpx.Response(404, json={"message": "not found"})
        if request.method == "GET":
            assert request.url.path == self.path
            status = {"epoch": self.epoch, "shards": list(self.shards.values())}
            return httpx.Response(
                200,
                json={"metadata": {"resourceVersion": str(self.version), "uid": self.uid}, "status": status},
            )
        assert request.url.path == f"{self.path}/status"
        assert request.headers["Content-Type"] == "application/apply-patch+yaml"
        self.before_patch()
        body = json.loads(request.content)
        if body["metadata"]["resourceVersion"] != str(self.version):
            return httpx.Response(409, json={"message": "changed"})
        (entry,) = body["status"]["shards"]
        assert request.url.params["fieldManager"] == f"looma-worker-{entry['shard']}"
        self.version += 1
        self.shards[entry["shard"]] = entry
        self.reports.append(entry)
        return httpx.Response(200, json={})


def seen_by(server: Server, given: Inputs) -> SyncJobInCluster:
    """The SyncJob as a worker's client sees it."""
    client = httpx.Client(transport=httpx.MockTransport(server), base_url="https://cluster")
    return SyncJobInCluster(client, given, sleep=lambda _seconds: None)
