"""Budgets on the real HAProxy: what answers cost is counted, by one gateway and by two that are peers."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from looma_engines.gateway.model import (
    Auth,
    Budget,
    DataPlane,
    HeaderChange,
    Match,
    Policy,
    RateLimit,
    RateLimitPer,
)
from support.gateway_planes import plane, rule, tokens, two_peers
from support.tokens import bearer


def budget(units: int, seconds: int = 3600, per: RateLimitPer = RateLimitPer.SERVICE) -> Budget:
    """A budget; its window is so long that nothing of it comes back while a test runs."""
    return Budget(units=units, window_seconds=seconds, per=per, cost_header="X-Looma-Cost")


def spent(port: int, known: Budget, *, rate_limit: RateLimit | None = None, **changes: Any) -> DataPlane:
    """Two rules of one service with a budget, and one without; further parts of the plane by name."""
    spends = Policy(budget=known, rate_limit=rate_limit, auth=Auth(required="tokens" in changes))
    # A rule may take the header away from callers: it counts all the same.
    secret = HeaderChange(remove=("X-Looma-Cost",))
    return plane(
        rule("looma/a/0", Match(path="/a"), service="a", policy=spends),
        rule("looma/a/1", Match(path="/secret"), service="a", policy=spends, response_headers=secret),
        rule("looma/free/0"),
        port=port,
        **changes,
    )


def ask(gateway: Any, cost: str | None = None, path: str = "/a", **headers: str) -> Any:
    """Ask an engine that states this cost."""
    return gateway.client.get(path, headers=headers | ({} if cost is None else {"x-say-cost": cost}))


def told(answer: Any) -> tuple[int, str | None, str | None]:
    """Status, limit and what is left of it."""
    return (
        answer.status_code,
        answer.headers.get("ratelimit-limit"),
        answer.headers.get("ratelimit-remaining"),
    )


def test_what_answers_cost_is_spent_and_the_last_may_go_over(new_gateway, new_engine):
    engine = new_engine()
    gateway = new_gateway(spent(engine.port, budget(100)))
    assert gateway.haproxy.check() == ""
    assert told(ask(gateway)) == (200, "100", "100"), "an answer that states no cost has none"
    first = ask(gateway, "60")
    assert told(first) == (200, "100", "40")
    assert first.headers["x-looma-cost"] == "60", "callers see what they spent"
    hidden = ask(gateway, "39", "/secret")
    assert told(hidden) == (200, "100", "1"), "two rules of one service share its budget"
    assert "x-looma-cost" not in hidden.headers
    assert told(ask(gateway, "50")) == (200, "100", "0")
    asked = len(engine.asked)
    refused = ask(gateway)
    assert told(refused) == (429, "100", "0")
    assert (refused.headers["retry-after"], refused.headers["ratelimit-reset"]) == ("3600", "3600")
    problem = refused.json()
    assert (problem["type"], problem["status"]) == ("urn:looma:problem:budget-spent", 429)
    assert problem["detail"] == "At most 100 units in 3600 s are given here."
    assert problem["instance"] == refused.headers["x-request-id"]
    assert refused.headers["x-looma-source"] == "gateway"
    assert len(engine.asked) == asked, "what is refused costs the engine nothing"
    free = ask(gateway, "7", "/free")
    assert told(free) == (200, None, None)


@pytest.mark.parametrize("stated", ["-5", "1e3", "12.5", "0x10", "many", "", "9999999999"])
def test_what_is_no_whole_number_costs_nothing(new_gateway, new_engine, stated):
    gateway = new_gateway(spent(new_engine().port, budget(100)))
    assert told(ask(gateway, stated)) == (200, "100", "100")
    assert told(ask(gateway, "1")) == (200, "100", "99")


def test_an_answer_costs_at_most_all_there_is_and_a_caller_states_no_cost(new_gateway, new_engine):
    gateway = new_gateway(spent(new_engine().port, budget(100_000_000)))
    assert told(ask(gateway, **{"X-Looma-Cost": "5"})) == (200, "100000000", "100000000")
    assert told(ask(gateway, "999999999")) == (200, "100000000", "0")
    assert ask(gateway).status_code == 429


def test_what_is_spent_comes_back(new_gateway, new_engine):
    gateway = new_gateway(spent(new_engine().port, budget(10, seconds=1)))
    assert ask(gateway, "10").status_code == 200
    gateway.until(lambda: told(ask(gateway)) == (200, "10", "10"))


def test_two_gateways_share_one_budget(new_gateway, new_engine):
    one, two = two_peers(new_gateway, partial(spent, new_engine().port, budget(100)))
    assert told(ask(one, "30")) == (200, "100", "70")
    two.until(lambda: told(ask(two)) == (200, "100", "70"))
    assert told(ask(two, "45")) == (200, "100", "25")
    # Each pod writes a table of its own: what one counted does not overwrite the other's.
    one.until(lambda: told(ask(one)) == (200, "100", "25"))
    assert told(ask(one, "25")) == (200, "100", "0")
    two.until(lambda: ask(two).status_code == 429)
    assert ask(one).status_code == 429


def test_a_reload_forgets_neither_its_own_nor_the_others_count(new_gateway, new_engine):
    one, two = two_peers(new_gateway, partial(spent, new_engine().port, budget(100)))
    # The worker before hands its tables on, once it has learned itself what the others know: some seconds after it
    # began. These are HAProxy's marks of having learned from its own kind and from others.
    learned = "id=gateway .* flags=0x[0-9a-f]*3 "
    one.until(lambda: bool(re.search(learned, one.haproxy.command("show peers"))))
    assert told(ask(one, "30")) == (200, "100", "70")
    two.until(lambda: told(ask(two)) == (200, "100", "70"))
    assert told(ask(two, "45")) == (200, "100", "25")
    one.until(lambda: told(ask(one)) == (200, "100", "25"))
    one.apply(one.plane)
    one.until(lambda: told(ask(one)) == (200, "100", "25"))


@pytest.mark.parametrize("per", [RateLimitPer.SUBJECT, RateLimitPer.ADDRESS])
def test_whose_answers_are_counted_together(new_gateway, new_engine, per):
    gateway = new_gateway(spent(new_engine().port, budget(10, per=per), tokens=tokens()))
    assert told(ask(gateway, "10", **bearer(subject="ada"))) == (200, "10", "0")
    assert ask(gateway, "10", **bearer(subject="ada")).status_code == 429
    others = ask(gateway, "4", **bearer(subject="eve"))
    assert told(others) == ((200, "10", "6") if per is RateLimitPer.SUBJECT else (429, "10", "0"))
    # Who has no token is told so, not what others spent.
    assert ask(gateway).status_code == 401


def test_with_a_limit_beside_it_callers_are_told_what_ends_first(new_gateway, new_engine):
    limit = RateLimit(requests_per_second=1, burst=1000, per=RateLimitPer.SERVICE)
    gateway = new_gateway(spent(new_engine().port, budget(100), rate_limit=limit))
    assert told(ask(gateway)) == (200, "1000", "999"), "nothing of the budget is spent, one request is"
    assert told(ask(gateway, "50")) == (200, "100", "50")
    assert told(ask(gateway, "50")) == (200, "100", "0")
    refused = ask(gateway)
    assert told(refused) == (429, "100", "0")
    assert refused.json()["type"] == "urn:looma:problem:budget-spent"
