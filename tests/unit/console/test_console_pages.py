"""What holds for all pages: headers, no inline script or style, known names for every control."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

import looma_console
from looma_console.web.headers import CONTENT_SECURITY_POLICY
from looma_console.web.permissions import Permission, Role, requires

ROOT = Path(looma_console.__file__).parent
TEMPLATES = sorted(ROOT.rglob("templates/**/*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_script_or_style(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|javascript:", source)
    assert re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", source) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_is_marked_safe_by_hand(path: Path) -> None:
    assert not re.search(r"\|\s*safe\b|autoescape false|Markup\(", path.read_text())


def test_the_policy_allows_this_origin_alone() -> None:
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "*" not in CONTENT_SECURITY_POLICY
    assert all(value in {"'self'", "'none'"} for value in rules.values())


@pytest.mark.parametrize("path", ["/login", "/static/looma.css", "/nothing", "/healthz", "/api/v1/nothing"])
def test_every_answer_has_the_security_headers(visitor, path: str) -> None:
    headers = visitor.get(path).headers
    assert headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Request-Id"]


def test_pages_are_not_kept_by_caches(visitor) -> None:
    assert visitor.get("/login").headers["Cache-Control"] == "no-store"


def test_static_files_are_kept_by_their_content(app: Flask, visitor) -> None:
    page = visitor.get("/login").get_data(as_text=True)
    address = re.search(r'href="(/static/looma\.css\?v=[0-9a-f]{12})"', page)
    assert address
    assert "immutable" in visitor.get(address[1]).headers["Cache-Control"]
    assert visitor.get("/static/looma.css?v=older").headers["Cache-Control"] == "no-cache"
    assert visitor.get("/static/../app.py").status_code == 404


def test_the_page_asks_for_nothing_from_elsewhere(visitor) -> None:
    page = visitor.get("/login").get_data(as_text=True)
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page)


def test_an_error_of_ours_tells_an_id_and_no_more(app: Flask, signed_in) -> None:
    @requires(Permission.AUDIT_READ)
    def broken() -> str:
        raise RuntimeError("secret detail")

    app.view_functions["users.audit"] = broken
    answer = signed_in(Role.ADMIN).get("/audit", headers={"X-Request-Id": "abcdef0123456789"})
    text = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "abcdef0123456789" in text
    assert "secret detail" not in text


@pytest.mark.parametrize("page", ["/login", "/account", "/users", "/resumes/upload"])
def test_every_control_has_a_name(app: Flask, visitor, page: str) -> None:
    if page != "/login":
        visitor.sign_in()
    html = visitor.get(page).get_data(as_text=True)
    for control in re.findall(r"<(?:input|select|textarea)\b[^>]*>", html):
        if 'type="hidden"' in control:
            continue
        if 'type="checkbox"' in control:
            continue  # inside its label
        name = re.search(r'\bid="([^"]+)"', control)
        assert "aria-label" in control or (name and f'for="{name[1]}"' in html), control


def test_health_tells_what_is_missing(parts, visitor) -> None:
    assert visitor.get("/healthz").status_code == 200
    assert visitor.get("/readyz").json == {"status": "ok", "missing": []}
    parts.service_watch.synced.clear()
    answer = visitor.get("/readyz")
    assert (answer.status_code, answer.json["missing"]) == (503, ["routes"])


def test_metrics_count_by_route_not_by_path(visitor) -> None:
    visitor.get("/people/019a0000-0000-7000-8000-000000000001")
    text = visitor.get("/metrics").get_data(as_text=True)
    assert 'route="/people/<uuid:talent_id>"' in text
    assert "019a0000" not in text


def test_the_keys_are_public_halves(visitor) -> None:
    keys = visitor.get("/.well-known/jwks.json").json["keys"]
    assert [set(key) & {"d", "p", "q"} for key in keys] == [set()]
    assert keys[0]["alg"] == "RS256"
