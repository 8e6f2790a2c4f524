"""Sizes of answers on the real HAProxy, and a length that a counter of 32 bits would take for a small one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from looma_engines.gateway.model import Policy
from support.gateway_planes import plane, rule_at

MOST = 5000


@pytest.fixture
def limited(new_gateway, new_engine):
    engine = new_engine()
    gateway = new_gateway(
        plane(
            rule_at("/small", Policy(max_response_bytes=MOST)),
            rule_at("/large", Policy(max_response_bytes=10 * 2**30)),
            rule_at("/uploads", Policy(max_request_bytes=100)),
            rule_at("/any", Policy()),
            port=engine.port,
        )
    )
    assert gateway.haproxy.check() == ""
    return gateway, engine


def ask(gateway: Any, path: str, method: str = "GET", **told: int) -> httpx.Response:
    headers = {f"x-say-{name}": str(value) for name, value in told.items()}
    answer: httpx.Response = gateway.client.request(method, path, headers=headers)
    return answer


def test_an_answer_that_declares_too_much_is_a_502(limited):
    gateway, _ = limited
    for size in (1, MOST):
        assert len(ask(gateway, "/small", bytes=size).content) == size
    answer = ask(gateway, "/small", bytes=MOST + 1)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")
    assert answer.headers["x-looma-source"] == "gateway"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("urn:looma:problem:response-too-large", 502)
    assert problem["detail"] == f"At most {MOST} bytes are let through here."
    assert problem["instance"] == answer.headers["x-request-id"]
    # A HEAD has no body, however long the one is that it speaks of.
    head = ask(gateway, "/small", "HEAD", bytes=MOST + 1)
    assert (head.status_code, head.headers["content-length"]) == (200, str(MOST + 1))
    assert ask(gateway, "/any", bytes=100_000).status_code == 200
    assert len(ask(gateway, "/large", bytes=100_000).content) == 100_000


def test_an_answer_that_declares_nothing_is_broken_off_where_it_goes_over(limited):
    gateway, _ = limited
    for size in (1, MOST):
        assert len(ask(gateway, "/small", chunks=size).content) == size
    for size in (MOST + 1, 2_000_000):
        # Whoever asked knows that it is not the whole.
        with pytest.raises(httpx.RemoteProtocolError):
            ask(gateway, "/small", chunks=size)
    assert len(ask(gateway, "/any", chunks=100_000).content) == 100_000
    assert len(ask(gateway, "/large", chunks=2_000_000).content) == 2_000_000
    assert len(ask(gateway, "/small", chunks=MOST).content) == MOST, "it goes on with the next one"


def test_a_stream_is_as_long_as_it_is(limited):
    gateway, _ = limited
    answer = ask(gateway, "/small", stream=1000, wait=0)
    assert answer.text.count("data:") == 1000
    assert len(answer.content) > MOST


@pytest.mark.long
def test_a_length_beyond_32_bits_is_not_taken_for_a_small_one(limited):
    gateway, engine = limited
    for length in (2**32 + 1, 2**32 + 50, 2**33, 10**17):
        head = f"POST /uploads HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        answer = gateway.raw(head.encode() + b"x" * 10)
        assert answer.startswith(b"HTTP/1.1 413 "), answer
    assert engine.asked == []
