"""Backends of HTTPRoutes: Services, weights, grants, endpoints, and the revisions that shares are of."""

from __future__ import annotations

from typing import Any

import pytest

from looma_engines.gateway.model import Target
from support.gateway_translation import finding, made, the_rule
from support.gateway_world import (
    Object,
    ai_service,
    endpoint,
    gateway,
    grant,
    match,
    route,
    rule,
    service,
    slice_of,
    to,
)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ({"name": "b", "kind": "Bucket", "group": "example.org", "port": 80}, "InvalidKind"),
        ({"name": "resume-stable"}, "InvalidKind"),
        (to("nobody"), "BackendNotFound"),
        (to("resume-stable", port=81), "BackendNotFound"),
        (to("elsewhere"), "BackendNotFound"),
        (to("there", namespace="other"), "RefNotPermitted"),
        (to("tls"), "UnsupportedProtocol"),
    ],
)
def test_a_backend_that_cannot_be_resolved_keeps_its_share(reference: Object, reason: str) -> None:
    translation = made(
        gateway(),
        service(),
        service("elsewhere", type="ExternalName"),
        service("there", namespace="other"),
        service("tls", ports=[{"name": "x", "port": 80, "appProtocol": "https"}]),
        route(rule(to("resume-stable", 3), {**reference, "weight": 1})),
    )
    assert the_rule(translation).targets == (
        Target(backend="looma_resume-stable_80", weight=3),
        Target(backend="", weight=1),
    )
    assert finding(translation, "Accepted") == (True, "Accepted")
    assert finding(translation, "ResolvedRefs") == (False, reason)


@pytest.mark.parametrize(
    ("given", "permitted"),
    [
        (grant(namespace="other", by="looma"), True),
        (grant(namespace="other", by="looma", name="there"), True),
        (grant(namespace="other", by="looma", name="another"), False),
        (grant(namespace="other", by="shop"), False),
        (grant(namespace="looma", by="looma"), False),
        (grant(namespace="other", by="looma", kind="Gateway"), False),
        (grant(namespace="other", by="looma", to_kind="Secret"), False),
    ],
)
def test_another_namespaces_service_needs_a_grant(given: Object, permitted: bool) -> None:
    translation = made(
        gateway(), service("there", namespace="other"), given, route(rule(to("there", namespace="other")))
    )
    assert finding(translation, "ResolvedRefs") == (
        (True, "ResolvedRefs") if permitted else (False, "RefNotPermitted")
    )
    assert the_rule(translation).targets[0].backend == ("other_there_80" if permitted else "")


def test_weights_of_one_service_add_up_and_zero_keeps_its_place() -> None:
    translation = made(
        gateway(),
        service(),
        service("resume-canary"),
        route(rule(to("resume-stable", 60), to("resume-canary", 0), to("resume-stable", 40))),
    )
    assert the_rule(translation).targets == (
        Target(backend="looma_resume-stable_80", weight=100),
        Target(backend="looma_resume-canary_80", weight=0),
    )


def test_without_any_weight_every_request_gets_500() -> None:
    translation = made(gateway(), service(), route(rule(to("resume-stable", 0))))
    assert the_rule(translation).targets == (Target(backend="", weight=1),)


def endpoints(*slices: Object, **of_service: Any) -> list[tuple[str, int, bool]]:
    (backend,) = made(gateway(), service(**of_service), route(), *slices).plane.backends
    return [(item.address, item.port, item.draining) for item in backend.endpoints]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [("10.0.0.1", 8080, False)]),
        ({"ready": False}, []),
        ({"ready": False, "serving": True, "terminating": True}, [("10.0.0.1", 8080, True)]),
        ({"ready": True, "serving": True, "terminating": True}, [("10.0.0.1", 8080, True)]),
        ({"ready": False, "serving": False, "terminating": True}, []),
        ({"ready": False, "terminating": True}, []),
        ({"ready": True, "serving": True, "terminating": False}, [("10.0.0.1", 8080, False)]),
    ],
)
def test_which_pods_take_requests(conditions: dict[str, bool], expected: list[Any]) -> None:
    assert endpoints(slice_of("resume-stable", endpoint("10.0.0.1", **conditions))) == expected


def test_a_pod_in_two_slices_is_there_once_and_one_that_takes_wins() -> None:
    going = endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
    first = slice_of("resume-stable", going, endpoint("10.0.0.2"))
    second = slice_of("resume-stable", endpoint("10.0.0.1", pod="new"), endpoint("10.0.0.2"), part="b")
    assert endpoints(first, second) == [("10.0.0.1", 8080, False), ("10.0.0.2", 8080, False)]


def test_the_port_is_found_by_its_name() -> None:
    ports = [{"name": "admin", "port": 81}, {"name": "http", "port": 80}]
    other = slice_of("resume-stable", endpoint("10.0.0.1"), port=9000, port_name="admin")
    ours = slice_of("resume-stable", endpoint("10.0.0.1"), part="b")
    assert endpoints(other, ours, ports=ports) == [("10.0.0.1", 8080, False)]


def test_a_pod_of_both_families_counts_once() -> None:
    four = slice_of("resume-stable", endpoint("10.0.0.1"))
    six = slice_of("resume-stable", endpoint("fd00::1"), part="b", family="IPv6")
    assert endpoints(four, six) == [("10.0.0.1", 8080, False)]
    assert endpoints(four, six, ipFamilies=["IPv6", "IPv4"]) == [("fd00::1", 8080, False)]
    assert endpoints(six, ipFamilies=["IPv4", "IPv6"]) == [("fd00::1", 8080, False)]


def test_empty_slices_are_read() -> None:
    empty = slice_of("resume-stable")
    empty["endpoints"], empty["ports"] = None, None
    assert endpoints(empty) == []


def test_a_split_names_the_revisions_of_its_services() -> None:
    translation = made(
        gateway(),
        ai_service(),
        service(of="resume", revision="r1"),
        service("resume-canary", of="resume", revision="r2"),
        route(
            rule(
                to("resume-stable", 95),
                to("resume-canary", 5),
                matches=[match("/api/v1/a"), match("/api/v1/b")],
            ),
            of="resume",
        ),
    )
    (split,) = translation.splits
    assert (split.namespace, split.service) == ("looma", "resume")
    assert split.rules == ("looma_resume_0_0", "looma_resume_0_1")
    assert split.backends == ("looma_resume-stable_80", "looma_resume-canary_80")
    assert split.revisions == ("r1", "r2")
    assert made(gateway(), service(), route()).splits == ()


def test_what_is_asked_for_by_a_header_is_no_part_of_a_split() -> None:
    asked = match("/api/v1/a", headers=[{"name": "X-Preview", "value": "true"}])
    translation = made(
        gateway(),
        ai_service(),
        service("resume-r1", of="resume", revision="r1"),
        service("resume-r2", of="resume", revision="r2"),
        route(
            rule(to("resume-r1", 100), to("resume-r2", 0), matches=[match("/api/v1/a")]),
            rule(to("resume-r2", 100), matches=[asked]),
            of="resume",
        ),
    )
    (split,) = translation.splits
    assert split.rules == ("looma_resume_0_0",)
    assert len(translation.plane.rules) == 2
