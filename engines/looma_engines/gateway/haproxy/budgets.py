"""Budgets: what the answers of a route may cost in a while, over all gateway pods together. Pure.

An engine states in a header what its answer cost, in units of its own (tokens, pages, seconds of a processor). What
was spent is added up in any window; once it is as much as the budget, requests are refused until enough of it is past.
A cost is known only with the answer, so requests that are under way together may go over. As with limits, each pod
counts in a table of its own and adds up what all of them say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from looma_engines.gateway.haproxy import answers, refusals, tables
from looma_engines.gateway.haproxy.rate_limits import counted_together
from looma_engines.gateway.haproxy.text import Lines, argument_fits, key, quoted
from looma_engines.gateway.model import DataPlane, Rule

COST = "^[0-9]{1,9}$"
"""A whole number that HAProxy's counters of 32 bits can take; anything else costs nothing."""

MOST_UNITS = 100_000_000
"""Forty answers at once that cost a whole budget do not make such a counter begin anew."""

_HAS = "{ var(txn.budget) -m found }"
_COSTS = "{ var(txn.cost) -m found }"


def table_kinds(rules: Iterable[Rule]) -> dict[str, str]:
    """The tables that these rules' budgets need: one for each length of a window."""
    lengths = {rule.policy.budget.window_seconds for rule in rules if rule.policy.budget}
    return {
        _kind(seconds): f"type binary len 32 size 100k expire {max(2 * seconds, 10)}s"
        f" store gpc(1),gpc_rate(1,{seconds}s)"
        for seconds in sorted(lengths)
    }


def check_lines(plane: DataPlane, rules: Iterable[Rule]) -> Lines:
    """Lines that refuse requests whose budget is spent; they stand before those that count requests."""
    lines: Lines = []
    for rule in rules:
        lines += _read(plane, rule)
    if not lines:
        return []
    none_left = f"{_HAS} {{ var(txn.budget_left) -m int lt 1 }}"
    return [
        *lines,
        f"http-request set-var(txn.budget_left) var(txn.budget),sub(txn.spent) if {_HAS}",
        f"http-request set-var(txn.budget_left) int(0) if {_HAS} {{ var(txn.budget_left) -m int lt 1 }}",
        *refusals.count_lines(plane, refusals.Why.BUDGET, caller="txn.budget_of", condition=none_left),
        answers.refuse(answers.SPENT, none_left),
    ]


def cost_lines(rule: Rule, condition: str) -> Lines:
    """Lines of a backend that count what an answer to this rule cost; `condition` is empty or ` if ...`."""
    budget = rule.policy.budget
    if budget is None or not argument_fits(budget.cost_header):
        return []
    stated = f"res.fhdr({budget.cost_header.lower()})"
    so = f"{condition} " if condition else " if "
    return [
        f"http-response set-var(txn.cost) {stated},add(0){so}{{ {stated} -m reg {quoted(COST)} }}",
        # One answer cannot use up more than there is.
        f"http-response set-var(txn.cost) var(txn.budget){so}{_COSTS} {{ var(txn.cost),sub(txn.budget) gt 0 }}",
        f"http-response sc-add-gpc(0,1) var(txn.cost){so}{_COSTS}",
        f"http-response set-var(txn.budget_left) var(txn.budget_left),sub(txn.cost){so}{_COSTS}",
        f"http-response set-var(txn.budget_left) int(0){so}{{ var(txn.budget_left) -m int lt 0 }}",
    ]


def tell_lines(rules: Sequence[Rule]) -> Lines:
    """Lines that tell callers what is left; they stand after those of limits.

    | the rule has                  | `RateLimit-*` speak of                     |
    | ----------------------------- | ------------------------------------------ |
    | a budget                      | the budget                                 |
    | a limit                       | the limit                                  |
    | both                          | whichever has the lesser part of it left   |
    """
    if not any(rule.policy.budget for rule in rules):
        return []
    both = f"{_HAS} {{ var(txn.limit) -m found }}"
    alone = f"{_HAS} !{{ var(txn.limit) -m found }}"
    scarcer = f"{both} {{ var(txn.part_of_budget),sub(txn.part_of_limit) lt 0 }}"
    lines = [
        # The two parts, each times both wholes: no division loses anything.
        f"http-after-response set-var(txn.part_of_budget) var(txn.budget_left),mul(txn.limit) if {both}",
        f"http-after-response set-var(txn.part_of_limit) var(txn.left),mul(txn.budget) if {both}",
    ]
    for condition in (alone, scarcer):
        lines += [
            f"http-after-response set-header RateLimit-Limit %[var(txn.budget)] if {condition}",
            f"http-after-response set-header RateLimit-Remaining %[var(txn.budget_left)] if {condition}",
            f"http-after-response set-header RateLimit-Reset %[var(txn.budget_reset)] if {condition}",
        ]
    return lines


def _kind(seconds: int) -> str:
    return f"budget{seconds}"


def _read(plane: DataPlane, rule: Rule) -> Lines:
    budget = rule.policy.budget
    if budget is None:
        return []
    this = f"{{ var(txn.rule) -m str -- {key(rule.name)} }}"
    kind = _kind(budget.window_seconds)
    lines = [
        f"http-request set-var(txn.budget) int({min(budget.units, MOST_UNITS)}) if {this}",
        f"http-request set-var(txn.budget_reset) int({budget.window_seconds}) if {this}",
        f"http-request set-var-fmt(txn.budget_of) {counted_together(rule, budget.per)} if {this}",
        # Of HAProxy's counters only the first three can be added to.
        f"http-request track-sc1 var(txn.budget_of),sha2(256) table {tables.name(plane, kind)} if {this}",
        f"http-request set-var(txn.spent) sc_gpc_rate(0,1) if {this}",
    ]
    for pod in tables.pods(plane)[1:]:
        other = tables.name(plane, kind, pod)
        lines.append(
            f"http-request set-var(txn.spent) var(txn.budget_of),sha2(256),table_gpc_rate(0,{other}),add(txn.spent)"
            f" if {this}"
        )
    return lines
