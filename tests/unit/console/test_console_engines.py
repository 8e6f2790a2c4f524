"""Calls to engines when the way there is bad: what is tried again, what is not, and what a page can say of it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from werkzeug.wrappers import Request, Response

from looma_console.api_forward.problems import EngineBroke, EngineTimeout, EngineUnreachable
from looma_console.api_forward.relay import CONNECT_TRIES, Relay
from looma_console.api_forward.routing import Route
from looma_console.cluster.actions import ClusterActions
from looma_console.cluster.api import KubernetesError
from looma_console.engines import Caller, EngineClient, EngineError
from looma_console.services import live
from looma_console.web.parts import Parts
from looma_console.web.permissions import Role
from looma_core.auth import TokenIssuer
from support.console_parts import FakeEngine, service_document
from support.tokens import private_key

ADA = Caller(login="ada", roles=("recruiter",), tenant="demo", request_id="r", traceparent="t")
ID = UUID(int=7)
ROUTES = (Route("/api/v1/talents", "talent-sync", 5), Route("/api/v1/resumes", "resume", 5))


class Way:
    """The network: plays a script of faults, then answers 200 with an empty page."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.method)
        if self.faults:
            raise self.faults.pop(0)
        page = b'{"items": [], "next_cursor": null}'
        # A stream, as a network gives it: what is given as content counts as read already.
        headers = {"Content-Type": "application/json", "Content-Length": str(len(page))}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(page))


ISSUER = TokenIssuer(private_key(), issuer="https://looma.local", audience="looma")


def client(way: Callable[[httpx.Request], httpx.Response]) -> EngineClient:
    http = httpx.Client(transport=httpx.MockTransport(way))
    return EngineClient(
        http=http, routes=lambda: ROUTES, address_of=lambda _name: "http://engine", issuer=ISSUER
    )


REFUSED = httpx.ConnectError("refused")
CLOSED = httpx.RemoteProtocolError("closed")


@pytest.mark.parametrize(
    ("method", "faults", "asked", "problem"),
    [
        pytest.param("GET", [REFUSED] * 2, 3, None, id="a pod that is coming"),
        pytest.param("PATCH", [REFUSED] * 2, 3, None, id="nothing was sent, so nothing is done twice"),
        pytest.param("GET", [REFUSED] * 3, 3, "engine-unreachable", id="no pod comes"),
        pytest.param("GET", [CLOSED] * 2, 3, None, id="a connection that was closed meanwhile"),
        pytest.param("GET", [CLOSED] * 3, 3, "engine-broke", id="each is closed"),
        pytest.param("PATCH", [CLOSED], 1, "engine-broke", id="a change is never repeated"),
        pytest.param("GET", [httpx.ReadTimeout("slow")], 1, "engine-timeout", id="too slow"),
        pytest.param("GET", [httpx.ReadError("reset")], 1, "engine-broke", id="broken off"),
    ],
)
def test_a_call_is_repeated_where_that_repeats_nothing(
    method: str, faults: list[Exception], asked: int, problem: str | None
) -> None:
    way = Way(*faults)
    engines = client(way)

    def call() -> object:
        if method == "GET":
            return engines.talents(ADA)
        return engines._call(ADA, method, f"/api/v1/talents/{ID}")

    if problem is None:
        call()
    else:
        with pytest.raises(EngineError) as caught:
            call()
        assert caught.value.name == problem
    assert way.asked == [method] * asked


def test_a_path_without_a_service_is_a_problem_that_names_it() -> None:
    with pytest.raises(EngineError) as caught:
        client(Way())._call(ADA, "GET", "/api/v1/jobs")
    assert caught.value.name == "no-route"
    assert "/api/v1/jobs" in (caught.value.problem.detail or "")


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ({"type": "urn:looma:problem:not-found", "title": "Not found", "status": 404}, "Not found"),
        ("<html>", "Not Found"),
    ],
    ids=["in the engine's words", "from something in between"],
)
def test_a_refused_file_is_a_problem(answer: Any, title: str) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    engines = client(lambda _request: httpx.Response(404, text=text))
    with pytest.raises(EngineError) as caught:
        engines.resume_file(ADA, ID)
    assert (caught.value.problem.status, caught.value.problem.title) == (404, title)


# ---- documents that the console fetches for itself ---------------------------------------------------------


@pytest.fixture
def relay(engine: FakeEngine) -> Relay:
    return Relay(
        http=httpx.Client(trust_env=False),
        routes=lambda: ROUTES,
        address_of=lambda _name: engine.address,
        at_once=4,
    )


