"""The work on accounts, each with its audit entry."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from looma_console.auth.passwords import MAX_LENGTH, MIN_LENGTH, Passwords
from looma_console.db.models import AuditEntry, LoginSession, User
from looma_console.db.store import Database, record
from looma_console.web.permissions import Role
from looma_core.db import new_id

FIRST_ADMIN = "admin"
LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,62}")
AUDIT_PAGE = 50


class LoginTaken(Exception):
    """Another account of the tenant has this login."""


class LastAdmin(Exception):
    """The change would leave nobody who can administer accounts."""


def ensure_first_admin(db: Database, passwords: Passwords, *, password: str) -> bool:
    """Create the account `admin` with all roles if the tenant has no account yet; answer whether it did.

    Only then: a later change of the setting changes no password, and an admin who was deliberately closed
    does not come back at a restart.
    """
    with db.transaction() as session:
        if session.scalar(select(func.count()).select_from(User)):
            return False
    hashed = passwords.hash(password)
    now = dt.datetime.now(dt.UTC)
    with db.transaction() as session:
        created = session.execute(
            insert(User)
            .values(
                id=new_id(),
                tenant=db.tenant,
                login=FIRST_ADMIN,
                display_name="Admin",
                password_hash=hashed,
                roles=[role.value for role in Role],
                active=True,
                created_at=now,
                updated_at=now,
            )
            # Two replicas may start at once.
            .on_conflict_do_nothing()
            .returning(User.id)
        ).scalar()
        if created is None:
            return False
        record(session, tenant=db.tenant, who="looma", action="create-user", object=f"user/{FIRST_ADMIN}")
    return True


def list_users(db: Database) -> list[User]:
    """All accounts of the tenant, by login."""
    with db.transaction() as session:
        return list(session.scalars(select(User).order_by(User.login)))


def add_user(
    db: Database,
    passwords: Passwords,
    *,
    login: str,
    display_name: str,
    password: str,
    roles: Sequence[Role],
    who: str,
    request_id: str,
) -> None:
    """Create an account.

    Raises:
        ValueError: the login or the password is not of the allowed form.
        LoginTaken: somebody has it.
    """
    if not LOGIN.fullmatch(login) or not MIN_LENGTH <= len(password) <= MAX_LENGTH or not roles:
        raise ValueError("user")
    hashed = passwords.hash(password)
    now = dt.datetime.now(dt.UTC)
    try:
        with db.transaction() as session:
            session.add(
                User(
                    id=new_id(),
                    tenant=db.tenant,
                    login=login,
                    display_name=display_name or login,
                    password_hash=hashed,
                    roles=[role.value for role in roles],
                    active=True,
                    created_at=now,
                    updated_at=now,
                )
            )
            record(
                session,
                tenant=db.tenant,
                who=who,
                action="create-user",
                object=f"user/{login}",
                detail={"roles": [role.value for role in roles]},
                request_id=request_id,
            )
    except IntegrityError as error:
        raise LoginTaken(login) from error


def change_user(
    db: Database, *, user_id: uuid.UUID, roles: Sequence[Role], active: bool, who: str, request_id: str
) -> User | None:
    """Set an account's roles and whether it is open; its sessions end, so the change holds at once.

    Answers None if there is no such account. Raises `LastAdmin`.
    """
    with db.transaction() as session:
        # All accounts are locked in one order: two admins who demote each other at once must not both succeed.
        users = list(session.scalars(select(User).order_by(User.id).with_for_update()))
        user = next((item for item in users if item.id == user_id), None)
        if user is None:
            return None
        others = [item for item in users if item is not user and item.active and Role.ADMIN in item.roles]
        if not others and not (active and Role.ADMIN in roles):
            raise LastAdmin
        before = {"roles": list(user.roles), "active": user.active}
        user.roles = [role.value for role in roles]
        user.active = active
        user.updated_at = dt.datetime.now(dt.UTC)
        session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))
        record(
            session,
            tenant=db.tenant,
            who=who,
            action="change-user",
            object=f"user/{user.login}",
            detail={"before": before, "after": {"roles": user.roles, "active": active}},
            request_id=request_id,
        )
        return user


def list_audit(db: Database, *, before: int | None) -> list[AuditEntry]:
    """The newest audit entries, or those older than the entry `before`; a page of AUDIT_PAGE and one more."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(AUDIT_PAGE + 1)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    with db.transaction() as session:
        return list(session.scalars(query))
