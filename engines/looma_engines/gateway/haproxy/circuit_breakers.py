"""Circuit breakers: a backend that fails too often gets no requests for a while, then a few to try. Pure.

Two tables hold it. `breaker` has for each backend when it opened (tenths of a second, 0: closed), its epoch, how often
it opened, and how many requests found it open; the last two are for whoever looks on.
`answers` has for each backend and epoch how many requests were answered, how many of them failed, how many trials
began and how many went well. Each change of state begins an epoch, so what was counted before a circuit closed
cannot open it again, and an answer that comes late, from an epoch that is over, moves nothing.

| state     | request                                    | answer                                            |
| --------- | ------------------------------------------ | ------------------------------------------------- |
| closed    | passes                                     | counted; too many failures in the window open it  |
| open      | refused, or sent to the fallback           |                                                   |
| half-open | passes while trials are left, else refused | a failure opens it, enough good ones close it     |

Half-open has no mark: it is what open is after `open_seconds`. A trial whose caller went away is never answered, so
each further `open_seconds` give as many trials again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from looma_core.api.gateway import Circuit
from looma_engines.gateway.haproxy import answers, tables
from looma_engines.gateway.haproxy.text import Lines, is_one_of, key, mark
from looma_engines.gateway.model import CircuitBreaker, DataPlane, Rule

STATE = "breaker"
_ROUND = 1_000_000_000
"""Moments are tenths of a second in a counter of 32 bits; they begin anew every three years."""

_NOW = f"date(0,ms),div(100),mod({_ROUND}),or(1)"
_ON = "{ var(txn.breaker) -m found }"
_CLOSED = "{ var(txn.opened) -m int 0 }"
_CURRENT = "{ sc_get_gpt(1,2),sub(txn.epoch) -m int 0 }"
_TRIAL = "{ var(txn.trial) -m found }"
_FAILED = "{ status ge 500 }"


def of_backends(rules: Iterable[Rule]) -> dict[str, CircuitBreaker]:
    """The breaker of each backend. A backend of several rules has the first one's, and all of them are held by it."""
    found: dict[str, CircuitBreaker] = {}
    for rule in rules:
        for target in rule.targets:
            if rule.policy.circuit_breaker is not None and target.backend:
                found.setdefault(target.backend, rule.policy.circuit_breaker)
    return found


def table_kinds(breakers: Mapping[str, CircuitBreaker]) -> dict[str, str]:
    """The tables that these breakers need: one of states, and one of answers for each length of a window."""
    if not breakers:
        return {}
    kinds = {STATE: "type string len 256 size 10k expire 1d store gpt(3),gpc(1)"}
    for seconds in sorted({breaker.window_seconds for breaker in breakers.values()}):
        kinds[_answers(seconds)] = (
            f"type string len 256 size 10k expire 1h store gpc(4),gpc_rate(4,{seconds}s)"
        )
    return kinds


def breaker_lines(plane: DataPlane, rules: Iterable[Rule], breakers: Mapping[str, CircuitBreaker]) -> Lines:
    """Lines between the choice of a backend and its use, and those that learn from the answers."""
    if not breakers:
        return []
    groups: dict[CircuitBreaker, list[str]] = {}
    for backend, breaker in sorted(breakers.items()):
        groups.setdefault(breaker, []).append(backend)
    lines: Lines = []
    for number, backends in enumerate(groups.values()):
        lines += mark("txn.breaker", f"int({number})", "txn.backend", backends)
    lines += [
        f"http-request track-sc2 var(txn.backend) table {tables.name(plane, STATE)} if {_ON}",
        f"http-request set-var(txn.opened) sc_get_gpt(0,2) if {_ON}",
        f"http-request set-var(txn.epoch) sc_get_gpt(1,2) if {_ON}",
        f"http-request set-var(txn.openings) sc_get_gpt(2,2) if {_ON}",
        f"http-request set-var-fmt(txn.answers) '%[var(txn.backend)]|%[var(txn.epoch)]' if {_ON}",
        f"http-request set-var(txn.open_for) {_NOW},sub(txn.opened),add({_ROUND}),mod({_ROUND}) if {_ON}",
    ]
    learned: Lines = []
    for number, breaker in enumerate(groups):
        this = f"{{ var(txn.breaker) -m int {number} }}"
        lines += _decide(plane, breaker, this)
        learned += _learn(breaker, this)
    return [*lines, *_refuse(rules), *_count(), *learned, *_move()]


