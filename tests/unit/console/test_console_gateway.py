"""The map of services: what gateway pods tell is added up, and what nobody knows is called unknown."""

from __future__ import annotations

import datetime as dt
import re

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_console.cluster.model import known_traffic, read_service
from looma_console.gateway import messages
from looma_console.gateway.reader import KEEP_SECONDS, GatewayReader, PodReading
from looma_console.gateway.shadows import ShadowReader
from looma_console.gateway.summary import Latency, is_known, picture, quantile
from looma_console.web.permissions import Role
from looma_core.api.gateway import GatewayTraffic, RevisionTraffic, ServiceTraffic
from support.console_parts import service_document

BOUNDS = (0.01, 0.1, 1.0)
NOW = dt.datetime(2026, 11, 20, 10, 0, 0, tzinfo=dt.UTC)


def revision(name: str = "r2", **more) -> RevisionTraffic:
    return RevisionTraffic(revision=name, **({"asked": 100.0, "given": 100.0} | more))


def pod(name: str = "gateway-a", *revisions: RevisionTraffic, age: float | None = 0.5, **more) -> PodReading:
    service = ServiceTraffic(
        namespace="looma", service="resume", revisions=revisions or (revision(),), **more
    )
    traffic = GatewayTraffic(
        gateway=name, age_seconds=age, window_seconds=10, bounds=BOUNDS, services=(service,)
    )
    return PodReading(address=f"10.0.0.{len(name)}", traffic=traffic)


SILENT = PodReading(address="10.0.0.9", traffic=None)


def seen(*pods: PodReading, **document):
    return picture([read_service(service_document(**document))], pods, namespace="looma")


@pytest.mark.parametrize(("age", "known"), [(None, False), (0.0, True), (5.0, True), (5.1, False)])
def test_what_was_seen_too_long_ago_is_unknown(age: float | None, known: bool) -> None:
    assert is_known(pod(age=age).traffic) is known
    assert not is_known(None)


def test_pods_are_added_up_and_shares_are_not() -> None:
    found = seen(
        pod(
            "gateway-a",
            revision("r2", asked=80, given=80, answered=4, failed=1, circuit="closed", openings=1),
            revision("r3", asked=20, given=20, answered=1, circuit="closed", seconds=(0, 3, 1, 0)),
            limited=2,
            callers_over=3,
            over_budget=2.5,
            callers_over_budget=4,
        ),
        pod(
            "gateway-b",
            revision("r2", asked=80, given=90, answered=6, circuit="open", openings=2, retried=2),
            revision("r3", asked=20, given=10, answered=2, seconds=(0, 1, 0, 0)),
            limited=1,
            callers_over=2,
            callers_over_budget=1,
        ),
    )
    (service,) = found.services
    assert (service.answered, service.failed, service.limited, service.callers_over) == (13, 1, 3, 3)
    assert (service.over_budget, service.callers_over_budget) == (2.5, 4)
    assert round(service.failed_percent, 1) == 7.7
    stable, canary = service.revisions
    assert (stable.given, canary.given, canary.asked) == ((80, 90), (10, 20), 20)
    assert (stable.circuit, stable.circuit_pods, stable.openings, stable.retried) == ("open", 1, 3, 2)
    assert service.latency is not None
    assert service.latency.samples == 5
    assert found.unknown == 0


def test_a_pod_that_is_frozen_is_named_and_its_old_figures_are_in_no_sum() -> None:
    found = seen(
        pod("gateway-a", revision(answered=4)), pod("gateway-b", revision(answered=90), age=9), SILENT
    )
    assert [(item.name, item.known, item.answers) for item in found.pods] == [
        ("10.0.0.9", False, False),
        ("gateway-a", True, True),
        ("gateway-b", False, True),
    ]
    assert (found.unknown, found.services[0].answered) == (2, 4)


def test_services_of_other_namespaces_and_without_a_route_are_left_out() -> None:
    other = PodReading(
        address="10.0.0.1",
        traffic=GatewayTraffic(
            gateway="g",
            age_seconds=0,
            services=(
                ServiceTraffic(namespace="other", service="resume", revisions=(revision(answered=5),)),
            ),
        ),
    )
    (service,) = seen(other).services
    assert (service.told, service.answered, service.latency) == (False, 0, None)
    assert seen(other, spec={"route": {}}).services == ()


def test_a_share_that_one_pod_does_not_know_is_unknown() -> None:
    (service,) = seen(pod("gateway-a", revision(given=50)), pod("gateway-b", revision(given=None))).services
    assert service.revisions[0].given is None


