"""Partitions of history, audit and moves: which there should be, and that the owner's upkeep makes them so."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from looma_core.db.migrate import migrate
from looma_engines.talent_sync.retention.plan import (
    AHEAD,
    AUDIT,
    DEFAULT,
    HISTORY,
    MOVES,
    Partitioned,
    month_named,
    month_of,
    moved,
    name_of,
    plan,
)
from looma_engines.talent_sync.retention.upkeep import keep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from support.database import DatabaseUrls

DAYS = st.dates(min_value=date(1970, 1, 1), max_value=date(2900, 1, 1))
MONTHS = DAYS.map(month_of)
KEPT = st.integers(min_value=1, max_value=600)
FOREIGN = st.sampled_from(
    [DEFAULT, "record_history_2026_13", "record_history_0000_01", "by_hand", "record_history_"]
)
NAMES = st.lists(MONTHS.map(name_of) | FOREIGN, unique=True, max_size=60)


def applied(existing: list[str], **how: Any) -> set[str]:
    """The partitions that are there after the plan."""
    decided = plan(existing, **how)
    assert not set(decided.drop) & {name_of(month) for month in decided.create}
    return (set(existing) - set(decided.drop)) | {name_of(month) for month in decided.create}


@given(existing=NAMES, today=DAYS, months=KEPT, stray=st.lists(MONTHS, max_size=5))
def test_a_plan_leaves_what_is_needed_and_nothing_old(existing, today, months, stray) -> None:
    after = applied(existing, today=today, months=months, stray=stray)
    this = month_of(today)
    oldest = moved(this, -months)
    assert {name_of(moved(this, ahead)) for ahead in range(AHEAD + 1)} <= after
    kept = {month for name in after if (month := month_named(name)) is not None}
    assert all(month >= oldest for month in kept)
    assert {month for month in stray if month >= oldest} <= kept
    known = {month for name in existing if (month := month_named(name)) is not None}
    assert {month for month in known if month >= oldest} <= kept, "nothing goes before its time"
    assert {name for name in existing if month_named(name) is None} <= after
    decided = plan(sorted(after), today=today, months=months, stray=stray)
    assert (decided.create, decided.drop) == ((), ()), "what was done is not to be done again"


@given(
    first=DAYS, steps=st.lists(st.integers(min_value=0, max_value=31 * AHEAD - 31), max_size=30), months=KEPT
)
def test_upkeep_that_fails_for_a_while_leaves_no_month_without_a_partition(first, steps, months) -> None:
    there: list[str] = []
    day = first
    for step in steps:
        there = sorted(applied(there, today=day, months=months))
        day += timedelta(days=step)
        assert name_of(month_of(day)) in there


@given(month=MONTHS, by=st.integers(min_value=-600, max_value=600))
def test_months_are_counted_and_named_both_ways(month, by) -> None:
    other = moved(month, by)
    assert moved(other, -by) == month
    assert (other > month) is (by > 0)
    assert month_named(name_of(month)) == month


# ---- the database ------------------------------------------------------------------------------------------

TODAY = date(2030, 5, 17)
SAID = {
    HISTORY: """
        INSERT INTO talent_sync.record_history
            (tenant, entity, record_id, version, changed_at, origin, action, changes)
        VALUES ('t', 'talent', %s, 1, %s, 'api', 'create', '{}')
    """,
    AUDIT: """
        INSERT INTO talent_sync.audit_events (tenant, id, at, action, entity)
        VALUES ('t', %s, %s, 'read-record', 'talent')
    """,
    MOVES: """
        INSERT INTO talent_sync.application_moves
            (tenant, application_id, moved_at, number, action, to_stage, kind)
        VALUES ('t', %s, %s, 1, 'create', 'applied', 'open')
    """,
}
APPLIED = """
    INSERT INTO talent_sync.applications (tenant, id, relation_id, talent_id, job_id, stage, kind, since)
    VALUES ('t', %(id)s, %(id)s, %(id)s, %(id)s, 'applied', 'open', now())
"""
EACH = pytest.mark.parametrize("of", [HISTORY, AUDIT, MOVES], ids=lambda of: of.table)


@pytest.fixture
def database(empty_database: DatabaseUrls) -> DatabaseUrls:
    migrate(empty_database.owner)
    return empty_database


@pytest.fixture
def owner(database: DatabaseUrls) -> Iterator[Engine]:
    engine = create_engine(database.owner)
    yield engine
    engine.dispose()


def partitions(urls: DatabaseUrls, of: Partitioned = HISTORY) -> dict[str, str]:
    with psycopg.connect(urls.admin) as connection:
        rows = connection.execute(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c"
            " ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass",
            [f"talent_sync.{of.table}"],
        )
        return dict(rows.fetchall())


def say(urls: DatabaseUrls, *times: datetime, of: Partitioned = HISTORY) -> None:
    with psycopg.connect(urls.admin) as connection:
        for at in times:
            number = uuid.uuid4()
            if of is MOVES:
                # Moves are of an application that is there; what that refers to is not looked at here.
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute(APPLIED, {"id": number})
                connection.execute("SET LOCAL session_replication_role = origin")
            connection.execute(SAID[of], [number, at])


def where(urls: DatabaseUrls, of: Partitioned = HISTORY) -> list[tuple[str, str]]:
    """Each entry's day, and the partition that it is in."""
    with psycopg.connect(urls.admin) as connection:
        return connection.execute(
            f"SELECT to_char({of.column} AT TIME ZONE 'UTC', 'YYYY-MM-DD'), tableoid::regclass::text"  # noqa: S608 - our own names
            f" FROM talent_sync.{of.table} ORDER BY {of.column}"
        ).fetchall()


