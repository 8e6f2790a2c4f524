"""The service of the people loses its pod while requests that are not to be carried out twice are under way."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.cluster import Cluster, settled
from support.faults import pods

pytestmark = [pytest.mark.cluster, pytest.mark.beside]


def test_given_the_pod_is_killed_when_requests_are_sent_again_with_their_keys_then_each_is_carried_out_once(
    cluster: Cluster,
) -> None:
    word = "".join(secrets.choice("bcdfgmnprst") for _ in range(8))
    (pod, *_) = pods(cluster, "talent-sync")

    def create(number: int) -> httpx.Response:
        headers = {"Idempotency-Key": f"{word}-{number}"}
        until = time.monotonic() + 120
        while True:
            try:
                answer = api.post("/api/v1/talents", json={"full_name": f"{word} {number}"}, headers=headers)
                if answer.is_success or time.monotonic() > until:
                    return answer
            except httpx.TransportError:
                assert time.monotonic() < until
            # As a client waits before it sends again.
            time.sleep(0.2)

    with cluster.api() as api, ThreadPoolExecutor(4) as threads:
        first = list(threads.map(create, range(10)))
        later = [threads.submit(create, number) for number in range(10, 60)]
        cluster.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")
        answers = first + [one.result() for one in later]
        again = list(threads.map(create, range(60)))
        assert [answer.status_code for answer in answers] == [201] * 60
        assert [answer.content for answer in again] == [answer.content for answer in answers]
        assert all(answer.headers["idempotent-replayed"] == "true" for answer in again)

        found = api.get("/api/v1/talents", params={"q": word, "limit": 200}).json()["items"]
        assert sorted(item["id"] for item in found) == sorted(answer.json()["id"] for answer in answers)
        for item in found:
            api.delete(f"/api/v1/talents/{item['id']}", headers={"If-Match": "*"})
    cluster.watch("aiservice", "talent-sync", settled, sentence="the service has its pod back")