def state(opened: int, breaker: CircuitBreaker, *, now_ms: int) -> Circuit:
    """The state of a circuit that opened then (0: not at all), at a moment in milliseconds since 1970.

    | opened              | state     |
    | ------------------- | --------- |
    | 0                   | closed    |
    | 1 s ago, of 5 s     | open      |
    | 5 s ago, of 5 s     | half-open |
    """
    if opened == 0:
        return "closed"
    open_for = (now_ms // 100 % _ROUND - opened) % _ROUND
    return "half-open" if open_for >= 10 * breaker.open_seconds else "open"


def without_pods(rules: Iterable[Rule]) -> Lines:
    """Lines that lead to the fallback where no pod of the chosen backend is up; they stand before `breaker_lines`."""
    lines: Lines = []
    for fallback, names in sorted(_by_fallback(rules).items()):
        lines += [
            f"http-request set-var(txn.backend) str({fallback}) if {condition} {{ var(txn.backend),nbsrv lt 1 }}"
            for condition in is_one_of("txn.rule", names)
        ]
    return lines


def _answers(seconds: int) -> str:
    return f"answers{seconds}"


def _by_fallback(rules: Iterable[Rule]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for rule in rules:
        if rule.policy.fallback:
            found.setdefault(rule.policy.fallback, []).append(key(rule.name))
    return found


def _decide(plane: DataPlane, breaker: CircuitBreaker, this: str) -> Lines:
    """Lines that mark a request as a trial, or as one that finds the circuit open."""
    tenths = 10 * breaker.open_seconds
    waits = f"{this} !{_CLOSED} {{ var(txn.open_for) -m int lt {tenths} }}"
    tries = f"{this} !{_CLOSED} {{ var(txn.open_for) -m int ge {tenths} }}"
    table = tables.name(plane, _answers(breaker.window_seconds))
    return [
        f"http-request track-sc3 var(txn.answers) table {table} if {this}",
        f"http-request set-var(txn.retry_after) int({tenths + 9}),sub(txn.open_for),div(10) if {waits}",
        f"http-request set-var(txn.retry_after) int(1) if {tries}",
        f"http-request set-var(txn.open) bool(true) if {waits}",
        f"http-request set-var(txn.trials) var(txn.open_for),div({tenths}),mul({breaker.trial_requests}) if {tries}",
        # Only a trial that is left is taken: what is refused must not use up those that come later.
        f"http-request set-var(txn.trial) sc_inc_gpc(2,3) if {tries} {{ sc_get_gpc(2,3),sub(txn.trials) lt 0 }}",
        f"http-request set-var(txn.open) bool(true) if {tries} !{_TRIAL}",
        # Two threads took the last one at once.
        f"http-request set-var(txn.open) bool(true) if {tries} {{ var(txn.trial),sub(txn.trials) gt 0 }}",
    ]


def _refuse(rules: Iterable[Rule]) -> Lines:
    """Lines for an open circuit; nothing is learned of the answer that comes instead."""
    opened = "{ var(txn.open) -m bool }"
    lines = [
        f"http-request sc-inc-gpc(0,2) if {opened}",
        f"http-request unset-var(txn.breaker) if {opened}",
        f"http-request unset-var(txn.trial) if {opened}",
    ]
    for fallback, names in sorted(_by_fallback(rules).items()):
        lines += [
            f"http-request set-var(txn.fallback) str({fallback}) if {opened} {condition}"
            for condition in is_one_of("txn.rule", names)
        ]
    return [
        *lines,
        answers.refuse(answers.CIRCUIT_OPEN, f"{opened} !{{ var(txn.fallback) -m found }}"),
        f"http-request set-var(txn.backend) var(txn.fallback) if {opened}",
    ]


def _count() -> Lines:
    """Lines that count an answer. HAProxy's own (no pod, broken off, too late) count as the engine's do."""
    return [
        f"http-after-response sc-inc-gpc(0,3) if {_ON} {_CLOSED}",
        f"http-after-response sc-inc-gpc(1,3) if {_ON} {_CLOSED} {_FAILED}",
        f"http-after-response set-var(txn.good) sc_inc_gpc(3,3) if {_ON} {_TRIAL} !{_FAILED}",
        f"http-after-response set-var(txn.answered) sc_gpc_rate(0,3) if {_ON} {_CLOSED} {_FAILED}",
        f"http-after-response set-var(txn.bad) sc_gpc_rate(1,3),mul(100) if {_ON} {_CLOSED} {_FAILED}",
        f"http-after-response set-var(txn.trips) bool(true) if {_ON} {_TRIAL} {_FAILED}",
    ]


def _learn(breaker: CircuitBreaker, this: str) -> Lines:
    share = f"var(txn.answered),mul({breaker.error_percent}),sub(txn.bad) le 0"
    return [
        (
            f"http-after-response set-var(txn.trips) bool(true) if {this} {_CLOSED} {_FAILED} "
            f"{{ var(txn.answered) -m int ge {breaker.min_requests} }} {{ {share} }}"
        ),
        (
            f"http-after-response set-var(txn.closes) bool(true) if {this} {_TRIAL} "
            f"{{ var(txn.good) -m int ge {breaker.trial_requests} }}"
        ),
    ]


def _move() -> Lines:
    trips, closes = (
        f"{_ON} {{ var(txn.{how}) -m bool }} {{ var(txn.moves) -m bool }}" for how in ("trips", "closes")
    )
    return [
        f"http-after-response set-var(txn.moves) bool(true) if {_ON} {_CURRENT}",
        f"http-after-response sc-set-gpt(1,2) var(txn.epoch),add(1) if {trips}",
        f"http-after-response sc-set-gpt(0,2) {_NOW} if {trips}",
        # As it was when the request came, plus one: two answers that open it together count once.
        f"http-after-response sc-set-gpt(2,2) var(txn.openings),add(1) if {trips}",
        f"http-after-response sc-set-gpt(1,2) var(txn.epoch),add(1) if {closes}",
        f"http-after-response sc-set-gpt(0,2) int(0) if {closes}",
    ]
