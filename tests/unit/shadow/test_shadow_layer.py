"""Copies of requests, from the frame to a real server: what is sent, and that callers notice nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.response import Stream
from litestar.testing import AsyncTestClient

from looma_core.http import PUBLIC, create_app, outgoing_headers
from looma_core.http.shadow import Limits, observing
from looma_core.http.shadow.layer import copied_headers, has_body, path_of, target_of
from looma_core.metrics import Metrics
from looma_core.settings import CoreSettings
from looma_core.shadowing import address_of, in_copy
from support.shadow_target import Said, ShadowTarget, echo
from support.tokens import verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

TO = {"X-Looma-Shadow": "other"}
LIMITS = Limits(body_bytes=1000, waiting=4, workers=2, seconds=0.5, drain_seconds=0.2)
PATIENCE = 20.0  # For a copy to come, on a busy machine.
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@get("/things/{name:str}", opt=PUBLIC)
async def thing(request: Request[Any, Any, State], name: str) -> dict[str, Any]:
    """What was asked, as the target's `echo` says it."""
    if name == "none":
        raise NotFoundException
    return {"bytes": 0, "path": path_of(request.scope).decode()}


@post("/things", opt=PUBLIC, status_code=200)
async def make(request: Request[Any, Any, State]) -> dict[str, Any]:
    """Read a body."""
    return {"bytes": len(await request.body()), "path": "/things"}


@post("/unread", opt=PUBLIC, status_code=200)
async def unread() -> dict[str, Any]:
    """Answer without a look at the body."""
    return {}


@get("/stream", opt=PUBLIC)
async def stream() -> Stream:
    """Send events."""
    return Stream(iter(["data: 1\n\n", "data: 2\n\n"]), media_type="text/event-stream")


@get("/long", opt=PUBLIC)
async def long() -> Response[bytes]:
    """More than is compared."""
    return Response(b"x" * 2000, media_type="text/plain")


@get("/copy", opt=PUBLIC)
async def copy() -> dict[str, bool]:
    """Whether this is a copy."""
    return {"copy": in_copy()}


@get("/calls", opt=PUBLIC)
async def calls(reads: bool) -> dict[str, str]:
    """Call another service."""
    return {"X-Request-Id": outgoing_headers(reads_only=reads)["X-Request-Id"]}


