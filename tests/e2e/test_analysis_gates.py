"""When an analysis measures, on a real cluster: in the background, before a promotion, and after it.

Requests go on throughout. All of these are left to `make scenarios`, for their time.
"""

from __future__ import annotations

import pytest

from support.canaries import BLUE_GREEN, REPLICAS, current, gone, waits_at
from support.cluster import Cluster, Object
from support.faults import more
from support.judged_probe import ERRORS, QUICK, ask_by_job, found, given_up, make_ill
from support.probe_service import Probe, uids
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long]

BACKGROUND = {
    "strategy": "Canary",
    "steps": [{"setWeight": 50}, {"pause": {}}],
    "analysis": {"metrics": [ERRORS], **{name: value for name, value in QUICK.items() if name != "count"}},
    "progressDeadlineSeconds": 120,
}


def measured_well(service: Object) -> bool:
    """Each metric was found well at least once."""
    entries = found(service).values() if current(service) else []
    return bool(entries) and all(one.get("successful", 0) > 0 for one in entries)


def test_given_a_canary_that_waits_when_it_becomes_ill_then_the_analysis_in_the_background_gives_it_up(
    cluster: Cluster, judged: Probe
):
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        judged.apply(replicas=REPLICAS, rollout=BACKGROUND, version="2")
        cluster.watch(
            "aiservice", judged.name, waits_at(1, "r2"), sentence="it waits for a person", seconds=90
        )
        cluster.watch("aiservice", judged.name, measured_well, sentence="it was well while it waited")
        assert traffic.failures() == []
        make_ill(cluster, judged, "r2", status=500)
        service = cluster.watch("aiservice", judged.name, given_up, sentence="it is given up", seconds=120)
        gone(cluster, judged, "r2")
        traffic.mark("off")
        more(traffic, 100)
    one = found(service)["errors"]
    assert (one["run"], one["verdict"]) == ("background", "Failed")
    assert service["status"]["stableRevision"] == "r1"
    assert set(traffic.revisions("off")) == {"r1"}
    assert [answer for answer in traffic.between("off") if answer.status != 200] == []


def test_given_blue_green_when_the_analysis_before_its_promotion_fails_then_nobody_was_answered_by_it(
    cluster: Cluster, judged: Probe
):
    gate = {"metrics": [ask_by_job(judged)], "count": 1, "initialDelaySeconds": 0, "consecutiveErrorLimit": 0}
    rollout = BLUE_GREEN | {"autoPromote": True, "prePromotionAnalysis": gate}
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        more(traffic, 20)
        judged.apply(replicas=REPLICAS, rollout=rollout, version="wrong")
        service = cluster.watch("aiservice", judged.name, given_up, sentence="it is given up", seconds=150)
        gone(cluster, judged, "r2")
        more(traffic, 50)
    one = found(service)["asked"]
    assert (one["run"], one["verdict"]) == ("prePromotion", "Failed")
    assert "version wrong answers wrongly" in service["status"]["rollout"]["analysisFailure"]
    assert service["status"]["stableRevision"] == "r1"
    assert {answer.revision for answer in traffic.answers} == {"r1"}
    assert traffic.failures() == []


def test_given_blue_green_when_the_analysis_after_its_promotion_fails_then_the_pods_before_serve_all_at_once(
    cluster: Cluster, judged: Probe
):
    errors = {"name": "errors", "builtIn": "errorRate", "max": 5}
    gate = {"metrics": [errors], **QUICK, "count": 30}
    rollout = BLUE_GREEN | {"autoPromote": True, "postPromotionAnalysis": gate}
    before = uids(cluster, judged)
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        more(traffic, 20)
        judged.apply(replicas=REPLICAS, rollout=rollout, version="2")

        def is_measured(service: Object) -> bool:
            one = found(service).get("errors", {}) if current(service) else {}
            return one.get("run") == "postPromotion" and one.get("successful", 0) > 0

        promoted = cluster.watch(
            "aiservice", judged.name, is_measured, sentence="it serves all, and is measured", seconds=120
        )
        assert promoted["status"]["stableRevision"] == "r1", "until the analysis has succeeded"
        traffic.wait_for_revision("r2")
        assert traffic.failures() == []
        make_ill(cluster, judged, "r2", status=500)
        service = cluster.watch("aiservice", judged.name, given_up, sentence="it is given up", seconds=120)
        gone(cluster, judged, "r2")
        traffic.mark("off")
        more(traffic, 100)
    one = found(service)["errors"]
    assert (one["run"], one["verdict"]) == ("postPromotion", "Failed")
    assert set(traffic.revisions("off")) == {"r1"}
    assert [answer for answer in traffic.between("off") if answer.status != 200] == []
    assert uids(cluster, judged) == before, "the pods from before serve again, none of them anew"
