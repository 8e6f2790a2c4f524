"""The SyncJob in the Kubernetes API, with a worker's rights: read it, and write its own entry of `status.shards`.

A report is a server-side apply of just that entry, on the resource version that was read together with the epoch. So a
worker whose epoch is over writes nothing, even if it slept between the question and the write.
"""

from __future__ import annotations

import os
import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from looma_core.api.syncjob import GROUP, PLURAL, VERSION, ShardReport, field_manager

from .inputs import Inputs

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REQUEST_SECONDS = 10.0
PATIENCE_SECONDS = 60.0  # An API server that restarts is back by then; a pod that is tried again costs more.
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
FORGIVEN = (401, 408, 429, 500, 502, 503, 504)
"""Answers after which the same question may be answered: an API server that is busy or begins, a token that changes."""


class FencedError(Exception):
    """A newer epoch runs, or the SyncJob is gone: this worker must write nothing any more."""


class ClusterError(Exception):
    """The API server refused, or did not answer for `PATIENCE_SECONDS`."""


def connect() -> httpx.Client:
    """A client for the API server, as a pod's service account.

    Raises:
        ClusterError: if this process is in no pod.
    """
    host, port = (
        os.environ.get("KUBERNETES_SERVICE_HOST", ""),
        os.environ.get("KUBERNETES_SERVICE_PORT", "443"),
    )
    if not host or not (ACCOUNT / "token").exists():
        raise ClusterError(
            "a sync worker runs in a pod that the operator made: there is no service account here"
        )
    address = f"[{host}]" if ":" in host else host

    def sign(request: httpx.Request) -> None:
        # The kubelet renews the token in its file.
        request.headers["Authorization"] = f"Bearer {(ACCOUNT / 'token').read_text().strip()}"

    return httpx.Client(
        base_url=f"https://{address}:{port}",
        verify=ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt")),
        timeout=REQUEST_SECONDS,
        event_hooks={"request": [sign]},
        trust_env=False,
    )


class SyncJobInCluster:
    """One shard's view of its SyncJob."""

    def __init__(
        self, client: httpx.Client, inputs: Inputs, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Ask nothing yet."""
        self._client = client
        self._inputs = inputs
        self._sleep = sleep
        base = f"/apis/{GROUP}/{VERSION}/namespaces/{inputs.namespace}/{PLURAL}/{inputs.job}"
        self._path, self._status_path = base, f"{base}/status"

    def check(self) -> dict[str, Any]:
        """The SyncJob as it is now, if this worker's epoch is the current one.

        Raises:
            FencedError: if it is not, or the SyncJob is gone.
            ClusterError: if the API server does not say.
        """
        answer = self._ask("GET", self._path)
        if answer.status_code == 404:
            raise FencedError(f"SyncJob {self._inputs.job} is gone")
        self._must(answer)
        found: dict[str, Any] = answer.json()
        if self._inputs.uid and found["metadata"]["uid"] != self._inputs.uid:
            raise FencedError(f"SyncJob {self._inputs.job} is another one of the same name")
        current = int((found.get("status") or {}).get("epoch") or 0)
        if current != self._inputs.epoch:
            raise FencedError(f"epoch {current} runs, this worker is of epoch {self._inputs.epoch}")
        return found

    def earlier(self) -> ShardReport | None:
        """What an earlier pod of this shard reported in this epoch.

        Raises:
            FencedError, ClusterError: as `check`.
        """
        return self._told(self.check())

    def _told(self, found: dict[str, Any]) -> ShardReport | None:
        """The shard's entry of this epoch in a SyncJob."""
        for raw in (found.get("status") or {}).get("shards") or []:
            report = msgspec.convert(raw, ShardReport, strict=False)
            if (report.shard, report.epoch) == (self._inputs.shard, self._inputs.epoch):
                return report
        return None

    def report(self, report: ShardReport) -> None:
        """Write the shard's entry, as long as the epoch is the current one and no pod has said that the shard is done.

        Raises:
            FencedError, ClusterError: as `check`.
        """
        manager = field_manager(self._inputs.shard)
        entry = {key: value for key, value in msgspec.to_builtins(report).items() if value is not None}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = self.check()
            told = self._told(found)
            if told is not None and told.state == "Succeeded" and report.state == "Running":
                # Another pod of the shard has done all of it: what this one still says is of before.
                return
            body = {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "SyncJob",
                "metadata": {
                    "name": self._inputs.job,
                    "namespace": self._inputs.namespace,
                    "resourceVersion": found["metadata"]["resourceVersion"],
                },
                "status": {"shards": [entry]},
            }
            answer = self._ask(
                "PATCH", self._status_path, params={"fieldManager": manager, "force": "true"}, body=body
            )
            if answer.status_code != 409 or time.monotonic() > deadline:
                break
            # Operator and other shards write there too: read anew, which asks for the epoch again.
            self._sleep(random.uniform(0.01, 0.2))  # noqa: S311 - jitter, no secret
        self._must(answer)

    def _must(self, answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            raise ClusterError(f"the API server answered {answer.status_code}: {_sentence(answer)}")

    def _ask(
        self, method: str, path: str, *, params: dict[str, str] | None = None, body: object = None
    ) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = self._client.request(
                    method,
                    path,
                    params=params,
                    content=None if body is None else msgspec.json.encode(body),
                    headers={"Content-Type": "application/apply-patch+yaml"} if body is not None else {},
                )
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise ClusterError(f"the API server does not answer: {error}") from error
            else:
                if answer.status_code not in FORGIVEN or time.monotonic() > deadline:
                    return answer
            self._sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)


def _sentence(answer: httpx.Response) -> str:
    """The API server's own sentence, or the answer's beginning.

    `looma_core.kube` has the same, beside a client that the engines' image does not hold.
    """
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
