"""Migrations: from nothing and from a filled database, one at a time, and with a newer or an older release.

Older releases must run on newer tables (a rollback needs no migration down), so the tests keep rows across.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine, text

from looma_core.db import Database, SchemaMissing, wait_for_schema
from looma_core.db.migrate import Branch, MigrationError, branches, head_of, migrate
from looma_core.db.schema import is_enough, number_of

if TYPE_CHECKING:
    from support.database import DatabaseUrls

EXPECTED = {"console", "resume", "talent_sync"}


def test_every_package_with_tables_is_found() -> None:
    assert {branch.name for branch in branches()} == EXPECTED


@pytest.mark.parametrize("branch", branches(), ids=lambda branch: branch.name)
def test_a_branch_is_one_line_of_well_named_revisions(branch: Branch) -> None:
    revisions = list(ScriptDirectory.from_config(branch.config()).walk_revisions())
    numbers = sorted(number_of(revision.revision, branch.name) for revision in revisions)
    assert numbers == list(range(1, len(revisions) + 1))
    assert branch.name in revisions[-1].branch_labels


TAKES_AWAY = {"drop_column", "drop_table", "drop_constraint", "rename_table"}


@pytest.mark.parametrize("branch", branches(), ids=lambda branch: branch.name)
def test_what_takes_something_away_says_why_the_older_release_does_not_miss_it(branch: Branch) -> None:
    """A revision that contracts declares `contracts = "since which revision nothing uses it"`."""
    for file in sorted(branch.folder.glob("*.py")):
        tree = ast.parse(file.read_text())
        declared = any(
            isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "contracts"
            for node in tree.body
        )
        upgrade = next(node for node in tree.body if getattr(node, "name", "") == "upgrade")
        calls = {getattr(node.func, "attr", "") for node in ast.walk(upgrade) if isinstance(node, ast.Call)}
        assert declared or not calls & TAKES_AWAY, f"{file.name} contracts and does not say so"


def _revisions(urls: DatabaseUrls) -> dict[str, str]:
    with psycopg.connect(urls.app_libpq) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'looma' AND tablename LIKE 'version\\_%'"
        ).fetchall()
        found = {}
        for (table,) in tables:
            query = sql.SQL("SELECT version_num FROM looma.{}").format(sql.Identifier(table))
            row = connection.execute(query).fetchone()
            assert row is not None
            found[str(table).removeprefix("version_")] = str(row[0])
        return found


def test_an_empty_database_gets_all_tables_and_a_second_run_nothing(empty_database: DatabaseUrls) -> None:
    first = migrate(empty_database.owner)
    assert set(first) == EXPECTED
    assert _revisions(empty_database) == first
    assert migrate(empty_database.owner) == first


@pytest.mark.parametrize("branch", branches(), ids=lambda branch: branch.name)
def test_a_branch_goes_down_and_up_again(empty_database: DatabaseUrls, branch: Branch) -> None:
    before = _shape(empty_database, migrate(empty_database.owner))
    engine = create_engine(empty_database.owner)
    with engine.begin() as connection:
        command.downgrade(branch.config(connection), "base")
    engine.dispose()
    assert _shape(empty_database, migrate(empty_database.owner)) == before


def _shape(urls: DatabaseUrls, _revisions: dict[str, str]) -> list[tuple[Any, ...]]:
    """Columns, constraints, indexes, policies and grants of all tables."""
    with psycopg.connect(urls.admin) as connection:
        return connection.execute(
            """
            SELECT 'column', table_schema, table_name, column_name,
                data_type || is_nullable || coalesce(column_default, '')
            FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
            UNION ALL
            SELECT 'index', schemaname, tablename, indexname, indexdef FROM pg_indexes WHERE schemaname <> 'pg_catalog'
            UNION ALL
            SELECT 'policy', schemaname, tablename, policyname, coalesce(qual, '') || coalesce(with_check, '')
            FROM pg_policies
            UNION ALL
            SELECT 'grant', table_schema, table_name, privilege_type, grantee FROM information_schema.role_table_grants
            WHERE grantee = 'looma_app'
            ORDER BY 1, 2, 3, 4, 5
            """
        ).fetchall()


def test_rows_survive_a_second_migration(empty_database: DatabaseUrls) -> None:
    migrate(empty_database.owner)
    with psycopg.connect(empty_database.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', 'demo', true)")
        connection.execute(
            "INSERT INTO talent_sync.talents (id, full_name, language, source_type)"
            " VALUES (gen_random_uuid(), 'Ada', 'en', 'manual')"
        )
    migrate(empty_database.owner)
    with psycopg.connect(empty_database.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', 'demo', true)")
        assert connection.execute("SELECT full_name FROM talent_sync.talents").fetchall() == [("Ada",)]


FILLS_IN = '''
"""Fills in a column of rows of all tenants."""
import sqlalchemy as sa
from alembic import op
from looma_core.db.policies import without_tenant_isolation
revision = "talent_sync_{number:04}"
down_revision = "{before}"
def upgrade():
    op.add_column("talents", sa.Column("initials", sa.Text()), schema="talent_sync")
    with without_tenant_isolation(op, "talent_sync", "talents"):
        op.execute("UPDATE talent_sync.talents SET initials = left(full_name, 1)")
'''


def _newer(tmp_path: Path) -> Branch:
    """The branch talent_sync as a later release would have it, with one more revision."""
    (known,) = [branch for branch in branches() if branch.name == "talent_sync"]
    for file in known.folder.glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text())
    number = number_of(known.head(), "talent_sync") + 1
    source = FILLS_IN.format(number=number, before=known.head())
    (tmp_path / f"talent_sync_{number:04}.py").write_text(source)
    return Branch(name="talent_sync", folder=tmp_path)


def test_a_filled_database_is_expanded_and_the_older_release_still_runs_on_it(
    empty_database: DatabaseUrls, tmp_path: Path
) -> None:
    old = migrate(empty_database.owner)
    insert = (
        "INSERT INTO talent_sync.talents (id, full_name, language, source_type)"
        " VALUES (gen_random_uuid(), 'Ada', 'en', 'manual')"
    )
    with psycopg.connect(empty_database.app_libpq) as connection:
        for tenant in ("one", "two"):
            connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
            connection.execute(insert)
    newer = _newer(tmp_path)
    assert migrate(empty_database.owner, only=[newer]) == {"talent_sync": newer.head()}
    with psycopg.connect(empty_database.app_libpq) as connection:
        for tenant in ("one", "two"):
            connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
            assert connection.execute("SELECT initials FROM talent_sync.talents").fetchall() == [("A",)]
            # The older release knows nothing of the new column.
            connection.execute(insert)
        connection.execute("SELECT set_config('looma.tenant', 'three', true)")
        assert connection.execute("SELECT count(*) FROM talent_sync.talents").fetchone() == (0,)
    # A rolled back release migrates again: it leaves the newer branch and does the others.
    assert migrate(empty_database.owner) == {**old, "talent_sync": newer.head()}


def _older(tmp_path: Path, *, revision: int) -> Branch:
    """The branch talent_sync as it was at a revision."""
    (known,) = [branch for branch in branches() if branch.name == "talent_sync"]
    for file in known.folder.glob("talent_sync_*.py"):
        if number_of(file.stem, "talent_sync") <= revision:
            (tmp_path / file.name).write_text(file.read_text())
    return Branch(name="talent_sync", folder=tmp_path)


def _history(connection: psycopg.Connection[Any], tenant: str) -> list[tuple[Any, ...]]:
    connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
    return connection.execute(
        "SELECT entity, version, action, origin, coalesce(changes ->> 'full_name', changes ->> 'name')"
        " FROM talent_sync.record_history ORDER BY entity, version, id"
    ).fetchall()


def test_a_filled_database_gets_a_history_of_what_is_there(
    empty_database: DatabaseUrls, tmp_path: Path
) -> None:
    migrate(empty_database.owner, only=[_older(tmp_path, revision=3)])
    insert = (
        "INSERT INTO talent_sync.{} (id, {}, language, source_type, version, deleted_at)"
        " VALUES (gen_random_uuid(), %s, 'en', 'manual', %s, %s)"
    )
    with psycopg.connect(empty_database.app_libpq) as connection:
        for tenant in ("one", "two"):
            connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
            for name, version, deleted in (("Ada", 1, None), ("Bob", 5, None), ("Eve", 3, "2026-11-01")):
                connection.execute(insert.format("talents", "full_name"), [name, version, deleted])
            connection.execute(insert.format("companies", "name"), [f"Harbour of {tenant}", 1, None])
    migrate(empty_database.owner)
    with psycopg.connect(empty_database.app_libpq) as connection:
        for tenant in ("one", "two"):
            assert _history(connection, tenant) == [
                ("company", 1, "create", "migration", f"Harbour of {tenant}"),
                ("talent", 1, "create", "migration", "Ada"),
                ("talent", 2, "create", "migration", "Eve"),
                ("talent", 3, "delete", "migration", None),
                ("talent", 5, "create", "migration", "Bob"),
            ]
        connection.execute("UPDATE talent_sync.talents SET headline = 'x' WHERE full_name = 'Ada'")
        assert _history(connection, "two")[-2:-1] == [("talent", 3, "delete", "migration", None)]
        assert ("talent", 1, "update", "api", None) in _history(connection, "two")
    with psycopg.connect(empty_database.admin) as admin:
        stray = admin.execute("SELECT count(*) FROM talent_sync.record_history_default").fetchone()
    assert stray == (0,)


def test_the_history_goes_down_alone_and_its_records_stay(empty_database: DatabaseUrls) -> None:
    migrate(empty_database.owner)
    (branch,) = [branch for branch in branches() if branch.name == "talent_sync"]
    insert = (
        "INSERT INTO talent_sync.companies (id, name, language, source_type)"
        " VALUES (gen_random_uuid(), 'Harbour', 'en', 'manual')"
    )
    with psycopg.connect(empty_database.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', 'demo', true)")
        connection.execute(insert)
    engine = create_engine(empty_database.owner)
    with engine.begin() as connection_down:
        command.downgrade(branch.config(connection_down), "talent_sync_0003")
    engine.dispose()
    with psycopg.connect(empty_database.app_libpq) as connection:
        assert connection.execute("SELECT to_regclass('talent_sync.record_history')").fetchone() == (None,)
        connection.execute("SELECT set_config('looma.tenant', 'demo', true)")
        connection.execute(insert)
    with psycopg.connect(empty_database.admin) as admin:
        left = admin.execute(
            "SELECT (SELECT count(*) FROM pg_proc WHERE proname = 'note_history')"
            " + (SELECT count(*) FROM pg_class WHERE relname LIKE 'record\\_history%')"
            " + (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'note\\_%')"
        ).fetchone()
        assert left == (0,)
    migrate(empty_database.owner)
    with psycopg.connect(empty_database.app_libpq) as connection:
        assert [entry[2] for entry in _history(connection, "demo")] == ["create", "create"]


def test_what_a_migration_fills_in_is_told_as_its_own(empty_database: DatabaseUrls, tmp_path: Path) -> None:
    migrate(empty_database.owner)
    with psycopg.connect(empty_database.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', 'demo', true)")
        connection.execute(
            "INSERT INTO talent_sync.talents (id, full_name, language, source_type)"
            " VALUES (gen_random_uuid(), 'Ada', 'en', 'manual')"
        )
    migrate(empty_database.owner, only=[_newer(tmp_path)])
    with psycopg.connect(empty_database.app_libpq) as connection:
        assert [entry[2:4] for entry in _history(connection, "demo")] == [
            ("create", "api"),
            ("update", "migration"),
        ]


async def test_an_engine_waits_for_its_tables(empty_database: DatabaseUrls) -> None:
    database = Database(empty_database.app)
    try:
        with pytest.raises(SchemaMissing, match="was never migrated, talent_sync_0001 is needed"):
            await wait_for_schema(database, branch="talent_sync", needed="talent_sync_0001", seconds=0)
        job = threading.Timer(0.5, migrate, [empty_database.owner])
        job.start()
        await wait_for_schema(database, branch="talent_sync", needed=head_of("talent_sync"), seconds=30)
        job.join()
        with pytest.raises(SchemaMissing, match="is at talent_sync"):
            await wait_for_schema(database, branch="talent_sync", needed="talent_sync_9999", seconds=0)
    finally:
        await database.close()


async def test_an_engine_waits_for_a_database_that_does_not_answer() -> None:
    database = Database("postgresql+psycopg://looma_app:x@127.0.0.1:1/looma")
    with pytest.raises(SchemaMissing, match="does not answer"):
        await wait_for_schema(database, branch="talent_sync", needed="talent_sync_0001", seconds=0)
    await database.close()


@pytest.mark.parametrize(
    ("found", "enough"),
    [(None, False), ("x_0001", False), ("x_0002", True), ("x_0003", True), ("x_0010", True)],
)
def test_a_newer_revision_is_enough(found: str | None, enough: bool) -> None:
    assert is_enough(found=found, needed="x_0002", branch="x") is enough


def test_two_jobs_at_once_migrate_once(empty_database: DatabaseUrls) -> None:
    answers: list[dict[str, str]] = []
    jobs = [threading.Thread(target=lambda: answers.append(migrate(empty_database.owner))) for _ in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert len(answers) == 3
    assert answers[0] == answers[1] == answers[2]


def test_a_failed_migration_leaves_all_as_it_was(empty_database: DatabaseUrls, tmp_path: Path) -> None:
    before = _shape(empty_database, migrate(empty_database.owner))
    newer = _newer(tmp_path)
    (broken,) = tmp_path.glob(f"{newer.head()}.py")
    broken.write_text(broken.read_text() + "\n    op.execute('SELECT 1/0')\n")
    with pytest.raises(Exception, match="division by zero"):
        migrate(empty_database.owner, only=[newer])
    assert _shape(empty_database, {}) == before


def test_a_role_that_sees_everything_is_refused(empty_database: DatabaseUrls) -> None:
    with psycopg.connect(empty_database.admin, autocommit=True) as admin:
        admin.execute("ALTER ROLE looma_app BYPASSRLS")
        try:
            with pytest.raises(MigrationError, match="can see every tenant"):
                migrate(empty_database.owner)
        finally:
            admin.execute("ALTER ROLE looma_app NOBYPASSRLS")


def _environment(**settings: str) -> dict[str, str]:
    """This process's environment with these settings alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOOMA_")} | settings


def test_the_command_says_what_keeps_it_from_working() -> None:
    def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        code = "from looma_core.db.migrate import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code],
            env=_environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    unset = run({})
    assert unset.returncode == 1
    assert "LOOMA_OWNER_DATABASE_URL is not set" in unset.stderr
    away = run(
        {
            "LOOMA_OWNER_DATABASE_URL": "postgresql+psycopg://looma_owner:hidden-word@127.0.0.1:1/looma",
            "LOOMA_DATABASE_WAIT_SECONDS": "0",
        }
    )
    assert away.returncode == 1
    assert "the database does not answer" in away.stdout
    assert "hidden-word" not in away.stdout + away.stderr


def test_the_command_migrates(empty_database: DatabaseUrls) -> None:
    code = "from looma_core.db.migrate import main; main()"
    environment = _environment(LOOMA_OWNER_DATABASE_URL=empty_database.owner)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    engine = create_engine(empty_database.app)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('talent_sync.talents')")) is not None
    engine.dispose()
