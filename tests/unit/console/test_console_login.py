"""Signing in and out, sessions, throttling, form tokens, cookies."""

from __future__ import annotations

import datetime as dt

import pytest
from flask import Flask
from sqlalchemy import select, update

from looma_console.auth import operations, throttle
from looma_console.auth.operations import Lifetime, Opened, Refused, is_expired
from looma_console.db.models import AuditEntry, LoginFailure, LoginSession
from looma_console.web.parts import Parts
from looma_console.web.permissions import Role
from support.console_parts import PASSWORD

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
LIFETIME = Lifetime(idle=HOUR, absolute=12 * HOUR)


def try_login(parts: Parts, *, password: str = PASSWORD, now: dt.datetime = NOW, address: str = "192.0.2.7"):
    return operations.sign_in(
        parts.db, parts.passwords, login="admin", password=password, address=address, now=now, request_id="r"
    )


@pytest.mark.parametrize(
    ("failures", "free", "since", "answer"),
    [
        (4, 5, 0, 0),
        (5, 5, 0, 5),
        (7, 5, 0, 20),
        (7, 5, 15, 5),
        (60, 5, 0, 900),
        (60, 5, 3600, 0),
        (10**6, 5, 0, 900),
    ],
)
def test_wait_after(failures: int, free: int, since: int, answer: int) -> None:
    now = NOW + dt.timedelta(seconds=since)
    assert throttle.wait_after(failures, NOW, now, free=free) == dt.timedelta(seconds=answer)


@pytest.mark.parametrize(
    ("age", "idle", "expired"),
    [(1, 0.5, False), (2, 1, True), (12, 0.1, True), (11.9, 0.99, False)],
    ids=["fresh", "idle", "old", "just in time"],
)
def test_sessions_expire(age: float, idle: float, expired: bool) -> None:
    assert (
        is_expired(created_at=NOW - age * HOUR, seen_at=NOW - idle * HOUR, now=NOW, lifetime=LIFETIME)
        is expired
    )


def test_the_first_page_after_the_login_is_the_one_asked_for(visitor) -> None:
    answer = visitor.post(
        "/login", {"login": "admin", "password": PASSWORD, "next": "/services"}, page="/login"
    )
    assert (answer.status_code, answer.location) == (303, "/services")
    assert visitor.get("/services").status_code == 200


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(app: Flask, visitor) -> None:
    cookie = visitor.sign_in().headers.getlist("Set-Cookie")
    session = next(line for line in cookie if line.startswith("looma_session="))
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    assert "Secure" not in session
    secure = app.test_client()
    token = secure.get("/login", base_url="https://looma.example").get_data(as_text=True)
    form = token.split('name="csrf_token" value="')[1].split('"')[0]
    answer = secure.post(
        "/login",
        data={"csrf_token": form, "login": "admin", "password": PASSWORD},
        base_url="https://looma.example",
        headers={"Referer": "https://looma.example/login"},
    )
    assert answer.status_code == 303
    assert all("Secure" in line for line in answer.headers.getlist("Set-Cookie") if "looma_session" in line)
    assert "max-age" in answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(("login", "password"), [("admin", "wrong password"), ("nobody", PASSWORD)])
def test_a_refusal_does_not_say_what_was_wrong(visitor, login: str, password: str) -> None:
    answer = visitor.sign_in(login, password)
    assert answer.status_code == 403
    assert "Login or password is wrong." in answer.get_data(as_text=True)


def test_guessing_gets_slow_and_a_right_login_forgives(parts: Parts) -> None:
    for _ in range(4):
        assert try_login(parts, password="wrong") == Refused()
    assert try_login(parts, password="wrong") == Refused(wait=dt.timedelta(seconds=5))
    # Even the right password waits, or guessing would tell by the answer.
    assert isinstance(try_login(parts), Refused)
    # From elsewhere the person themself can still sign in.
    assert isinstance(try_login(parts, address="198.51.100.1"), Opened)
    later = NOW + dt.timedelta(seconds=6)
    assert isinstance(try_login(parts, now=later), Opened)
    with parts.db.transaction() as session:
        assert session.scalars(select(LoginFailure)).all() == []


def test_the_login_page_says_how_long_to_wait(visitor) -> None:
    for _ in range(5):
        answer = visitor.sign_in("admin", "wrong password")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 5
    assert "Too many tries" in answer.get_data(as_text=True)


