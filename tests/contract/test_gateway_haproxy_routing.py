"""The real HAProxy with rendered configurations: which rule fits, what is changed on the way, what is refused."""

from __future__ import annotations

import datetime as dt
import json
import re
import socket
import ssl
import warnings
from typing import Any

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from looma_engines.gateway.model import (
    Backend,
    DataPlane,
    Endpoint,
    HeaderChange,
    Listener,
    Match,
    MatchKind,
    NamedMatch,
    PathRewrite,
    Policy,
    Redirect,
    Rule,
    Target,
)
from support.haproxy import free_ports

ENGINE = "looma_engine-stable_80"


def backend(name: str = ENGINE, *ports: int, check_path: str = "/readyz") -> Backend:
    endpoints = tuple(Endpoint(address="127.0.0.1", port=port) for port in ports)
    return Backend(name=name, service=name.split("_")[1], endpoints=endpoints, check_path=check_path)


def rule(name: str = "looma/engine/0", *matches: Match, **changes: Any) -> Rule:
    changes.setdefault("targets", (Target(backend=ENGINE),))
    return Rule(name=name, matches=matches or (Match(),), **changes)


def plane(*rules: Rule, port: int | None = None, **changes: Any) -> DataPlane:
    backends = (backend(ENGINE, *([port] if port else [])),)
    return DataPlane(**({"ready": True, "pod": "gateway-1", "rules": rules, "backends": backends} | changes))


