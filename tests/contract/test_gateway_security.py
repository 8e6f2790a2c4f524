"""What must not come through the gateway, as one table: each case is refused, and the engine hears nothing of it.

The gateway has a rule for admins, one for whoever has a token, an open one, and one with a limit of bodies. A case is
the bytes of a request, as a caller who means harm would send them, and the answers that are a refusal.
"""

from __future__ import annotations

import json
import socket
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from looma_engines.gateway.haproxy.config import render
from looma_engines.gateway.haproxy.settings import Settings
from looma_engines.gateway.model import Auth, DataPlane, Listener, Policy, TokenKey
from support.forgeries import CLAIMS, FORGED, GOOD, KEY, OTHER, signed
from support.gateway_planes import OURS, PEERS, plane, rule_at
from support.gateway_planes import tokens as trusted
from support.haproxy import Engine, free_ports, gateways, haproxies

UNAUTHENTICATED = "unauthenticated"
BAD_REQUEST = "bad-request"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its refusal: a status, and the problem's name where the gateway, not HAProxy's parser, tells it."""

    kind: str
    name: str
    request: bytes
    status: int
    problem: str = ""


def get(target: str, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"GET {target} HTTP/{version}", "Host: looma.example", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def post(*headers: str, body: bytes = b"", target: str = "/open") -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: looma.example", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def tokens() -> Iterator[Case]:
    """Every forged token, at a rule that asks for one."""
    for kind, shapes in FORGED.items():
        for name, said in shapes.items():
            headers = [] if said is None else [f"Authorization: {said}"]
            yield Case(
                kind=kind, name=name, request=get("/any", *headers), status=401, problem=UNAUTHENTICATED
            )
    guest = signed(CLAIMS | {"roles": ["recruiter"]})
    for name, roles in {
        "another role": ["recruiter"],
        "none": [],
        "the beginning of one": ["admi"],
        "one that begins so": ["admins"],
        "other letters": ["ADMIN"],
    }.items():
        token = signed(CLAIMS | {"roles": roles})
        request = get("/admin", f"Authorization: Bearer {token}")
        yield Case(kind="wrong role", name=name, request=request, status=403, problem="forbidden")
    request = get("/admin", f"Authorization: Bearer {guest}", "X-Looma-Roles: admin")
    yield Case(
        kind="wrong role", name="claimed in a header", request=request, status=403, problem="forbidden"
    )


def duplicated() -> Iterator[Case]:
    """Headers that come twice, of which two programs would believe two, and tokens where none belongs."""
    good, bad = f"Authorization: Bearer {GOOD}", "Authorization: Bearer a.b.c"
    for name, headers in {
        "a good and a bad token": (good, bad),
        "a bad and a good token": (bad, good),
        "two good tokens": (good, good),
        "two tokens in other letters": (good, good.replace("Authorization", "aUTHORIZATION")),
        "two tokens in one line": (f"{good}, Bearer {GOOD}",),
        "a token on a second line": ("Authorization: Bearer", f" {GOOD}x"),
        "who one is, without a token": (
            "X-Looma-Subject: ada",
            "X-Looma-Tenant: demo",
            "X-Looma-Roles: admin",
        ),
        "a name with an underscore": ("X_Looma_Subject: ada", f"Authorization_: Bearer {GOOD}"),
        "a proxy's token": (f"Proxy-Authorization: Bearer {GOOD}",),
        "a token in a cookie": (f"Cookie: token={GOOD}; Authorization=Bearer {GOOD}",),
    }.items():
        yield Case(
            kind="duplicated headers",
            name=name,
            request=get("/any", *headers),
            status=401,
            problem=UNAUTHENTICATED,
        )
    request = get(f"/any?access_token={GOOD}")
    yield Case(
        kind="duplicated headers",
        name="a token in the query",
        request=request,
        status=401,
        problem=UNAUTHENTICATED,
    )
    for name, headers in {
        "two hosts": ("Host: evil.example",),
        "two lengths": ("Content-Length: 0", "Content-Length: 5"),
    }.items():
        yield Case(kind="duplicated headers", name=name, request=get("/open", *headers), status=400)


SMUGGLED = {
    "an unknown coding": post("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "a coding after another": post("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "a coding twice": post("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "a coding with a tab before its end": post("Transfer-Encoding: chunked\x0b", body=b"0\r\n\r\n"),
    "a space before a coding's colon": post("Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "a coding in HTTP/1.0": b"POST /open HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding behind a bare line feed": post("X: a\n\x00Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "a length that is none": post("Content-Length: 1x", body=b"a"),
    "a length with a sign": post("Content-Length: +1", body=b"a"),
    "a negative length": post("Content-Length: -1", body=b"a"),
    "a length in hexadecimal": post("Content-Length: 0x1", body=b"a"),
    "two lengths in one line": post("Content-Length: 1, 2", body=b"ab"),
    "no length": post("Content-Length:", body=b"a"),
    "a length that is 1 to 64 bits": post("Content-Length: 18446744073709551617", body=b"a"),
    "a length far beyond 64 bits": post(f"Content-Length: {10**30}", body=b"a"),
    "a name with a space": get("/open", "X y: 1"),
    "a space before the colon": get("/open", "X-Y : 1"),
    "a bare carriage return": get("/open", "X-Y: a\rb"),
    "a null byte": get("/open", "X-Y: a\x00b"),
    "a line without a colon": get("/open", "GET /admin HTTP/1.1"),
    "a first header that goes on from nothing": b"GET /open HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n",
    "no Host": b"GET /open HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a Host that is none": b"GET /open HTTP/1.1\r\nHost: a.example/b\r\nConnection: close\r\n\r\n",
    "a Host with a name before it": b"GET /open HTTP/1.1\r\nHost: evil@a.example\r\nConnection: close\r\n\r\n",
    "another host in the target": b"GET http://b.example/open HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "no path": b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a host for a path": b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n",
    "a path without a slash": get("open"),
    "no HTTP": b"hello\r\n\r\n",
    "another version": get("/open", version="1.2x"),
    "a fragment": get("/open#/../admin"),
    "a control character in the path": get("/open\x01"),
    "a byte beyond ASCII in the path": get("/\xe9"),
}

DISGUISED = (
    "/open/../admin", "/open/./../admin", "/..", "/.", "/open/.", "/./admin", "/open/%2e%2e/admin",
    "/open/%2E%2E/admin",
    "/open/.%2e/admin", "/open/..%2fadmin", "/open%2f..%2fadmin", "/open%2Fadmin", "/open%5c..%5cadmin",
    "/open\\..\\admin", "//admin", "/open//../admin", "/%61dmin", "/a%64min", "/%41dmin", "/adm%69n", "/admi%6E",
    "/admin%2f", "/admin%2e", "/open/..;/admin", "/open/..;x=1/admin", "/open/;/../admin", "/open/%c0%ae%c0%ae/admin",
    "/open/%", "/open/%4", "/open/%zz", "/open/%00", "/open/%0d%0aX:1", "/open/%7f", "/%30", "/open%2d", "/open%5f",
    "/open%7e", "http://looma.example/open/../admin", "http://looma.example/%61dmin",
)  # fmt: skip
"""Ways past the rule for admins, by the open one or by another spelling."""

LARGE = {
    "a header": (get("/open", f"X-Large: {'x' * 20_000}"), 400),
    "a path": (get(f"/open/{'x' * 20_000}"), 400),
    "too many headers": (get("/open", *(f"X-{number}: 1" for number in range(200))), 400),
    "a token": (get("/any", f"Authorization: Bearer {'a' * 4000}.{'b' * 4000}.{'c' * 4000}"), 401),
    "a body": (post("Content-Length: 101", body=b"x" * 101, target="/small"), 413),
    "a body without a length": (
        post("Transfer-Encoding: chunked", body=b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n", target="/small"),
        413,
    ),
    "a body that was not sent": (post("Content-Length: 4294967297", target="/small"), 413),
}


def cases() -> list[Case]:
    """The whole table."""
    found = [*tokens(), *duplicated()]
    for name, request in SMUGGLED.items():
        found.append(Case(kind="smuggling", name=name, request=request, status=400))
    for target in DISGUISED:
        case = Case(
            kind="path in disguise", name=target, request=get(target), status=400, problem=BAD_REQUEST
        )
        found.append(case)
    for name, (request, status) in LARGE.items():
        found.append(Case(kind="oversized", name=name, request=request, status=status))
    return found


CASES = cases()


def guarding(port: int) -> DataPlane:
    """The rules that the table speaks of."""
    # A key that is good by itself: it must not sign in another's name.
    second = TokenKey(id="second", pem=KEY.import_key(OTHER).as_pem(private=False).decode())
    return plane(
        rule_at("/admin", Policy(auth=Auth(required=True, roles=("admin",)))),
        rule_at("/any", Policy(auth=Auth(required=True))),
        rule_at("/small", Policy(max_request_bytes=100)),
        rule_at("/open", Policy()),
        port=port,
        tokens=trusted(OURS, second),
    )


@pytest.fixture(scope="module")
def guarded(haproxy_root: Path) -> Iterator[tuple[Any, Engine]]:
    """One gateway for the whole table, and its engine."""
    engine = Engine()
    try:
        with haproxies(haproxy_root) as new_haproxy, gateways(new_haproxy) as new_gateway:
            yield new_gateway(guarding(engine.port)), engine
    finally:
        engine.stop()


def passes(gateway: Any, engine: Engine) -> None:
    """What is good passes: a refusal says something only where not everything is refused."""
    for path in ("/open", "/any", "/admin"):
        engine.asked.clear()
        answer = gateway.raw(get(path, f"Authorization: Bearer {GOOD}"))
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert engine.asked == [path]
    engine.asked.clear()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}: {case.name}" for case in CASES])
def test_it_is_refused_and_the_engine_hears_nothing(guarded: tuple[Any, Engine], case: Case) -> None:
    gateway, engine = guarded
    engine.asked.clear()
    answer = gateway.raw(case.request)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1:2] == [str(case.status).encode()], answer[:500]
    # One request, one answer: nothing within it was taken for another.
    assert answer.count(b"HTTP/1.1 ") == 1, answer[:1000]
    if case.problem:
        assert b"application/problem+json" in head
        assert b"x-looma-source: gateway" in head.lower()
        assert json.loads(body)["type"] == f"urn:looma:problem:{case.problem}"
    if case.status == 401:
        assert b"www-authenticate: bearer error=" in head.lower()
    assert engine.asked == []


def test_the_table_has_all_kinds_and_what_is_good_passes(guarded: tuple[Any, Engine]) -> None:
    passes(*guarded)
    kinds = Counter(case.kind for case in CASES)
    assert set(kinds) == {
        *FORGED,
        "wrong role",
        "duplicated headers",
        "smuggling",
        "path in disguise",
    }
    assert sum(kinds.values()) >= 40
    assert len({(case.kind, case.name) for case in CASES}) == len(CASES)


INNER = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "outer",
    [
        post("Transfer-Encoding: chunked", "Content-Length: 4", body=b"0\r\n\r\n" + INNER),
        post("Content-Length: 4", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + INNER),
        post("Content-Length: 0", body=INNER),
        post("Transfer-Encoding: chunked", body=b"0\r\n\r\n" + INNER),
        post("Transfer-Encoding: chunked", body=b"0;a=b\r\n\r\n" + INNER),
        post("Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nX: a\r\n\r\n" + INNER),
        post("Transfer-Encoding: chunked", body=b"0x5\r\nhello\r\n0\r\n\r\n" + INNER),
        post("Transfer-Encoding: chunked", body=b"-1\r\nhello\r\n0\r\n\r\n" + INNER),
        post("Transfer-Encoding: chunked", body=b"5\nhello\n0\n\n" + INNER),
        post("Transfer-Encoding: chunked", body=b"100000000000000005\r\nhello\r\n0\r\n\r\n" + INNER),
        get("/open", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQA") + INNER,
    ],
    ids=[
        "a coding beside a length",
        "a length beside a coding",
        "a body that was not told of",
        "after the last chunk",
        "after an extension of a chunk",
        "after a trailer",
        "a chunk's size with a prefix",
        "a negative chunk",
        "chunks by bare line feeds",
        "a chunk beyond 64 bits",
        "an upgrade to HTTP/2",
    ],
)  # fmt: skip
def test_what_is_within_an_open_request_is_no_request_past_the_rules(
    guarded: tuple[Any, Engine], outer: bytes
) -> None:
    gateway, engine = guarded
    engine.asked.clear()
    gateway.raw(outer.replace(b"Connection: close\r\n", b"", 1))
    # The open one may be answered. What follows it is a request of its own, that has no token, or nothing at all.
    assert set(engine.asked) <= {"/open"}, engine.asked
    assert len(engine.asked) <= 1
    passes(gateway, engine)


def test_haproxy_takes_commands_by_its_two_sockets_alone(haproxy_root: Path) -> None:
    """No port of its own but those that it is told of, and none of them understands a command."""
    http, probes, peers = free_ports(3)
    known = msgspec.structs.replace(guarding(1), peers=PEERS)
    with haproxies(haproxy_root) as new_haproxy:
        haproxy = new_haproxy()
        settings = Settings(address="127.0.0.1", probes_port=probes, peers_port=peers)
        listeners = (Listener(name="http", port=http),)
        known = msgspec.structs.replace(known, listeners=listeners)
        haproxy.write(render(known, haproxy.inside, settings))
        haproxy.start()
        assert haproxy.process is not None
        master = psutil.Process(haproxy.process.pid)
        everyone = [master, *master.children(recursive=True)]
        ports = {
            connection.laddr.port
            for process in everyone
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM
        }
        assert ports == {http, probes, peers}
        for port in ports:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(b"show info\nshow proc\n\n")
                connection.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda connection=connection: connection.recv(65536), b""))
            assert b"Name: HAProxy" not in answer
            assert b"worker" not in answer
        assert "Name: HAProxy" in haproxy.command("show info")
        sockets = [path for path in haproxy.folder.resolve().iterdir() if path.is_socket()]
        assert {path.name for path in sockets} == {"worker.sock", "master.sock"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in sockets} == {0o600}
