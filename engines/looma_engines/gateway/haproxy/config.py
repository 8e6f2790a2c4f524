"""The configuration of HAProxy: `render` turns a `DataPlane` into the files of a folder. Pure.

    answers, text      how to answer a problem, how to say a value
    requests           what every request passes first
    rules, shares      which rule fits, and which of its targets
    token_check, budgets, rate_limits, circuit_breakers, answer_sizes     policies
    backends           Services and their pods
    last_resort        which pod is asked where none passes its check
    tables             where counters live

The same value gives the same bytes, so that a file that is there already need not be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from looma_engines.gateway.haproxy import (
    answer_sizes,
    answers,
    backends,
    budgets,
    circuit_breakers,
    last_resort,
    rate_limits,
    refusals,
    requests,
    rules,
    sampling,
    shadows,
    shares,
    tables,
    token_check,
)
from looma_engines.gateway.haproxy.settings import Settings
from looma_engines.gateway.haproxy.text import Lines, key, mark, quoted, section
from looma_engines.gateway.model import DataPlane, Listener, Rule

Files = Mapping[str, str]
CONFIGURATION = "haproxy.cfg"
WORKER_SOCKET, MASTER_SOCKET = "worker.sock", "master.sock"
SAMPLES_SOCKET = "samples.sock"
SERVERS_STATE = "servers.state"
"""What the worker before knew of the servers; written before a reload (see `readback.carried_states`)."""
OLD_WORKERS = 20
"""How many reloads a worker with open streams outlives."""
COUNTED_BODY = 8192
"""Bytes of a body without a declared length that are waited for, to count them: half of HAProxy's buffer."""

_CHOICE = "choice"
# By HTTP/2 a body needs no header at all; a request without one is complete, and waits for nothing.
_UNCOUNTED = "!{ req.hdr(content-length) -m found }"


def render(plane: DataPlane, folder: Path, settings: Settings | None = None) -> Files:
    """Return the files of a configuration folder by their relative paths.

    Args:
        plane: what to render. A rule or match that HAProxy could not be told is left out or answers 500.
        folder: where HAProxy will see the files.
        settings: ports, sizes and times; a gateway pod's if None.
    """
    settings = settings or Settings()
    here = str(folder)
    there = {backend.name for backend in plane.backends}
    known = [rules.sane(rule, there) for rule in plane.rules]
    breakers = circuit_breakers.of_backends(known)
    kinds = {
        **({_CHOICE: "type string len 256 size 10k expire 1d store gpc(2)"} if _any_counted(known) else {}),
        **rate_limits.table_kinds(known),
        **budgets.table_kinds(known),
        **circuit_breakers.table_kinds(breakers),
        **refusals.table_kinds(known),
    }
    lines = [
        *_global(plane, known, here, settings),
        *_defaults(settings),
        *tables.sections(plane, kinds, settings),
        *token_check.table_lines(known),
        *_probes(plane, settings),
        *_gateway(plane, known, here, settings),
    ]
    for backend in sorted(plane.backends, key=lambda backend: backend.name):
        lines += backends.backend_section(backend, backends.leading_to(backend, known), settings, folder=here)
    return {
        CONFIGURATION: "\n".join(lines),
        shares.MAP: shares.map_file(plane),
        last_resort.MAP: last_resort.map_file(plane),
        **token_check.key_files(plane),
        **answer_sizes.files(known),
        **{
            _certificate(listener): listener.certificate
            for listener in plane.listeners
            if listener.certificate
        },
    }


def _any_counted(known: Sequence[Rule]) -> bool:
    return any(shares.is_shared(rule) or rule.policy.shadow is not None for rule in known)


def _certificate(listener: Listener) -> str:
    return f"certificates/{key(listener.name)}.pem"


def _global(plane: DataPlane, known: Sequence[Rule], folder: str, settings: Settings) -> Lines:
    lines = [
        f"stats socket {quoted(f'{folder}/{WORKER_SOCKET}')} mode 600 level admin expose-fd listeners",
        "stats timeout 2m",
        f"server-state-file {quoted(f'{folder}/{SERVERS_STATE}')}",
        f"nbthread {settings.threads}",
        f"maxconn {settings.max_connections}",
        # Fewer connections than asked for are better than none where the system gives fewer files.
        "no strict-limits",
        f"hard-stop-after {settings.hard_stop_seconds}s",
        # Each worker that still has a stream keeps its memory; the oldest give way.
        f"mworker-max-reloads {OLD_WORKERS}",
        "tune.stick-counters 6",
        "ssl-default-bind-options ssl-min-ver TLSv1.2",
        *answer_sizes.load_lines(known, folder=folder),
    ]
    if settings.access_log:
        lines += [
            "log stdout format raw daemon info",
            # The controller's, of those requests that are a notice and no mere information (`sampling`).
            f"log {folder}/{SAMPLES_SOCKET} len 8192 format raw daemon notice",
            # Tells what HAProxy's own work on a request took; costs two looks at the clock for each turn of a task.
            "profiling.tasks on",
        ]
    if tables.own_peer(plane) is not None:
        lines.append(f"localpeer {quoted(plane.pod)}")
    return section("global", lines)


def _defaults(settings: Settings) -> Lines:
    lines = [
        "mode http",
        "load-server-state-from-file global",
        # A first packet that got lost, or found a full queue, is sent again after a second: leave time for its answer.
        "timeout connect 1500ms",
        f"timeout client {settings.client_seconds}s",
        "timeout server 60s",
        "timeout http-request 10s",
        # Short, as a worker that a reload took over from answers once more on each connection that waits.
        "timeout http-keep-alive 10s",
        "timeout queue 5s",
        "timeout tunnel 1h",
        "http-reuse safe",
        "option splice-auto",
        *answers.error_lines(),
    ]
    if settings.access_log:
        lines.append("log global")
    return section("defaults", lines)