def problem(answer: Any, name: str, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
    assert answer.headers["x-looma-source"] == "gateway"
    document: dict[str, Any] = answer.json()
    assert (document["type"], document["status"]) == (f"urn:looma:problem:{name}", status)
    assert document["instance"] == answer.headers["x-request-id"]
    return document


ROUTES = (
    rule("ns/exact/0", Match(path="/a", path_kind=MatchKind.EXACT)),
    rule("ns/method/0", Match(path="/a/b", method="POST")),
    rule("ns/prefix/0", Match(path="/a/b/")),
    rule("ns/header/0", Match(path="/h", headers=(NamedMatch(name="X-Which", value='it\'s 100%, "so" #1'),))),
    rule(
        "ns/header/1",
        Match(path="/h", headers=(NamedMatch(name="x-which", value="v[0-9]+", kind=MatchKind.REGEX),)),
    ),
    rule(
        "ns/query/0",
        Match(
            path="/q",
            query=(
                NamedMatch(name="a", value="x y"),
                NamedMatch(name="b", value="[a-c]{2}", kind=MatchKind.REGEX),
            ),
        ),
    ),
    rule("ns/regex/0", Match(path="/r/[0-9]+", path_kind=MatchKind.REGEX)),
    rule("ns/host/0", Match(path="/host"), hostnames=("One.example", "*.wild.example")),
    rule("ns/two/0", Match(path="/t1"), Match(path="/t2")),
    rule("ns/last/0", Match(path="/host")),
    rule("ns/odd name/'0'", Match(path="/odd")),
    rule("ns/broken/0", Match(path="/(", path_kind=MatchKind.REGEX)),
    rule("ns/line/0", Match(path="/line", headers=(NamedMatch(name="a", value="x\ny"),))),
)


@pytest.mark.parametrize(
    ("method", "target", "headers", "fits"),
    [
        ("GET", "/a", {}, "ns/exact/0"),
        ("GET", "/a/", {}, None),
        ("GET", "/a/b", {}, "ns/prefix/0"),
        ("GET", "/a/b/", {}, "ns/prefix/0"),
        ("GET", "/a/b/c?x=1", {}, "ns/prefix/0"),
        ("GET", "/a/bc", {}, None),
        ("POST", "/a/b/c", {}, "ns/method/0"),
        ("GET", "/A", {}, None),
        ("GET", "/h", {"X-Which": 'it\'s 100%, "so" #1'}, "ns/header/0"),
        ("GET", "/h", {"x-which": "v12"}, "ns/header/1"),
        ("GET", "/h", {"x-which": "xv12"}, None),
        ("GET", "/h", {}, None),
        ("GET", "/q?b=ab&a=x%20y", {}, "ns/query/0"),
        ("GET", "/q?b=abc&a=x%20y", {}, None),
        ("GET", "/q?b=ab", {}, None),
        ("GET", "/r/12", {}, "ns/regex/0"),
        ("GET", "/r/12/3", {}, None),
        ("GET", "/host", {"Host": "ONE.example:8080"}, "ns/host/0"),
        ("GET", "/host", {"Host": "a.b.wild.example"}, "ns/host/0"),
        ("GET", "/host", {"Host": "wild.example"}, "ns/last/0"),
        ("GET", "/host", {"Host": "notwild.example"}, "ns/last/0"),
        ("GET", "/t2/x", {}, "ns/two/0"),
        ("GET", "/odd", {}, "ns/odd name/'0'"),
        ("GET", "/(", {}, None),
        ("GET", "/line", {"a": "x"}, None),
    ],
)
def test_the_first_rule_that_fits_decides(routed, method, target, headers, fits):
    answer = routed.client.request(method, target, headers=headers)
    if fits is None:
        problem(answer, "not-found", 404)
    else:
        assert answer.status_code == 200, answer.text
        assert dict(answer.json()["headers"])["x-rule"] == fits.replace("\\", "")


@pytest.fixture
def routed(new_gateway, new_engine):
    rules = tuple(
        msgspec.structs.replace(known, request_headers=HeaderChange(set=(("X-Rule", known.name),)))
        for known in ROUTES
    )
    return new_gateway(plane(*rules, port=new_engine().port))


def test_a_configuration_of_everything_is_read_without_a_warning(routed):
    assert routed.haproxy.check() == ""


def test_a_pod_that_has_read_nothing_yet_lives_but_is_not_ready(new_gateway):
    gateway = new_gateway(DataPlane(pod="gateway-1"))
    probes = f"http://127.0.0.1:{gateway.settings.probes_port}"
    assert gateway.client.get(f"{probes}/healthz").status_code == 200
    assert gateway.client.get(f"{probes}/readyz").status_code == 503
    assert int(problem(gateway.client.get("/"), "not-ready", 503)["status"]) == 503
    gateway.apply(plane())
    assert gateway.client.get(f"{probes}/readyz").status_code == 200
    assert "haproxy_process_" in gateway.client.get(f"{probes}/metrics").text


def test_routes_that_lead_nowhere_say_so(new_gateway):
    gateway = new_gateway(
        plane(
            rule("ns/none/0", Match(path="/none"), targets=()),
            rule("ns/missing/0", Match(path="/missing"), targets=(Target(backend=""),)),
            rule("ns/weightless/0", Match(path="/weightless"), targets=(Target(backend=ENGINE, weight=0),)),
            rule(
                "ns/weightless/1",
                Match(path="/both"),
                targets=(Target(backend=ENGINE, weight=0), Target(backend="", weight=0)),
            ),
            rule("ns/empty/0", Match(path="/empty")),
        )
    )
    for path in ("/none", "/missing", "/weightless", "/both"):
        problem(gateway.client.get(path), "internal", 500)
    answer = gateway.client.get("/empty")
    problem(answer, "engine-unreachable", 503)
    assert answer.headers["retry-after"] == "1"


def test_headers_are_set_then_added_then_removed(new_gateway, new_engine):
    change = HeaderChange(
        set=(("X-Set", "100% 'new'"), ("X-Gone", "set")), add=(("X-More", "two"),), remove=("x-gone",)
    )
    gateway = new_gateway(
        plane(
            rule(request_headers=change, response_headers=change), rule("ns/other/0"), port=new_engine().port
        )
    )
    answer = gateway.client.get("/", headers={"X-Set": "old", "X-More": "one", "X-Gone": "here"})
    got = [tuple(pair) for pair in answer.json()["headers"]]
    assert [value for name, value in got if name == "x-set"] == ["100% 'new'"]
    assert [value for name, value in got if name == "x-more"] == ["one", "two"]
    assert not [name for name, _ in got if name == "x-gone"]
    assert answer.headers["x-set"] == "100% 'new'"
    assert answer.headers["x-more"] == "two"
    assert "x-gone" not in answer.headers


@pytest.mark.parametrize(
    ("prefix", "value", "roads"),
    [
        (
            "/foo",
            "/xyz",
            {"/foo/bar?a=1": "/xyz/bar?a=1", "/foo/bar": "/xyz/bar", "/foo": "/xyz", "/foo/": "/xyz/"},
        ),
        ("/foo/", "/xyz/", {"/foo/bar": "/xyz/bar"}),
        ("/foo", "/", {"/foo/bar": "/bar", "/foo": "/", "/foo/": "/"}),
        ("/foo", "", {"/foo/bar": "/bar", "/foo": "/"}),
        ("/", "/xyz", {"/bar": "/xyz/bar"}),
        ("/foo", "/100%25/$1", {"/foo/b%20r": "/100%25/$1/b%20r"}),
    ],
)
def test_a_prefix_is_replaced_by_whole_segments(new_gateway, new_engine, prefix, value, roads):
    changed = rule("ns/r/0", Match(path=prefix), rewrite_path=PathRewrite(value=value, prefix=True))
    gateway = new_gateway(plane(changed, port=new_engine().port))
    assert {asked: gateway.client.get(asked).json()["path"] for asked in roads} == roads


def test_the_prefix_that_matched_is_the_one_replaced(new_gateway, new_engine):
    changed = rule(
        "ns/r/0",
        Match(path="/long/er"),
        Match(path="/l"),
        rewrite_path=PathRewrite(value="/n", prefix=True),
        rewrite_hostname="other.example",
    )
    whole = rule("ns/w/0", Match(path="/w"), rewrite_path=PathRewrite(value="/all"))
    gateway = new_gateway(plane(changed, whole, port=new_engine().port))
    assert gateway.client.get("/long/er/x").json()["path"] == "/n/x"
    answer = gateway.client.get("/l/er/x").json()
    assert answer["path"] == "/n/er/x"
    assert dict(answer["headers"])["host"] == "other.example"
    assert dict(answer["headers"])["x-forwarded-host"].startswith("127.0.0.1:")
    assert gateway.client.get("/w/x?q=1").json()["path"] == "/all?q=1"


@pytest.mark.parametrize(
    ("redirect", "location"),
    [
        (Redirect(scheme="https", status=301), "https://h.example/p/x?q=1"),
        (Redirect(hostname="n.example"), "http://n.example/p/x?q=1"),
        (Redirect(port=8443), "http://h.example:8443/p/x?q=1"),
        (Redirect(scheme="https", port=443, hostname="n.example"), "https://n.example/p/x?q=1"),
        (Redirect(path=PathRewrite(value="/new", prefix=True)), "http://h.example:1234/new/x?q=1"),
        (Redirect(path=PathRewrite(value="/new")), "http://h.example:1234/new?q=1"),
    ],
)
def test_a_redirect_says_where(new_gateway, redirect, location):
    gateway = new_gateway(plane(rule("ns/r/0", Match(path="/p"), targets=(), redirect=redirect)))
    answer = gateway.client.get("/p/x?q=1", headers={"Host": "h.example:1234"})
    assert (answer.status_code, answer.headers["location"]) == (redirect.status, location)
    assert answer.headers["x-looma-source"] == "gateway"


@pytest.fixture
def ambiguous(new_gateway, new_engine):
    engine = new_engine()
    return new_gateway(plane(rule(), port=engine.port)), engine


def test_ids_are_kept_where_they_are_well_formed(ambiguous):
    gateway, _ = ambiguous
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    kept = gateway.client.get(
        "/", headers={"X-Request-Id": "abc-1:2.3_4", "traceparent": trace, "tracestate": "x=y"}
    )
    headers = dict(kept.json()["headers"])
    assert (headers["x-request-id"], headers["traceparent"]) == ("abc-1:2.3_4", trace)
    assert headers["tracestate"] == "x=y"
    assert kept.headers["x-request-id"] == "abc-1:2.3_4"
    assert kept.headers.get("x-looma-source") is None


@pytest.mark.parametrize("given", ["", "-a", "a b", 'a"b', "x" * 129, "é"])
def test_ids_that_could_forge_a_log_line_are_replaced(ambiguous, given):
    gateway, _ = ambiguous
    sent = {"X-Request-Id": given.encode(), "traceparent": b"ff-" + given.encode(), "tracestate": b"x=y"}
    answer = gateway.client.get("/", headers=sent)
    headers = dict(answer.json()["headers"])
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    assert answer.headers["x-request-id"] == headers["x-request-id"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", headers["traceparent"])
    assert "tracestate" not in headers


def test_two_requests_never_share_a_new_id(ambiguous):
    gateway, _ = ambiguous
    ids = {gateway.client.get("/").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


CLAIMS = (
    "X-Looma-Subject", "X-Looma-Roles", "x_looma_tenant", "X-Forwarded-For", "X-Forwarded-User", "Forwarded",
    "X-Real-IP", "X-Remote-User", "X-Remote-Group", "X-Remote-Extra-A", "Impersonate-User", "X-Auth-Request-User",
    "X-Webauth-User", "X-User-Id", "X-Tenant", "X-SSL-Client-Cert", "Proxy",
)  # fmt: skip


def test_what_a_caller_claims_to_be_does_not_arrive(ambiguous):
    gateway, _ = ambiguous
    sent = dict.fromkeys(CLAIMS, "forged") | {"Cookie": "a=b", "HX-Request": "true", "X-Userful": "kept"}
    headers = gateway.client.get("/", headers=sent).json()["headers"]
    assert "forged" not in json.dumps(headers)
    known = dict(headers)
    assert known["x-forwarded-for"] == "127.0.0.1"
    assert known["x-forwarded-proto"] == "http"
    assert (known["cookie"], known["hx-request"], known["x-userful"]) == ("a=b", "true", "kept")
    assert sum(name == "x-forwarded-for" for name, _ in headers) == 1


def test_an_engine_that_takes_too_long_is_a_504_and_a_stream_is_not_cut(new_gateway, new_engine):
    slow = rule(policy=Policy(timeout_seconds=1))
    gateway = new_gateway(plane(slow, port=new_engine().port), client_seconds=1)
    problem(gateway.client.get("/", headers={"x-say-wait": "4"}), "engine-timeout", 504)
    # Silent for longer than the rule's and the caller's time, between events.
    answer = gateway.client.get("/", headers={"x-say-stream": "3", "x-say-wait": "2.2"})
    assert answer.text.count("data:") == 3


def test_two_rules_to_one_engine_keep_their_own_timeouts(new_gateway, new_engine):
    gateway = new_gateway(
        plane(
            rule("ns/a/0", Match(path="/short"), policy=Policy(timeout_seconds=1)),
            rule("ns/b/0", Match(path="/long"), policy=Policy(timeout_seconds=30)),
            port=new_engine().port,
        )
    )
    problem(gateway.client.get("/short", headers={"x-say-wait": "2"}), "engine-timeout", 504)
    assert gateway.client.get("/long", headers={"x-say-wait": "2"}).status_code == 200


def test_an_engine_that_breaks_off_is_a_502(new_gateway, new_engine):
    gateway = new_gateway(plane(rule(), port=new_engine().port))
    problem(gateway.client.get("/", headers={"x-say-close": "1"}), "engine-broke", 502)


def test_bodies_are_limited(new_gateway, new_engine):
    engine = new_engine()
    gateway = new_gateway(
        plane(
            rule("ns/small/0", Match(path="/small"), policy=Policy(max_request_bytes=100)),
            rule("ns/large/0", Match(path="/large"), policy=Policy(max_request_bytes=1_000_000)),
            rule("ns/any/0"),
            port=engine.port,
        )
    )

    def pieces(count: int):
        yield from (b"x" * 50 for _ in range(count))

    post = gateway.client.post
    assert post("/small", content=b"x" * 100).json()["bytes"] == 100
    assert "100 bytes" in problem(post("/small", content=b"x" * 101), "payload-too-large", 413)["detail"]
    assert post("/small", content=pieces(2)).json()["bytes"] == 100
    problem(post("/small", content=pieces(3)), "payload-too-large", 413)
    assert post("/large", content=b"x" * 1_000_000).json()["bytes"] == 1_000_000
    problem(post("/large", content=b"x" * 1_000_001), "payload-too-large", 413)
    assert post("/large", content=pieces(100)).json()["bytes"] == 5000
    problem(post("/large", content=pieces(400)), "length-required", 411)
    assert post("/any", content=pieces(2000)).json()["bytes"] == 100_000
    assert len([path for path in engine.asked if path == "/small"]) == 2


def test_retries_repeat_only_what_does_no_harm(new_gateway, new_engine):
    engine = new_engine()
    gateway = new_gateway(plane(rule(policy=Policy(retries=2)), port=engine.port))
    busy = {"x-say-status": "503"}
    for method, headers, times in (
        ("GET", busy, 3),
        ("POST", busy, 1),
        ("POST", busy | {"Idempotency-Key": "k"}, 3),
        ("POST", {"x-say-close": "1", "Idempotency-Key": "k"}, 3),
        ("POST", busy | {"Idempotency-Key": ""}, 1),
        ("GET", {"x-say-close": "1"}, 3),
        ("PATCH", {"x-say-close": "1"}, 1),
        ("GET", {"x-say-status": "500"}, 1),
    ):
        engine.asked.clear()
        # HAProxy gives no answer but the end of the connection where the same one had answers before.
        with httpx.Client() as client:
            answer = client.request(method, f"http://127.0.0.1:{gateway.port}/", headers=headers)
        assert (method, len(engine.asked)) == (method, times), (headers, answer)
        assert answer.status_code in (500, 502, 503)


def test_a_request_goes_to_another_pod_where_one_is_gone(new_gateway, new_engine):
    alive, dead = new_engine("alive"), new_engine("dead")
    several = (backend(ENGINE, alive.port, dead.port, check_path=""),)
    gateway = new_gateway(plane(rule(), backends=several))
    dead.stop()
    answers = [gateway.client.post("/", content=b"x").status_code for _ in range(12)]
    assert answers == [200] * 12


def test_a_pod_whose_check_fails_gets_nothing_and_comes_back(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(plane(rule(), backends=(backend(ENGINE, one.port, two.port),)))
    two.ready = False
    gateway.until(lambda: ",DOWN," in gateway.haproxy.command("show stat"))
    two.asked.clear()
    assert {gateway.client.get("/").json()["engine"] for _ in range(10)} == {"one"}
    assert two.asked == []
    one.ready = False
    gateway.until(lambda: gateway.haproxy.command("show stat").count(",DOWN,") >= 2)
    problem(gateway.client.get("/"), "engine-unreachable", 503)
    one.ready = two.ready = True
    gateway.until(lambda: gateway.client.get("/").status_code == 200)


def test_an_engine_whose_answers_are_errors_keeps_its_pods(new_gateway, new_engine):
    gateway = new_gateway(plane(rule(), port=new_engine().port))
    for _ in range(30):
        assert gateway.client.get("/", headers={"x-say-status": "500"}).status_code == 500
    assert gateway.client.get("/").status_code == 200


def test_a_draining_pod_gets_no_new_request(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    known = backend(ENGINE, one.port, two.port)
    draining = tuple(
        msgspec.structs.replace(endpoint, draining=endpoint.port == two.port) for endpoint in known.endpoints
    )
    gateway = new_gateway(plane(rule(), backends=(msgspec.structs.replace(known, endpoints=draining),)))
    assert {gateway.client.get("/").json()["engine"] for _ in range(10)} == {"one"}


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def by_http2(target: str, body: bytes, **headers: str) -> bytes:
    """A POST in HTTP/2's own frames: its body needs neither a length nor a coding."""
    known = {":method": "POST", ":scheme": "http", ":path": target, ":authority": "a.example", **headers}
    # Each header as a literal that is never indexed (RFC 7541, 6.2.3).
    block = b"".join(
        b"\x10" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in known.items()
    )
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    return preface + frame(1, 4, 1, block) + frame(0, 1, 1, body)


@pytest.mark.parametrize(("size", "reaches"), [(100, True), (101, False), (9000, False)])
def test_a_body_by_http2_is_limited_as_well(new_gateway, new_engine, size, reaches):
    engine = new_engine()
    gateway = new_gateway(plane(rule(policy=Policy(max_request_bytes=100)), port=engine.port))
    answer = gateway.raw(by_http2("/upload", b"x" * size))
    assert (engine.asked == ["/upload"]) is reaches
    assert (b"urn:looma:problem:" in answer) is not reaches


@pytest.mark.parametrize("target", ["/a/../b", "//a", "/a%2fb", "/a b", "/a\\b", "a"])
def test_a_path_by_http2_is_read_as_strictly(ambiguous, target):
    gateway, engine = ambiguous
    gateway.raw(by_http2(target, b""))
    assert engine.asked == []


def test_a_claim_by_http2_does_not_arrive(ambiguous):
    gateway, engine = ambiguous
    answer = gateway.raw(by_http2("/", b"", **{"x-looma-roles": "forged", "x-kept": "kept"}))
    assert engine.asked == ["/"]
    assert b"x-kept" in answer
    assert b"forged" not in answer


def certificate(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (made.public_bytes(serialization.Encoding.PEM) + private).decode()


def test_a_rule_holds_at_its_ports_alone(new_gateway, new_engine):
    one, other = free_ports(2)
    listeners = (Listener(name="one", port=one), Listener(name="other", port=other))
    rules = (
        rule("ns/one/0", Match(path="/one", ports=(one,))),
        rule("ns/two/0", Match(path="/two", ports=(one, other))),
        rule(
            "ns/sent/0",
            Match(path="/sent", ports=(other,)),
            redirect=Redirect(hostname="a.example", port=8080),
        ),
    )
    gateway = new_gateway(plane(*rules, port=new_engine().port, listeners=listeners))
    assert gateway.haproxy.check() == ""

    def answers(path: str) -> list[int]:
        return [httpx.get(f"http://127.0.0.1:{port}{path}").status_code for port in (one, other)]

    assert answers("/one") == [200, 404]
    assert answers("/two") == [200, 200]
    assert answers("/sent") == [404, 302]
    assert httpx.get(f"http://127.0.0.1:{other}/sent").headers["location"] == "http://a.example:8080/sent"


def test_a_rule_leaves_out_the_hostnames_of_others(new_gateway, new_engine):
    wide = rule("ns/wide/0", other_hostnames=("One.example", "*.wild.example"))
    within = rule("ns/within/0", hostnames=("*.wild.example",), other_hostnames=("two.wild.example",))
    gateway = new_gateway(plane(within, wide, port=new_engine().port))
    assert gateway.haproxy.check() == ""

    def answer(host: str) -> int:
        return gateway.client.get("/", headers={"Host": host}).status_code

    known = ("one.example", "ONE.example:80", "other.example", "a.wild.example", "two.wild.example")
    assert [answer(host) for host in known] == [404, 404, 200, 200, 404]


def test_https_has_the_certificate_of_the_name_that_is_asked_for(new_gateway, new_engine):
    plain, secure = free_ports(2)
    names = ("one.example", "two.example")
    listeners = (
        Listener(name="http", port=plain),
        *(Listener(name=name, port=secure, hostname=name, certificate=certificate(name)) for name in names),
    )
    gateway = new_gateway(plane(rule(), port=new_engine().port, listeners=listeners))
    assert gateway.haproxy.check() == ""
    for name in names:
        trusting = ssl.create_default_context(cadata=next(n.certificate for n in listeners if n.name == name))
        with (
            socket.create_connection(("127.0.0.1", secure), timeout=10) as connection,
            trusting.wrap_socket(connection, server_hostname=name) as tls,
        ):
            tls.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while part := tls.recv(65536):
                answer += part
        assert b'["x-forwarded-proto", "https"]' in answer
    assert httpx.get(f"http://127.0.0.1:{plain}/").status_code == 200
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", secure), timeout=10) as connection,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(connection)


def test_each_request_is_one_line_of_json_without_its_query(new_gateway, new_engine):
    gateway = new_gateway(plane(rule(), port=new_engine().port), access_log=True)
    asked = gateway.client.get("/a/b?secret=1", headers={"X-Request-Id": "known-id"})
    assert asked.status_code == 200
    gateway.until(lambda: "known-id" in gateway.haproxy.log)
    (line,) = [line for line in gateway.haproxy.log.splitlines() if "known-id" in line]
    said = json.loads(line)
    assert (said["path"], said["status"], said["rule"], said["backend"]) == (
        "/a/b",
        200,
        "looma:engine:0",
        ENGINE,
    )
    assert "secret" not in gateway.haproxy.log


def test_of_many_requests_the_log_has_a_sample_and_each_failure(new_gateway):
    # No pod is there for the one rule, and no rule for other paths.
    gateway = new_gateway(plane(rule("looma/engine/0", Match(path="/down"))), access_log=True)

    def pipelined(path: str, count: int) -> bytes:
        request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        last = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        return gateway.raw(request * (count - 1) + last)

    assert pipelined("/other", 2000).count(b"HTTP/1.1 404") == 2000
    assert pipelined("/down", 20).count(b"HTTP/1.1 503") == 20

    def told(status: int) -> int:
        lines = gateway.haproxy.log.splitlines()
        return sum(json.loads(line)["status"] == status for line in lines if line.startswith("{"))

    gateway.until(lambda: told(503) == 20)
    # Those of the first hundred of a second, and one of a hundred after them.
    assert 0 < told(404) < 1500
