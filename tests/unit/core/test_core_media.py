"""Which kinds of body routes read: the rule, and every writing operation of every engine by its document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from looma_core.auth import Role
from looma_core.http import PATCH_TYPES, essence, unsupported
from looma_core.settings import EngineSettings
from looma_engines.resume import app as resume
from looma_engines.talent_sync import app as talent_sync
from support.engines import LEDGER_KEY
from support.key_ring import ring_file
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Litestar

JSON = "application/json"
SOME_ID = "0199a7a0-0000-7000-8000-000000000001"
SETTINGS = EngineSettings(
    # Nobody listens there: a body is judged before any database is asked.
    database_url="postgresql+psycopg://looma_app:x@127.0.0.1:1/looma",
    file_keys="c29tZSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyEhISE=",
    key_ring_file=ring_file(),
    ledger_key=LEDGER_KEY,
)


def _engines() -> Iterator[tuple[str, Litestar]]:
    yield "talent-sync", talent_sync.create(SETTINGS, verifier=verifier())
    yield "resume", resume.create(SETTINGS, verifier=verifier())


APPS = dict(_engines())


def _reading_json() -> Iterator[Any]:
    """Operations that read JSON and nothing else, with the kinds that their document names."""
    for name, app in APPS.items():
        document = TestClient(app).get("/openapi.json").json()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                kinds = set(operation.get("requestBody", {}).get("content", {}))
                if JSON in kinds and kinds <= set(PATCH_TYPES):
                    yield pytest.param(name, method, path, operation, id=f"{method.upper()} {path}")


OPERATIONS = list(_reading_json())


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        (JSON, JSON),
        ("Application/JSON; charset=utf-8", JSON),
        (" text/plain ;a=b", "text/plain"),
        ("", ""),
    ],
)
def test_what_a_header_names(header: str, answer: str) -> None:
    assert essence(header) == answer


def test_a_refusal_names_the_header_and_what_to_send() -> None:
    told = unsupported("text/plain", PATCH_TYPES).problem()
    assert told.status == 415
    assert told.errors[0].field == "Content-Type"
    for kind in PATCH_TYPES:
        assert kind in told.errors[0].message
        assert kind in str(told.detail)
    assert "text/plain" in str(told.detail)
    assert "missing" in str(unsupported("", [JSON]).detail)


def test_there_are_such_operations_of_each_engine() -> None:
    found = {parameters.values[0] for parameters in OPERATIONS}
    assert found == set(APPS)
    assert len(OPERATIONS) >= 15


@pytest.mark.parametrize(("name", "method", "path", "operation"), OPERATIONS)
def test_every_operation_that_reads_json_refuses_another_kind(
    name: str, method: str, path: str, operation: dict[str, Any]
) -> None:
    client = TestClient(APPS[name], raise_server_exceptions=False)
    url = "/".join(SOME_ID if part.startswith("{") else part for part in path.split("/"))
    auth = {**bearer(roles=[role.value for role in Role]), "If-Match": "*"}
    kinds = operation["requestBody"]["content"]

    def sent(kind: str | None, body: bytes = b"{") -> Any:
        headers = auth | ({"Content-Type": kind} if kind else {})
        return client.request(method, url, headers=headers, content=body)

    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", None):
        answer = sent(kind, b'{"full_name": "Somebody"}')
        assert answer.status_code == 415, answer.text
        (error,) = answer.json()["errors"]
        assert error["field"] == "Content-Type"
        assert all(wanted in error["message"] for wanted in kinds)
        assert answer.headers["accept"] == ", ".join(kinds)
    for kind in (*kinds, "Application/JSON;charset=UTF-8"):
        assert sent(kind).status_code == 400, "the body is read where its kind fits"
    assert client.request(method, url, content=b"{}").status_code == 401, "who calls is asked first"
    assert "415" in operation["responses"]
