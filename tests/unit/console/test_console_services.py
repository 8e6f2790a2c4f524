"""The pages about services: what they show, the live stream, going back."""

from __future__ import annotations

import datetime as dt
import socket
import threading

import pytest
from sqlalchemy import select

from looma_console.cluster.actions import UnknownRevision, Verdict
from looma_console.cluster.api import KubernetesError
from looma_console.cluster.model import newest_first, read_event, read_service
from looma_console.db.models import AuditEntry
from looma_console.services import live, messages
from looma_console.users.messages import ACTIONS as AUDITED
from looma_console.web.permissions import Role
from support.console_parts import event_document, service_document


def test_a_service_without_a_status_is_pending() -> None:
    service = read_service({"metadata": {"name": "new"}, "spec": {"engine": "resume"}})
    assert (service.phase, service.ready, service.desired, service.revisions) == ("Pending", 0, 1, ())


@pytest.mark.parametrize(
    ("kind", "status", "good"),
    [
        ("Ready", "True", True),
        ("Ready", "False", False),
        ("Ready", "Unknown", False),
        ("Degraded", "True", False),
        ("Degraded", "False", True),
        ("Paused", "True", False),
        ("Progressing", "True", True),
        ("Progressing", "False", True),
    ],
)
def test_which_conditions_are_good_news(kind: str, status: str, good: bool) -> None:
    service = read_service(service_document(conditions=[{"type": kind, "status": status}]))
    assert service.conditions[0].good is good


def test_a_service_that_asks_for_no_route_is_no_bad_news() -> None:
    unasked = {"type": "RouteProgrammed", "status": "Unknown", "reason": "NoRoute"}
    waiting = {"type": "RouteProgrammed", "status": "Unknown", "reason": "WaitingForGateway"}
    refused = {"type": "RouteProgrammed", "status": "False", "reason": "NoRoute"}
    service = read_service(service_document(conditions=[unasked, waiting, refused]))
    assert [condition.good for condition in service.conditions] == [True, False, False]


def test_every_phase_and_state_of_the_definition_has_words_and_a_tone() -> None:
    import yaml

    from support.cluster import ROOT

    definition = yaml.safe_load((ROOT / "crds" / "aiservice.yaml").read_text())
    status = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"][
        "properties"
    ]
    assert set(status["phase"]["enum"]) == set(messages.PHASES) == set(messages.TONES)
    states = status["revisions"]["items"]["properties"]["state"]["enum"]
    assert set(states) == set(messages.STATES) == set(messages.STATE_TONES)


def test_events_newest_first_in_either_form() -> None:
    events = [
        read_event(event_document("a", lastTimestamp="2026-11-20T10:00:00Z")),
        read_event(
            event_document(
                "b", lastTimestamp=None, series={"count": 4, "lastObservedTime": "2026-11-20T11:00:00Z"}
            )
        ),
        read_event(event_document("c", lastTimestamp=None, eventTime="2026-11-20T10:30:00.000000Z")),
    ]
    found = newest_first(events, limit=2)
    assert [event.at.hour * 60 + event.at.minute for event in found if event.at] == [660, 630]
    assert found[0].count == 4


def test_the_list_shows_revision_readiness_and_bad_news(parts, signed_in) -> None:
    bad = {"type": "Degraded", "status": "True", "reason": "X", "message": "quota exceeded"}
    parts.service_watch.replace([service_document(readyReplicas=1, targetRevision="r3", conditions=[bad])])
    parts.event_watch.replace([event_document(message="r3 has one pod")])
    text = signed_in(Role.OPERATOR).get("/services").get_data(as_text=True)
    assert "r2 → r3" in text
    assert "1 / 2" in text
    assert "quota exceeded" in text
    assert "r3 has one pod" in text


def test_the_page_of_a_service_offers_the_other_revisions_only(signed_in) -> None:
    text = signed_in(Role.OPERATOR).get("/services/resume").get_data(as_text=True)
    assert 'id="back-to-r1"' in text
    assert 'id="back-to-r2"' not in text


