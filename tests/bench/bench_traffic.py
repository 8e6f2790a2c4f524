"""What the gateway promises of traffic: shares, limits, an engine's pod that dies, and changes of configuration.

A custom service of a few lines (support.probe_service) answers; requests enter at the instance's loopback address,
bounded in number and time. Each row has the limit that was promised as its baseline, or a plain HAProxy of the same
image that is asked for the same.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from threading import Event

from bench.bench_gateway import address_of, remove_static, static_pod
from bench.bench_http import in_node
from bench.report import Row
from support import asking
from support.asking import Asked, at_rate, times
from support.cluster import Cluster
from support.faults import pods, process_of
from support.gateways import route_split, scale_gateway
from support.probe_service import Probe

NAME = "moved"
PATH = f"/api/v1/{NAME}"
SHARED = "/api/v1/moved-share"
PER_SECOND = 50
OVER = 4.0
"""How many times the limit is asked for."""
COUNTED_SECONDS = 60
LEAD_SECONDS = 40
"""Before that: two windows of a limit's average. What the first burst let through too much, as pods had not heard of
one another, is taken back within them; counted without that burst, the limit would seem to give too little."""
MINUTES = 3
SILENT_SECONDS = 0.25
"""A quarter of what a burst may save up; at 200 a second an answer comes each 5 ms."""
CHANGES = 100
EVERY_SECONDS = 0.25
"""Between two reloads of the plain HAProxy."""


def limit_row(cluster: Cluster, probe: Probe, gateways: int) -> Row:
    """What a limit lets through in a minute while four times as much is asked for.

    While nobody asks, nothing passes, and what a second left over the next may not have: a minute in which the client
    itself stood still says nothing of the limit, and another is taken, up to MINUTES of them.
    """
    limit = {"requestsPerSecond": PER_SECOND, "burst": PER_SECOND, "per": "service"}
    apply_route(probe, rateLimit=limit)
    url = f"{cluster.address}{PATH}"
    taken = 0
    while True:
        taken += 1
        seconds = LEAD_SECONDS + COUNTED_SECONDS + 1
        asked = at_rate(url, per_second=PER_SECOND * OVER, seconds=seconds, threads=16)
        start = min(one.sent for one in asked) + LEAD_SECONDS
        counted = [one for one in asked if start <= one.answered < start + COUNTED_SECONDS]
        moments = sorted(one.answered for one in counted)
        silence = max(later - earlier for earlier, later in pairwise(moments))
        if silence < SILENT_SECONDS or taken == MINUTES:
            break
    passed = sum(one.status == 200 for one in counted)
    before = sum(one.status == 200 and one.answered < start for one in asked)
    others = sum(one.status not in (200, 429) for one in counted)
    promised = PER_SECOND * COUNTED_SECONDS
    return Row(
        what=f"limit of {PER_SECOND}/s: let through in {COUNTED_SECONDS} s, {gateways} gateway pod(s)",
        value=passed,
        unit="requests",
        baseline=promised,
        baseline_name="the limit",
        limit="within 0.5 %",
        note=f"{len(counted)} asked, {abs(passed - promised) / promised:.2%} off, {others} neither 200 nor 429; "
        f"connections of their own; in the {LEAD_SECONDS} s before {before} passed of {PER_SECOND * LEAD_SECONDS}; "
        f"minute {taken} of at most {MINUTES}, the longest time without an answer {silence:.2f} s",
    )


def share_rows(cluster: Cluster, probe: Probe, other: Probe) -> list[Row]:
    """The second service's part of ten thousand requests."""
    rows = []
    count = 10_000
    for percent in (10, 50):
        shares = {probe.name: 100 - percent, other.name: percent}
        route_split(cluster, "moved-share", path=SHARED, shares=shares)
        # Accepted by one of two pods; the other has it within its next look.
        time.sleep(2)
        asked = times(f"{cluster.address}{SHARED}", count)
        part = sum(one.version == "other" for one in asked)
        failed = sum(one.status != 200 for one in asked)
        rows.append(
            Row(
                what=f"a share of {percent} %, two gateway pods",
                value=part,
                unit="requests",
                baseline=count * percent / 100,
                baseline_name=f"{percent} % of {count}",
                limit="within 1 % of all",
                note=f"{abs(part - count * percent / 100) / count:.2%} of all off, {failed} failed",
            )
        )
    return rows


def apply_route(probe: Probe, **route: object) -> None:
    """Give the probe a route, and wait until the gateway has it as it is now."""
    probe.apply(route={"pathPrefixes": [PATH], "auth": {"required": False}, **route})
    probe.wait_routed()
    # One of two pods said so; the other has it within its next look.
    time.sleep(2)


