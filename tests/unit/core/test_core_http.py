"""The frame around every engine: ids, errors, access, health, metrics."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Litestar, Request, get, post
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import ImproperlyConfiguredException
from litestar.params import Body
from litestar.testing import TestClient

from looma_core.auth import Principal, Role
from looma_core.http import (
    PUBLIC,
    WRITES_NOTHING,
    allow,
    create_app,
    idempotent,
    outgoing_headers,
    undeclared,
    undeclared_writing,
)
from looma_core.http.context import request_context
from looma_core.problems import Conflict, FieldError
from looma_core.settings import CoreSettings, EngineSettings
from looma_engines.main import ENGINES, create
from support.key_ring import ring_file
from support.tokens import bearer, verifier

SETTINGS = CoreSettings(service="thing", revision="r5")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Thing(msgspec.Struct, forbid_unknown_fields=True):
    """Something with two fields."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    size: int = 1


@post("/things", opt=allow(Role.RECRUITER))
async def make(data: Thing, principal: Principal) -> dict[str, str]:
    """Make a thing."""
    if data.name == "taken":
        raise Conflict("There is one already.", errors=[FieldError(field="name", message="is taken")])
    if data.name == "deep":
        raise RecursionError
    if data.name == "break":
        msg = "postgresql://looma_app:hunter2@db"
        raise RuntimeError(msg)
    return {"name": data.name, "by": principal.subject, "tenant": principal.tenant}