def kept(owner: Engine, *, months: int = 2, today: date = TODAY, of: Partitioned = HISTORY) -> None:
    with owner.begin() as connection:
        assert keep(connection, months=months, today=today, of=of) is not None


def test_a_migration_makes_this_month_and_the_next(database) -> None:
    this = datetime.now(UTC).date()
    wanted = {name_of(moved(month_of(this), ahead)) for ahead in range(AHEAD + 1)}
    assert set(partitions(database)) == wanted | {DEFAULT}


@EACH
def test_upkeep_makes_months_and_drops_old_ones_with_their_rows(database, owner, of) -> None:
    kept(owner, today=date(2030, 1, 31), of=of)
    say(database, datetime(2030, 2, 28, 23, 59, 59, tzinfo=UTC), datetime(2030, 3, 1, tzinfo=UTC), of=of)
    kept(owner, of=of)
    found = partitions(database, of)
    months = [f"{of.table}_2030_{month:02}" for month in (3, 4, 5, 6, 7, 8)]
    assert set(months) <= set(found)
    assert f"{of.table}_2030_02" not in found
    assert found[f"{of.table}_2030_03"] == (
        "FOR VALUES FROM ('2030-03-01 00:00:00+00') TO ('2030-04-01 00:00:00+00')"
    )
    assert where(database, of) == [("2030-03-01", f"talent_sync.{of.table}_2030_03")]
    again = partitions(database, of)
    kept(owner, of=of)
    assert partitions(database, of) == again == found


@EACH
def test_no_write_fails_for_want_of_a_partition_and_its_row_is_moved_later(database, owner, of) -> None:
    early, late = datetime(2029, 12, 31, 23, tzinfo=UTC), datetime(2030, 5, 1, tzinfo=UTC)
    far = datetime(2031, 1, 1, tzinfo=UTC)
    say(database, early, late, far, of=of)
    assert {partition for _, partition in where(database, of)} == {f"talent_sync.{of.default}"}
    kept(owner, of=of)
    assert where(database, of) == [
        ("2030-05-01", f"talent_sync.{of.table}_2030_05"),
        ("2031-01-01", f"talent_sync.{of.table}_2031_01"),
    ], "what is too old is gone from the default partition as well"


@EACH
def test_what_was_made_is_closed_as_the_rest(database, owner, of) -> None:
    say(database, datetime(2030, 5, 1, tzinfo=UTC), of=of)
    kept(owner, of=of)
    with psycopg.connect(database.admin) as connection:
        rows = connection.execute(
            "SELECT relname, relrowsecurity AND relforcerowsecurity, has_table_privilege('looma_app', c.oid, 'SELECT'),"
            " (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) FROM pg_class c"
            " JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = %s::regclass AND relkind = 'r'",
            [f"talent_sync.{of.table}"],
        ).fetchall()
    assert len(rows) == AHEAD + 2, "this month, the next ones and the default one"
    assert all(row[1:] == (True, False, 1) for row in rows), rows


def test_upkeep_waits_for_no_writer_and_keeps_none_waiting(database, owner) -> None:
    with psycopg.connect(database.app_libpq) as writer:
        writer.execute("SELECT set_config('looma.tenant', 't', true), set_config('lock_timeout', '2s', true)")
        insert = (
            "INSERT INTO talent_sync.companies (id, name, language, source_type)"
            " VALUES (gen_random_uuid(), 'Harbour', 'en', 'manual')"
        )
        writer.execute(insert)
        with owner.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
            next_month = moved(month_of(datetime.now(UTC).date()), 1)
            decided = keep(connection, months=36, today=next_month)
            assert decided is not None
            assert decided.create == (moved(next_month, AHEAD),)
            writer.execute(insert)
            writer.commit()


def test_a_database_without_history_has_no_upkeep(empty_database: DatabaseUrls) -> None:
    engine = create_engine(empty_database.owner)
    with engine.begin() as connection:
        assert keep(connection, months=2) is None
    engine.dispose()


def test_looma_migrate_keeps_as_many_months_as_it_is_told(database) -> None:
    this = month_of(datetime.now(UTC).date())
    old, older = (datetime(*moved(this, -by).timetuple()[:3], tzinfo=UTC) for by in (2, 5))
    say(database, old, older)
    migrate(database.owner, history_months=6)
    assert len(where(database)) == 2
    assert name_of(older.date()) in partitions(database)
    migrate(database.owner, history_months=2)
    assert [day for day, _ in where(database)] == [f"{old:%Y-%m-%d}"]
    assert name_of(older.date()) not in partitions(database)