@pytest.mark.parametrize(
    ("counts", "part", "time"),
    [
        ((10, 0, 0, 0), 0.5, 0.005),
        ((5, 5, 0, 0), 0.5, 0.01),
        ((5, 5, 0, 0), 0.95, 0.091),
        ((0, 0, 1, 0), 0.99, 0.991),
        ((9, 0, 0, 1), 0.95, None),
    ],
)
def test_quantiles(counts: tuple[int, ...], part: float, time: float | None) -> None:
    found = quantile(BOUNDS, counts, part)
    assert (None if found is None else round(found, 4)) == time


@given(
    st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any), st.floats(0.01, 1), st.floats(0.01, 1)
)
def test_a_greater_part_never_takes_less_time(counts: list[int], one: float, other: float) -> None:
    least, most = sorted((one, other))
    low, high = quantile(BOUNDS, counts, least), quantile(BOUNDS, counts, most)
    assert high is None or (low is not None and low <= high + 1e-12)


SHADOW = {"pathPrefixes": ["/api/v1/resumes"], "shadow": {"service": "next", "percent": 20}}
RATES = {"same": 3, "different": 1, "failed": 0.5, "not_compared": 0.5, "dropped": 0.25, "too_large": 0.125}


def answered(rates: dict[str, object], *, service: str = "resume", shadow: str = "next") -> bytes:
    """Prometheus' answer to an instant query, as its documentation has it."""
    series = [
        {
            "metric": {"service": service, "shadow": shadow, "outcome": name},
            "value": [1700000000.1, str(rate)],
        }
        for name, rate in rates.items()
    ]
    return msgspec.json.encode({"status": "success", "data": {"resultType": "vector", "result": series}})


def shadows(
    answer: httpx.Response | Exception, *, url: str = "http://prometheus:9090/", asked: list | None = None
):
    def handle(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    http = httpx.Client(transport=httpx.MockTransport(handle))
    clock = iter([0.0, 1.0, 4.0, 5.0])
    return ShadowReader(http=http, prometheus_url=url, namespace="looma", clock=lambda: next(clock))


def test_copies_are_added_up_by_what_became_of_them() -> None:
    asked: list[httpx.Request] = []
    read = shadows(httpx.Response(200, content=answered(RATES)), asked=asked)
    found = read.read()
    assert found is not None
    copies = found["resume", "next"]
    assert (copies.sent, copies.compared, copies.failed, copies.dropped, copies.too_large) == (
        5,
        4,
        0.5,
        0.25,
        0.125,
    )
    assert copies.different_percent == 25
    assert read.read() is found, "many pages, one question"
    read.read()
    assert [request.url for request in asked] == ["http://prometheus:9090/api/v1/query"] * 2
    assert b"looma_shadow_requests_total" in asked[0].content


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("away"),
        httpx.Response(503),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=answered({"same": "no number"})),
    ],
    ids=["away", "refuses", "no JSON", "no number"],
)
def test_rates_that_prometheus_does_not_tell_are_unknown(answer: httpx.Response | Exception) -> None:
    assert shadows(answer).read() is None


def test_without_prometheus_nobody_is_asked() -> None:
    asked: list[httpx.Request] = []
    assert shadows(httpx.Response(200), url="", asked=asked).read() is None
    assert asked == []


def test_the_map_shows_what_became_of_copies(parts, engine, signed_in, monkeypatch) -> None:
    monkeypatch.setattr("looma_console.gateway.shadows.KEEP_SECONDS", 0)
    page = signed_in(Role.OPERATOR)
    gateway = service_document("gateway", spec={"engine": "gateway", "route": {}})

    def shown() -> str:
        _, _, copies = page.get("/gateway").get_data(as_text=True).partition('class="copies"')
        return copies.partition("</li>")[0]

    parts.service_watch.replace([service_document(), gateway])
    assert shown() == "", "it shadows nothing"
    parts.service_watch.replace([service_document(spec={"route": SHADOW}), gateway])
    assert "unknown" in shown(), "Prometheus does not answer"
    assert "<dd>" not in shown()
    engine.on("POST", "/api/v1/query", msgspec.json.decode(answered(RATES)))
    for said in (
        "20 % of GET, HEAD to next",
        "<dd>5</dd>",
        "<dd>25\u00a0%</dd>",
        '<dd class="bad">0.5</dd>',
        "<dd>0.12</dd>",
    ):
        assert said in shown(), said
    assert "unknown" not in shown()
    engine.on("POST", "/api/v1/query", msgspec.json.decode(answered({})))
    assert "<dd>–</dd>" in shown(), "none was compared"