def hang_up(request: Request) -> Response:
    """The beginning of an answer, and no end."""

    def body() -> Any:
        yield b"{"
        request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        yield b"}"

    return Response(body(), headers={"Content-Length": "2"})


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(lambda _request: Response(status=404), "answered 404", id="refused"),
        pytest.param(lambda _request: Response(b"x" * 11), "too long", id="too long"),
        pytest.param(hang_up, "closed the connection", id="broken off"),
    ],
)
def test_a_document_that_cannot_be_had_whole_is_none(
    relay: Relay, engine: FakeEngine, answer: Callable[[Request], Response], says: str
) -> None:
    engine.on("GET", "/openapi.json", answer)
    with pytest.raises(EngineBroke, match=says):
        relay.fetch("resume", "/openapi.json", request_id="r" * 8, limit=10)


def test_a_document_that_stops_in_the_middle_is_not_waited_for(
    relay: Relay, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slow(_request: Request) -> Response:
        def body() -> Any:
            yield b"{"
            go_on.wait(10)

        return Response(body())

    monkeypatch.setattr("looma_console.api_forward.relay.FETCH_SECONDS", 0.2)
    engine.on("GET", "/openapi.json", slow)
    with pytest.raises(EngineTimeout, match="in the middle"):
        relay.fetch("resume", "/openapi.json", request_id="r" * 8, limit=10)
    go_on.set()


@pytest.mark.parametrize(
    ("faults", "asked", "kind", "says"),
    [
        ([httpx.ConnectTimeout("slow")], 1, EngineTimeout, "took no connection"),
        ([httpx.ReadTimeout("slow")], 1, EngineTimeout, "did not answer within 5 s"),
        ([REFUSED] * CONNECT_TRIES, CONNECT_TRIES, EngineUnreachable, "no pod"),
        ([CLOSED] * CONNECT_TRIES, CONNECT_TRIES, EngineBroke, "closed the connection"),
    ],
)
def test_what_is_forwarded_says_at_which_point_it_failed(
    faults: list[Exception], asked: int, kind: type[Exception], says: str
) -> None:
    way = Way(*faults)
    relay = Relay(
        http=httpx.Client(transport=httpx.MockTransport(way)),
        routes=lambda: ROUTES,
        address_of=lambda _name: "http://engine",
        at_once=1,
    )
    with pytest.raises(kind, match=says):
        relay.send("GET", "/api/v1/resumes", "/api/v1/resumes", [], None)
    assert len(way.asked) == asked
    # The one place is free again.
    relay.send("GET", "/api/v1/resumes", "/api/v1/resumes", [], None).close()


# ---- pages of services -------------------------------------------------------------------------------------


def test_a_service_that_is_not_there_has_no_page(signed_in: Any) -> None:
    assert signed_in(Role.OPERATOR).get("/services/nobody").status_code == 404
    assert signed_in(Role.OPERATOR, Role.ADMIN).get("/services/nobody/live").status_code == 404


def test_an_open_page_keeps_what_it_shows_of_a_service_that_was_deleted(
    parts: Parts, signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[object] = []

    def stream(*, render: Callable[[], object], **_named: object) -> list[bytes]:
        rendered.append(render())
        parts.service_watch.replace([])
        rendered.append(render())
        return []

    monkeypatch.setattr(live, "stream", stream)
    parts.service_watch.replace([service_document("resume")])
    signed_in(Role.OPERATOR).get("/services/resume/live")
    (before, after) = rendered
    assert set(before) == {"overview", "rollout", "traffic", "history", "events"}
    assert after == {}


def test_htmx_goes_back_to_the_services_page_as_a_whole(signed_in: Any, cluster_fake: Any) -> None:
    form = {"to": "r1", "reason": "slow answers"}
    answer = signed_in(Role.OPERATOR).post("/services/resume/rollback", form, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/services/resume")
    assert len(cluster_fake.asked) == 1


def test_another_error_of_the_cluster_is_no_missing_revision() -> None:
    class Api:
        def request(self, method: str, path: str, **_named: object) -> object:
            if "controllerrevisions" in path:
                raise KubernetesError(500, "InternalError", "etcd is away")
            return {"metadata": {"resourceVersion": "7"}, "spec": {}}

    acting = ClusterActions(Api(), namespace="looma")  # type: ignore[arg-type]
    with pytest.raises(KubernetesError, match="etcd is away"):
        acting.rollback(ADA, service="resume", revision="r1", reason="slow")  # type: ignore[arg-type]