_LOG = (
    "%{+json}o %(at)[date(0,ms)] %(request)[var(txn.request_id)] %(method)[var(txn.method)] "
    "%(path)[var(txn.asked)] %(status:sint)ST %(rule)[var(txn.rule)] %(backend)b %(server)s "
    "%(queue_ms:sint)Tw %(connect_ms:sint)Tc %(first_byte_ms:sint)Tr %(total_ms:sint)Ta %(bytes:sint)B "
    "%(retries)rc %(end)ts %(worked_ns:sint)[cpu_ns_tot] %(waited_ns:sint)[lat_ns_tot]"
)
"""One JSON object a request. No query and no address: both may tell of a person."""


def _probes(plane: DataPlane, settings: Settings) -> Lines:
    ready, word = (200, "ready") if plane.ready else (503, "not ready")
    return section(
        "frontend probes",
        [
            f"bind {settings.address}:{settings.probes_port}",
            "no log",
            "http-request use-service prometheus-exporter if { path /metrics }",
            'http-request return status 200 content-type text/plain string "alive" if { path /healthz }',
            f'http-request return status {ready} content-type text/plain string "{word}" if {{ path /readyz }}',
            "http-request return status 404",
        ],
    )


def _gateway(plane: DataPlane, known: Sequence[Rule], folder: str, settings: Settings) -> Lines:
    log = (
        ["option dontlognull", f"log-format {quoted(_LOG)}", *sampling.gateway_lines()]
        if settings.access_log
        else []
    )
    lines = [
        *_binds(plane, folder, settings),
        *token_check.first_lines(known),
        *log,
        # A worker that leaves tells a caller with its last answer, instead of closing while a request is on its way.
        "option idle-close-on-response",
        *requests.mark_answers(),
        *requests.identify(),
        *requests.name_host(known),
        *requests.refuse_unsafe(),
        *requests.state_anew(),
    ]
    if not plane.ready:
        return section("frontend gateway", [*lines, answers.refuse(answers.NOT_ROUTED_YET)])
    for rule in known:
        lines += rules.match_lines(rule)
    lines += [
        answers.refuse(answers.NOT_FOUND, "!{ var(txn.rule) -m found }"),
        *token_check.check_lines(plane, known, folder=folder, names=settings.claims),
        *budgets.check_lines(plane, known),
        *rate_limits.limit_lines(plane, known),
        *budgets.tell_lines(known),
        *_body_limits(known),
    ]
    for rule in known:
        lines += rules.redirect_line(rule)
    choice = tables.name(plane, _CHOICE)
    lines += shares.lead(known)
    for rule in known:
        lines += shares.choose(rule, map_path=f"{folder}/{shares.MAP}", table=choice)
    lines += [
        answers.refuse(answers.NO_TARGET, "!{ var(txn.backend) -m found }"),
        answers.refuse(answers.NO_TARGET, "{ var(txn.backend) -m str -- - }"),
        *circuit_breakers.without_pods(known),
        *circuit_breakers.breaker_lines(plane, known, circuit_breakers.of_backends(known)),
    ]
    for rule in known:
        # After what may lead to a fallback, whose answers are another service's.
        lines += shadows.name_lines(rule, table=choice)
    lines += [
        "use_backend %[var(txn.backend)]",
    ]
    return section("frontend gateway", lines)


def _binds(plane: DataPlane, folder: str, settings: Settings) -> Lines:
    """One `bind` for each port; listeners of one port differ by their certificates."""
    by_port: dict[int, list[str]] = {}
    for listener in plane.listeners:
        by_port.setdefault(listener.port, [])
        if listener.certificate:
            by_port[listener.port].append(f"{folder}/{_certificate(listener)}")
    lines = []
    for port, certificates in sorted(by_port.items()):
        words = "".join(f" crt {quoted(path)}" for path in certificates)
        tls = f" ssl{words} alpn h2,http/1.1" if certificates else ""
        lines.append(f"bind {settings.address}:{port}{tls}")
    return lines


def _body_limits(known: Sequence[Rule]) -> Lines:
    """Refusals of bodies that are too large.

    | the body                           | answer                                         |
    | ---------------------------------- | ---------------------------------------------- |
    | declares a length over the limit   | 413 before it is read                          |
    | declares none, up to COUNTED_BODY  | waited for and counted: 413 over the limit     |
    | declares none, and is longer       | 411: what is not declared could not be limited |
    """
    by_limit: dict[int, list[str]] = {}
    for rule in known:
        if rule.policy.max_request_bytes is not None:
            by_limit.setdefault(rule.policy.max_request_bytes, []).append(key(rule.name))
    if not by_limit:
        return []
    lines: Lines = []
    for limit, names in sorted(by_limit.items()):
        lines += mark("txn.most_bytes", f"int({limit})", "txn.rule", names)
    limited = "{ var(txn.most_bytes) -m found }"
    return [
        *lines,
        # Not by `hdr_val`, whose 32 bits would take 4 GiB and a byte for one byte.
        answers.refuse(
            answers.TOO_LARGE, f"{limited} {{ req.fhdr(content-length),sub(txn.most_bytes) gt 0 }}"
        ),
        f"http-request wait-for-body time 10s at-least {COUNTED_BODY + 1} if {limited} {_UNCOUNTED}",
        answers.refuse(
            answers.TOO_LARGE, f"{limited} {_UNCOUNTED} {{ req.body_len,sub(txn.most_bytes) gt 0 }}"
        ),
        answers.refuse(
            answers.LENGTH_REQUIRED, f"{limited} {_UNCOUNTED} {{ req.body_len gt {COUNTED_BODY} }}"
        ),
    ]
