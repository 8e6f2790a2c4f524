"""Accounts and the audit, down to the database's own rules."""

from __future__ import annotations

import concurrent.futures
import contextlib

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select

from looma_console.db.models import User
from looma_console.users import operations
from looma_console.users.operations import LastAdmin, change_user, ensure_first_admin, list_audit
from looma_console.web.parts import Parts
from looma_console.web.permissions import Role
from support.console_parts import PASSWORD, make_parts
from support.database import DatabaseUrls

FORM = {"login": "mei", "display_name": "Mei", "password": PASSWORD, "roles": ["recruiter", "operator"]}


def user(parts: Parts, login: str) -> User:
    with parts.db.transaction() as session:
        return session.scalars(select(User).where(User.login == login)).one()


def test_the_first_admin_comes_once_and_has_all_roles(parts: Parts) -> None:
    assert not ensure_first_admin(parts.db, parts.passwords, password="another one")
    assert set(user(parts, "admin").roles) == set(Role)


def test_two_replicas_make_one_admin(database_urls: DatabaseUrls, tenant: str, tmp_path) -> None:
    parts = make_parts(database_url=database_urls.app, tenant=tenant, folder=tmp_path)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda _: ensure_first_admin(parts.db, parts.passwords, password=PASSWORD), range(4))
        )
    assert sum(made) == 1
    parts.db.dispose()


def test_an_admin_adds_somebody_who_can_sign_in(parts: Parts, visitor, app) -> None:
    visitor.sign_in()
    answer = visitor.post("/users", FORM)
    assert answer.status_code == 303
    assert "The account mei was created." in visitor.get("/users").get_data(as_text=True)
    assert user(parts, "mei").roles == ["recruiter", "operator"]
    assert PASSWORD not in user(parts, "mei").password_hash
    assert type(visitor)(app.test_client()).sign_in("mei").status_code == 303


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"login": "M"}, "Use 2 to 63 small letters"),
        ({"login": "admin"}, "Somebody has this login already."),
        ({"password": "short"}, "Use 10 to 256 characters."),
        ({"roles": []}, "Choose one role or more."),
        ({"roles": ["emperor"]}, "emperor"),
    ],
)
def test_what_is_wrong_with_a_new_account_is_said(visitor, change: dict, message: str) -> None:
    visitor.sign_in()
    answer = visitor.post("/users", {**FORM, **change})
    assert answer.status_code == 422
    assert message in answer.get_data(as_text=True)


def test_changed_roles_hold_at_once(parts: Parts, visitor, signed_in) -> None:
    visitor.sign_in()
    operator = signed_in(Role.OPERATOR)
    path = f"/users/{user(parts, 'the-operator').id}"
    assert visitor.post(path, {"roles": ["recruiter"], "active": "y"}).status_code == 303
    # The old session ended, so no page is served with the old roles.
    assert operator.get("/services").status_code == 302
    operator.sign_in("the-operator")
    assert operator.get("/services").status_code == 403


def test_the_last_admin_stays(parts: Parts, visitor) -> None:
    visitor.sign_in()
    visitor.post(f"/users/{user(parts, 'admin').id}", {"roles": ["recruiter"], "active": "y"})
    assert "Nobody could manage accounts then" in visitor.get("/users").get_data(as_text=True)
    assert "admin" in user(parts, "admin").roles


def test_two_admins_who_demote_each_other_do_not_both_succeed(parts: Parts, signed_in) -> None:
    signed_in(Role.ADMIN)
    ids = [user(parts, "admin").id, user(parts, "the-admin").id]

    def demote(user_id) -> bool:
        with contextlib.suppress(LastAdmin):
            change_user(
                parts.db, user_id=user_id, roles=[Role.RECRUITER], active=True, who="x", request_id=""
            )
            return True
        return False

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demote, ids)) == [False, True]


def test_the_audit_is_paged_and_shown(parts: Parts, visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "AUDIT_PAGE", 2)
    visitor.sign_in()
    visitor.post("/users", FORM)
    first = visitor.get("/audit").get_data(as_text=True)
    assert "Create account" in first
    newest = list_audit(parts.db, before=None)
    answer = visitor.get(f"/audit?before={newest[1].id}", headers={"HX-Request": "true"}).get_data(
        as_text=True
    )
    assert "<html" not in answer


def connect(urls: DatabaseUrls) -> psycopg.Connection:
    return psycopg.connect(urls.app_libpq, autocommit=False)


def test_no_tenant_sees_another(parts: Parts, database_urls: DatabaseUrls) -> None:
    with connect(database_urls) as connection:
        for table in ("users", "audit", "sessions", "login_failures"):
            query = sql.SQL("select count(*) from console.{}").format(sql.Identifier(table))
            assert connection.execute(query).fetchone() == (0,), table
        connection.execute("select set_config('looma.tenant', 'somebody-else', true)")
        assert connection.execute("select count(*) from console.users").fetchone() == (0,)
        connection.execute("select set_config('looma.tenant', %s, true)", [parts.db.tenant])
        assert connection.execute("select count(*) from console.users").fetchone() == (1,)


@pytest.mark.parametrize(
    "statement", ["delete from console.audit", "update console.audit set who = 'nobody'"]
)
def test_what_the_audit_says_cannot_be_unsaid(
    parts: Parts, database_urls: DatabaseUrls, statement: str
) -> None:
    with connect(database_urls) as connection:
        connection.execute("select set_config('looma.tenant', %s, true)", [parts.db.tenant])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
