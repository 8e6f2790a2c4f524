"""Budgets and sizes of answers in the configuration: only where they are asked for, and broken by no name."""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_engines.gateway.haproxy import answer_sizes, budgets
from looma_engines.gateway.haproxy.config import CONFIGURATION, render
from looma_engines.gateway.model import Backend, Budget, DataPlane, Peer, Policy, RateLimitPer, Rule, Target

FOLDER = Path("/run/looma")


def rendered(policy: Policy, *peers: str) -> dict[str, str]:
    plane = DataPlane(
        ready=True,
        pod="gateway-1",
        peers=tuple(Peer(name=name, address=f"10.0.0.{number}") for number, name in enumerate(peers, 1)),
        rules=(
            Rule(name="ns/a/0", service="a", targets=(Target(backend="ns_a_80"),), policy=policy),
            Rule(name="ns/b/0", service="b", targets=(Target(backend="ns_b_80"),)),
        ),
        backends=(Backend(name="ns_a_80", service="a"), Backend(name="ns_b_80", service="b")),
    )
    return dict(render(plane, FOLDER))


def spends(units: int = 10, seconds: int = 60, header: str = "X-Looma-Cost") -> Policy:
    budget = Budget(units=units, window_seconds=seconds, per=RateLimitPer.SERVICE, cost_header=header)
    return Policy(budget=budget)


def backend(files: dict[str, str], name: str) -> str:
    return files[CONFIGURATION].split(f"backend {name}\n")[1].split("\n\n")[0]


def test_nothing_is_counted_where_nobody_asked_for_it():
    files = rendered(Policy())
    assert answer_sizes.FILE not in files
    for word in ("lua", "budget", "X-Looma-Cost", "sc-add-gpc"):
        assert word not in files[CONFIGURATION]


def test_only_the_backend_of_a_limit_has_the_filter():
    files = rendered(Policy(max_response_bytes=1000))
    assert f"lua-load-per-thread {FOLDER}/{answer_sizes.FILE}" in files[CONFIGURATION]
    assert f"filter lua.{answer_sizes.FILTER}" in backend(files, "ns_a_80")
    assert "filter" not in backend(files, "ns_b_80")
    assert f'core.register_filter("{answer_sizes.FILTER}"' in files[answer_sizes.FILE]


def test_each_pod_counts_in_a_table_of_its_own_and_reads_all():
    text = rendered(spends(), "gateway-1", "gateway-2")[CONFIGURATION]
    assert "track-sc1 var(txn.budget_of),sha2(256) table gateway/budget60_gateway-1" in text
    assert "table_gpc_rate(0,gateway/budget60_gateway-2),add(txn.spent)" in text
    assert text.count("    table budget60_gateway-") == 2


def test_a_window_is_one_table_for_all_of_its_budgets():
    def rule(name: str, seconds: int) -> Rule:
        return Rule(name=name, policy=spends(seconds=seconds))

    kinds = budgets.table_kinds([rule("a", 60), rule("b", 60), rule("c", 2), Rule(name="d")])
    assert set(kinds) == {"budget60", "budget2"}
    assert "expire 120s" in kinds["budget60"]
    # A counter that is thrown away while its window lasts would forget.
    assert "expire 10s" in kinds["budget2"]


@pytest.mark.parametrize("header", ["", "a b", "x)", "a\nb", "x'y"])
def test_a_header_that_cannot_be_said_costs_nothing_and_breaks_nothing(header):
    assert "sc-add-gpc" not in rendered(spends(header=header))[CONFIGURATION]


def test_a_budget_is_never_more_than_a_counter_can_take():
    assert f"int({budgets.MOST_UNITS})" in rendered(spends(units=10**12))[CONFIGURATION]
