"""Refusals of limits and budgets, counted where they are made, for whoever looks on. Pure.

HAProxy counts what it answers itself for the whole frontend alone. So the lines here stand before such an answer and
count it in two tables: `refused` has for each rule how many requests its limit and its budget refused, `over` has the
callers that either refused in the last seconds, by the digest that they are counted under and nothing else of them.

The stick counters are those of the share and of the circuit breaker, which a refused request never comes to.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from enum import IntEnum

from looma_engines.gateway.haproxy import tables
from looma_engines.gateway.haproxy.text import Lines, key
from looma_engines.gateway.model import DataPlane, Rule

TOTALS = "refused"
CALLERS = "over"
CALLER_SECONDS = 10
"""How long a caller counts as being over a limit after a refusal."""
MOST_CALLERS = 1000
"""More are not told apart, so that reading them stays cheap while thousands of addresses are refused."""


class Why(IntEnum):
    """Which counter of the table `refused` a refusal is counted in."""

    LIMIT = 0
    BUDGET = 1


def table_kinds(rules: Iterable[Rule]) -> dict[str, str]:
    """The tables, where a rule has a limit or a budget."""
    if not any(rule.policy.rate_limit or rule.policy.budget for rule in rules):
        return {}
    return {
        TOTALS: "type string len 256 size 10k expire 1d store gpc(2)",
        CALLERS: f"type binary len 32 size {MOST_CALLERS} expire {CALLER_SECONDS}s store gpt(1)",
    }


def count_lines(plane: DataPlane, why: Why, *, caller: str, condition: str) -> Lines:
    """Lines that count a refusal where `condition` holds; `caller` is the variable of whom the limit counts."""
    over = tables.name(plane, CALLERS)
    return [
        f"http-request track-sc0 var(txn.rule) table {tables.name(plane, TOTALS)} if {condition}",
        f"http-request sc-inc-gpc({int(why)},0) if {condition}",
        # One caller may be over a limit and over a budget, and is an entry for each.
        f"http-request track-sc2 var({caller}),concat({_mark(why)}),sha2(256) table {over} if {condition}",
        f"http-request sc-set-gpt(0,2) var(txn.rule),concat({_mark(why)}),crc32 if {condition}",
    ]


def tag(rule: str, why: Why) -> int:
    """By what an entry of `over` names its rule, and what of it refused."""
    return zlib.crc32((key(rule) + _mark(why)).encode())


def _mark(why: Why) -> str:
    return f"+{int(why)}"
