"""Prometheus on a real cluster: it finds the pods, reaches them, and tells requests apart by revision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from support.asking import times
from support.cluster import Cluster, Object, settled
from support.faults import until
from support.prometheus import PrometheusApi

pytestmark = pytest.mark.cluster
NAME = "measured"
PATH = f"/api/v1/{NAME}"
ASKED = 30
# Those that no test takes away; pods of engine `custom` are the tests' own and have no metrics.
OWN = {"looma-operator", "looma-console", "gateway", "resume", "talent-sync"}


@pytest.fixture(scope="module")
def asked(cluster: Cluster) -> Iterator[PrometheusApi]:
    """The release's Prometheus."""
    with cluster.forward("service/looma-prometheus", 9090) as address:
        yield PrometheusApi(address)


@pytest.fixture
def measured(cluster: Cluster) -> Iterator[Object]:
    """A service of a real engine at a path of its own, on which the engine answers 404: requests all the same."""
    manifest: dict[str, Any] = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "AIService",
        "metadata": {"name": NAME},
        "spec": {
            "engine": "talent-sync",
            "image": cluster.get("aiservice", "talent-sync")["spec"]["image"],
            "replicas": 1,
            "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            "route": {"pathPrefixes": [PATH], "auth": {"required": False}},
        },
    }
    yield manifest
    cluster.kubectl("delete", "aiservice", NAME, "--ignore-not-found", "--wait=false")


def service_of(pod: Object) -> str:
    """What a pod is of: an AIService's name, or a component of the release."""
    labels = pod["metadata"]["labels"]
    of = "instance" if "looma.dev/revision" in labels else "name"
    return str(labels[f"app.kubernetes.io/{of}"])


def serves(cluster: Cluster, revision: str, seen: Counter[str]) -> None:
    """Wait until requests are that revision's; those that were asked for it are added to `seen`."""

    def holds(service: Object) -> bool:
        return settled(service) and service["status"].get("stableRevision") == revision

    def answers() -> bool:
        (one,) = times(f"{cluster.address}{PATH}", 1)
        seen[one.revision] += 1
        return one.revision == revision

    cluster.watch("aiservice", NAME, holds, sentence=f"{revision} serves", seconds=180)
    until(answers, f"{revision} answers")
    seen.update(one.revision for one in times(f"{cluster.address}{PATH}", ASKED))


def requests(asked: PrometheusApi, revision: str) -> float:
    """How many requests Prometheus knows of, from pods that have gone since as well."""
    series = f'looma_http_request_seconds_count{{service="{NAME}",revision="{revision}",route="unmatched"}}'
    return sum(value for _, value in asked.query(f"last_over_time({series}[10m])"))


def test_given_looma_when_it_is_up_then_prometheus_reaches_every_pod_of_it(
    cluster: Cluster, asked: PrometheusApi
):
    def pods() -> set[str]:
        return {
            pod["metadata"]["name"]
            for pod in cluster.list("pods", "app.kubernetes.io/part-of=looma")
            if pod["status"].get("phase") == "Running" and service_of(pod) in OWN
        }

    def reached() -> set[str]:
        targets = [one for one in asked.targets() if one["labels"]["service"] in OWN]
        down = {one["labels"]["pod"] for one in targets if one["health"] != "up"}
        return {one["labels"]["pod"] for one in targets} - down

    asked.until(lambda: reached() == pods(), "all pods are scraped, and all of them answer", seconds=120)
    jobs = {one["labels"]["job"] for one in asked.targets()}
    assert jobs == {"engines", "gateways", "haproxy", "looma"}


@pytest.mark.long
def test_given_two_revisions_when_each_is_asked_then_prometheus_tells_their_requests_apart(
    cluster: Cluster, asked: PrometheusApi, measured: Object
):
    seen: Counter[str] = Counter()
    cluster.apply(measured)
    serves(cluster, "r1", seen)
    asked.until(lambda: requests(asked, "r1") == seen["r1"], "the first revision's requests are known")
    first = seen["r1"]
    measured["spec"]["podTemplate"] = {"metadata": {"annotations": {"example.org/version": "2"}}}
    cluster.apply(measured)
    serves(cluster, "r2", seen)
    asked.until(lambda: requests(asked, "r2") == seen["r2"] >= ASKED, "the second revision's are known")
    assert first <= requests(asked, "r1") <= seen["r1"]
