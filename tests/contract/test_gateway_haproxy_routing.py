"""The real HAProxy with rendered configurations: which rule fits, at which port and host, and what is changed then."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import warnings

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from looma_engines.gateway.model import (
    DataPlane,
    HeaderChange,
    Listener,
    Match,
    MatchKind,
    NamedMatch,
    PathRewrite,
    Redirect,
    Target,
)
from support.gateway_planes import ENGINE, plane, problem, rule
from support.haproxy import free_ports

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
