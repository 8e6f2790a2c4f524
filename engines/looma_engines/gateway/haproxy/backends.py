"""Backends: one for each Service, with its pods, their checks, and what the rules that lead there ask for. Pure.

Balancing is by least connections. Requests differ in length by orders of magnitude (a look-up, a parsed document, a
stream of events): counting turns would pile long ones on one pod, counting what is under way does not. A pod that
was added warms up (`slowstart`), as it would have the fewest of all.

A pod leaves in three ways. Its check fails twice: at most INTERVAL + TIMEOUT + AGAIN + TIMEOUT = 1.95 s after it
began to hang, and half that after it died. Two connections in a row fail (`observe layer4`): at once, between
two checks. Its answers are not watched: an engine that answers 500 to one caller's requests would lose all of its pods
for everybody; the circuit breaker is for that. Or the controller gives it weight 0 because it is draining. Where none
is left by the first two, `last_resort` asks one all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from looma_engines.gateway.haproxy import answer_sizes, budgets, last_resort, sampling
from looma_engines.gateway.haproxy import rules as rule_lines
from looma_engines.gateway.haproxy.settings import Settings
from looma_engines.gateway.haproxy.text import (
    Lines,
    is_one_of,
    key,
    quoted,
    sayable,
    section,
    server_name,
    socket_address,
)
from looma_engines.gateway.model import Backend, Endpoint, Rule

INTERVAL_MS, AGAIN_MS, TIMEOUT_MS = 500, 250, 600
FULL_WEIGHT = 100
NO_LIMIT_SECONDS = 86_400

SERVER_OPTIONS = (
    f"check inter {INTERVAL_MS}ms fastinter {AGAIN_MS}ms downinter {INTERVAL_MS}ms fall 2 rise 1 "
    "observe layer4 error-limit 2 on-error mark-down slowstart 2s pool-purge-delay 2s"
)
"""Options of every server: those that a run-time command adds get the same ones."""

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE")
STREAMS = ("text/event-stream", "application/x-ndjson", "application/json-seq", "multipart/x-mixed-replace")


def weight(endpoint: Endpoint) -> int:
    """A server's weight. Draining is weight 0: no new request, the ones it has go on, in the file as at run time."""
    return 0 if endpoint.draining else FULL_WEIGHT


def unique_endpoints(backend: Backend) -> tuple[Endpoint, ...]:
    """Endpoints by server name, in order; of two for one server, one that drains decides."""
    found: dict[str, Endpoint] = {}
    for endpoint in backend.endpoints:
        name = server_name(endpoint)
        if name not in found or endpoint.draining:
            found[name] = endpoint
    return tuple(found[name] for name in sorted(found))


def server_line(endpoint: Endpoint) -> str:
    """A server of the file."""
    where = socket_address(endpoint.address, endpoint.port)
    return f"server {server_name(endpoint)} {where} weight {weight(endpoint)} {SERVER_OPTIONS}"


def leading_to(backend: Backend, rules: Iterable[Rule]) -> list[Rule]:
    """Rules whose requests can come to this backend, as their target or as their fallback."""
    return [
        rule
        for rule in rules
        if rule.policy.fallback == backend.name or any(t.backend == backend.name for t in rule.targets)
    ]


def backend_section(backend: Backend, rules: Sequence[Rule], settings: Settings, *, folder: str) -> Lines:
    """The section of one backend; `rules` are those that lead to it, `folder` is where HAProxy sees its files."""
    lines = ["balance leastconn", *_check(backend)]
    lines += sampling.backend_lines() if settings.access_log else []
    lines += last_resort.draw_lines(backend)
    lines += [*_retries(rules, settings), *_timeouts(rules, settings)]
    lines += answer_sizes.limit_lines(rules, STREAMS)
    for rule in rules:
        # With one rule there is nothing to tell apart.
        condition = "" if len(rules) == 1 else f" if {next(is_one_of('txn.rule', [key(rule.name)]))}"
        lines += rule_lines.request_lines(rule, condition)
        # Before the rule changes headers: it may take away the one that says the cost.
        lines += budgets.cost_lines(rule, condition)
        lines += rule_lines.response_lines(rule, condition)
    lines.append(last_resort.use_line(folder=folder))
    lines += [server_line(endpoint) for endpoint in unique_endpoints(backend)]
    return section(f"backend {backend.name}", lines)


def _check(backend: Backend) -> Lines:
    lines = [f"timeout check {TIMEOUT_MS}ms"]
    if backend.check_path and sayable(backend.check_path):
        host = quoted(backend.service or backend.name)
        lines += [
            "option httpchk",
            f"http-check send meth GET uri {quoted(backend.check_path)} ver HTTP/1.1 hdr Host {host}",
            "http-check expect status 200",
        ]
    return lines


def _retries(rules: Sequence[Rule], settings: Settings) -> Lines:
    """Retries of requests that a repetition does not harm; a connection that failed carried nothing.

    HAProxy counts retries for a backend, so rules that lead to the same one share the greatest count; a rule with
    none has none. A body that does not fit into a buffer (16 KiB) is passed on as it comes and cannot be repeated.
    """
    most = max((rule.policy.retries for rule in rules), default=0)
    if most == 0:
        return ["retries 1", "retry-on conn-failure", "option redispatch 1"]
    harmless = f"{{ method {' '.join(IDEMPOTENT)} }}"
    keyed = "{ req.fhdr(idempotency-key) -m reg . }"
    lines = [
        f"retries {most}",
        "retry-on conn-failure empty-response junk-response 503",
        "option redispatch 1",
        f"http-request disable-l7-retry if !{harmless} !{keyed}",
        # HAProxy can only repeat what it had as a whole when it sent it: a body often comes after its headers.
        f"http-request wait-for-body time {settings.client_seconds}s if {harmless} or {keyed}",
    ]
    without = [key(rule.name) for rule in rules if rule.policy.retries == 0]
    lines += [f"http-request disable-l7-retry if {c}" for c in is_one_of("txn.rule", without)]
    return lines


def _timeouts(rules: Sequence[Rule], settings: Settings) -> Lines:
    """How long an engine may be silent: before its answer the rule's timeout, within a stream much longer.

    HAProxy has no limit of a whole answer's time: bytes that come begin the time anew.
    """
    by_seconds: dict[int, list[str]] = {}
    for rule in rules:
        # Gateway API's 0 s is no limit.
        seconds = rule.policy.timeout_seconds or NO_LIMIT_SECONDS
        by_seconds.setdefault(seconds, []).append(key(rule.name))
    usual = max(by_seconds, default=60)
    lines = [f"timeout server {usual}s"]
    for seconds, names in sorted(by_seconds.items()):
        if seconds != usual:
            lines += [
                f"http-request set-timeout server {seconds}s if {c}" for c in is_one_of("txn.rule", names)
            ]
    kinds = " ".join(STREAMS)
    lines.append(
        f"http-response set-timeout server {settings.stream_silence_seconds}s "
        f"if {{ res.hdr(content-type) -m beg -i {kinds} }}"
    )
    return lines