def reader(answers: dict[str, httpx.Response | Exception], clock: list[float]) -> GatewayReader:
    def handle(request: httpx.Request) -> httpx.Response:
        answer = answers[request.url.host]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return GatewayReader(
        http=httpx.Client(transport=httpx.MockTransport(handle)),
        address_of=lambda name: f"http://{name}-peers.looma:8081",
        resolve=lambda host, port: sorted(answers) if (host, port) == ("gateway-peers.looma", 8081) else [],
        clock=lambda: clock[0],
    )


def test_every_pod_is_asked_and_what_it_cannot_say_is_unknown() -> None:
    told = pod().traffic
    answers: dict[str, httpx.Response | Exception] = {
        "10.0.0.1": httpx.Response(200, content=msgspec.json.encode(told)),
        "10.0.0.2": httpx.ReadTimeout("frozen"),
        "10.0.0.3": httpx.Response(503),
        "10.0.0.4": httpx.Response(200, content=b"<html>"),
    }
    clock = [0.0]
    asked = reader(answers, clock)
    first = asked.read(["gateway"])
    assert [item.traffic for item in first] == [told, None, None, None]
    # Many pages, one question.
    answers.clear()
    assert asked.read(["gateway"]) is first
    clock[0] = KEEP_SECONDS
    assert asked.read(["gateway"]) == ()
    assert asked.read(["unheard-of"]) == ()


@pytest.mark.parametrize(
    ("revisions", "target", "age", "known"),
    [
        (["r2", "r3"], "r3", 5, True),
        (["r2", "r3"], "r3", 6, False),
        (["r2", "r3"], "r2", 6, False),
        (["r2"], "r3", 6, False),
        (["r2"], "r2", 240, True),
        (["r2"], "r2", 301, False),
    ],
)
def test_entries_of_a_status_that_are_too_old(
    revisions: list[str], target: str, age: int, known: bool
) -> None:
    at = (NOW - dt.timedelta(seconds=age)).isoformat()
    entries = [{"gateway": "g", "revision": name, "weight": 50, "observedAt": at} for name in revisions]
    service = read_service(service_document(traffic=entries, targetRevision=target))
    assert {holds for _, holds in known_traffic(service, now=NOW)} == {known}


def test_an_entry_without_a_time_is_unknown() -> None:
    service = read_service(service_document(traffic=[{"gateway": "g", "revision": "r2"}]))
    assert [holds for _, holds in known_traffic(service, now=NOW)] == [False]


def test_rates_and_times_in_words(app) -> None:
    rates = {0: "0", 0.004: "0.01", 3.14159: "3.14", 31.4159: "31.4", 31415.9: "31,416"}
    times = {0.0023: "2.3 ms", 0.25: "250 ms", 1.25: "1.2 s", 12.0: "12 s", None: "> 60 s"}
    with app.test_request_context():
        assert {number: messages.rate(number) for number in rates} == rates
        assert {time: messages.seconds(time) for time in times} == times


GATEWAY = service_document("gateway", spec={"engine": "gateway", "route": {}})


def test_the_page_shows_each_service_and_its_revisions(parts, signed_in, engine) -> None:
    told = pod(
        "gateway-a",
        revision("r2", asked=87.5, given=87.5, answered=12.5, failed=2.5, seconds=(0, 20, 0, 0)),
        revision("r3", asked=12.5, given=12.5, circuit="open", openings=2),
        limited=0.5,
        callers_over=2,
        interrupted=1.5,
    ).traffic
    engine.on("GET", "/traffic", msgspec.to_builtins(told))
    route = {
        "pathPrefixes": ["/api/v1/resumes"],
        "rateLimit": {"requestsPerSecond": 5},
        "circuitBreaker": {},
    }
    parts.service_watch.replace([GATEWAY, service_document(spec={"route": route})])
    page = signed_in(Role.OPERATOR).get("/gateway").get_data(as_text=True)
    for said in (
        "gateway-a",
        '<td data-label="Given">87.5\u00a0%</td>',
        '<td data-label="Asked">12.5\u00a0%</td>',
        "<dd>12.5</dd>",
        '<dd class="bad">20\u00a0%</dd>',
        "20 sampled requests of the last minute",
        "open: no requests",
        "opened 2 times",
        "2 callers are over it",
        "0.5 requests a second refused",
        "1.5 requests a second found the circuit open",
        'href="/services/resume"',
    ):
        assert said in page, said
    assert "pods-unknown" not in page


