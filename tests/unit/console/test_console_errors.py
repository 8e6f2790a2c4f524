"""What is answered when something goes wrong, and to which page a person comes first."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from looma_console.web.permissions import Permission, Role, public

AWAY = OperationalError("select", {}, Exception("secret of a row"))


@pytest.fixture
def failing(app: Flask) -> Any:
    """An application whose page and API path fail with the given error."""

    def make(error: Exception) -> Any:
        def fail() -> str:
            raise error

        for endpoint in ("wellknown.healthz", "api_forward.forward"):
            assert endpoint in app.view_functions
            app.view_functions[endpoint] = public("test")(lambda **_given: fail())
        return app.test_client()

    return make


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        pytest.param(AWAY, 503, "not-ready", id="the database is away"),
        pytest.param(ZeroDivisionError("secret"), 500, "internal", id="a bug"),
    ],
)
def test_an_error_is_a_page_to_people_and_a_problem_to_programs(
    failing: Any, error: Exception, status: int, name: str
) -> None:
    client = failing(error)
    page, problem = client.get("/healthz"), client.get("/api/v1/resumes")
    assert page.status_code == problem.status_code == status
    assert page.mimetype == "text/html"
    assert problem.content_type == "application/problem+json"
    assert problem.get_json(force=True)["type"].endswith(f":{name}")
    for answer in (page, problem):
        assert "secret" not in answer.get_data(as_text=True)


def test_a_database_that_fails_is_logged_without_its_words(
    failing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    failing(AWAY).get("/healthz")
    assert "database: OperationalError" in caplog.text
    assert "secret of a row" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [("GET", "/api/", 404, "not-found"), ("TRACE", "/api/v1/resumes", 405, "method-not-allowed")],
)
def test_the_api_has_no_pages(visitor: Any, method: str, path: str, status: int, name: str) -> None:
    answer = visitor.client.open(path, method=method)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.get_json(force=True)["type"].endswith(f":{name}")


def test_a_page_that_takes_no_such_request_says_which_it_takes(visitor: Any) -> None:
    answer = visitor.client.delete("/login")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))
    assert "does not take" in answer.get_data(as_text=True)


# ---- the first page ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "where"),
    [(Role.RECRUITER, "/people"), (Role.OPERATOR, "/services"), (Role.ADMIN, "/services")],
)
def test_the_first_page_is_one_that_the_person_may_see(signed_in: Any, role: Role, where: str) -> None:
    assert signed_in(role).get("/").location == where


def test_somebody_without_a_role_comes_to_their_account(
    signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in(Role.RECRUITER)
    only = frozenset({Permission.SIGNED_IN})
    monkeypatch.setattr("looma_console.auth.operations.permissions_of", lambda roles: only)
    assert browser.get("/").location == "/account"


def test_who_is_signed_in_does_not_sign_in_again(visitor: Any) -> None:
    visitor.sign_in()
    assert visitor.get("/login?next=/services").location == "/services"