def test_the_table_does_not_hold_what_opens_a_session(parts: Parts) -> None:
    opened = try_login(parts)
    assert isinstance(opened, Opened)
    with parts.db.transaction() as session:
        row = session.scalars(select(LoginSession)).one()
    assert opened.token.encode() not in row.id_hash
    assert len(opened.token) >= 43


def test_an_expired_session_is_gone(parts: Parts) -> None:
    opened = try_login(parts)
    assert isinstance(opened, Opened)
    assert operations.current(parts.db, opened.token, now=NOW + HOUR / 2, lifetime=LIFETIME)
    assert operations.current(parts.db, opened.token, now=NOW + HOUR * 2, lifetime=LIFETIME) is None
    assert operations.current(parts.db, opened.token, now=NOW, lifetime=LIFETIME) is None


def test_an_open_page_alone_keeps_no_session_alive(parts: Parts) -> None:
    opened = try_login(parts)
    assert isinstance(opened, Opened)
    for minutes in (20, 40):
        later = NOW + dt.timedelta(minutes=minutes)
        assert operations.current(parts.db, opened.token, now=later, lifetime=LIFETIME, is_request=False)
    assert operations.current(parts.db, opened.token, now=NOW + HOUR, lifetime=LIFETIME) is None


def test_sweeping_takes_expired_sessions_only(parts: Parts) -> None:
    try_login(parts)
    assert operations.sweep(parts.db, now=NOW + HOUR / 2, lifetime=LIFETIME) == 0
    assert operations.sweep(parts.db, now=NOW + HOUR, lifetime=LIFETIME) == 1


def test_signing_out_ends_the_session_on_the_server(visitor) -> None:
    visitor.sign_in()
    cookie = visitor.client.get_cookie("looma_session")
    assert visitor.post("/logout").location == "/login"
    visitor.client.set_cookie("looma_session", cookie.value)
    assert visitor.get("/account").status_code == 302


def test_a_form_without_its_token_changes_nothing(visitor) -> None:
    visitor.sign_in()
    answer = visitor.client.post("/logout")
    assert answer.status_code == 400
    assert "too old" in answer.get_data(as_text=True)
    assert visitor.get("/account").status_code == 200


def test_htmx_without_its_token_gets_a_notice_that_helps(visitor) -> None:
    visitor.sign_in()
    answer = visitor.client.post("/logout", headers={"HX-Request": "true"})
    assert answer.status_code == 400
    assert answer.headers["HX-Retarget"] == "#notice"
    text = answer.get_data(as_text=True)
    assert "<html" not in text
    assert "Load it again" in text


def test_a_new_password_ends_the_other_sessions(app: Flask, visitor) -> None:
    visitor.sign_in()
    other = type(visitor)(app.test_client())
    other.sign_in()
    form = {"old": PASSWORD, "new": "a new long one", "again": "a new long one"}
    assert visitor.post("/account", form).status_code == 303
    assert visitor.get("/account").status_code == 200
    assert other.get("/account").status_code == 302
    assert other.sign_in("admin", "a new long one").status_code == 303


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"old": "wrong", "new": "a new long one", "again": "a new long one"}, "not your current password"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, "Use 10 to 256 characters"),
        ({"old": PASSWORD, "new": "a new long one", "again": "another one"}, "differ"),
    ],
)
def test_a_password_that_does_not_fit_is_refused_in_words(visitor, form: dict, message: str) -> None:
    visitor.sign_in()
    answer = visitor.post("/account", form)
    assert answer.status_code == 422
    assert message in answer.get_data(as_text=True)


def test_a_disabled_account_is_out_at_once(parts: Parts, signed_in) -> None:
    browser = signed_in(Role.RECRUITER)
    with parts.db.transaction() as session:
        from looma_console.db.models import User

        session.execute(update(User).where(User.login == "the-recruiter").values(active=False))
    assert browser.get("/account").status_code == 302


def test_signing_in_is_in_the_audit_and_refusals_too(parts: Parts, visitor) -> None:
    visitor.sign_in("admin", "wrong password")
    visitor.sign_in()
    with parts.db.transaction() as session:
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "sign-in").order_by(AuditEntry.id)
        )
        found = [(entry.who, entry.outcome) for entry in entries]
    assert found == [("admin", "refused"), ("admin", "done")]
    assert "wrong password" not in str(found)
