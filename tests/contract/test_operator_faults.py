"""Bad days of networks and API servers, one at a time: frozen watches, errors, cut connections, writes in between.

The operator is a process behind `support.faulty_proxy`; whatever was done to it, it ends at the right state, and the
pods that answered went on answering. Its own waits are of seconds here instead of minutes (`support.hasty_operator`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from support.control_plane import ControlPlane
from support.faulty_proxy import FaultyProxy, faulty, is_read, is_write, writes_status
from support.operator_process import Looma, grant, make
from support.operator_routes import route, say

pytestmark = pytest.mark.control_plane
HASTY = Path(__file__).resolve().parents[1] / "support" / "hasty_operator.py"
NEVER = "3600"
SOON = "2"
LONGEST_SECONDS = 90
CANARY = {"strategy": "Canary", "steps": [{"setWeight": 50}, {"pause": {}}]}


@pytest.fixture
def behind(control_plane: ControlPlane, tmp_path: Path) -> Iterator[tuple[Looma, FaultyProxy]]:
    """A namespace whose operator, once started, is behind a proxy."""
    looma = make(control_plane, tmp_path)
    user = f"{looma.namespace}-proxied"
    grant(control_plane, looma.namespace, user)
    looma.command = [sys.executable, str(HASTY)]
    with faulty(control_plane, user, tmp_path, namespace=looma.namespace) as (proxy, kubeconfig):
        looma.environment["KUBECONFIG"] = str(kubeconfig)
        try:
            yield looma, proxy
        finally:
            looma.stop()


def start(looma: Looma, *, silence: str = NEVER, resync: str = NEVER) -> None:
    looma.start(TEST_SILENCE_SECONDS=silence, TEST_RESYNC_SECONDS=resync)


def ready(looma: Looma, name: str, revision: str = "r1") -> bool:
    status = looma.status(name)
    return (
        status.get("phase") == "Ready"
        and status.get("stableRevision") == status.get("targetRevision") == revision
        and status.get("observedGeneration") == looma.get(name)["metadata"]["generation"]
    )


def up(looma: Looma, name: str, **spec: object) -> None:
    code, answer = looma.apply(name, replicas=4, **spec)
    assert code in (200, 201), answer
    looma.play(lambda: ready(looma, name), f"{name} is Ready at r1", seconds=LONGEST_SECONDS)


# ---- watches that freeze -----------------------------------------------------------------------------------


def test_given_frozen_watches_when_things_change_then_the_resync_finds_all_of_it(
    behind: tuple[Looma, FaultyProxy],
):
    looma, proxy = behind
    start(looma, resync=SOON)
    up(looma, "seen")
    proxy.freeze(later_ones_too=True)
    assert looma.plane.request("DELETE", looma.path("services", "seen-stable", group="v1"))[0] == 200
    looma.apply("seen", replicas=2)
    looma.apply("unseen", replicas=1)
    looma.play(
        lambda: looma.child("services", "seen-stable", "v1")[0] == 200,
        "a child that went without a word comes back",
        seconds=LONGEST_SECONDS,
    )
    looma.play(lambda: looma.counts("seen") == {"r1": 2}, "the spec is seen", seconds=LONGEST_SECONDS)
    looma.play(lambda: ready(looma, "unseen"), "what is new is found", seconds=LONGEST_SECONDS)
    assert proxy.struck["held"] > 0, "the watches would have told of it"


@pytest.mark.long
def test_given_watches_that_froze_when_they_are_silent_too_long_then_others_are_opened(
    behind: tuple[Looma, FaultyProxy],
):
    looma, proxy = behind
    start(looma, silence=SOON)
    up(looma, "seen")
    proxy.freeze(later_ones_too=False)
    looma.apply("seen", image="engine:2", replicas=4)
    looma.apply("unseen", replicas=1)
    looma.play(
        lambda: ready(looma, "seen", "r2") and ready(looma, "unseen"),
        "new watches tell of it",
        seconds=LONGEST_SECONDS,
        floor=4,
    )


# ---- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", [409, *(pytest.param(status, marks=pytest.mark.long) for status in (429, 500, 503))]
)
def test_given_a_rollout_when_writes_and_reads_are_refused_then_it_ends_all_the_same(
    behind: tuple[Looma, FaultyProxy], status: int
):
    looma, proxy = behind
    start(looma)
    up(looma, "tried")
    proxy.answer(is_write, status, times=8, every=2)
    proxy.answer(is_read, status, times=8, every=3)
    looma.apply("tried", image="engine:2", replicas=4)
    looma.play(lambda: ready(looma, "tried", "r2"), "r2 serves", seconds=LONGEST_SECONDS, floor=4)
    assert proxy.struck[str(status)] > 0
    assert looma.counts("tried") == {"r1": 0, "r2": 4}
    assert {row["name"] for row in looma.status("tried")["revisions"]} == {"r1", "r2"}


@pytest.mark.long
def test_given_a_rollout_when_answers_to_writes_are_lost_then_it_ends_all_the_same(
    behind: tuple[Looma, FaultyProxy],
):
    looma, proxy = behind
    start(looma)
    up(looma, "tried")
    proxy.cut(is_write, times=8, every=2)
    looma.apply("tried", image="engine:2", replicas=4)
    looma.play(lambda: ready(looma, "tried", "r2"), "r2 serves", seconds=LONGEST_SECONDS, floor=4)
    assert proxy.struck["cut"] > 0
    assert looma.counts("tried") == {"r1": 0, "r2": 4}
    assert (
        len(looma.plane.request("GET", looma.path("controllerrevisions", group="apps/v1"))[1]["items"]) == 2
    )


@pytest.mark.long
def test_given_watches_whose_version_is_too_old_when_they_begin_anew_then_nothing_is_missed(
    behind: tuple[Looma, FaultyProxy],
):
    looma, proxy = behind
    start(looma, silence=SOON)
    up(looma, "seen")
    # Every watch is opened anew after its silence, and then refused once or more.
    proxy.expire(times=16)
    proxy.freeze(later_ones_too=False)
    looma.apply("seen", image="engine:2", replicas=4)
    looma.play(lambda: ready(looma, "seen", "r2"), "r2 serves", seconds=LONGEST_SECONDS, floor=4)
    assert proxy.struck["410"] > 0


# ---- lost updates ------------------------------------------------------------------------------------------


def test_given_a_status_about_to_be_written_when_others_write_first_then_nobodys_write_is_lost(
    behind: tuple[Looma, FaultyProxy],
):
    """What Kopf's users tell of: a handler's patch of status that takes back what was written since it read."""
    looma, proxy = behind
    start(looma)
    up(looma, "shared")
    path = looma.path("aiservices", "shared")

    def others() -> None:
        merge = "application/merge-patch+json"
        spec = {"spec": {"replicas": 3}}
        assert looma.plane.request("PATCH", path, spec, content_type=merge)[0] == 200
        entry = {"gateway": "g", "revision": "r1", "weight": 100, "observedAt": "2026-01-01T12:00:00Z"}
        body = {
            "apiVersion": "looma.dev/v1alpha1",
            "kind": "AIService",
            "metadata": {"name": "shared"},
            "status": {"traffic": [entry]},
        }
        code, answer = looma.plane.apply(f"{path}/status", body, manager="gateway-g")
        assert code == 200, answer
        note = {"metadata": {"annotations": {"someone/noted": "this"}}}
        assert looma.plane.request("PATCH", path, note, content_type=merge)[0] == 200

    proxy.interpose(writes_status, others)
    looma.apply("shared", image="engine:2", replicas=4)
    looma.play(lambda: ready(looma, "shared", "r2"), "r2 serves", seconds=LONGEST_SECONDS)
    assert proxy.struck["interposed"] == 1
    service = looma.get("shared")
    assert service["spec"]["replicas"] == 3
    assert looma.counts("shared") == {"r1": 0, "r2": 3}
    assert service["metadata"]["annotations"]["someone/noted"] == "this"
    assert [entry["gateway"] for entry in service["status"]["traffic"]] == ["g"]


def test_given_a_canary_when_its_abort_is_asked_for_between_read_and_write_then_it_is_carried_out_once(
    behind: tuple[Looma, FaultyProxy],
):
    looma, proxy = behind
    start(looma)
    up(looma, "split", rollout=CANARY, route={"pathPrefixes": ["/api/v1/split"]})

    def asked() -> None:
        request = json.dumps({"id": "stop", "action": "abort"})
        body = {"metadata": {"annotations": {"looma.dev/request": request}}}
        code, answer = looma.plane.request(
            "PATCH", looma.path("aiservices", "split"), body, content_type="application/merge-patch+json"
        )
        assert code == 200, answer

    def seen() -> bool:
        if route(looma, "split"):
            say(looma, "split")
        return [item["action"] for item in looma.status("split").get("requests", [])] == ["abort"] and (
            looma.counts("split") == {"r1": 4, "r2": 0}
        )

    def begun() -> bool:
        if route(looma, "split"):
            say(looma, "split")
        return bool((looma.status("split").get("rollout") or {}).get("step") == 1)

    looma.apply(
        "split", image="engine:2", replicas=4, rollout=CANARY, route={"pathPrefixes": ["/api/v1/split"]}
    )

    def begins_a_step(request: web.Request) -> bool:
        rollout = looma.status("split").get("rollout") or {}
        return writes_status(request) and rollout.get("revision") == "r2"

    proxy.interpose(begins_a_step, asked)
    looma.play(lambda: begun() or seen(), "the canary has begun", seconds=LONGEST_SECONDS, floor=4)
    looma.play(seen, "it is given up", seconds=LONGEST_SECONDS, floor=4)
    assert proxy.struck["interposed"] == 1