def test_the_page_of_a_service_shows_what_each_gateway_gives(parts, signed_in) -> None:
    page = signed_in(Role.OPERATOR)
    assert "No gateway has told yet" in page.get("/services/resume").get_data(as_text=True)
    seen = dt.datetime.now(dt.UTC).isoformat()
    entries = [
        {"gateway": "gateway-r1-a", "revision": "r2", "weight": 87.5, "observedAt": seen},
        {"gateway": "gateway-r1-a", "revision": "r3", "weight": 12.5, "observedAt": seen},
        # As the API server keeps it where a gateway has said nothing of its share yet.
        {"gateway": "gateway-r1-b", "revision": "r2"},
    ]
    parts.service_watch.replace([service_document(traffic=entries)])
    text = page.get("/services/resume").get_data(as_text=True)
    assert text.count("gateway-r1-a</td>") == 2
    assert ">87.5 %</td>" in text
    assert ">12.5 %</td>" in text
    # What was never seen is no share of 0.
    assert ">0 %</td>" not in text
    assert ">unknown</td>" in text
    old = [entry | {"observedAt": "2026-11-20T10:00:00Z"} for entry in entries]
    parts.service_watch.replace([service_document(traffic=old)])
    text = page.get("/services/resume").get_data(as_text=True)
    assert text.count(">unknown</td>") == 3
    assert ">87.5 %</td>" not in text


def test_the_page_of_a_service_says_who_may_call_and_how_often(parts, signed_in) -> None:
    page = signed_in(Role.OPERATOR)
    assert "with a token" in page.get("/services/resume").get_data(as_text=True)
    route = {
        "pathPrefixes": ["/api/v1/resumes"],
        "auth": {"required": True, "roles": ["admin", "recruiter"]},
        "rateLimit": {"requestsPerSecond": 20, "per": "subject"},
        "circuitBreaker": {"errorPercent": 40, "minRequests": 7, "windowSeconds": 9, "openSeconds": 3},
        "fallback": {"service": "spare"},
        "shadow": {"service": "next", "percent": 12, "methods": ["GET", "POST"]},
    }
    parts.service_watch.replace([service_document(spec={"route": route})])
    text = page.get("/services/resume").get_data(as_text=True)
    for said in (
        "with a role: admin, recruiter",
        "20 requests a second, 20 at once, for each person",
        "opens for 3 s when 40 % of 7 or more requests fail in 9 s",
        "<dd>spare</dd>",
        "<dd>12 % of GET, POST to next</dd>",
    ):
        assert said in text, said
    parts.service_watch.replace([service_document(spec={"route": {**route, "auth": {"required": False}}})])
    assert "everybody" in page.get("/services/resume").get_data(as_text=True)


def test_who_may_not_sees_why(signed_in, cluster_fake) -> None:
    cluster_fake.verdict = Verdict(allowed=False, reason="no RBAC policy matched")
    text = signed_in(Role.OPERATOR).get("/services/resume").get_data(as_text=True)
    assert "no RBAC policy matched" in text
    assert 'disabled aria-describedby="why-not"' in text
    assert 'id="back-to-r1"' not in text


def test_the_question_comes_as_a_dialog_or_as_a_page(signed_in) -> None:
    browser = signed_in(Role.OPERATOR)
    page = browser.get("/services/resume/rollback?to=r1").get_data(as_text=True)
    dialog = browser.get("/services/resume/rollback?to=r1", headers={"HX-Request": "true"}).get_data(
        as_text=True
    )
    assert "<html" in page
    assert "<html" not in dialog
    assert "required" in dialog
    assert browser.get("/services/resume/rollback?to=r9").status_code == 404


def test_going_back_acts_as_the_person_and_is_audited(signed_in, cluster_fake, parts) -> None:
    browser = signed_in(Role.OPERATOR)
    answer = browser.post("/services/resume/rollback", {"to": "r1", "reason": " reads dates wrongly "})
    assert (answer.status_code, answer.location) == (303, "/services/resume")
    ((person, service, revision, reason),) = cluster_fake.asked
    assert (person.login, tuple(person.roles)) == ("the-operator", ("operator",))
    assert (service, revision, reason) == ("resume", "r1", "reads dates wrongly")
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "rollback")).one()
    assert (entry.who, entry.outcome, entry.detail) == (
        "the-operator",
        "done",
        {"to": "r1", "reason": "reads dates wrongly"},
    )
    assert "going back to r1" in browser.get("/services/resume").get_data(as_text=True)


def test_a_rollback_needs_a_reason(signed_in, cluster_fake) -> None:
    answer = signed_in(Role.OPERATOR).post("/services/resume/rollback", {"to": "r1", "reason": "  x "})
    assert answer.status_code == 422
    assert "3 characters or more" in answer.get_data(as_text=True)
    assert cluster_fake.asked == []


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (KubernetesError(403, "Forbidden", "no rights"), 403, "no rights"),
        (KubernetesError(409, "Conflict", "changed"), 409, "Somebody changed this service"),
        (KubernetesError(422, "Invalid", "path taken"), 422, "path taken"),
        (KubernetesError(0, "Unreachable", "refused"), 502, "does not answer"),
        (UnknownRevision("r1"), 409, "not kept any more"),
    ],
)
def test_a_refusal_is_explained_and_audited(
    signed_in, cluster_fake, parts, *, error, status: int, words: str
) -> None:
    cluster_fake.error = error
    answer = signed_in(Role.OPERATOR).post(
        "/services/resume/rollback", {"to": "r1", "reason": "because of it"}
    )
    text = answer.get_data(as_text=True)
    assert answer.status_code == status
    assert words in text
    assert "because of it" in text
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "rollback")).one()
    assert entry.outcome == "refused"


