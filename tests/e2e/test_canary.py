"""Canaries on a real cluster: what a client counts is what status says, and giving up costs nobody a request.

Every scenario has requests going on, by a client that knows nothing of the operator and counts `X-Looma-Revision`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from support.asking import times
from support.canaries import CANARY, REPLICAS, gone, to_the_pause, waits_at
from support.cluster import Cluster
from support.faults import more
from support.probe_service import Probe, probing
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.road]
COUNTED = 400


@pytest.fixture
def stepping(cluster: Cluster) -> Iterator[Probe]:
    """A probe at r1 whose new versions come in steps."""
    with probing(cluster, "stepping") as probe:
        probe.apply(replicas=REPLICAS, rollout=CANARY)
        probe.wait(stable="r1", sentence="the first version serves")
        probe.wait_routed()
        yield probe


@pytest.mark.long
def test_given_a_canary_when_it_goes_its_steps_and_is_promoted_then_its_share_is_counted_and_no_request_fails(
    cluster: Cluster, stepping: Probe, record_property: Callable[[str, object], None]
):
    with cluster.api() as api, Traffic(api, stepping.path) as traffic:
        traffic.wait_for_revision("r1")
        found = to_the_pause(cluster, stepping)
        assert found["status"]["phase"] == "Progressing"
        assert found["status"]["stableRevision"] == "r1"
        seen = Counter(one.revision for one in times(f"{cluster.address}{stepping.path}", COUNTED))
        record_property("counted", dict(seen))
        assert set(seen) == {"r1", "r2"}, seen
        assert abs(seen["r2"] - COUNTED / 2) <= COUNTED / 50, seen

        cluster.kubectl_looma("promote", stepping.name, "--reason", "no errors")
        stepping.wait(stable="r2", sentence="the second version serves")
        traffic.mark("stable")
        more(traffic, 100)
        gone(cluster, stepping, "r1")
        more(traffic, 100)
    assert traffic.failures() == []
    assert set(traffic.revisions("stable")) == {"r2"}
    (done,) = cluster.get("aiservice", stepping.name)["status"]["requests"]
    assert (done["action"], done["result"], done["reason"]) == ("promote", "Done", "no errors")


def test_given_a_canary_halfway_when_it_is_aborted_then_tried_again_then_promoted_no_request_fails(
    cluster: Cluster, stepping: Probe, record_property: Callable[[str, object], None]
):
    with cluster.api() as api, Traffic(api, stepping.path) as traffic:
        to_the_pause(cluster, stepping)
        cluster.kubectl_looma("abort", stepping.name, "--reason", "slower")
        traffic.mark("accepted")
        found = cluster.watch(
            "aiservice",
            stepping.name,
            lambda service: (
                service["status"].get("phase") == "Degraded"
                and (service["status"].get("canary") or {"weight": {"achieved": 0}})["weight"].get("achieved")
                == 0
            ),
            sentence="nothing goes to the canary any more",
        )
        traffic.mark("off")
        more(traffic, 100)
        last = max((one.at for one in traffic.between("accepted") if one.revision == "r2"), default=None)
        if last is not None:
            record_property("last_answer_after_ms", round((last - traffic.marks["accepted"]) * 1000))
        assert set(traffic.revisions("off")) == {"r1"}
        degraded = {item["type"]: item for item in found["status"]["conditions"]}["Degraded"]
        assert (degraded["status"], degraded["reason"]) == ("True", "Aborted")
        gone(cluster, stepping, "r2")

        cluster.kubectl_looma("retry", stepping.name, "--reason", "it was the database")
        cluster.watch("aiservice", stepping.name, waits_at(3), sentence="it is halfway again", seconds=120)
        cluster.kubectl_looma("promote", stepping.name, "--full")
        stepping.wait(stable="r2", sentence="the second version serves")
    assert traffic.failures() == []


@pytest.mark.long
def test_given_a_canary_halfway_when_the_first_version_is_applied_again_then_it_is_as_before(
    cluster: Cluster, stepping: Probe
):
    with cluster.api() as api, Traffic(api, stepping.path) as traffic:
        to_the_pause(cluster, stepping)
        stepping.apply(replicas=REPLICAS, rollout=CANARY)
        stepping.wait(stable="r1", sentence="the first version serves alone")
        gone(cluster, stepping, "r2")
        traffic.mark("back")
        more(traffic, 100)
    assert traffic.failures() == []
    assert set(traffic.revisions("back")) == {"r1"}


@pytest.mark.long
def test_given_a_canary_halfway_when_a_newer_version_is_applied_then_that_one_goes_the_steps(
    cluster: Cluster, stepping: Probe
):
    with cluster.api() as api, Traffic(api, stepping.path) as traffic:
        to_the_pause(cluster, stepping)
        found = to_the_pause(cluster, stepping, version="3")
        assert found["status"]["canary"]["revision"] == "r3"
        traffic.mark("third")
        more(traffic, 200)
    assert traffic.failures() == []
    assert set(traffic.revisions("third")) == {"r1", "r3"}


@pytest.mark.long
def test_given_a_canary_that_never_starts_when_its_deadline_passes_then_nobody_noticed(
    cluster: Cluster, stepping: Probe
):
    with cluster.api() as api, Traffic(api, stepping.path) as traffic:
        soon = CANARY | {"progressDeadlineSeconds": 10}
        stepping.apply(replicas=REPLICAS, rollout=soon, version="2", image="localhost/looma-no-such-image:1")
        stepping.wait_phase("Degraded", sentence="the canary is given up")
        gone(cluster, stepping, "r2")
        stepping.apply(replicas=REPLICAS, rollout=CANARY)
        stepping.wait(stable="r1", sentence="the first version is all there is")
    assert traffic.failures() == []
    assert {one.revision for one in traffic.answers} == {"r1"}


@pytest.mark.long
def test_given_a_canary_took_over_when_it_is_rolled_back_then_steps_are_left_out(
    cluster: Cluster, stepping: Probe
):
    with cluster.api() as api, Traffic(api, stepping.path) as traffic:
        to_the_pause(cluster, stepping)
        cluster.kubectl_looma("promote", stepping.name, "--full")
        stepping.wait(stable="r2", sentence="the second version serves")
        cluster.kubectl_looma("rollback", stepping.name, "--reason", "wrong answers", "--watch")
        back = stepping.wait(stable="r1", sentence="the first version serves again")
        assert back["status"]["lastRollback"]["reason"] == "wrong answers"
    assert traffic.failures() == []


@pytest.mark.long
def test_given_a_rolling_service_under_load_when_it_becomes_a_canary_and_back_then_no_request_fails(
    cluster: Cluster,
):
    with probing(cluster, "changing") as probe, cluster.api() as api, Traffic(api, probe.path) as traffic:
        probe.apply(replicas=REPLICAS, rollout=CANARY)
        cluster.watch(
            "httproute",
            probe.name,
            lambda route: route["spec"]["rules"][0]["backendRefs"][0]["name"] == f"{probe.name}-r1",
            sentence="the route leads to the revision's own Service",
        )
        more(traffic, 200)
        probe.apply(replicas=REPLICAS)
        cluster.watch(
            "httproute",
            probe.name,
            lambda route: route["spec"]["rules"][0]["backendRefs"][0]["name"] == f"{probe.name}-stable",
            sentence="the route leads to the service's Service",
        )
        more(traffic, 200)
    assert traffic.failures() == []
