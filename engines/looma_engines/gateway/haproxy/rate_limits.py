"""Limits of requests, over all gateway pods together. Pure.

A limit of R a second with a burst of B lets B requests pass in any B/R seconds: B at once, R a second in the long
run. Only what was let through counts. Each pod counts in a table of its own and adds up what all of them say.

What the others counted comes within milliseconds, and HAProxy rounds each rate down. So of every place that becomes
free in that window, now and then two pods take it: by our benchmark, one or two requests in a hundred too many. That is
why the average is counted as well, over a window of so many requests that a few of them are nothing: those that were
too many fill it up, and the next ones wait for that. It holds nobody back who keeps to the first window.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from looma_engines.gateway.haproxy import answers, refusals, tables
from looma_engines.gateway.haproxy.text import Lines, key, literal, quoted
from looma_engines.gateway.model import DataPlane, RateLimit, RateLimitPer, Rule

LEAST_WINDOW_MS = 100
"""HAProxy's clock counts milliseconds, and moves once per round of its loop."""

MOST_WINDOW_MS = 86_400_000


MEAN_REQUESTS = 1000
"""The window of the average holds so many, if that is not too long: of them, one or two too many are little.

Tried with two pods, four times 50 a second asked for, a minute: without it 3041 of 3000 passed, with 500 requests 3003,
with 1000 2999, with 2000 3017, since the excess of the first window is waited for only after it.
"""

MOST_MEAN_MS = 600_000


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """At most `requests` in any `milliseconds`."""

    requests: int
    milliseconds: int


def window(limit: RateLimit) -> Window:
    """The window that keeps both the average and the burst.

    | requests per second | burst | requests | milliseconds |
    | ------------------- | ----- | -------- | ------------ |
    | 10                  | 20    | 20       | 2000         |
    | 1                   | 1     | 1        | 1000         |
    | 100                 | 1     | 10       | 100          |
    """
    milliseconds = 1000 * limit.burst // limit.requests_per_second
    if milliseconds < LEAST_WINDOW_MS:
        # A burst that is smaller than what the rate gives in the shortest window cannot be told from it.
        least = max(limit.requests_per_second * LEAST_WINDOW_MS // 1000, 1)
        return Window(requests=least, milliseconds=max(1000 * least // limit.requests_per_second, 1))
    if milliseconds > MOST_WINDOW_MS:
        return Window(
            requests=limit.requests_per_second * MOST_WINDOW_MS // 1000, milliseconds=MOST_WINDOW_MS
        )
    return Window(requests=limit.burst, milliseconds=milliseconds)


def mean_window(short: Window) -> Window:
    """The window of the average: as many of `short` as hold MEAN_REQUESTS, within MOST_MEAN_MS; at least one.

    | requests | milliseconds | requests of the average | milliseconds |
    | -------- | ------------ | ----------------------- | ------------ |
    | 50       | 1000         | 1000                    | 20000        |
    | 1        | 1000         | 600                     | 600000       |
    | 3000     | 60000        | 3000                    | 60000        |
    """
    times = max(min(-(-MEAN_REQUESTS // short.requests), MOST_MEAN_MS // short.milliseconds), 1)
    return Window(requests=times * short.requests, milliseconds=times * short.milliseconds)


def table_kinds(rules: Iterable[Rule]) -> dict[str, str]:
    """The tables that these rules' limits need: one for each pair of lengths of windows."""
    known = {window(rule.policy.rate_limit) for rule in rules if rule.policy.rate_limit}
    pairs = {(short.milliseconds, mean_window(short).milliseconds): short for short in known}
    return {
        kind(short): f"type binary len 32 size 100k expire {max(2 * mean, 10_000)}ms"
        f" store gpc0,gpc0_rate({length}ms),gpc1,gpc1_rate({mean}ms)"
        for (length, mean), short in sorted(pairs.items())
    }


def kind(short: Window) -> str:
    """The kind of table that counts a limit with this window."""
    return f"limit{short.milliseconds}x{mean_window(short).milliseconds // short.milliseconds}"


def counted_together(rule: Rule, per: RateLimitPer) -> str:
    """The log format of a key: the same for requests of this rule that are counted together, in quotes."""
    whose = {
        RateLimitPer.ADDRESS: "|%[src]",
        # Without a token there is no subject, and all strangers are one.
        RateLimitPer.SUBJECT: "|%[var(txn.tenant)]|%[var(txn.subject)]",
        RateLimitPer.SERVICE: "",
    }[per]
    return quoted(literal(key(rule.service or rule.name)) + whose)


def limit_lines(plane: DataPlane, rules: Iterable[Rule]) -> Lines:
    """Lines that refuse what is over a rule's limit, and tell callers what is left."""
    limited = [rule for rule in rules if rule.policy.rate_limit is not None]
    if not limited:
        return []
    lines: Lines = []
    for rule in limited:
        lines += _count(plane, rule)
    found = "{ var(txn.limit) -m found }"
    # Where no limit is, nothing is left to compare, and no counter to add to.
    fewer = "{ var(txn.left_mean),sub(txn.left) -m int lt 0 }"
    none_left = "{ var(txn.left) -m int lt 0 }"
    over = "{ var(txn.over_limit) -m bool }"
    return [
        *lines,
        f"http-request set-var(txn.left) var(txn.left_mean) if {fewer}",
        *refusals.count_lines(plane, refusals.Why.LIMIT, caller="txn.limit_of", condition=none_left),
        f"http-request set-var(txn.over_limit) bool(true) if {none_left}",
        f"http-request set-var(txn.left) int(0) if {none_left}",
        answers.refuse(answers.TOO_MANY, over),
        "http-request sc-inc-gpc0(4)",
        "http-request sc-inc-gpc1(4)",
        f"http-after-response set-header RateLimit-Limit %[var(txn.limit)] if {found}",
        f"http-after-response set-header RateLimit-Remaining %[var(txn.left)] if {found}",
        f"http-after-response set-header RateLimit-Reset %[var(txn.limit_reset)] if {found}",
    ]


def _count(plane: DataPlane, rule: Rule) -> Lines:
    limit = rule.policy.rate_limit
    if limit is None:
        return []
    known = window(limit)
    this = f"{{ var(txn.rule) -m str -- {key(rule.name)} }}"
    own = tables.name(plane, kind(known))
    # What is left once this request is through.
    left, left_mean = (f"neg,add({size - 1})" for size in (known.requests, mean_window(known).requests))
    lines = [
        f"http-request set-var(txn.limit) int({known.requests}) if {this}",
        f"http-request set-var(txn.limit_reset) int({-(-known.milliseconds // 1000)}) if {this}",
        f"http-request set-var-fmt(txn.limit_of) {counted_together(rule, limit.per)} if {this}",
        f"http-request set-var(txn.limit_key) var(txn.limit_of),sha2(256) if {this}",
        f"http-request track-sc4 var(txn.limit_key) table {own} if {this}",
        f"http-request set-var(txn.left) sc_gpc0_rate(4),{left} if {this}",
        f"http-request set-var(txn.left_mean) sc_gpc1_rate(4),{left_mean} if {this}",
    ]
    for pod in tables.pods(plane)[1:]:
        other = tables.name(plane, kind(known), pod)
        for count, rate in (("txn.left", "gpc0"), ("txn.left_mean", "gpc1")):
            theirs = f"var(txn.limit_key),table_{rate}_rate({other})"
            lines.append(f"http-request set-var({count}) {theirs},neg,add({count}) if {this}")
    return lines