ROLLOUT = {
    "revision": "r3",
    "from": "r2",
    "startedAt": "2026-11-21T10:00:00Z",
    "progressedAt": "2026-11-21T10:00:00Z",
    "strategy": "Canary",
    "step": 1,
    "weight": 25,
}
STEPS = {
    "rollout": {
        "strategy": "Canary",
        "steps": [{"setWeight": 25}, {"pause": {"seconds": 30}}, {"setWeight": 50}, {"pause": {}}],
    }
}


def canary_document(rollout=None, **canary):
    return service_document(
        spec=STEPS,
        phase="Progressing",
        targetRevision="r3",
        rollout=ROLLOUT | (rollout or {}),
        canary={"revision": "r3", "step": 1, "waits": "the end of its pause", "weight": {"requested": 25}}
        | canary,
    )


def test_a_canary_shows_its_steps_and_what_may_be_asked(signed_in, parts) -> None:
    browser = signed_in(Role.OPERATOR)
    assert 'id="rollout-title"' not in browser.get("/services/resume").get_data(as_text=True)
    parts.service_watch.replace([canary_document()])
    text = browser.get("/services/resume").get_data(as_text=True)
    assert '<li class="done">25 %</li>' in text
    assert '<li class="now" aria-current="step">wait 30 s</li>' in text
    assert '<li class="next">50 %</li>' in text
    assert '<li class="next">wait for somebody</li>' in text
    assert "the end of its pause" in text
    assert 'id="given"' not in text, "not known"
    for action in ("promote", "promote-full", "pause", "abort"):
        assert f'id="ask-{action}"' in text
    assert 'id="ask-retry"' not in text

    parts.service_watch.replace([canary_document(weight={"requested": 25, "achieved": 24.8})])
    assert "24.8 %" in browser.get("/services/resume").get_data(as_text=True)
    parts.service_watch.replace([canary_document({"paused": True})])
    text = browser.get("/services/resume").get_data(as_text=True)
    assert 'id="ask-resume"' in text
    assert 'id="ask-promote"' not in text
    parts.service_watch.replace([canary_document({"failed": True, "aborted": True})])
    text = browser.get("/services/resume").get_data(as_text=True)
    assert 'id="ask-retry"' in text
    assert 'id="ask-abort"' not in text
    assert "Aborted" in text


FOUND = {
    "run": "step-1",
    "metric": "errors",
    "revision": "r3",
    "verdict": "Running",
    "query": 'sum(rate(errors{revision="r3"}[5m]))',
    "startedAt": "2026-11-21T10:00:00Z",
    "measurements": [
        {"at": "2026-11-21T10:00:30Z", "verdict": "Successful", "value": 0.5, "samples": 100},
        {"at": "2026-11-21T10:01:00Z", "verdict": "Error", "message": "Prometheus did not answer"},
        {
            "at": "2026-11-21T10:01:30Z",
            "verdict": "Failed",
            "value": 2.0,
            "baseline": 0.25,
            "samples": 120,
            "message": "2 % of 120 requests failed",
        },
    ],
}


def test_an_analysis_shows_its_values_its_query_and_its_verdict(signed_in, parts) -> None:
    document = canary_document()
    limited = {"name": "errors", "builtIn": "errorRate", "max": 1}
    document["spec"]["rollout"] = {
        **STEPS["rollout"],
        "steps": [{"setWeight": 25}, {"analysis": {"metrics": [limited]}}],
    }
    document["status"]["analysis"] = [FOUND, {"metric": "latency", "verdict": "Inconclusive"}]
    parts.service_watch.replace([document])
    text = signed_in(Role.OPERATOR).get("/services/resume").get_data(as_text=True)
    assert '<li class="now" aria-current="step">analysis</li>' in text
    table = text[text.index('id="analysis"') :]
    table = table[: table.index("</table>")]
    assert "sum(rate(errors{revision=&#34;r3&#34;}[5m]))" in table
    assert '<polyline points="0.0,36.0 160.0,0.0 ">' in table, "what could not be measured has no point"
    assert '<polyline class="baseline" points="160.0,42.0 ">' in table
    assert '<circle class="good" cx="0.0" cy="36.0"' in table
    assert '<circle class="bad" cx="160.0" cy="0.0"' in table
    assert 'aria-label="Values of errors, from old to new: 0.5, 2"' in table
    assert 'class="limit" x1="-3" x2="163" y1="24.0" y2="24.0"' in table
    assert "at most 1<" in table
    assert "at least" not in table
    assert "instead of 0.25" in table
    assert "120 requests" in table
    assert "2 % of 120 requests failed" in table
    assert "Not known" in table
    assert "unknown" in table, "a metric without a value"


