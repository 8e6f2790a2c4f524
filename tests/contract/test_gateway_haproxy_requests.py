"""What the real HAProxy makes of a request itself: ids, claims, bodies, HTTP/2, and its line in the log."""

from __future__ import annotations

import json
import re

import pytest

from looma_engines.gateway.model import Match, Policy
from support import http2
from support.gateway_planes import ENGINE, plane, problem, rule


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


def by_http2(target: str, body: bytes, **headers: str) -> bytes:
    """A POST by HTTP/2: its body needs neither a length nor a coding."""
    return http2.opening() + http2.asking(target, body=body, **headers)


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