async def until(holds: Callable[[], bool]) -> None:
    """Return when it holds, or after `PATIENCE`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            # Counters and other threads' lists have no event.
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


class World:
    """An engine `thing` in this process, a target, and the counters between them."""

    def __init__(self, client: AsyncTestClient[Any], metrics: Metrics, target: ShadowTarget) -> None:
        self.client, self.metrics, self.target = client, metrics, target

    def outcomes(self) -> dict[str, int]:
        """How many copies had each outcome."""
        found = re.findall(
            r'looma_shadow_requests_total\{outcome="(\w+)",service="thing",shadow="other"\} ([\d.]+)',
            self.metrics.exposition().decode(),
        )
        return {outcome: int(float(count)) for outcome, count in found}

    async def wait_for(self, **outcomes: int) -> None:
        """Return when the outcomes are these."""
        await until(lambda: sum(self.outcomes().values()) >= sum(outcomes.values()))
        assert self.outcomes() == outcomes


@pytest.fixture
def target() -> Iterator[ShadowTarget]:
    target = ShadowTarget(echo)
    yield target
    target.stop()


@pytest.fixture
async def world(target: ShadowTarget) -> AsyncIterator[World]:
    async with engine(target.address, target) as world:
        yield world


@contextlib.asynccontextmanager
async def engine(address: str, target: ShadowTarget, limits: Limits = LIMITS) -> AsyncIterator[World]:
    metrics = Metrics(service="thing", revision="r1")
    app = create_app(
        name="thing",
        settings=CoreSettings(service="thing", revision="r1", engine_address=address),
        route_handlers=[thing, make, unread, stream, long, copy, calls],
        verifier=verifier(),
        metrics=metrics,
        shadow_limits=limits,
    )
    async with AsyncTestClient(app, raise_server_exceptions=False) as client:
        yield World(client, metrics, target)


async def test_a_copy_is_the_request_with_ids_of_its_own(world: World) -> None:
    headers = TO | {
        "X-Request-Id": "one",
        "traceparent": TRACE,
        "Authorization": "Bearer x",
        "X-Looma-Tenant": "demo",
        "Content-Type": "text/plain",
        "Accept-Language": "zh",
    }
    answer = await world.client.post("/things?a=%2F&b", content=b"hello", headers=headers)
    assert answer.status_code == 200
    await world.wait_for(different=1)
    (copied,) = world.target.seen
    assert (copied.method, copied.path, copied.body) == ("POST", "/things?a=%2F&b", b"hello")
    assert copied.headers["x-request-id"] == "one.shadow"
    assert copied.headers["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert copied.headers["traceparent"] != TRACE
    assert copied.headers["x-looma-shadowed"] == "1"
    assert "x-looma-shadow" not in copied.headers
    assert copied.headers["host"] == world.target.address.removeprefix("http://")
    for name in ("Authorization", "X-Looma-Tenant", "Content-Type", "Accept-Language"):
        assert copied.headers[name.lower()] == headers[name]


async def test_a_request_that_nobody_marked_is_not_copied(world: World) -> None:
    for headers in (
        {},
        {"X-Looma-Shadow": "thing"},
        TO | {"X-Looma-Shadowed": "1"},
        {"X-Looma-Shadow": "a.b"},
    ):
        assert (await world.client.get("/things/a", headers=headers)).status_code == 200
    # One that is marked, so that there is something to wait for.
    await world.client.get("/things/last", headers=TO)
    await world.wait_for(same=1)
    assert [copied.path for copied in world.target.seen] == ["/things/last"]


async def test_answers_are_compared(world: World) -> None:
    assert (await world.client.get("/things/a%20b?q=%41", headers=TO)).status_code == 200
    await world.wait_for(same=1)
    world.target.say = lambda _: Said(body=b'{"bytes": 1, "path": "/things/a"}')
    await world.client.get("/things/a", headers=TO)
    await world.wait_for(same=1, different=1)
    world.target.say = lambda _: Said(status=500)
    await world.client.get("/things/a", headers=TO)
    await world.wait_for(same=1, different=2)
    text = world.metrics.exposition().decode()
    for answer in ("real", "copy"):
        labels = f'answer="{answer}",service="thing",shadow="other"'
        assert f"looma_shadow_seconds_count{{{labels}}} 3.0" in text


async def test_places_that_the_gateway_names_are_ignored_and_the_target_does_not_hear_of_them(
    world: World,
) -> None:
    world.target.say = lambda _: Said(body=b'{"bytes": 1, "path": "/things/a"}')
    ignoring = TO | {"X-Looma-Shadow-Ignore": "/other,/bytes"}
    await world.client.get("/things/a", headers=ignoring)
    await world.wait_for(same=1)
    assert "x-looma-shadow-ignore" not in world.target.seen[0].headers
    # What is no place makes nothing else ignored.
    await world.client.get("/things/a", headers=TO | {"X-Looma-Shadow-Ignore": ",bytes,/,*"})
    await world.wait_for(same=1, different=1)


async def test_a_problem_is_the_same_though_its_request_id_is_not(world: World) -> None:
    real = (await world.client.get("/things/none", headers={"X-Request-Id": "one"})).content
    body = real.replace(b'"one"', b'"one.shadow"')
    assert body != real
    world.target.say = lambda _: Said(status=404, body=body, content_type="application/problem+json")
    await world.client.get("/things/none", headers=TO | {"X-Request-Id": "one"})
    await world.wait_for(same=1)


async def test_what_cannot_be_compared_is_sent_all_the_same(world: World) -> None:
    world.target.say = lambda _: Said(body=b"something else")
    assert (await world.client.get("/stream", headers=TO)).text == "data: 1\n\ndata: 2\n\n"
    assert len((await world.client.get("/long", headers=TO)).content) == 2000
    await world.wait_for(not_compared=2)
    assert sorted(copied.path for copied in world.target.seen) == ["/long", "/stream"]


async def test_an_answer_that_is_much_longer_than_the_real_one_differs(world: World) -> None:
    world.target.say = lambda _: Said(body=b"[" + b"1," * 500_000 + b"1]")
    await world.client.get("/things/a", headers=TO)
    await world.wait_for(different=1)


async def test_a_large_body_is_answered_and_not_copied(world: World) -> None:
    assert (await world.client.post("/things", content=b"x" * 1001, headers=TO)).json()["bytes"] == 1001
    await world.wait_for(too_large=1)
    assert (await world.client.post("/things", content=b"x" * 1000, headers=TO)).json()["bytes"] == 1000
    await world.wait_for(too_large=1, same=1)
    assert [len(copied.body) for copied in world.target.seen] == [1000]


async def test_a_body_that_nobody_read_cannot_be_sent_again(world: World) -> None:
    assert (await world.client.post("/unread", content=b"x", headers=TO)).status_code == 200
    await world.wait_for(dropped=1)
    assert (await world.client.post("/unread", headers=TO)).status_code == 200
    await world.wait_for(dropped=1, different=1)
    assert [copied.path for copied in world.target.seen] == ["/unread"]


async def test_callers_notice_nothing_of_a_target_that_hangs(target: ShadowTarget) -> None:
    target.hangs = True
    # No copy ends while this test runs: two are under way, four wait, and of the others there is no trace.
    patient = Limits(waiting=4, workers=2, seconds=PATIENCE * 10, drain_seconds=0.01)
    async with engine(target.address, target, patient) as world:
        for number in range(20):
            answer = await world.client.get(f"/things/{number}", headers=TO)
            assert answer.json() == {"bytes": 0, "path": f"/things/{number}"}
            if number < 2:
                await until(lambda: len(target.seen) > number)  # noqa: B023 - waited for within the turn
        assert world.outcomes() == {"dropped": 14}
        assert len(target.seen) == 2
    # The end waited for none of them, and says what became of all.
    assert world.outcomes() == {"dropped": 20}


async def test_a_copy_that_takes_too_long_or_breaks_has_failed(world: World) -> None:
    world.target.hangs = True
    await world.client.get("/things/a", headers=TO)
    await world.wait_for(failed=1)
    world.target.hangs = False
    await world.client.get("/things/a", headers=TO)
    await world.wait_for(failed=1, same=1)


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "http://{name}.invalid"])
async def test_a_target_that_is_not_there_has_failed(target: ShadowTarget, address: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        there = address.replace("{port}", str(nobody.getsockname()[1]))
        async with engine(there, target, Limits(seconds=PATIENCE)) as world:
            assert (await world.client.get("/things/a", headers=TO)).status_code == 200
            await world.wait_for(failed=1)


async def test_bodies_that_wait_take_no_more_memory_than_is_given(target: ShadowTarget) -> None:
    target.hangs = True
    limits = Limits(waiting_bytes=2500, workers=1, seconds=PATIENCE * 10, drain_seconds=0.01)
    async with engine(target.address, target, limits) as world:
        for _ in range(4):
            await world.client.post("/things", content=b"x" * 1000, headers=TO)
        assert world.outcomes() == {"dropped": 2}


async def test_what_waits_at_the_end_is_sent_while_there_is_time(target: ShadowTarget) -> None:
    async with engine(target.address, target, Limits(drain_seconds=PATIENCE)) as world:
        for number in range(10):
            await world.client.get(f"/things/{number}", headers=TO)
    assert world.outcomes() == {"same": 10}


async def test_no_cookie_of_one_copys_answer_goes_with_the_next(world: World) -> None:
    world.target.say = lambda _: Said(headers={"Set-Cookie": "who=ada; Path=/"})
    for _ in range(3):
        await world.client.get("/things/a", headers=TO)
    await world.wait_for(different=3)
    assert all("cookie" not in copied.headers for copied in world.target.seen)


async def test_an_address_in_an_answer_is_not_gone_to(world: World) -> None:
    world.target.say = lambda _: Said(status=307, headers={"Location": "/elsewhere"})
    await world.client.get("/things/a", headers=TO)
    await world.wait_for(different=1)
    assert [copied.path for copied in world.target.seen] == ["/things/a"]


async def test_a_copy_knows_that_it_is_one_and_calls_nobody_who_might_write(world: World) -> None:
    marked = {"X-Looma-Shadowed": "1"}
    assert (await world.client.get("/copy", headers=marked)).json() == {"copy": True}
    assert (await world.client.get("/copy")).json() == {"copy": False}
    refused = await world.client.get("/calls?reads=false", headers=marked)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:looma:problem:copy-refused"
    for headers, reads in ((marked, "true"), ({}, "false")):
        assert (await world.client.get(f"/calls?reads={reads}", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        ([(b"x-looma-shadow", b"other")], "other"),
        ([], ""),
        ([(b"x-looma-shadow", b"other/r2")], "other/r2"),
        ([(b"x-looma-shadow", b"other"), (b"x-looma-shadow", b"more")], ""),
        ([(b"x-looma-shadow", b""), (b"x-looma-shadow", b"other")], ""),
        ([(b"x-looma-shadow", b"other"), (b"x-looma-shadowed", b"0")], ""),
        *(
            ([(b"x-looma-shadow", name)], "")
            for name in (
                b"",
                b"Other",
                b"1a",
                b"a-",
                b"a.b",
                b"a/b",
                b"a/r0",
                b"a/r2/",
                b"a/2",
                b"/r2",
                b"a:80",
                b"a@b",
                b"a\n",
                b"a" * 41,
                b"\xff",
            )
        ),
    ],
)
def test_only_the_name_of_a_service_is_a_target(headers, target):
    assert target_of(headers) == target


@given(st.binary(max_size=50))
def test_whatever_the_header_is_the_copy_goes_to_a_service_of_the_namespace(value):
    found = target_of([(b"x-looma-shadow", value)])
    assert found == "" or re.fullmatch(r"[a-z0-9-]+(/r[0-9]+)?", found)


@pytest.mark.parametrize(
    ("target", "template", "address"),
    [
        ("people", "http://{name}-stable.{namespace}", "http://people-stable.looma"),
        ("people/r2", "http://{name}-stable.{namespace}", "http://people-r2.looma"),
        ("people/r2", "http://127.0.0.1:9000", "http://127.0.0.1:9000"),
    ],
)
def test_a_canary_has_an_address_of_its_own(target: str, template: str, address: str):
    assert address_of(target, template, namespace="looma") == address


@pytest.mark.parametrize(
    ("headers", "has"),
    [
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-length", b"10")], True),
        ([(b"transfer-encoding", b"chunked")], True),
    ],
)
def test_a_request_says_whether_it_has_a_body(headers, has):
    assert has_body(headers) is has


def test_headers_of_the_connection_are_not_copied():
    kept = (b"accept", b"*/*")
    assert copied_headers([(b"connection", b"close"), kept, (b"host", b"a"), (b"content-length", b"1")]) == (
        kept,
    )


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"path": "/a b", "raw_path": b"/a%20b", "query_string": b"q=%2F"}, b"/a%20b?q=%2F"),
        ({"path": "/a b", "raw_path": b"", "query_string": b""}, b"/a%20b"),
        ({"path": "/é", "query_string": b"x"}, b"/%C3%A9?x"),
        ({"path": "/a", "raw_path": b"/a?x=1", "query_string": b"x=1"}, b"/a?x=1"),
    ],
)
def test_path_and_query_are_the_callers(scope, path):
    assert path_of(scope) == path


def test_of_many_differences_the_log_has_some_and_no_values(monkeypatch):
    now = [0.0]
    told: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def info(self, event: str, **words: Any) -> None:
            told.append((event, words))

        warning = info

    monkeypatch.setattr(observing, "log", Log())
    observer = observing.Observer(
        Metrics(service="thing", revision="r1"), service="thing", clock=lambda: now[0]
    )

    def differ() -> None:
        observer.tell_difference(
            "other", request_id="one", method="GET", route="/a", statuses=(200, 500), places=["status"]
        )

    for _ in range(3):
        differ()
    observer.tell_failure("other", request_id="two", method="GET", route="/a", error="TimeoutError")
    assert [event for event, _ in told] == ["shadow differs", "shadow gave no answer"]
    assert told[0][1]["places"] == ["status"]
    now[0] = observing.LOG_EVERY_SECONDS
    differ()
    assert len(told) == 3