def test_a_suspicious_measurement_is_a_point_of_its_own_and_says_what_it_waits_for(signed_in, parts) -> None:
    document = canary_document()
    message = "5 % of 100 requests failed; by chance with p = 0.03: more requests must tell"
    suspicious = {"at": "2026-11-21T10:02:00Z", "verdict": "Suspicious", "value": 5.0, "message": message}
    measurements = [FOUND["measurements"][0], suspicious]
    document["status"]["analysis"] = [FOUND | {"measurements": measurements, "message": message}]
    parts.service_watch.replace([document])
    text = signed_in(Role.OPERATOR).get("/services/resume").get_data(as_text=True)
    assert '<circle class="busy" cx="160.0"' in text
    assert "more requests must tell" in text


def test_an_action_is_asked_for_as_the_person_with_a_reason_and_audited(
    signed_in, cluster_fake, parts
) -> None:
    parts.service_watch.replace([canary_document()])
    browser = signed_in(Role.OPERATOR)
    dialog = browser.get("/services/resume/requests/abort", headers={"HX-Request": "true"}).get_data(
        as_text=True
    )
    assert "<html" not in dialog
    assert "Abort the rollout?" in dialog
    answer = browser.post("/services/resume/requests/abort", {"reason": " many errors "})
    assert (answer.status_code, answer.location) == (303, "/services/resume")
    ((person, service, action, reason),) = cluster_fake.asked
    assert (person.login, service, action, reason) == ("the-operator", "resume", "abort", "many errors")
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "abort")).one()
    assert (entry.who, entry.outcome, entry.detail) == ("the-operator", "done", {"reason": "many errors"})


def test_the_audit_has_words_for_each_action() -> None:
    assert set(messages.QUESTIONS) | {"rollback"} <= set(AUDITED)


def test_an_action_that_cannot_be_asked_for_is_explained(signed_in, cluster_fake, parts) -> None:
    browser = signed_in(Role.OPERATOR)
    assert browser.get("/services/resume/requests/abort").status_code == 409, "nothing is rolled out"
    assert browser.get("/services/resume/requests/dance").status_code == 404
    assert browser.post("/services/resume/requests/dance", {"reason": "because"}).status_code == 404
    parts.service_watch.replace([canary_document()])
    assert browser.post("/services/resume/requests/abort", {"reason": "x"}).status_code == 422
    assert cluster_fake.asked == []
    cluster_fake.error = KubernetesError(403, "Forbidden", "no rights")
    answer = browser.post("/services/resume/requests/abort", {"reason": "because"})
    assert answer.status_code == 403
    assert "no rights" in answer.get_data(as_text=True)
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "abort")).one()
    assert entry.outcome == "refused"


def test_pods_are_restarted_at_any_time_with_a_reason(signed_in, cluster_fake, parts) -> None:
    browser = signed_in(Role.OPERATOR)
    text = browser.get("/services/resume").get_data(as_text=True)
    assert 'id="ask-restart"' in text
    assert 'id="rollout-title"' not in text, "nothing is rolled out"
    dialog = browser.get("/services/resume/requests/restart").get_data(as_text=True)
    assert "Restart the pods?" in dialog
    assert "resume: r2." in dialog
    assert browser.post("/services/resume/requests/restart", {"reason": "x"}).status_code == 422
    answer = browser.post("/services/resume/requests/restart", {"reason": "new certificate"})
    assert (answer.status_code, answer.location) == (303, "/services/resume")
    ((_, service, action, reason),) = cluster_fake.asked
    assert (service, action, reason) == ("resume", "restart", "new certificate")
    parts.service_watch.replace([canary_document()])
    dialog = browser.get("/services/resume/requests/restart").get_data(as_text=True)
    assert "Restart the pods?" in dialog, "in the middle of a rollout as well"


