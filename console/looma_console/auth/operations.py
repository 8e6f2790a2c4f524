"""Signing in and out, and the own password: the work and its audit entries, without a request in sight."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import uuid
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from looma_console.auth import throttle
from looma_console.auth.passwords import MAX_LENGTH, MIN_LENGTH, Passwords
from looma_console.db.models import LoginFailure, LoginSession, User
from looma_console.db.store import Database, record
from looma_console.web.permissions import Permission, permissions_of

TOKEN_BYTES = 32
# Writing the time of the last request down more often would make every page view a write.
SEEN_EVERY = dt.timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """The person behind a request."""

    user_id: uuid.UUID
    login: str
    display_name: str
    roles: tuple[str, ...]
    session_hash: bytes

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the person's roles allow."""
        return permissions_of(self.roles)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A login that worked: the secret for the cookie, and who it is."""

    token: str
    person: SignedIn


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A login that did not work. `wait` is how long the next try must wait, zero if not at all."""

    wait: dt.timedelta = dt.timedelta(0)


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """How long a session lives: without a request, and at most."""

    idle: dt.timedelta
    absolute: dt.timedelta


def hash_of(token: str) -> bytes:
    """What the table keeps of a session's secret; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def sign_in(
    db: Database,
    passwords: Passwords,
    *,
    login: str,
    password: str,
    address: str,
    now: dt.datetime,
    request_id: str,
) -> Opened | Refused:
    """Check a login; open a session or say that it was refused, never why.

    A throttled try is refused without looking at the password, so guessing on costs nothing but time.
    """
    login = login.strip().lower()[:100]
    keys = throttle.keys_of(login, address)
    with db.transaction() as session:
        wait = _longest_wait(session, db.tenant, keys, now)
        user = session.scalar(select(User).where(User.login == login, User.tenant == db.tenant))
    if wait:
        return Refused(wait=wait)
    # The hash is checked outside of a transaction: it takes long, and a connection is dear.
    stored = user.password_hash if user and user.active else None
    if len(password) > MAX_LENGTH or not passwords.matches(password, stored) or user is None:
        with db.transaction() as session:
            _count_failure(session, db.tenant, keys, now)
            record(
                session,
                tenant=db.tenant,
                who=login,
                action="sign-in",
                object=f"user/{login}",
                outcome="refused",
                detail={"address": address},
                request_id=request_id,
            )
            return Refused(wait=_longest_wait(session, db.tenant, keys, now))
    rehashed = passwords.hash(password) if passwords.is_outdated(user.password_hash) else None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with db.transaction() as session:
        session.execute(
            delete(LoginFailure).where(LoginFailure.tenant == db.tenant, LoginFailure.key.in_(keys))
        )
        if rehashed:
            session.execute(update(User).where(User.id == user.id).values(password_hash=rehashed))
        session.add(
            LoginSession(
                id_hash=hash_of(token),
                tenant=db.tenant,
                user_id=user.id,
                created_at=now,
                seen_at=now,
                address=address,
            )
        )
        record(
            session,
            tenant=db.tenant,
            who=user.login,
            action="sign-in",
            object=f"user/{user.login}",
            detail={"address": address},
            request_id=request_id,
        )
    return Opened(token=token, person=_person(user, hash_of(token)))


def current(
    db: Database, token: str, *, now: dt.datetime, lifetime: Lifetime, is_request: bool = True
) -> SignedIn | None:
    """Who holds this session's secret, or None if it is unknown, expired, or its user was disabled.

    `is_request` is False where a page asks by itself: an open page alone must not keep a session alive.
    """
    id_hash = hash_of(token)
    with db.transaction() as session:
        found = session.get(LoginSession, id_hash)
        if found is None:
            return None
        if is_expired(created_at=found.created_at, seen_at=found.seen_at, now=now, lifetime=lifetime):
            session.delete(found)
            return None
        if not found.user.active:
            return None
        if is_request and now - found.seen_at >= SEEN_EVERY:
            found.seen_at = now
        return _person(found.user, id_hash)


def is_expired(
    *, created_at: dt.datetime, seen_at: dt.datetime, now: dt.datetime, lifetime: Lifetime
) -> bool:
    """Whether a session has ended, by idleness or by age."""
    return now - seen_at >= lifetime.idle or now - created_at >= lifetime.absolute


def sign_out(db: Database, person: SignedIn, *, request_id: str) -> None:
    """End the session that the person is using."""
    with db.transaction() as session:
        session.execute(delete(LoginSession).where(LoginSession.id_hash == person.session_hash))
        record(
            session,
            tenant=db.tenant,
            who=person.login,
            action="sign-out",
            object=f"user/{person.login}",
            request_id=request_id,
        )


def change_password(
    db: Database, passwords: Passwords, person: SignedIn, *, old: str, new: str, request_id: str
) -> bool:
    """Set a new password and end all other sessions of the person; False if the old one is wrong.

    Raises ValueError if `new` is not of a length in MIN_LENGTH to MAX_LENGTH.
    """
    if not MIN_LENGTH <= len(new) <= MAX_LENGTH:
        raise ValueError("password length")
    with db.transaction() as session:
        stored = session.scalar(select(User.password_hash).where(User.id == person.user_id))
    right = passwords.matches(old, stored)
    hashed = passwords.hash(new) if right else None
    with db.transaction() as session:
        if hashed:
            session.execute(
                update(User)
                .where(User.id == person.user_id)
                .values(password_hash=hashed, updated_at=dt.datetime.now(dt.UTC))
            )
            session.execute(
                delete(LoginSession).where(
                    LoginSession.user_id == person.user_id, LoginSession.id_hash != person.session_hash
                )
            )
        record(
            session,
            tenant=db.tenant,
            who=person.login,
            action="change-password",
            object=f"user/{person.login}",
            outcome="done" if right else "refused",
            request_id=request_id,
        )
    return right


def sweep(db: Database, *, now: dt.datetime, lifetime: Lifetime) -> int:
    """Delete expired sessions and forgiven failures; answer how many sessions went."""
    with db.transaction() as session:
        gone = session.execute(
            delete(LoginSession)
            .where(
                (LoginSession.seen_at <= now - lifetime.idle)
                | (LoginSession.created_at <= now - lifetime.absolute)
            )
            .returning(LoginSession.id_hash)
        ).all()
        session.execute(delete(LoginFailure).where(LoginFailure.last_at <= now - throttle.FORGIVEN_AFTER))
        return len(gone)


def _person(user: User, session_hash: bytes) -> SignedIn:
    return SignedIn(
        user_id=user.id,
        login=user.login,
        display_name=user.display_name,
        roles=tuple(user.roles),
        session_hash=session_hash,
    )


def _longest_wait(session: Session, tenant: str, keys: dict[str, int], now: dt.datetime) -> dt.timedelta:
    rows = session.scalars(
        select(LoginFailure).where(LoginFailure.tenant == tenant, LoginFailure.key.in_(keys))
    )
    waits = (throttle.wait_after(row.failures, row.last_at, now, free=keys[row.key]) for row in rows)
    return max(waits, default=dt.timedelta(0))


def _count_failure(session: Session, tenant: str, keys: dict[str, int], now: dt.datetime) -> None:
    for key in keys:
        values = insert(LoginFailure).values(tenant=tenant, key=key, failures=1, last_at=now)
        session.execute(
            values.on_conflict_do_update(
                index_elements=[LoginFailure.tenant, LoginFailure.key],
                set_={"failures": LoginFailure.failures + 1, "last_at": now},
            )
        )
