"""Every route names its permission, and the permission holds."""

from __future__ import annotations

import inspect

import pytest
from flask import Flask

from looma_console.web.guard import safe_next
from looma_console.web.permissions import Permission, Public, Role, permissions_of, required_of


def test_every_route_declares_a_permission_or_says_why_it_is_public(app: Flask) -> None:
    forgotten = []
    for rule in app.url_map.iter_rules():
        view = inspect.unwrap(app.view_functions[rule.endpoint])
        access = required_of(app.view_functions[rule.endpoint])
        if access is None or (isinstance(access, Public) and not access.reason):
            where = f"{inspect.getsourcefile(view)}:{inspect.getsourcelines(view)[1]} {view.__name__}"
            forgotten.append(f"{where} ({rule.rule}) needs @requires(...) or @public(reason)")
    assert not forgotten, "\n".join(forgotten)


def test_the_walk_sees_a_route_that_forgot(app: Flask) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "open to all?")
    with pytest.raises(AssertionError, match=r"/forgotten"):
        test_every_route_declares_a_permission_or_says_why_it_is_public(app)
    # And the guard refuses it, even to one with all roles.
    assert app.test_client().get("/forgotten").status_code == 403


PUBLIC = {
    "/login",
    "/language",
    "/static/<path:name>",
    "/healthz",
    "/readyz",
    "/metrics",
    "/.well-known/jwks.json",
    "/api/v1/",
    "/api/v1/<path:rest>",
    "/api/v1/openapi.json",
}


def test_no_route_became_public_by_the_way(app: Flask) -> None:
    found = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if isinstance(required_of(app.view_functions[rule.endpoint]), Public)
    }
    assert found == PUBLIC


@pytest.mark.parametrize(
    ("roles", "granted"),
    [
        ([], set()),
        (["unheard-of"], set()),
        (["recruiter"], {Permission.SIGNED_IN, Permission.PEOPLE_READ, Permission.PEOPLE_WRITE}),
        (
            ["operator"],
            {
                Permission.SIGNED_IN,
                Permission.SERVICES_READ,
                Permission.SERVICES_CHANGE,
                Permission.SYNCS_READ,
                Permission.SYNCS_CHANGE,
            },
        ),
    ],
)
def test_roles_grant(roles: list[str], granted: set[Permission]) -> None:
    assert permissions_of(roles) == granted


def test_an_admin_reads_no_people() -> None:
    assert Permission.PEOPLE_READ not in permissions_of(["admin"])


NEEDS = {
    "/people": {Role.RECRUITER},
    "/resumes/upload": {Role.RECRUITER},
    "/services": {Role.OPERATOR, Role.ADMIN},
    "/services/resume": {Role.OPERATOR, Role.ADMIN},
    "/models": {Role.OPERATOR, Role.ADMIN},
    "/syncs": {Role.OPERATOR, Role.ADMIN},
    "/database": {Role.ADMIN},
    "/users": {Role.ADMIN},
    "/audit": {Role.ADMIN},
    "/privacy": {Role.ADMIN},
    "/account": {Role.RECRUITER, Role.OPERATOR, Role.ADMIN},
}


@pytest.mark.parametrize("role", list(Role))
def test_pages_open_for_their_roles_alone(signed_in, engine, role: Role) -> None:
    engine.on("GET", "/api/v1/talents", {"items": [], "next_cursor": None})
    browser = signed_in(role)
    for path, roles in NEEDS.items():
        expected = 200 if role in roles else 403
        assert browser.get(path).status_code == expected, f"{role} on {path}"


@pytest.mark.parametrize("path", sorted(NEEDS))
def test_visitors_are_sent_to_the_login_and_back(visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 302
    assert answer.location == f"/login?next={path}"


def test_htmx_is_sent_to_the_login_as_a_whole_page(visitor) -> None:
    answer = visitor.get(
        "/people", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/people?q=x"}
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=/people?q%3Dx"


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/people?q=x", "/people?q=x"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\nevil", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_safe_next(target: str | None, answer: str) -> None:
    assert safe_next(target) == answer


def test_the_menu_shows_what_one_may_open(signed_in) -> None:
    page = signed_in(Role.OPERATOR).get("/account").get_data(as_text=True)
    assert 'href="/services"' in page
    assert 'href="/people"' not in page
    assert 'href="/users"' not in page
