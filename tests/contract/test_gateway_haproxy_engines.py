"""The real HAProxy before engines that are late, break off, fail their checks, drain or are gone."""

from __future__ import annotations

import socket
import time

import httpx
import msgspec
import pytest

from looma_engines.gateway.model import Match, Policy
from support.gateway_planes import ENGINE, backend, plane, problem, rule


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


@pytest.mark.parametrize(("method", "key"), [("POST", "Idempotency-Key: k\r\n"), ("PUT", "")])
def test_a_body_that_comes_after_its_headers_is_repeated_too(new_gateway, new_engine, method, key):
    engine = new_engine()
    gateway = new_gateway(plane(rule(policy=Policy(retries=2)), port=engine.port))
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        head = f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nx-say-close: 1\r\n{key}\r\n"
        connection.sendall(head.encode())
        time.sleep(0.3)
        connection.sendall(b"body")
        assert connection.recv(65536).startswith(b"HTTP/1.1 502 ")
    assert len(engine.asked) == 3


def test_a_body_larger_than_a_buffer_goes_through_and_is_sent_once(new_gateway, new_engine):
    engine = new_engine()
    gateway = new_gateway(plane(rule(policy=Policy(retries=2)), port=engine.port))
    key = {"Idempotency-Key": "k"}
    assert gateway.client.post("/", headers=key, content=b"x" * 200_000).json()["bytes"] == 200_000
    engine.asked.clear()
    with httpx.Client() as fresh:
        large = {"headers": key | {"x-say-close": "1"}, "content": b"x" * 200_000}
        assert fresh.post(f"http://127.0.0.1:{gateway.port}/", **large).status_code == 502
    assert len(engine.asked) == 1


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
    two.ready, one.ready = True, False
    gateway.until(lambda: gateway.client.get("/").json()["engine"] == "two")


def test_where_no_pod_passes_its_check_one_is_asked_all_the_same(new_gateway, new_engine):
    """On a machine without free processor time a check comes late of a pod that is well, and may be the only one."""
    one, two, other = new_engine("one"), new_engine("two"), new_engine("other")
    pods = backend(ENGINE, one.port, two.port)
    gateway = new_gateway(plane(rule(), backends=(pods, backend("looma_other_80", other.port))))
    one.ready = two.ready = False
    gateway.until(lambda: gateway.haproxy.command("show stat").count(",DOWN,") >= 2)
    assert {gateway.client.get("/").json()["engine"] for _ in range(40)} == {"one", "two"}


def test_a_last_resort_that_is_dead_is_told_at_once(new_gateway, new_engine):
    one = new_engine("one")
    gateway = new_gateway(plane(rule(), backends=(backend(ENGINE, one.port),)))
    one.stop()
    gateway.until(lambda: ",DOWN," in gateway.haproxy.command("show stat"))
    answer = gateway.client.get("/")
    problem(answer, "engine-unreachable", 503)
    assert answer.headers["Retry-After"] == "1"


def second_drains(*ports: int):
    known = backend(ENGINE, *ports)
    draining = tuple(
        msgspec.structs.replace(endpoint, draining=endpoint.port == ports[1]) for endpoint in known.endpoints
    )
    return msgspec.structs.replace(known, endpoints=draining)


def test_where_no_pod_passes_its_check_one_that_drains_is_not_asked(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(plane(rule(), backends=(second_drains(one.port, two.port),)))
    one.ready = two.ready = False
    gateway.until(lambda: gateway.haproxy.command("show stat").count(",DOWN,") >= 2)
    assert {gateway.client.get("/").json()["engine"] for _ in range(20)} == {"one"}


def test_an_engine_whose_answers_are_errors_keeps_its_pods(new_gateway, new_engine):
    gateway = new_gateway(plane(rule(), port=new_engine().port))
    for _ in range(30):
        assert gateway.client.get("/", headers={"x-say-status": "500"}).status_code == 500
    assert gateway.client.get("/").status_code == 200


def test_a_draining_pod_gets_no_new_request(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(plane(rule(), backends=(second_drains(one.port, two.port),)))
    assert {gateway.client.get("/").json()["engine"] for _ in range(10)} == {"one"}
