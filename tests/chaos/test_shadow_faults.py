"""Another service gets copies of the requests, answers them, and is gone: nobody else notices either.

Every copy is counted, so nobody else may ask the real service meanwhile.
"""

from __future__ import annotations

import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from support.cluster import Cluster, Object

pytestmark = [pytest.mark.cluster, pytest.mark.beside]
REAL, NEXT = "talent-sync", "talent-next"
PATIENCE = 60.0  # For a reload of the gateway, and for copies to be answered.


def shadow(cluster: Cluster, asked: str) -> None:
    cluster.kubectl(
        "patch", "ais", REAL, "--type=merge", f'--patch={{"spec": {{"route": {{"shadow": {asked}}}}}}}'
    )


def outcomes(cluster: Cluster) -> Counter[str]:
    """What became of the copies, over all pods of the real service."""
    seen: Counter[str] = Counter()
    for pod in cluster.list("pods", f"app.kubernetes.io/instance={REAL}"):
        if pod["metadata"].get("deletionTimestamp"):
            continue
        text = cluster.kubectl(
            "get",
            "--raw",
            f"/api/v1/namespaces/{cluster.namespace}/pods/{pod['metadata']['name']}:8080/proxy/metrics",
        )
        pattern = rf'looma_shadow_requests_total{{outcome="(\w+)",service="{REAL}",shadow="{NEXT}"}} ([\d.]+)'
        for outcome, count in re.findall(pattern, text):
            seen[outcome] += int(float(count))
    return seen


def wait_for(cluster: Cluster, count: int) -> Counter[str]:
    """The outcomes, when there are as many."""
    until = time.monotonic() + PATIENCE
    while (seen := outcomes(cluster)).total() < count and time.monotonic() < until:
        time.sleep(0.5)
    assert seen.total() == count, seen
    return seen


@pytest.fixture
def beside(cluster: Cluster) -> Iterator[None]:
    """A second service with the same engine, without a route of its own; afterwards all is as before."""
    real = cluster.get("aiservice", REAL)
    kept = {
        name: real["spec"][name]
        for name in ("engine", "image", "resources", "config")
        if name in real["spec"]
    }
    cluster.apply(
        {
            "apiVersion": "looma.dev/v1alpha1",
            "kind": "AIService",
            "metadata": {"name": NEXT},
            "spec": {**kept, "replicas": 1},
        }
    )

    def serves(found: Object) -> bool:
        return found.get("status", {}).get("phase") == "Ready"

    cluster.watch("aiservice", NEXT, serves, sentence=f"{NEXT} serves", seconds=180)
    yield
    shadow(cluster, "null")
    cluster.kubectl("delete", "aiservice", NEXT, "--ignore-not-found", "--wait=false")


@pytest.mark.usefixtures("beside")
def test_given_a_shadow_when_people_work_then_copies_arrive_and_answers_stay_as_they_are(cluster: Cluster):
    before = cluster.get("aiservice", REAL)["status"]["stableRevision"]
    shadow(
        cluster,
        f'{{"service": "{NEXT}", "percent": 100, "methods": ["GET", "POST", "DELETE"],'
        ' "ignore": ["/id", "/created_at", "/updated_at"]}',
    )
    with cluster.api() as api:
        until = time.monotonic() + PATIENCE
        while not outcomes(cluster) and time.monotonic() < until:
            assert api.get("/api/v1/talents?limit=1").status_code == 200
        seen = outcomes(cluster).total()

        for number in range(20):
            answer = api.get(f"/api/v1/talents?limit={number + 1}")
            assert answer.status_code == 200
            assert answer.headers["X-Looma-Revision"] == before
        told = wait_for(cluster, seen + 20)
        assert set(told) == {"same"}, "both have one database and one image"

        name = f"Shadow {uuid.uuid4().hex}"
        draft = {"full_name": name, "language": "en", "source": {"type": "manual"}}
        created = api.post("/api/v1/talents", json=draft)
        assert created.status_code == 201
        # An id and times of its own, which are ignored, made and taken back.
        assert set(wait_for(cluster, seen + 21)) == {"same"}
        found = api.get("/api/v1/talents", params={"q": name}).json()["items"]
        assert [item["id"] for item in found] == [created.json()["id"]]

        wait_for(cluster, seen + 22)
        cluster.kubectl("scale", "ais", NEXT, "--replicas=0")
        cluster.kubectl(
            "wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/instance={NEXT}", "--timeout=120s"
        )
    # A connection that was idle for so long is about to be closed, and a request may cross with that.
    with cluster.api() as api:
        for _ in range(5):
            assert api.get("/api/v1/talents?limit=1").status_code == 200
        assert wait_for(cluster, seen + 27)["failed"] == 5

        gone = api.delete(
            f"/api/v1/talents/{created.json()['id']}", headers={"If-Match": created.headers["ETag"]}
        )
        assert gone.status_code == 204
    assert cluster.get("aiservice", REAL)["status"]["stableRevision"] == before
