"""Rollbacks: the earlier spec is applied again, and a client says when the last answer of the bad version came.

Two ways, each many times with requests all the time: while the earlier revision's pods are there (BlueGreen keeps them
for `scaleDownDelaySeconds`), and from no pods at all (Rolling). Counted is from the moment the spec was sent to the
start of the last request that the revision gone back from answered, and how many requests failed meanwhile. Beside
each, on the same machine at the same time, the delivery of one change by a watch: the least that any operator can take.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.bench_aborts import Server, p99
from bench.report import Row
from support.asking import at_rate
from support.cluster import Cluster, Object
from support.kubernetes_api import kubernetes_api
from support.probe_service import Probe, probing

ROLLBACKS = 200
PER_SECOND = 100
MOST_SECONDS = 120
LEAD_SECONDS = 0.7
TAIL_SECONDS = 0.5
WARM: Object = {"strategy": "BlueGreen", "autoPromote": True, "scaleDownDelaySeconds": 600}
COLD: Object = {"strategy": "Rolling"}


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Seconds to the last answer of the other version, of a watch beside it, requests, and how many of them failed."""

    seconds: float
    delivered: float
    asked: int
    failed: int


def once(cluster: Cluster, server: Server, probe: Probe, rollout: Object, version: str) -> Rollback:
    """Apply the spec of `version`, which served before, again."""
    delivered = server.delivery(f"{version}-{time.monotonic_ns()}")
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        client = pool.submit(
            at_rate,
            f"{cluster.address}{probe.path}",
            per_second=PER_SECOND,
            seconds=MOST_SECONDS,
            kept=True,
            stop=stop,
        )
        try:
            time.sleep(LEAD_SECONDS)
            sent, generation = server.change(probe.manifest(version=version, rollout=rollout)["spec"])

            def serves(service: Object) -> bool:
                status = service.get("status", {})
                return (
                    status.get("observedGeneration") == generation
                    and status.get("phase") == "Ready"
                    and status.get("stableRevision") == status.get("targetRevision")
                )

            cluster.watch(
                "aiservice", probe.name, serves, sentence=f"{version} serves again", seconds=MOST_SECONDS - 10
            )
            time.sleep(TAIL_SECONDS)
        finally:
            stop.set()
        asked = client.result()
    others = [one.sent for one in asked if one.version and one.version != version]
    if asked[-1].version != version:
        raise AssertionError(f"version {version} does not serve: the last answer is {asked[-1]}")
    return Rollback(
        seconds=max(0.0, max(others, default=sent) - sent),
        delivered=delivered,
        asked=len(asked),
        failed=sum(one.status != 200 for one in asked),
    )


def _some(cluster: Cluster, name: str, rollout: Object, count: int) -> list[Rollback]:
    with probing(cluster, name) as probe, kubernetes_api(cluster) as client:
        server = Server(cluster, client, name)
        probe.apply(version="1", rollout=rollout)
        probe.wait(stable="r1", sentence="the first version serves")
        probe.apply(version="2", rollout=rollout)
        probe.wait(stable="r2", sentence="the second version serves")
        return [once(cluster, server, probe, rollout, "1" if turn % 2 == 0 else "2") for turn in range(count)]


def _rows(what: str, limit: str, found: Sequence[Rollback]) -> list[Row]:
    seconds = [one.seconds for one in found]
    return [
        Row(
            what=f"rollback {what}: to the last answer of the other version, p99 of {len(found)}",
            value=p99(seconds),
            unit="s",
            baseline=p99([one.delivered for one in found]),
            baseline_name="delivery of one change by a watch, p99",
            limit=limit,
            note=f"median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s; {PER_SECOND} requests/s",
        ),
        Row(
            what=f"requests failed during those, of {sum(one.asked for one in found)}",
            value=sum(one.failed for one in found),
            unit="failed",
            limit="0",
        ),
    ]


def run(cluster: Cluster, *, rollbacks: int = ROLLBACKS) -> list[Row]:
    """Rows for an instance: three quarters of the rollbacks while the pods are there, the others from none."""
    cold = max(1, rollbacks // 4)
    return [
        *_rows(
            "while its pods are there", "≤ 2 s", _some(cluster, "back-warm", WARM, max(1, rollbacks - cold))
        ),
        *_rows("from no pods", "≤ 15 s", _some(cluster, "back-cold", COLD, cold)),
    ]