POLICIES = {
    "pathPrefixes": ["/api/v1/resumes"],
    "rateLimit": {"requestsPerSecond": 5, "burst": 9, "per": "subject"},
    "budget": {"units": 20000, "windowSeconds": 3600, "per": "subject"},
    "maxRequestBytes": 2_000_000,
    "maxResponseBytes": 512,
}
SET = (
    "5 requests a second, 9 at once, for each person",
    "20,000 units in 3,600 s, for each person",
    "Largest request: 2.0 MB, Largest answer: 512 B",
)


def said_of(page: str, name: str) -> str:
    """The line about a limit or a budget."""
    (line,) = re.findall(f'<p class="small">{name}: .*?</p>', page)
    return str(line)


@pytest.mark.parametrize(
    ("figures", "states"),
    [
        ({}, {"Limit": "kept", "Budget": "kept"}),
        ({"callers_over": 2, "limited": 0.5}, {"Limit": "2 callers are over it", "Budget": "kept"}),
        ({"callers_over_budget": 1, "over_budget": 1.5}, {"Limit": "kept", "Budget": "1 caller is over it"}),
    ],
)
def test_the_page_tells_limits_and_budgets_apart_and_what_is_set(
    parts, signed_in, engine, figures: dict[str, float], states: dict[str, str]
) -> None:
    engine.on("GET", "/traffic", msgspec.to_builtins(pod(**figures).traffic))
    parts.service_watch.replace([GATEWAY, service_document(spec={"route": POLICIES})])
    page = signed_in(Role.OPERATOR).get("/gateway").get_data(as_text=True)
    for said in SET:
        assert said in page, said
    for name, rate in (("Limit", "limited"), ("Budget", "over_budget")):
        assert states[name] in said_of(page, name)
        assert f"{figures.get(rate, 0):g} requests a second refused" in said_of(page, name)


def test_what_is_set_is_shown_of_a_service_that_no_pod_tells_of(parts, signed_in) -> None:
    parts.service_watch.replace([GATEWAY, service_document(spec={"route": POLICIES})])
    page = signed_in(Role.OPERATOR).get("/gateway").get_data(as_text=True)
    for said in SET:
        assert said in page, said
    for name in ("Limit", "Budget"):
        assert "unknown" in said_of(page, name)
        assert "kept" not in said_of(page, name)


def test_without_limits_the_page_speaks_of_none(parts, signed_in, engine) -> None:
    engine.on("GET", "/traffic", msgspec.to_builtins(pod().traffic))
    parts.service_watch.replace([GATEWAY, service_document()])
    page = signed_in(Role.OPERATOR).get("/gateway").get_data(as_text=True)
    for name in ("Limit", "Budget", "Largest"):
        assert name not in page


def test_a_pod_that_does_not_answer_makes_shares_unknown(parts, signed_in) -> None:
    parts.service_watch.replace([GATEWAY, service_document()])
    # Nothing answers /traffic here.
    page = signed_in(Role.OPERATOR).get("/gateway").get_data(as_text=True)
    assert "1 gateway pod does not say what it does" in page
    assert "127.0.0.1</span> (unknown)" in page


def test_with_another_gateway_the_page_says_what_it_cannot_show(parts, signed_in) -> None:
    parts.service_watch.replace([service_document()])
    page = signed_in(Role.OPERATOR).get("/gateway").get_data(as_text=True)
    assert "own gateway does not run here" in page.replace("&#39;", "'")
    assert "traffic-resume" not in page


def test_the_pages_stream_has_both_blocks(parts, signed_in, engine) -> None:
    engine.on("GET", "/traffic", msgspec.to_builtins(pod().traffic))
    parts.service_watch.replace([GATEWAY, service_document()])
    answer = signed_in(Role.OPERATOR).get("/gateway/live", buffered=False)
    assert answer.mimetype == "text/event-stream"
    chunks = answer.iter_encoded()
    first = b"".join(next(chunks) for _ in range(3)).decode()
    answer.close()
    assert "event: pods" in first
    assert "event: map" in first


def test_recruiters_do_not_see_it(signed_in) -> None:
    browser = signed_in(Role.RECRUITER)
    assert browser.get("/gateway").status_code == 403
    assert browser.get("/gateway/live").status_code == 403


def test_the_summary_of_samples_is_of_bounds_that_fit() -> None:
    newer = PodReading(
        address="10.0.0.2",
        traffic=GatewayTraffic(
            gateway="g",
            age_seconds=0,
            bounds=(0.5,),
            services=(
                ServiceTraffic(namespace="looma", service="resume", revisions=(revision(seconds=(1, 1)),)),
            ),
        ),
    )
    (service,) = seen(pod("gateway-a", revision(seconds=(4, 0, 0, 0))), newer).services
    assert service.latency == Latency(samples=4, quantiles=(0.005, 0.0095, 0.0099))
