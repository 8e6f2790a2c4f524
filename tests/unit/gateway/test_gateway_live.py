"""What a gateway pod tells of the last seconds, from what was counted and sampled."""

from __future__ import annotations

import json

import pytest

from looma_core.api.gateway import GatewayTraffic
from looma_engines.gateway.counting import Counts
from looma_engines.gateway.findings import Split
from looma_engines.gateway.haproxy import circuit_breakers
from looma_engines.gateway.live import BOUNDS, WINDOW_SECONDS, State, Totals, Window, revisions_of
from looma_engines.gateway.model import CircuitBreaker
from looma_engines.gateway.samples import Sample, parse
from looma_engines.gateway.traffic import Told, Weight

STABLE, CANARY = ("looma/a", "r1"), ("looma/a", "r2")
SPLIT = Split(
    namespace="looma", service="a", rules=("a",), backends=("s", "c", ""), revisions=("r1", "r2", "")
)


def counts(good: int, bad: int = 0, **more: int) -> Counts:
    return Counts(answered=(0, good, 0, 0, bad, 0), **more)


def told(*weights: tuple[str, float]) -> list[Told]:
    return [
        Told(namespace="looma", service="a", weights=tuple(Weight(*each) for each in weights), often=True)
    ]


def test_rates_are_means_of_the_window_by_revision():
    window = Window()
    for second in range(31):
        counted = {
            STABLE: counts(10 * second),
            CANARY: counts(second, second, unanswered=second, retried=2 * second),
        }
        window.look(
            100.0 + second,
            Totals(
                counts=counted,
                limited={"looma/a": 3 * second},
                over_budget={"looma/a": 5 * second},
                interrupted={"looma/a": second},
            ),
        )
    state = State(
        splits=[SPLIT],
        asked=told(("r1", 90), ("r2", 10)),
        given=told(("r1", 95), ("r2", 5)),
        circuits={CANARY: "half-open"},
        openings={CANARY: 4},
        callers_over={"looma/a": 2},
        callers_over_budget={"looma/a": 7},
    )
    traffic = window.traffic(state, gateway="gateway-1", now=130.5)
    assert (traffic.age_seconds, traffic.window_seconds) == (0.5, WINDOW_SECONDS)
    (service,) = traffic.services
    assert (service.limited, service.over_budget, service.interrupted) == (3, 5, 1)
    assert (service.callers_over, service.callers_over_budget) == (2, 7)
    stable, canary = service.revisions
    assert (stable.revision, stable.answered, stable.failed, stable.asked, stable.given) == (
        "r1",
        10,
        0,
        90,
        95,
    )
    assert (canary.answered, canary.failed, canary.retried) == (3, 2, 2)
    assert (canary.circuit, canary.openings, stable.circuit) == ("half-open", 4, None)


def test_a_service_without_requests_is_told_of_and_a_pod_that_saw_nothing_says_so():
    window = Window()
    assert window.traffic(State(), gateway="g", now=5.0) == GatewayTraffic(gateway="g", age_seconds=None)
    window.look(5.0, Totals())
    traffic = window.traffic(State(splits=[SPLIT], asked=told(("r1", 100))), gateway="g", now=5.0)
    (revision,) = traffic.services[0].revisions
    assert (traffic.window_seconds, revision.answered, revision.given) == (0, 0, None)


def test_samples_are_counted_by_time_for_a_minute():
    window = Window()
    window.look(0.0, Totals())
    for seconds in (0.0, 0.001, 0.0011, 99.0):
        window.sample(1.0, STABLE, seconds)
    seen = window.traffic(State(splits=[SPLIT]), gateway="g", now=60.0).services[0].revisions[0].seconds
    assert (len(seen), seen[0], seen[1], seen[-1], sum(seen)) == (len(BOUNDS) + 1, 2, 1, 1, 4)
    assert window.traffic(State(splits=[SPLIT]), gateway="g", now=61.5).services[0].revisions == ()


def test_whose_a_backend_is():
    other = Split(namespace="looma", service="b", rules=("b",), backends=("s",), revisions=("r9",))
    assert revisions_of([SPLIT, other]) == {"s": STABLE, "c": CANARY}


@pytest.mark.parametrize(
    ("line", "sample"),
    [
        ({}, Sample(backend="s", server="e-10-0-0-1-80", seconds=0.007, own_seconds=0.0003)),
        (
            {"first_byte_ms": -1},
            Sample(backend="s", server="e-10-0-0-1-80", seconds=2.006, own_seconds=0.0003),
        ),
        # The gateway answered itself.
        ({"server": "<NOSRV>"}, None),
        ({"queue_ms": "soon"}, None),
    ],
)
def test_a_line_of_the_log_as_a_sample(line: dict[str, object], sample: Sample | None):
    usual = {
        "at": 1,
        "backend": "s",
        "server": "e-10-0-0-1-80",
        "queue_ms": 1,
        "connect_ms": 2,
        "first_byte_ms": 4,
        "total_ms": 2006,
        "worked_ns": 200_000,
        "waited_ns": 100_000,
    }
    assert parse(json.dumps(usual | line).encode() + b"\n") == sample


def test_other_messages_are_no_samples():
    assert parse(b"Server s/e-10-0-0-1-80 is DOWN, reason: Layer4 connection problem\n") is None


@pytest.mark.parametrize(
    ("opened", "tenths", "state"),
    [
        (0, 100, "closed"),
        (101, 110, "open"),
        (101, 150, "open"),
        (101, 151, "half-open"),
        # The counter begins anew every three years.
        (999_999_999, 10, "open"),
        (999_999_999, 50, "half-open"),
    ],
)
def test_a_circuits_state(opened: int, tenths: int, state: str):
    breaker = CircuitBreaker(
        window_seconds=10, min_requests=1, error_percent=50, open_seconds=5, trial_requests=1
    )
    assert circuit_breakers.state(opened, breaker, now_ms=tenths * 100 + 1_000_000_000 * 100) == state