def test_who_may_not_restart_pods_is_told_why(signed_in, cluster_fake) -> None:
    cluster_fake.verdict = Verdict(allowed=False, reason="no rule lets you")
    browser = signed_in(Role.OPERATOR)
    text = browser.get("/services/resume").get_data(as_text=True)
    assert 'id="ask-restart"' not in text
    assert '<button class="button" disabled aria-describedby="why-not">Restart the pods</button>' in text
    why = text[text.index('id="why-not"') :]
    assert "no rule lets you" in why[: why.index("</p>")]
    dialog = browser.get("/services/resume/requests/restart").get_data(as_text=True)
    assert 'class="button primary" disabled' in dialog


def test_an_event_keeps_to_its_format() -> None:
    assert live.message("list", "a\r\nb\nc\rd") == b"event: list\ndata: a\ndata: b\ndata: c\ndata: d\n\n"


def test_the_stream_sends_changed_blocks_only_and_beats_and_ends() -> None:
    clock = [0.0]
    pictures = iter([{"list": "one", "events": "x"}, {"list": "two", "events": "x"}])
    waits = iter([True, False, False, False])

    def wait(seconds: float) -> bool:
        clock[0] += seconds
        return next(waits)

    lines = list(
        live.stream(
            wait=wait,
            render=lambda: next(pictures),
            may_go_on=lambda: True,
            seconds=40,
            clock=lambda: clock[0],
        )
    )
    assert lines == [
        b"retry: 1000\n\n",
        b"event: list\ndata: one\n\n",
        b"event: events\ndata: x\n\n",
        b"event: list\ndata: two\n\n",
        live.BEAT,
        live.BEAT,
    ]


def test_a_stream_that_looks_by_the_clock_beats_while_nothing_changes(monkeypatch) -> None:
    monkeypatch.setattr(live, "SETTLE_SECONDS", 0)
    clock = [0.0]

    def wait(seconds: float) -> bool:
        clock[0] += min(seconds, 2.0)
        return True

    lines = live.stream(
        wait=wait,
        render=lambda: {"map": "same"},
        may_go_on=lambda: True,
        seconds=20,
        clock=lambda: clock[0],
    )
    assert list(lines) == [b"retry: 1000\n\n", b"event: map\ndata: same\n\n", live.BEAT]


def test_the_stream_ends_with_the_session() -> None:
    clock = [0.0]

    def wait(seconds: float) -> bool:
        clock[0] += seconds
        return False

    lines = live.stream(
        wait=wait, render=dict, may_go_on=lambda: clock[0] < 20, seconds=600, clock=lambda: clock[0]
    )
    assert list(lines) == [b"retry: 1000\n\n", live.BEAT, live.BEAT]


def test_the_stream_lets_go_when_the_process_is_asked_to_stop() -> None:
    lines = live.stream(
        wait=lambda _seconds: False, render=dict, may_go_on=lambda: True, seconds=600, is_closing=lambda: True
    )
    assert list(lines) == [b"retry: 1000\n\n"]


def test_a_browser_that_is_gone_is_noticed_at_once() -> None:
    here, there = socket.socketpair()
    with here:
        assert not live.has_hung_up(here)
        there.sendall(b"more")
        assert not live.has_hung_up(here)
        assert here.recv(4) == b"more"
        there.close()
        assert live.has_hung_up(here)
    assert live.has_hung_up(here)
    assert not live.has_hung_up(None)


def test_a_change_reaches_an_open_page_and_its_place_comes_back(parts, signed_in) -> None:
    browser = signed_in(Role.OPERATOR)
    answer = browser.get("/services/resume/live", buffered=False)
    assert answer.mimetype == "text/event-stream"
    chunks = answer.iter_encoded()
    first = b"".join(next(chunks) for _ in range(6)).decode()
    assert "event: overview" in first
    assert "r2" in first
    timer = threading.Timer(
        0.1, lambda: parts.service_watch.apply("MODIFIED", service_document(stableRevision="r1"))
    )
    timer.start()
    assert b"event: overview" in next(chunks)
    left = parts.streams._value
    answer.close()
    assert parts.streams._value == left + 1
    timer.join()


def test_streams_are_capped(parts, signed_in) -> None:
    browser = signed_in(Role.OPERATOR)
    for _ in range(parts.settings.live_streams):
        assert parts.streams.acquire(blocking=False)
    answer = browser.get("/services/live")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_time_that_is_none_is_no_time() -> None:
    from looma_console.cluster.model import read_time

    assert read_time(None) is None
    assert read_time("yesterday") is None
    assert read_time("2026-11-20T10:00:00Z") == dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
