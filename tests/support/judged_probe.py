"""What the scenarios of analyses share: a probe whose new versions are measured, and what status says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.canaries import REPLICAS, current
from support.cluster import Cluster, Object
from support.faults import pods
from support.probe_service import Probe, probing

ERRORS = {"name": "errors", "compare": "errorRate"}
SLOW = {"name": "slow", "compare": "latency"}
QUICK = {"intervalSeconds": 5, "initialDelaySeconds": 8, "windowSeconds": 60, "minSamples": 50, "count": 3}
ASK = """
import os, sys, urllib.request as request
with request.urlopen(os.environ["LOOMA_URL"] + sys.argv[1], timeout=10) as answer:
    of, version = answer.headers["X-Looma-Revision"], answer.headers["X-Probe-Version"]
if of != os.environ["LOOMA_REVISION"]:
    sys.exit(f"it is answered by {of}")
if version == "wrong":
    sys.exit(f"version {version} answers wrongly")
"""


def analysed(*metrics: Object, **more: Any) -> Object:
    """A rollout whose canary has half of the requests while it is measured, and takes over if it is well."""
    analysis = {"metrics": list(metrics), **QUICK, **more}
    return {
        "strategy": "Canary",
        "steps": [{"setWeight": 50}, {"analysis": analysis}],
        "progressDeadlineSeconds": 120,
    }


@pytest.fixture
def judged(cluster: Cluster) -> Iterator[Probe]:
    """A probe at r1 whose new versions are measured against it."""
    with probing(cluster, "judged") as probe:
        probe.apply(replicas=REPLICAS, rollout=analysed(ERRORS, SLOW))
        probe.wait(stable="r1", sentence="the first version serves")
        probe.wait_routed()
        yield probe


def found(service: Object) -> dict[str, Object]:
    """What was found of the latest revision, by metric."""
    target = service["status"]["targetRevision"]
    return {one["metric"]: one for one in service["status"].get("analysis", []) if one["revision"] == target}


def given_up(service: Object) -> bool:
    """An analysis gave the rollout of the spec as it is now up."""
    status = service.get("status", {})
    degraded = {item["type"]: item for item in status.get("conditions", [])}.get("Degraded", {})
    return current(service) and degraded.get("reason") == "AnalysisFailed"


def make_ill(cluster: Cluster, probe: Probe, revision: str, **told: Any) -> None:
    """From now on all pods of that revision answer as they are `told`."""
    for pod in pods(cluster, probe.name):
        if f"-{revision}-" in pod:
            probe.tell(pod, **told)


def ask_by_job(probe: Probe) -> Object:
    """A metric for which a Job asks the new revision's own Service, and fails where its version is "wrong"."""
    image = probe.manifest()["spec"]["image"]
    container = {"name": "ask", "image": image, "command": ["python3", "-c", ASK, probe.path]}
    return {"name": "asked", "job": {"podSpec": {"containers": [container]}, "activeDeadlineSeconds": 90}}