@post("/files", opt=PUBLIC, request_max_body_size=2000)
async def upload(
    data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> dict[str, int]:
    """Take a file."""
    return {"size": len(await data.read())}


@get("/things/{number:int}", opt=PUBLIC)
async def read(number: int, limit: int = 1) -> dict[str, int]:
    """Read a thing."""
    return {"number": number, "limit": limit}


@get("/outgoing", opt=PUBLIC)
async def outgoing(request: Request[Any, Any, State]) -> dict[str, str]:
    """What a call to another engine would carry."""
    del request
    return outgoing_headers()


READY = {"fine": True}


async def _check() -> None:
    if not READY["fine"]:
        msg = "the database at 10.0.0.7 is away"
        raise OSError(msg)


@pytest.fixture(scope="module")
def app() -> Litestar:
    return create_app(
        name="thing",
        settings=SETTINGS,
        route_handlers=[make, upload, read, outgoing],
        verifier=verifier(),
        readiness={"database": _check},
        max_body_bytes=5000,
    )


@pytest.fixture(scope="module")
def client(app: Litestar) -> Any:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("request_id", "kept"),
    [
        ("abc-123", True),
        ("0af7651916cd43dd8448eb211c80319c", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("has space", False),
        ('"quoted"', False),
        ("", False),
        ("-begins", False),
    ],
)
def test_a_sane_request_id_is_kept(client: TestClient[Any], request_id: str, kept: bool) -> None:
    answer = client.get("/healthz", headers={"X-Request-Id": request_id})
    assert (answer.headers["x-request-id"] == request_id) is kept
    assert re.fullmatch(r"[\w.:-]{1,128}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (TRACE, True),
        (None, False),
        ("", False),
        (TRACE.upper(), False),
        (TRACE.replace("00-", "ff-", 1), False),
        (TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), False),
        (TRACE.replace("00f067aa0ba902b7", "0" * 16), False),
        (TRACE + "-more", False),
    ],
)
def test_a_valid_trace_is_continued(header: str | None, kept: bool) -> None:
    context = request_context(request_id=None, traceparent=header)
    assert (context.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736") is kept
    assert (context.flags == "01") is kept
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", context.traceparent)
    assert "00f067aa0ba902b7" not in context.traceparent


def test_calls_to_other_engines_carry_the_ids_and_the_token(client: TestClient[Any]) -> None:
    headers = {"X-Request-Id": "abc", "traceparent": TRACE, "Authorization": "Bearer x"}
    carried = client.get("/outgoing", headers=headers).json()
    assert carried["X-Request-Id"] == "abc"
    assert carried["Authorization"] == "Bearer x"
    assert carried["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert "Authorization" not in client.get("/outgoing").json()


def test_outside_of_a_request_there_is_nothing_to_carry() -> None:
    assert outgoing_headers() == {}


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "name"),
    [
        ("GET", "/nowhere", {}, 404, "not-found"),
        ("GET", "/openapi", {}, 404, "not-found"),
        ("DELETE", "/things", {}, 405, "method-not-allowed"),
        ("POST", "/things", {"content": b"{", "headers": JSON}, 400, "bad-request"),
        ("POST", "/things", {"content": b"\xff", "headers": JSON}, 400, "bad-request"),
        ("POST", "/things", {"content": b'"\\ud800"', "headers": JSON}, 400, "bad-request"),
        ("POST", "/things", {"content": b'{"name": "\xff"}', "headers": JSON}, 400, "bad-request"),
        ("POST", "/things", {"content": b"[" * 4000, "headers": JSON}, 400, "bad-request"),
        ("POST", "/things", {}, 422, "validation"),
        ("POST", "/things", {"content": b"{}"}, 415, "unsupported-media"),
        ("POST", "/things", {"data": {"name": "x"}}, 415, "unsupported-media"),
        ("POST", "/things", {"json": {"name": ""}}, 422, "validation"),
        ("POST", "/things", {"json": [1]}, 422, "validation"),
        ("POST", "/things", {"json": {"name": "x" * 6000}}, 413, "payload-too-large"),
        ("POST", "/things", {"json": {"name": "taken"}}, 409, "conflict"),
        ("POST", "/things", {"json": {"name": "break"}}, 500, "internal"),
        ("POST", "/things", {"json": {"name": "deep"}}, 500, "internal"),
        ("GET", "/things/one", {}, 404, "not-found"),
        ("GET", "/things/1?limit=x", {}, 422, "validation"),
        ("POST", "/files", {"files": {"data": b"x" * 3000}}, 413, "payload-too-large"),
        (
            "POST",
            "/files",
            {"content": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            400,
            "bad-request",
        ),
        (
            "POST",
            "/files",
            {"content": b"", "headers": {"Content-Type": "multipart/form-data"}},
            422,
            "validation",
        ),
    ],
)
def test_failures_are_problems_and_keep_the_inside_in(
    client: TestClient[Any], *, method: str, path: str, sent: dict[str, Any], status: int, name: str
) -> None:
    headers = {**bearer(), "X-Request-Id": "the-id", **sent.pop("headers", {})}
    answer = client.request(method, path, headers=headers, **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"urn:looma:problem:{name}"
    assert (body["status"], body["instance"]) == (status, "the-id")
    assert body["title"]
    assert set(body) <= {"type", "title", "status", "detail", "instance", "errors"}
    for inside in ("hunter2", "RuntimeError", "Traceback", "litestar", "site-packages"):
        assert inside not in answer.text
    assert answer.headers["x-looma-revision"] == "r5"
    assert answer.headers["x-request-id"] == "the-id"


def test_405_names_the_methods(client: TestClient[Any]) -> None:
    allowed = client.delete("/things").headers["allow"]
    assert {"POST", "OPTIONS"} == set(allowed.split(", "))


def test_a_stream_without_a_length_is_limited_too(client: TestClient[Any]) -> None:
    answer = client.post("/things", headers={**bearer(), **JSON}, content=iter([b"[" * 3000, b"[" * 3000]))
    assert answer.status_code == 413


def test_all_wrong_fields_of_a_body_are_named(client: TestClient[Any]) -> None:
    answer = client.post("/things", headers=bearer(), json={"size": "big", "colour": 1})
    assert {error["field"] for error in answer.json()["errors"]} == {"name", "size", "colour"}


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({}, 401, "Bearer"),
        ({"Authorization": "Basic YTpi"}, 401, "Bearer"),
        ({"Authorization": "Bearer "}, 401, "JSON Web Token"),
        ({"Authorization": "Bearer a.b.c"}, 401, "JSON Web Token"),
        (bearer(roles=["operator", "admin"]), 403, "recruiter"),
        (bearer(seconds=-60), 401, "expired"),
    ],
)
def test_access(client: TestClient[Any], headers: dict[str, str], status: int, said: str) -> None:
    answer = client.post("/things", headers=headers, json={"name": "x"})
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert ("www-authenticate" in answer.headers) is (status == 401)


def test_a_token_is_asked_before_the_body_is_read(client: TestClient[Any]) -> None:
    assert client.post("/things", content=b"{" * 4000).status_code == 401