@contextmanager
def load(url: str, *, per_second: float = 100) -> Iterator[Future[list[Asked]]]:
    """Requests while the block runs; the future has them after it."""
    stop = Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        future: Future[list[Asked]] = pool.submit(
            lambda: list(at_rate(url, per_second=per_second, seconds=200, threads=8, kept=True, stop=stop))
        )
        try:
            time.sleep(2)
            yield future
            time.sleep(2)
        finally:
            stop.set()


def death_rows(cluster: Cluster, probe: Probe) -> list[Row]:
    """One of two pods hangs (SIGSTOP), then one is killed (SIGKILL), while idempotent requests come."""
    apply_route(probe)
    url = f"{cluster.address}{PATH}"
    victim = process_of(pods(cluster, probe.name)[0], command="python3")
    with load(url) as hung:
        stopped = time.monotonic()
        os.kill(victim, signal.SIGSTOP)
        try:
            time.sleep(6)
        finally:
            os.kill(victim, signal.SIGCONT)
    # What was sent to the pod that hangs is answered when it wakes, so that the last of them is known by its length.
    slow = [one for one in hung.result() if one.answered - one.sent > 1.5]
    last = max((one.sent - stopped for one in slow), default=0.0)
    with load(url) as killed:
        os.kill(process_of(pods(cluster, probe.name)[1], command="python3"), signal.SIGKILL)
        time.sleep(10)
    failed = sum(one.status != 200 for one in [*hung.result(), *killed.result()])
    return [
        Row(
            what="a pod of two hangs: the last request that is still sent to it",
            value=last,
            unit="s",
            baseline=2,
            baseline_name="the limit",
            limit="≤ 2 s",
            note=f"after SIGSTOP; {len(slow)} of {len(hung.result())} requests waited for it",
        ),
        Row(
            what="requests failed while a pod hung and one was killed",
            value=failed,
            unit="failed",
            limit="0",
            note=f"of {len(hung.result()) + len(killed.result())}, GET, 100/s",
        ),
    ]


def change_rows(cluster: Cluster, probe: Probe) -> list[Row]:
    """A hundred changes of a route, and as many reloads of a plain HAProxy, under the same load."""
    apply_route(probe)
    with load(f"{cluster.address}{PATH}") as ours:
        for turn in range(CHANGES):
            patch = {"spec": {"route": {"timeoutSeconds": 30 + turn, "retries": turn % 3}}}
            cluster.kubectl("patch", "ais", probe.name, "--type", "merge", "-p", json.dumps(patch))
        apply_route(probe, timeoutSeconds=29)
    failed = sum(one.status != 200 for one in ours.result())
    gateway = cluster.list("pods", "app.kubernetes.io/instance=gateway")[0]
    engine = address_of(cluster.list("pods", f"app.kubernetes.io/instance={probe.name}")[0])
    try:
        static = static_pod(cluster, gateway, engine, token=False)
        master = process_of("bench-static", command="haproxy")
        seconds = CHANGES * EVERY_SECONDS + 4
        command = [sys.executable, asking.__file__, f"http://{static}:8080{PATH}", "100", str(seconds)]
        with subprocess.Popen([*in_node(cluster), *command], stdout=subprocess.PIPE, text=True) as client:
            time.sleep(2)
            for _ in range(CHANGES):
                os.kill(master, signal.SIGUSR2)
                time.sleep(EVERY_SECONDS)
            plain = json.loads(client.communicate(timeout=60)[0])
    finally:
        remove_static(cluster)
    return [
        Row(
            what=f"{CHANGES} changes of a route under load: requests failed",
            value=failed,
            unit="failed",
            baseline=plain["failed"],
            baseline_name=f"of {plain['asked']}, while a plain HAProxy is reloaded {CHANGES} times",
            limit="0",
            note=f"of {len(ours.result())}, 100/s over connections that are kept",
        )
    ]


def run(cluster: Cluster) -> list[Row]:
    """Rows for a built-in instance."""
    probe, other = Probe(cluster, NAME), Probe(cluster, "other")
    rows: list[Row] = []
    try:
        probe.apply(replicas=2)
        other.apply(version="other", replicas=1, route={"pathPrefixes": []})
        probe.wait(stable="r1", sentence="the probe serves")
        other.wait(stable="r1", sentence="the other probe serves")
        probe.wait_routed()
        rows += death_rows(cluster, probe)
        rows += change_rows(cluster, probe)
        rows.append(limit_row(cluster, probe, 1))
        scale_gateway(cluster, 2)
        rows.append(limit_row(cluster, probe, 2))
        rows += share_rows(cluster, probe, other)
    finally:
        cluster.kubectl("delete", "httproute", "moved-share", "--ignore-not-found", "--wait=false")
        for service in (NAME, "other"):
            cluster.kubectl("delete", "aiservice", service, "--ignore-not-found", "--wait=false")
        scale_gateway(cluster, 1)
    return rows
