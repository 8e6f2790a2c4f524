"""Tenants stay apart: tried as the application's role, with the sessions of the product and without them.

The table is found in the database, not listed here: a new table of any engine is tried from its first day.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import text

from looma_core.auth import Principal
from looma_core.db import Database
from looma_core.problems import NotReady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.database import DatabaseUrls

TALENT = """
    INSERT INTO talent_sync.talents (id, full_name, language, source_type)
    VALUES (gen_random_uuid(), 'Ada', 'en', 'manual')
"""


@pytest.fixture
def raw(database_urls: DatabaseUrls) -> Iterator[psycopg.Connection[Any]]:
    """A connection as `looma_app` that nothing was done to: what an attacker inside an engine would have."""
    with psycopg.connect(database_urls.app_libpq) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.app, pool_size=1)
    yield database
    await database.close()


def _as(connection: psycopg.Connection[Any], tenant: str) -> None:
    connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])


def _count(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM talent_sync.talents").fetchone()
    assert row is not None
    return int(row[0])


OWNERS = {"record_grams", "skill_name_grams", "record_skills"}


def test_every_table_with_a_tenant_forces_row_security(database_urls: DatabaseUrls) -> None:
    with psycopg.connect(database_urls.admin) as connection:
        rows = connection.execute(
            """
            SELECT c.oid::regclass::text, c.relrowsecurity AND c.relforcerowsecurity,
                   (SELECT array_agg(pg_get_expr(p.polqual, p.polrelid) || pg_get_expr(p.polwithcheck, p.polrelid))
                    FROM pg_policy p WHERE p.polrelid = c.oid
                    -- One for the owner alone, who changes keys in rows of all tenants, is none for an application.
                    AND NOT (p.polname = 'resealing' AND p.polroles = ARRAY['looma_owner'::regrole::oid]))
            FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'p')
            """
        ).fetchall()
        # Their owner's functions read them, and compare the tenant themselves; nobody else has any right to them.
        rights = connection.execute(
            "SELECT bool_or(has_table_privilege('looma_app', 'talent_sync.' || name, kind))"
            " FROM unnest('{SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER}'::text[]) AS kind,"
            " unnest('{record_grams, skill_name_grams}'::text[]) AS name"
        ).fetchone()
        # So with this one, but an application may read its own tenant's rows.
        marks = connection.execute(
            "SELECT bool_or(has_table_privilege('looma_app', 'talent_sync.record_skills', kind))"
            " FROM unnest('{INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER}'::text[]) AS kind"
        ).fetchone()
    assert rights == marks == (False,)
    assert "talent_sync.talents" in [row[0] for row in rows]
    for table, forced, policies in rows:
        assert forced or table.removeprefix("talent_sync.") in OWNERS, (
            f"{table} has a tenant and no forced row-level security"
        )
        assert policies, f"{table} has no policy"
        assert all(policy.count("looma.tenant") == 2 for policy in policies), f"{table}: {policies}"


def test_every_table_of_an_engine_has_a_tenant_or_is_known_to_have_none(database_urls: DatabaseUrls) -> None:
    # Sessions and accounts of the console belong to people, not to a tenant's data.
    without = {"console"}
    with psycopg.connect(database_urls.admin) as connection:
        rows = connection.execute(
            """
            SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'looma')
              AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant')
            """
        ).fetchall()
    assert [row for row in rows if row[0] not in without] == []


def test_the_applications_role_can_do_no_more_than_its_work(raw: psycopg.Connection[Any]) -> None:
    row = raw.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    assert row == (False, False, False, False)
    for statement in (
        "ALTER TABLE talent_sync.talents DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE talent_sync.talents NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON talent_sync.talents",
        "DELETE FROM talent_sync.talents",
        "TRUNCATE talent_sync.talents",
        "CREATE TABLE talent_sync.mine (id int)",
        "UPDATE looma.version_talent_sync SET version_num = 'talent_sync_9999'",
        "SET ROLE looma_owner",
    ):
        with pytest.raises(errors.InsufficientPrivilege), raw.transaction():
            raw.execute(statement)  # type: ignore[call-overload]


def test_without_a_tenant_nothing_is_seen_and_nothing_written(
    raw: psycopg.Connection[Any], tenant: str
) -> None:
    with pytest.raises(errors.UndefinedObject), raw.transaction():
        raw.execute(TALENT)
    _as(raw, tenant)
    raw.execute(TALENT)
    raw.commit()
    assert _count(raw) == 0, "after the transaction the tenant is forgotten"
    with pytest.raises((errors.CheckViolation, errors.InsufficientPrivilege)), raw.transaction():
        raw.execute(TALENT)


def test_another_tenants_rows_cannot_be_seen_changed_or_written(
    raw: psycopg.Connection[Any], tenant: str
) -> None:
    _as(raw, tenant)
    raw.execute(TALENT)
    assert _count(raw) == 1
    _as(raw, f"{tenant}-other")
    assert _count(raw) == 0
    assert raw.execute("UPDATE talent_sync.talents SET full_name = 'x'").rowcount == 0
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"), raw.transaction():
        raw.execute(
            "INSERT INTO talent_sync.talents (id, tenant, full_name, language, source_type)"
            " VALUES (gen_random_uuid(), %s, 'Eve', 'en', 'manual')",
            [tenant],
        )
    _as(raw, tenant)
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"), raw.transaction():
        raw.execute("UPDATE talent_sync.talents SET tenant = 'stolen'")


def test_the_owner_is_held_to_it_too(database_urls: DatabaseUrls, tenant: str) -> None:
    with psycopg.connect(database_urls.owner_libpq) as owner:
        _as(owner, tenant)
        owner.execute(TALENT)
        owner.commit()
        assert _count(owner) == 0


async def test_a_session_carries_its_tenant_into_each_of_its_transactions(
    database: Database, tenant: str
) -> None:
    principal = Principal(subject="ada", tenant=tenant, roles=frozenset())
    async with database.tenant_session(principal) as session:
        await session.execute(text(TALENT))
    seen = text("SELECT count(*) FROM talent_sync.talents")
    async with database.tenant_session(tenant) as session:
        assert await session.scalar(seen) == 1
        savepoint = await session.begin_nested()
        await session.execute(text(TALENT))
        await savepoint.rollback()
        assert await session.scalar(seen) == 1, "the tenant went with the savepoint"
    # The pool has one connection: the next tenant gets the very same.
    async with database.tenant_session(f"{tenant}-other") as session:
        assert await session.scalar(seen) == 0
    async with database.engine.connect() as connection:
        assert await connection.scalar(seen) == 0


async def test_an_error_rolls_back(database: Database, tenant: str) -> None:
    async def fail() -> None:
        async with database.tenant_session(tenant) as session:
            await session.execute(text(TALENT))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with database.tenant_session(tenant) as session:
        assert await session.scalar(text("SELECT count(*) FROM talent_sync.talents")) == 0


async def test_requests_at_the_same_time_do_not_mix(database_urls: DatabaseUrls, tenant: str) -> None:
    database = Database(database_urls.app, pool_size=3)
    names = [f"{tenant}-{number}" for number in range(8)]

    async def work(name: str) -> set[str]:
        for _ in range(5):
            async with database.tenant_session(name) as session:
                await session.execute(text(TALENT))
                await asyncio.sleep(0)
        async with database.tenant_session(name) as session:
            return set(await session.scalars(text("SELECT tenant FROM talent_sync.talents")))

    try:
        assert await asyncio.gather(*map(work, names)) == [{name} for name in names]
    finally:
        await database.close()


async def test_a_database_that_is_away_is_a_passing_fault() -> None:
    database = Database("postgresql+psycopg://looma_app:hidden-word@127.0.0.1:1/looma")

    async def ask() -> None:
        async with database.tenant_session("demo") as session:
            await session.execute(text("SELECT 1"))

    with pytest.raises(NotReady) as caught:
        await ask()
    await database.close()
    assert caught.value.headers["Retry-After"]
    assert "hidden-word" not in str(caught.value.problem())


async def test_a_connection_that_was_cut_is_replaced(
    database_urls: DatabaseUrls, database: Database, tenant: str
) -> None:
    backend = text("SELECT pg_backend_pid()")
    async with database.tenant_session(tenant) as session:
        pid = await session.scalar(backend)
    with psycopg.connect(database_urls.admin, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    async with database.tenant_session(tenant) as session:
        assert await session.scalar(backend) != pid


async def test_a_session_without_a_name_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="needs a tenant"):
        async with database.tenant_session(""):
            pass


def test_a_tenants_page_is_read_from_an_index(database_urls: DatabaseUrls, tenant: str) -> None:
    """Row-level security must not turn a keyed page into a scan of all tenants' rows."""
    with psycopg.connect(database_urls.app_libpq) as connection:
        for name in (tenant, f"{tenant}-big"):
            _as(connection, name)
            connection.execute(
                "INSERT INTO talent_sync.talents (id, full_name, language, source_type)"
                " SELECT gen_random_uuid(), 'Person ' || n, 'en', 'manual' FROM generate_series(1, 3000) n"
            )
        connection.commit()
        with psycopg.connect(database_urls.owner_libpq, autocommit=True) as owner:
            owner.execute("ANALYZE talent_sync.talents")
        _as(connection, tenant)
        plan = connection.execute(
            "EXPLAIN SELECT * FROM talent_sync.talents WHERE deleted_at IS NULL"
            " ORDER BY created_at DESC, id DESC LIMIT 50"
        ).fetchall()
    told = "\n".join(row[0] for row in plan)
    assert "ix_talents_tenant_created" in told, told
    assert "Seq Scan" not in told, told