def test_the_caller_is_known(client: TestClient[Any]) -> None:
    headers = bearer(subject="ada", tenant="acme")
    answer = client.post("/things", headers=headers, json={"name": "x"})
    assert (answer.status_code, answer.json()) == (201, {"name": "x", "by": "ada", "tenant": "acme"})


def test_a_route_without_a_declaration_keeps_the_engine_from_starting() -> None:
    @get("/open")
    async def forgotten() -> None:
        """Nobody said who may call this."""

    with pytest.raises(ImproperlyConfiguredException) as caught:
        create_app(name="thing", settings=SETTINGS, route_handlers=[forgotten, read])
    assert "/open" in str(caught.value)
    assert "forgotten in" in str(caught.value)
    assert "test_core_http.py:" in str(caught.value)
    assert "/things" not in str(caught.value)


def test_a_post_that_does_not_say_what_its_repetition_means_is_found(app: Litestar) -> None:
    @post("/parsed", opt=PUBLIC | WRITES_NOTHING)
    async def parsed() -> None:
        """It stores nothing."""

    found = undeclared_writing(app)
    assert sorted(line.split(":")[0] for line in found) == ["/files", "/things"]
    assert "make in" in "".join(found)
    assert undeclared_writing(Litestar([parsed])) == []


def test_a_route_that_honours_keys_needs_somewhere_to_keep_answers() -> None:
    @post("/kept", opt=PUBLIC | idempotent())
    async def kept() -> None:
        """Nothing was said about a database."""

    with pytest.raises(ImproperlyConfiguredException, match=r"/kept: .*kept in .* declares idempotent"):
        create_app(name="thing", settings=SETTINGS, route_handlers=[kept], verifier=verifier())


def test_allow_needs_a_role() -> None:
    with pytest.raises(ValueError, match="at least one role"):
        allow()


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_route_of_every_engine_declares_its_access_and_its_repetition(name: str) -> None:
    settings = EngineSettings(
        database_url="postgresql+psycopg://looma_app:x@127.0.0.1:1/looma",
        file_keys="c29tZSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyEhISE=",
        key_ring_file=ring_file(),
        service=name,
    )
    engine = create(name, settings)
    assert undeclared(engine) == []
    assert undeclared_writing(engine) == []
    public = {
        route.path
        for route in engine.routes
        for handler in getattr(route, "route_handlers", [])
        if handler.opt.get("looma_access") == PUBLIC["looma_access"]
    }
    assert public == {"/healthz", "/readyz", "/metrics", "/openapi.json"}, "an engine opens a path to anybody"


def test_readiness_tells_what_fails_and_not_why(client: TestClient[Any]) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}
    READY["fine"] = False
    try:
        answer = client.get("/readyz")
    finally:
        READY["fine"] = True
    assert answer.status_code == 503
    assert answer.json()["detail"] == "Not ready: database."
    assert answer.headers["retry-after"]
    assert "10.0.0.7" not in answer.text
    assert client.get("/healthz").json() == {"status": "ok"}


def test_requests_are_counted_by_route_and_code(client: TestClient[Any]) -> None:
    client.get("/things/41")
    client.get("/things/42")
    client.get("/no/such/path")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    labels = 'code="{}",revision="r5",route="{}",service="thing"'
    counted = re.search(
        re.escape("looma_http_request_seconds_count{" + labels.format(200, "/things/{number}") + "}")
        + r" (\d+)",
        text,
    )
    assert counted is not None
    assert int(counted[1]) >= 2
    assert labels.format(404, "unmatched") in text
    assert "/no/such/path" not in text, "paths of strangers would be labels without end"
    assert "process_resident_memory_bytes" in text


def test_the_document_tells_routes_security_and_problems(client: TestClient[Any]) -> None:
    document = client.get("/openapi.json").json()
    assert document["info"]["title"] == "Looma thing"
    assert {"/things", "/files", "/things/{number}", "/outgoing"} == set(document["paths"])
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    responses = document["paths"]["/things"]["post"]["responses"]
    assert "400" not in responses, "Litestar's own error shape is not ours"
    schema = responses["default"]["content"]["application/problem+json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Problem"}
    assert "errors" in document["components"]["schemas"]["Problem"]["properties"]
    assert document["paths"]["/outgoing"]["get"]["security"] == []
    assert document["paths"]["/things"]["post"]["security"] == [{"bearer": []}]
