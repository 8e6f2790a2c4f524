"""Abort of a canary that has half of the requests: from the request for it to the last request that the canary got.

An independent client asks all the time, over connections that it keeps, and notes for each request when it was sent and
which revision answered. Counted is from the moment at which the request to abort was sent to the API server, a little
before the server took it, to the start of the last request that the canary answered. Beside each abort, on the same
machine at the same time: one command to the gateway's HAProxy, and the delivery of one change by a watch.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from bench.report import Row
from looma_engines.gateway.haproxy import shares
from looma_engines.gateway.haproxy.changes import RUN_FOLDER, Command
from looma_engines.gateway.haproxy.runtime import Runtime
from support.asking import Asked, at_rate
from support.cluster import Cluster, Object
from support.faults import process_of
from support.gateways import gateway_pods
from support.kubernetes_api import kubernetes_api
from support.probe_service import Probe

NAME = "aborted"
PER_SECOND = 300
ABORTS = 200
LEAD_SECONDS = 1.5
"""Until all of the client's connections are there and in use."""
ROLLOUT = {"strategy": "Canary", "steps": [{"setWeight": 50}, {"pause": {}}]}
MERGE = {"Content-Type": "application/merge-patch+json"}


def halfway(service: Object) -> bool:
    """The canary waits with half of the requests."""
    canary = service.get("status", {}).get("canary") or {}
    weight = canary.get("weight", {})
    return bool(canary.get("step") == 1 and weight.get("achieved") == weight.get("requested") == 50)


def off(service: Object) -> bool:
    """The canary was given up and has no pods any more."""
    status = service.get("status", {})
    return status.get("phase") == "Degraded" and "canary" not in status


class Server:
    """The API server, asked for one service."""

    def __init__(self, cluster: Cluster, client: httpx.Client, name: str = NAME) -> None:
        self._client = client
        self._name = name
        self._path = f"/apis/looma.dev/v1alpha1/namespaces/{cluster.namespace}/aiservices"

    def annotate(self, **annotations: str) -> float:
        """Write annotations; answers the moment (monotonic seconds) at which that was sent."""
        named = {f"looma.dev/{key}": value for key, value in annotations.items()}
        return self._patch({"metadata": {"annotations": named}})[0]

    def change(self, spec: Object) -> tuple[float, int]:
        """Lay that over the spec; answers when that was sent, and the generation it made."""
        sent, service = self._patch({"spec": spec})
        return sent, service["metadata"]["generation"]

    def _patch(self, body: Object) -> tuple[float, Object]:
        sent = time.monotonic()
        answer = self._client.patch(
            f"{self._path}/{self._name}", content=json.dumps(body), headers=MERGE
        ).raise_for_status()
        return sent, answer.json()

    def ask(self, action: str, turn: int) -> float:
        """Ask for an action as a person does; answers when."""
        return self.annotate(request=json.dumps({"id": f"{action}-{turn}", "action": action}))

    def delivery(self, mark: str) -> float:
        """Seconds from sending a change to its arrival by a watch that was there before."""
        arrived: list[float] = []
        open_ = threading.Event()

        def watch() -> None:
            parameters: dict[str, Any] = {
                "watch": "1",
                "fieldSelector": f"metadata.name={self._name}",
                "timeoutSeconds": "10",
            }
            with self._client.stream("GET", self._path, params=parameters) as answer:
                for line in answer.iter_lines():
                    found = json.loads(line)["object"]["metadata"].get("annotations", {})
                    open_.set()
                    if found.get("looma.dev/bench") == mark:
                        arrived.append(time.monotonic())
                        return

        with ThreadPoolExecutor(max_workers=1) as pool:
            done = pool.submit(watch)
            open_.wait(10)
            sent = self.annotate(bench=mark)
            done.result(timeout=20)
        return arrived[0] - sent


def command_seconds(runtime: Runtime) -> float:
    """What one command that moves a weight takes, said to the gateway's HAProxy by its socket; it changes nothing."""

    async def one() -> float:
        path = f"{RUN_FOLDER}/{shares.MAP}"
        entry, value = next(iter((await runtime.map(path)).items()))
        began = time.monotonic()
        await runtime.run([Command(f"set map {path} {entry} {value}")])
        return time.monotonic() - began

    return asyncio.run(one())


def once(cluster: Cluster, server: Server, runtime: Runtime, turn: int) -> tuple[float, float, float, int]:
    """One abort: seconds to the last request at the canary, of the bare command, of the watch, and failed requests."""
    cluster.watch("aiservice", NAME, halfway, sentence="half of the requests are the canary's", seconds=120)
    bare, delivered = command_seconds(runtime), server.delivery(str(turn))
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(
            at_rate,
            f"{cluster.address}/api/v1/{NAME}",
            per_second=PER_SECOND,
            seconds=20,
            threads=8,
            kept=True,
            stop=stop,
        )
        time.sleep(LEAD_SECONDS)
        asked_at = server.ask("abort", turn)
        time.sleep(1.0)
        stop.set()
        asked: list[Asked] = list(future.result())
    before = sum(one.revision == "r2" for one in asked if one.sent < asked_at)
    if not before:
        raise AssertionError(f"turn {turn}: the canary got nothing before it was given up")
    last = max((one.sent for one in asked if one.revision == "r2"), default=asked_at)
    failed = sum(one.status != 200 for one in asked)
    cluster.watch("aiservice", NAME, off, sentence="the canary has no pods", seconds=60)
    server.ask("retry", turn)
    return max(0.0, last - asked_at), bare, delivered, failed


def p99(values: list[float]) -> float:
    """The value that 99 of 100 do not exceed."""
    return sorted(values)[max(0, -(-len(values) * 99 // 100) - 1)]


def run(cluster: Cluster, *, aborts: int = ABORTS) -> list[Row]:
    """Rows for a built-in instance."""
    probe = Probe(cluster, NAME)
    taken: list[tuple[float, float, float, int]] = []
    process = process_of(gateway_pods(cluster)[0], command="haproxy")
    runtime = Runtime(Path(f"/proc/{process}/root{RUN_FOLDER}"))
    try:
        probe.apply(replicas=2, rollout=ROLLOUT)
        probe.wait(stable="r1", sentence="the probe serves")
        probe.wait_routed()
        probe.apply(replicas=2, rollout=ROLLOUT, version="2")
        with kubernetes_api(cluster) as client:
            server = Server(cluster, client)
            taken = [once(cluster, server, runtime, turn) for turn in range(aborts)]
    finally:
        cluster.kubectl("delete", "aiservice", NAME, "--ignore-not-found", "--wait=false")
    ours = [one[0] * 1000 for one in taken]
    bare = [(one[1] + one[2]) * 1000 for one in taken]
    return [
        Row(
            what=f"abort of a canary with half of the requests, p99 of {len(taken)}",
            value=p99(ours),
            unit="ms",
            baseline=p99(bare),
            baseline_name="one HAProxy command and one watch delivery, p99 of their sums",
            limit="≤ 250 ms and ≤ 3 ×",
            note=f"median {statistics.median(ours):.0f} ms beside {statistics.median(bare):.0f} ms; "
            f"most {max(ours):.0f} ms; {PER_SECOND} requests/s",
        ),
        Row(
            what="requests failed during those aborts",
            value=sum(one[3] for one in taken),
            unit="failed",
            limit="0",
            note="all that were asked, 2.5 s around each abort",
        ),
    ]
