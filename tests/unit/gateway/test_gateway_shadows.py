"""Which requests get a copy: what is read of an AIService, what HAProxy is told, and how the shares lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_engines.gateway.haproxy import shadows, shares
from looma_engines.gateway.haproxy.changes import Reload, plan_changes
from looma_engines.gateway.haproxy.config import CONFIGURATION, render
from looma_engines.gateway.haproxy.rules import sane
from looma_engines.gateway.model import Backend, DataPlane, Policy, Rule, Shadow, Target
from looma_engines.gateway.translate import Here, translate
from support.gateway_world import service, small_world, snapshot

FOLDER = Path("/run/looma")
OWN, CANARY, OTHER = "ns_a-stable_80", "ns_a-canary_80", "ns_b-stable_80"


def plane(shadow: Shadow | None, *targets: Target, **policy: Any) -> DataPlane:
    return DataPlane(
        ready=True,
        pod="gateway-1",
        rules=(
            Rule(
                name="ns/a/0",
                service="a",
                targets=targets or (Target(backend=OWN),),
                policy=Policy(shadow=shadow, **policy),
            ),
            Rule(name="ns/b/0", service="b", targets=(Target(backend=OTHER),)),
        ),
        backends=tuple(Backend(name=name, service="x") for name in (OWN, CANARY, OTHER)),
    )


def said(known: DataPlane) -> list[str]:
    """The lines about shadows."""
    text = dict(render(known, FOLDER))[CONFIGURATION]
    return [line.strip() for line in text.splitlines() if "shadow" in line.lower()]


def test_nothing_is_said_where_nobody_asked_for_it():
    text = dict(render(plane(None), FOLDER))[CONFIGURATION]
    # What callers claim is taken away with all of `x-looma-`.
    assert said(plane(None)) == []
    assert "gpc(2)" not in text


def test_the_share_is_named_to_the_engine_of_its_methods_alone():
    counted, named = said(plane(Shadow(service="b", percent=12, methods=("GET", "POST"))))
    this = "{ var(txn.rule) -m str -- ns:a:0 } { method GET POST }"
    assert f"sc_inc_gpc(1,0),mul({shadows.STRIDE}),mod(1000) if {this}" in counted
    assert named.startswith(f"http-request set-header X-Looma-Shadow b if {this}")
    assert named.endswith("{ var(txn.shadow_place) -m int lt 120 }")


def test_places_to_be_ignored_are_named_beside_it_where_they_can_be_said():
    places = ("/id", "/items/*/id", "x", "/a'b", "/a\n", "/%[src]", "/a,/b", "/" + "a" * 100)
    _, named, ignored = said(plane(Shadow(service="b", percent=12, ignored=places)))
    assert ignored.startswith("http-request set-header X-Looma-Shadow-Ignore '/id,/items/*/id' if ")
    assert ignored.partition(" if ")[2] == named.partition(" if ")[2]


def test_answers_of_a_fallback_are_not_copied():
    known = plane(
        Shadow(service="b", percent=100), Target(backend=OWN), Target(backend=CANARY), fallback=OTHER
    )
    text = dict(render(known, FOLDER))[CONFIGURATION].splitlines()
    lines = [number for number, line in enumerate(text) if "X-Looma-Shadow b" in line]
    moved = [number for number, line in enumerate(text) if f"set-var(txn.backend) str({OTHER}) if" in line]
    assert max(moved) < min(lines)
    assert f"{{ var(txn.backend) -m str -- '{CANARY}' '{OWN}' }}" in text[lines[0]]


def test_a_canary_that_gets_copies_makes_none():
    shadow = Shadow(service="a", revision="r2", spares=CANARY, percent=12)
    split = (Target(backend=OWN), Target(backend=CANARY))
    counted, named = said(plane(shadow, *split))
    assert "http-request set-header X-Looma-Shadow a/r2 if" in named
    for line in (counted, named):
        assert OWN in line
        assert CANARY not in line
    # Requests of a preview lead to it alone.
    assert said(plane(shadow, Target(backend=CANARY))) == []


def test_another_share_needs_no_new_engine_but_a_reload():
    before = plane(Shadow(service="b", percent=1))
    assert plan_changes(before, plane(Shadow(service="b", percent=2))) == Reload()
    assert plan_changes(before, before) == ()


@pytest.mark.parametrize(
    ("shadow", "kept"),
    [
        (Shadow(service="b", percent=1), ("GET", "HEAD")),
        (Shadow(service="b", percent=1, methods=("GET", "get", "P T", "X}")), ("GET",)),
        (Shadow(service="b", percent=1, methods=()), None),
        (Shadow(service="b }\n", percent=1), None),
        (Shadow(service="b", revision="r2", percent=1), ("GET", "HEAD")),
        (Shadow(service="b", revision="2 }\n", percent=1), None),
        (Shadow(service="", percent=1), None),
    ],
)
def test_only_what_haproxy_can_be_told_is_told(shadow, kept):
    (rule, _) = plane(shadow).rules
    found = sane(rule, {OWN}).policy.shadow
    assert (None if found is None else found.methods) == kept


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"service": "other", "percent": 7}, Shadow(service="other", percent=7)),
        (
            {"service": "other", "percent": 7, "methods": ["PUT", "GET"]},
            Shadow(service="other", percent=7, methods=("GET", "PUT")),
        ),
        (
            {"service": "other", "percent": 7, "ignore": ["/b", "/a", "/b"]},
            Shadow(service="other", percent=7, ignored=("/a", "/b")),
        ),
        ({"service": "nobody", "percent": 7}, None),
        ({"service": "resume", "percent": 7}, None),
        ({"service": "Other", "percent": 7}, None),
        (None, None),
    ],
)
def test_what_an_ai_service_asks_for_is_taken_over_where_there_is_such_a_service(asked, found):
    world = small_world(**({} if asked is None else {"shadow": asked}))
    known = translate(snapshot(*world, service("other-stable", of="other")), here=Here(), keys=()).plane
    (rule,) = known.rules
    assert rule.policy.shadow == found
    # HAProxy itself sends nothing there.
    assert [backend.name for backend in known.backends] == ["looma_resume-stable_80"]


ROLLOUT = {"revision": "r2", "from": "r1", "failed": False}


@pytest.mark.parametrize(
    ("status", "revision"),
    [
        ({"rollout": ROLLOUT}, "r2"),
        ({"rollout": ROLLOUT | {"failed": True}}, None),
        ({"rollout": ROLLOUT | {"revision": "r3"}}, None),
        ({"rollout": {"revision": "r2"}}, None),
        ({"rollout": ROLLOUT | {"revision": 2}}, None),
        ({"rollout": "r2"}, None),
        ({"stableRevision": "r2"}, None),
        (None, None),
    ],
)
def test_copies_go_to_a_canary_while_it_is_rolled_out(status, revision):
    world = small_world(shadow={"canary": True, "percent": 7})
    (asking,) = [item for item in world if item["kind"] == "AIService"]
    asking["status"] = status
    canary = service("resume-r2", of="resume", revision="r2")
    known = translate(snapshot(*world, canary), here=Here(), keys=()).plane
    shadow = known.rules[0].policy.shadow
    assert (None if shadow is None else shadow.target) == (revision and f"resume/{revision}")
    if shadow is not None:
        assert shadow.spares == "looma_resume-r2_80"


def places(stride: int) -> list[int]:
    return [number * stride % 1000 for number in range(1, 2001)]


@given(percent=st.integers(1, 100), start=st.integers(0, 999))
def test_of_any_thousand_requests_the_share_is_exact(percent, start):
    chosen = [place < 10 * percent for place in places(shadows.STRIDE)]
    assert sum(chosen[start : start + 1000]) == 10 * percent


@given(percent=st.integers(1, 100), weight=st.integers(1, 99), ahead=st.integers(0, 999))
def test_each_target_has_its_share_of_the_copies(percent, weight, ahead):
    """The two counters may be apart, as not every request that is led somewhere may be copied."""
    targets = places(shares.STRIDE)[:1000]
    copies = places(shadows.STRIDE)[ahead : ahead + 1000]
    copied = sum(
        place < 10 * percent and led < 10 * weight for place, led in zip(copies, targets, strict=True)
    )
    assert abs(copied - percent * weight / 10) <= 4


def test_the_same_stride_would_copy_one_target_alone():
    targets, copies = places(shares.STRIDE)[:1000], places(shares.STRIDE)[:1000]
    assert not any(copy < 100 <= led for copy, led in zip(copies, targets, strict=True))
