"""The one address: which engine answers, what passes, what the console answers itself."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import httpx
import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from looma_console.api_forward.headers import request_id_of, to_client, to_engine, traceparent_of
from looma_console.api_forward.openapi import merge
from looma_console.api_forward.relay import CHUNK
from looma_console.api_forward.routing import Route, pick, routes_of
from looma_console.cluster.model import Service, read_service
from support.console_parts import service_document

FACTS = {
    "request_id": "r" * 32,
    "traceparent": "t",
    "address": "192.0.2.1",
    "scheme": "http",
    "host": "looma",
}


def routes(**prefixes: list[str]) -> tuple[Route, ...]:
    return routes_of(
        read_service(service_document(name, spec={"route": {"pathPrefixes": found}}))
        for name, found in prefixes.items()
    )


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/v1/resumes", "resume"),
        ("/api/v1/resumes/7/file", "resume"),
        ("/api/v1/resumes/parse", "parser"),
        ("/api/v1/resumes/parse/x", "parser"),
        ("/api/v1/resumesque", None),
        ("/api/v1/jobs", None),
        ("/api/v1", None),
    ],
)
def test_the_longest_prefix_by_whole_segments(path: str, service: str | None) -> None:
    found = pick(path, routes(resume=["/api/v1/resumes/"], parser=["/api/v1/resumes/parse"]))
    assert (found.service if found else None) == service


def test_of_two_claims_the_same_one_wins_each_time() -> None:
    assert [r.service for r in routes(b=["/api/v1/x"], a=["/api/v1/x"])] == ["a"]


def test_of_two_claims_the_one_that_the_operator_accepted_wins() -> None:
    def service(name: str, accepted: str) -> Service:
        return read_service(
            {
                "metadata": {"name": name},
                "spec": {"route": {"pathPrefixes": ["/api/v1/x"]}},
                "status": {"conditions": [{"type": "RouteAccepted", "status": accepted}]},
            }
        )

    assert [r.service for r in routes_of([service("a", "False"), service("b", "True")])] == ["b"]


@pytest.mark.parametrize(
    "name",
    [
        "X-Looma-Subject",
        "x-looma-tenant",
        "X-Forwarded-User",
        "X-Forwarded-For",
        "X-Auth-Request-Email",
        "X-Remote-User",
        "X-WEBAUTH-USER",
        "Impersonate-User",
        "Forwarded",
        "Cookie",
        "Host",
        "Connection",
        "Transfer-Encoding",
        "TE",
        "Upgrade",
        "Proxy-Authorization",
        "HX-Request",
    ],
)
def test_headers_that_do_not_reach_an_engine(name: str) -> None:
    passed = dict(to_engine([(name, "forged")], **FACTS))
    assert "forged" not in passed.values()


def test_headers_that_do() -> None:
    given = [
        ("Authorization", "Bearer x"),
        ("Content-Type", "a/b"),
        ("If-Match", '"3"'),
        ("Connection", "x-odd"),
        ("X-Odd", "1"),
    ]
    passed = dict(to_engine(given, **FACTS))
    assert passed["Authorization"] == "Bearer x"
    assert passed["If-Match"] == '"3"'
    assert "X-Odd" not in passed
    assert passed["X-Forwarded-For"] == "192.0.2.1"
    assert passed["Accept-Encoding"] == "identity"


def test_an_engine_sets_no_cookies() -> None:
    assert to_client([("Set-Cookie", "looma_session=x"), ("ETag", '"1"'), ("Keep-Alive", "5")]) == [
        ("ETag", '"1"')
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0123456789abcdef", True),
        ("short", False),
        ("with space in it", False),
        ("x" * 65, False),
        (None, False),
    ],
)
def test_request_ids_are_kept_if_harmless(given: str | None, kept: bool) -> None:
    assert (request_id_of(given) == given) is kept
    assert len(request_id_of(given)) >= 8


def test_traceparents_are_kept_if_well_formed() -> None:
    good = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    assert traceparent_of(good) == good
    for bad in (None, "", "00-" + "0" * 32 + "-" + "b" * 16 + "-01", good + "-x"):
        assert traceparent_of(bad) != bad
        made = traceparent_of(bad)
        assert traceparent_of(made) == made


def test_a_request_goes_through_and_back(visitor, engine) -> None:
    def echo(request: Request) -> Response:
        answer = Response(json.dumps({"query": request.query_string.decode()}), status=418)
        answer.headers["X-Looma-Revision"] = "r7"
        answer.headers["ETag"] = '"9"'
        return answer

    engine.on("*", "/api/v1/resumes/.*", echo)
    answer = visitor.client.patch(
        "/api/v1/resumes/a%20b?x=1&y=%2F",
        data=b'{"a": 1}',
        headers={
            "Authorization": "Bearer theirs",
            "X-Looma-Roles": "admin",
            "Content-Type": "application/merge-patch+json",
        },
    )
    assert answer.status_code == 418
    assert json.loads(answer.data) == {"query": "x=1&y=%2F"}
    assert answer.headers["X-Looma-Revision"] == "r7"
    assert answer.headers["ETag"] == '"9"'
    assert "X-Looma-Source" not in answer.headers
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    request, body = engine.seen[-1]
    assert (request.method, request.path, body) == ("PATCH", "/api/v1/resumes/a b", b'{"a": 1}')
    assert request.headers["Authorization"] == "Bearer theirs"
    assert "X-Looma-Roles" not in request.headers
    assert request.headers["X-Request-Id"] == answer.headers["X-Request-Id"]
    assert request.headers["traceparent"].startswith("00-")


def test_a_signed_in_browser_is_nobody_to_the_api(visitor, engine) -> None:
    visitor.sign_in()
    engine.on("GET", "/api/v1/resumes", {})
    visitor.get("/api/v1/resumes")
    request, _ = engine.seen[-1]
    assert "Authorization" not in request.headers
    assert "Cookie" not in request.headers


def problem(answer: Any, status: int, name: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.headers["X-Looma-Source"] == "console"
    body = json.loads(answer.data)
    assert body["type"].endswith(f":{name}")
    assert body["instance"] == answer.headers["X-Request-Id"]
    return body


def test_a_path_that_nobody_serves(visitor) -> None:
    problem(visitor.get("/api/v1/nothing"), 404, "no-route")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/resumes/../talents",
        "/api/v1/resumes/%2e%2e/talents",
        "/api/v1/resumes//x",
        "/api/v1/%72esumes",
        "/%61pi/v1/resumes",
    ],
)
def test_a_path_with_two_readings_is_refused(visitor, engine, path: str) -> None:
    problem(visitor.get(path), 404, "no-route")
    assert engine.seen == []


def test_no_pod(visitor, parts, engine) -> None:
    parts.relay._address_of = lambda _service: "http://127.0.0.1:9"
    body = problem(visitor.get("/api/v1/resumes"), 503, "engine-unreachable")
    assert "resume" in body["detail"]


def test_an_engine_that_takes_too_long(visitor, parts, engine) -> None:
    parts.service_watch.replace(
        [service_document(spec={"route": {"pathPrefixes": ["/api/v1/resumes"], "timeoutSeconds": 1}})]
    )
    let_go, over = threading.Event(), []
    engine.on("GET", "/api/v1/resumes", lambda _request: over.append(let_go.wait(30)) or Response())
    body = problem(visitor.get("/api/v1/resumes"), 504, "engine-timeout")
    assert over == [], "the engine is still at it"
    assert "within 1 s" in body["detail"]
    let_go.set()


def test_an_engine_that_breaks_off_is_not_asked_again_to_change_something(visitor, engine) -> None:
    def hang_up(request: Request) -> Response:
        request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    engine.on("POST", "/api/v1/resumes", hang_up)
    problem(visitor.client.post("/api/v1/resumes", data=b"x"), 502, "engine-broke")
    assert len([1 for request, _ in engine.seen if request.method == "POST"]) == 1


def half_an_answer(request: Request) -> Response:
    """Status and headers, and then the process ends."""
    connection = request.environ["werkzeug.socket"]
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n")
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def test_an_engine_that_ends_between_headers_and_body_is_asked_again_only_to_read(visitor, engine) -> None:
    def answer_the_third_time(request: Request) -> Response:
        return half_an_answer(request) if len(engine.seen) < 3 else Response("{}")

    engine.on("GET", "/api/v1/resumes", answer_the_third_time)
    answer = visitor.get("/api/v1/resumes")
    assert (answer.status_code, answer.data) == (200, b"{}")
    engine.on("POST", "/api/v1/resumes", half_an_answer)
    problem(visitor.client.post("/api/v1/resumes", data=b"x"), 502, "engine-broke")
    assert [request.method for request, _ in engine.seen] == ["GET", "GET", "GET", "POST"]


def test_too_many_at_once_are_turned_away(visitor, parts, engine) -> None:
    engine.on("GET", "/api/v1/resumes", {})
    taken = 0
    while parts.relay._slots.acquire(blocking=False):
        taken += 1
    answer = visitor.get("/api/v1/resumes")
    problem(answer, 503, "console-busy")
    assert answer.headers["Retry-After"] == "1"
    for _ in range(taken):
        parts.relay._slots.release()
    assert visitor.get("/api/v1/resumes").status_code == 200


def test_places_come_back_however_a_request_ended(visitor, parts, engine) -> None:
    engine.on("GET", "/api/v1/resumes", {"a": 1})
    engine.on("DELETE", "/api/v1/resumes", lambda _request: Response(status=204))
    free = parts.relay._slots._value
    for method, path, status in [
        ("GET", "/api/v1/resumes", 200),
        ("HEAD", "/api/v1/resumes", 404),
        ("DELETE", "/api/v1/resumes", 204),
        ("GET", "/api/v1/nobody", 404),
    ]:
        answer = visitor.client.open(path, method=method, buffered=True)
        assert answer.status_code == status
        assert parts.relay._slots._value == free, f"{method} {path} kept its place"
    left_open = visitor.get("/api/v1/resumes", buffered=False)
    assert parts.relay._slots._value == free - 1
    left_open.close()
    assert parts.relay._slots._value == free


def test_both_ways_stream(app, engine) -> None:
    """Over real sockets: the engine has the first part before the client sends the rest, and back."""
    first_came, go_on = threading.Event(), threading.Event()
    first, rest = b"a" * 3 * CHUNK, b"b" * 1000

    def talk(request: Request) -> Response:
        assert request.stream.read(CHUNK) == b"a" * CHUNK
        first_came.set()
        others = request.stream.read()

        def answer():
            yield b"one"
            go_on.wait(10)
            yield b"two:%d" % len(others)

        return Response(answer(), content_type="text/plain")

    engine.stream_bodies = True
    engine.on("POST", "/api/v1/resumes", talk)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:

        def body():
            yield first
            assert first_came.wait(10), "the first part waits somewhere"
            yield rest

        url = f"http://127.0.0.1:{server.server_port}/api/v1/resumes"
        headers = {"Content-Length": str(len(first + rest))}
        with httpx.stream("POST", url, content=body(), headers=headers, timeout=20) as response:
            chunks = response.iter_raw()
            assert next(chunks) == b"one"
            go_on.set()
            assert b"".join(chunks) == b"two:%d" % (2 * CHUNK + len(rest))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def document(path: str, schema: dict[str, Any]) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Thing"}
    return {
        "paths": {
            path: {"get": {"responses": {"200": {"content": {"application/json": {"schema": reference}}}}}},
            "/healthz": {"get": {}},
        },
        "components": {"schemas": {"Thing": schema, "Same": {"type": "string"}}},
        "tags": [{"name": "things"}],
    }


def test_merging_keeps_both_where_two_engines_differ() -> None:
    merged = merge(
        {
            "resume": document("/api/v1/resumes", {"type": "object"}),
            "talent-sync": document("/api/v1/talents", {"type": "array"}),
        },
        missing=["chat"],
    )
    assert set(merged["paths"]) == {"/api/v1/resumes", "/api/v1/talents"}
    assert set(merged["components"]["schemas"]) == {"Thing", "talent_sync_Thing", "Same"}
    get = merged["paths"]["/api/v1/talents"]["get"]
    schema = get["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/talent_sync_Thing"}
    assert get["x-looma-service"] == "talent-sync"
    assert merged["x-looma-missing"] == ["chat"]
    assert merged["tags"] == [{"name": "things"}]


def test_the_merged_document_is_served_and_names_who_is_silent(visitor, engine) -> None:
    engine.on("GET", "/openapi.json", document("/api/v1/resumes", {"type": "object"}))
    answer = visitor.get("/api/v1/openapi.json")
    assert answer.headers["X-Looma-Source"] == "console"
    assert "/api/v1/resumes" in answer.json["paths"]
    engine.on("GET", "/openapi.json", {}, 500)
    assert visitor.get("/api/v1/openapi.json").json["x-looma-missing"] == ["resume", "talent-sync"]
