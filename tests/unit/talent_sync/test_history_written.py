"""What the database writes down of each change, by whatever statement: tried as the roles that there are."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import dict_row

from looma_core.auth import Principal
from looma_core.db import Database
from looma_engines.talent_sync.models import CompanyRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.database import DatabaseUrls

Rows = psycopg.Connection[dict[str, Any]]
MANY = 1000
TABLES = {
    "talents": ("talent", "full_name"),
    "companies": ("company", "name"),
    "jobs": ("job", "title"),
}


@pytest.fixture
def raw(database_urls: DatabaseUrls, tenant: str) -> Iterator[Rows]:
    """A connection as `looma_app`, for the test's tenant until its transaction ends."""
    with psycopg.connect(database_urls.app_libpq, row_factory=dict_row) as connection:
        as_tenant(connection, tenant)
        yield connection
        connection.rollback()


def as_tenant(connection: Rows, tenant: str, *, actor: str = "", origin: str = "") -> None:
    connection.execute(
        "SELECT set_config('looma.tenant', %s, true), set_config('looma.actor', %s, true),"
        " set_config('looma.origin', %s, true)",
        [tenant, actor, origin],
    )


def insert(connection: Rows, table: str = "talents", name: str = "Ada") -> uuid.UUID:
    made = uuid.uuid4()
    columns = {"jobs": ", status", "talents": ", skills"}.get(table, "")
    values = {"jobs": ", 'open'", "talents": """, '["SQL"]'"""}.get(table, "")
    connection.execute(
        f"INSERT INTO talent_sync.{table} (id, {TABLES[table][1]}, language, source_type{columns})"  # noqa: S608
        f" VALUES (%s, %s, 'en', 'manual'{values})",
        [made, name],
    )
    return made


def entries(connection: Rows, record: uuid.UUID | None = None) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT entity, record_id, version, actor, origin, action, changes FROM talent_sync.record_history"
        " WHERE %s::uuid IS NULL OR record_id = %s ORDER BY changed_at, id",
        [record, record],
    ).fetchall()


def created_as(connection: Rows, entity: str, record: uuid.UUID) -> dict[str, Any]:
    row = connection.execute("SELECT talent_sync.created_as(%s, %s) AS found", [entity, record]).fetchone()
    assert row is not None
    return dict(row["found"])


def told(connection: Rows, record: uuid.UUID) -> list[tuple[str, int, dict[str, Any]]]:
    return [(entry["action"], entry["version"], entry["changes"]) for entry in entries(connection, record)]


@pytest.mark.parametrize("table", TABLES)
def test_each_kind_has_its_actions_with_what_changed_and_no_more(raw, table) -> None:
    entity, name = TABLES[table]
    record = insert(raw, table)
    change = f"UPDATE talent_sync.{table} SET version = version + 1, updated_at = now()"  # noqa: S608
    raw.execute(f"{change}, {name} = 'Eve', location = 'Leeds' WHERE id = %s", [record])
    raw.execute(f"{change}, location = NULL WHERE id = %s", [record])
    raw.execute(f"{change}, deleted_at = now() WHERE id = %s", [record])
    raw.execute(f"{change}, deleted_at = NULL, language = 'zh' WHERE id = %s", [record])
    found = told(raw, record)
    assert {entry["entity"] for entry in entries(raw, record)} == {entity}
    assert found[0] == ("create", 1, {}), "the rest tells what it was"
    created = created_as(raw, entity, record)
    set_values = {key: value for key, value in created.items() if value not in (None, [], 1)}
    more = {"jobs": {"status": "open"}, "talents": {"skills": ["SQL"]}}.get(table, {})
    assert set_values == {name: "Ada", "language": "en", "source_type": "manual", **more}
    assert found[1:] == [
        (
            "update",
            2,
            {name: {"before": "Ada", "after": "Eve"}, "location": {"before": None, "after": "Leeds"}},
        ),
        ("update", 3, {"location": {"before": "Leeds", "after": None}}),
        ("delete", 4, {}),
        ("restore", 5, {"language": {"before": "en", "after": "zh"}}),
    ]


def test_what_a_record_was_at_first_is_told_whatever_became_of_it(raw) -> None:
    record = insert(raw)
    first = created_as(raw, "talent", record)
    for number, change in enumerate(
        (
            "full_name = 'Eve', headline = 'x'",
            "headline = NULL, skills = '[]'",
            "full_name = 'Ada', headline = 'y'",
        ),
        start=2,
    ):
        raw.execute(f"UPDATE talent_sync.talents SET version = {number}, {change} WHERE id = %s", [record])  # noqa: S608
        assert created_as(raw, "talent", record) == first
    raw.execute("UPDATE talent_sync.talents SET deleted_at = now() WHERE id = %s", [record])
    assert created_as(raw, "talent", record) == first


def test_nobody_is_told_what_a_record_of_another_tenant_was(raw, tenant) -> None:
    record = insert(raw)
    raw.commit()
    as_tenant(raw, f"{tenant}-other")
    assert created_as(raw, "talent", record) == {}
    as_tenant(raw, tenant)
    assert created_as(raw, "talent", record)["full_name"] == "Ada"


def test_lists_and_objects_are_told_whole(raw) -> None:
    record = insert(raw)
    raw.execute("""UPDATE talent_sync.talents SET skills = '["Go", "SQL"]' WHERE id = %s""", [record])
    assert told(raw, record)[1] == (
        "update",
        1,
        {"skills": {"before": ["SQL"], "after": ["Go", "SQL"]}},
    )


def test_what_the_database_makes_itself_is_not_told(raw) -> None:
    record = insert(raw)
    raw.execute("UPDATE talent_sync.talents SET full_name = 'Eve', email_hash = 'x' WHERE id = %s", [record])
    seen = {name for entry in entries(raw, record) for name in entry["changes"]}
    assert "full_name" in seen
    seen |= set(created_as(raw, "talent", record))
    assert not seen & {"email_hash", "phone_hash"}
    assert not seen & {"search", "id", "tenant", "version", "created_at", "updated_at", "deleted_at"}


def test_a_statement_that_changes_nothing_leaves_nothing(raw) -> None:
    record = insert(raw)
    raw.execute(
        "UPDATE talent_sync.talents SET full_name = full_name, updated_at = now() WHERE id = %s", [record]
    )
    raw.execute("UPDATE talent_sync.talents SET full_name = 'x' WHERE id = %s", [uuid.uuid4()])
    assert [action for action, _, _ in told(raw, record)] == ["create"]
    raw.execute("UPDATE talent_sync.talents SET version = 7 WHERE id = %s", [record])
    assert told(raw, record)[1:] == [("update", 7, {})], "a version without a change is one all the same"


def test_a_bulk_insert_is_written_down_by_one_statement(raw) -> None:
    raw.execute("CREATE TEMP TABLE staged (id uuid, name text) ON COMMIT DROP")
    raw.execute(
        "INSERT INTO staged SELECT gen_random_uuid(), 'Person ' || n FROM generate_series(1, %s) n", [MANY]
    )
    # The time is read once each time the trigger runs: one time is one run.
    raw.execute(
        "INSERT INTO talent_sync.talents (id, full_name, language, source_type)"
        " SELECT id, name, 'en', 'demo' FROM staged"
    )
    row = raw.execute(
        "SELECT count(*), count(DISTINCT record_id) AS records, count(DISTINCT changed_at) AS moments,"
        " count(*) FILTER (WHERE talent_sync.created_as(entity, record_id) ->> 'full_name' = s.name) AS named"
        " FROM talent_sync.record_history h JOIN staged s ON s.id = h.record_id WHERE action = 'create'"
    ).fetchone()
    assert row == {"count": MANY, "records": MANY, "moments": 1, "named": MANY}
    raw.execute("UPDATE talent_sync.talents SET headline = full_name, version = 2 WHERE source_type = 'demo'")
    row = raw.execute(
        "SELECT count(*), count(DISTINCT changed_at) AS moments,"
        " count(*) FILTER (WHERE changes = jsonb_build_object('headline',"
        " jsonb_build_object('before', NULL, 'after', s.name))) AS named"
        " FROM talent_sync.record_history h JOIN staged s ON s.id = h.record_id WHERE action = 'update'"
    ).fetchone()
    assert row == {"count": MANY, "moments": 1, "named": MANY}


def test_a_plan_that_was_made_for_one_row_is_no_trouble_to_a_thousand(raw) -> None:
    one = insert(raw)
    for version in range(2, 12):
        raw.execute("UPDATE talent_sync.talents SET version = %s WHERE id = %s", [version, one])
    raw.execute(
        "INSERT INTO talent_sync.talents (id, full_name, language, source_type)"
        " SELECT gen_random_uuid(), 'Person ' || n, 'en', 'demo' FROM generate_series(1, %s) n",
        [4 * MANY],
    )
    # Each new row beside each old one would be sixteen million pairs.
    raw.execute("SET LOCAL statement_timeout = '10s'")
    raw.execute("UPDATE talent_sync.talents SET headline = 'x', version = 2 WHERE source_type = 'demo'")
    assert sum(entry["action"] == "update" for entry in entries(raw)) == 10 + 4 * MANY


def test_an_insert_that_changes_what_is_there_is_both(raw) -> None:
    statement = """
        INSERT INTO talent_sync.talents (id, full_name, language, source_type, source_ref)
        SELECT gen_random_uuid(), name, 'en', 'demo', ref FROM (VALUES (%s, 'a'), (%s, 'b')) AS v (name, ref)
        ON CONFLICT (tenant, source_type, source_ref) WHERE deleted_at IS NULL AND source_ref IS NOT NULL
        DO UPDATE SET full_name = excluded.full_name, version = talents.version + 1
    """
    raw.execute(statement.replace(", (%s, 'b')", ""), ["Ada"])
    raw.execute(statement, ["Eve", "Bob"])
    found = [(entry["action"], entry["version"]) for entry in entries(raw)]
    assert sorted(found) == [("create", 1), ("create", 1), ("update", 2)]


def test_who_and_through_what_are_those_of_the_transaction(raw, tenant) -> None:
    plain = insert(raw)
    as_tenant(raw, tenant, actor="ada", origin="sync")
    synced = insert(raw)
    raw.commit()
    as_tenant(raw, tenant)
    later = insert(raw)
    who = {entry["record_id"]: (entry["actor"], entry["origin"]) for entry in entries(raw)}
    assert who == {plain: (None, "api"), synced: ("ada", "sync"), later: (None, "api")}


async def test_a_session_says_who_asks(database_urls: DatabaseUrls, tenant: str) -> None:
    database = Database(database_urls.app, pool_size=1)
    try:
        for number, caller in enumerate((Principal("ad\x00a", tenant, frozenset()), tenant)):
            async with database.tenant_session(caller) as session:
                session.add(CompanyRow(name=f"{number}", aliases=[], language="en", source_type="manual"))
    finally:
        await database.close()
    with psycopg.connect(database_urls.app_libpq, row_factory=dict_row) as connection:
        as_tenant(connection, tenant)
        found = [
            (created_as(connection, "company", entry["record_id"])["name"], entry["actor"])
            for entry in entries(connection)
        ]
    assert found == [("0", "ada"), ("1", None)]


def test_what_is_taken_back_was_not_done(raw) -> None:
    with raw.transaction() as savepoint:
        insert(raw)
        raise psycopg.Rollback(savepoint)
    assert entries(raw) == []


def test_the_tenant_of_the_transaction_stays_what_it_was(raw, tenant) -> None:
    insert(raw)
    assert raw.execute("SELECT current_setting('looma.tenant') AS name").fetchone() == {"name": tenant}


def test_tenants_see_their_own_history(raw, tenant, database_urls: DatabaseUrls) -> None:
    record = insert(raw)
    raw.commit()
    as_tenant(raw, f"{tenant}-other")
    theirs = insert(raw)
    assert [entry["record_id"] for entry in entries(raw)] == [theirs]
    assert entries(raw, record) == []
    raw.commit()
    assert entries(raw) == [], "without a tenant nothing is seen"
    with psycopg.connect(database_urls.owner_libpq, row_factory=dict_row) as owner:
        assert entries(owner) == [], "the owner is held to it too"
    partitions = raw.execute(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = 'talent_sync.record_history'::regclass"
    ).fetchall()
    assert len(partitions) >= 5
    for partition in partitions:
        with pytest.raises(errors.InsufficientPrivilege), raw.transaction():
            raw.execute(f"SELECT * FROM {partition['name']}")  # noqa: S608 - the catalogue's own names


@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT INTO talent_sync.record_history"
            " (tenant, entity, record_id, version, changed_at, origin, action, changes) VALUES"
            " (current_setting('looma.tenant'), 'talent', gen_random_uuid(), 1, now(), 'api', 'create', '{}')"
        ),
        "UPDATE talent_sync.record_history SET actor = 'nobody'",
        "DELETE FROM talent_sync.record_history",
        "TRUNCATE talent_sync.record_history",
        "DROP TABLE talent_sync.record_history_default",
        "ALTER TABLE talent_sync.talents DISABLE TRIGGER note_update",
        "DROP TRIGGER note_update ON talent_sync.talents",
        "SET session_replication_role = replica",
        "SELECT nextval('talent_sync.record_history_id_seq')",
        # The function writes as the owner: it must not be had for a table of one's own.
        (
            "CREATE TEMP TABLE mine (LIKE talent_sync.talents);"
            " CREATE TRIGGER forge AFTER INSERT ON mine REFERENCING NEW TABLE AS new_rows"
            " FOR EACH STATEMENT EXECUTE FUNCTION talent_sync.note_history('talent')"
        ),
    ],
)
def test_the_application_can_neither_write_nor_delete_history(raw, statement) -> None:
    insert(raw)
    with pytest.raises(errors.InsufficientPrivilege), raw.transaction():
        raw.execute(statement)
    assert len(entries(raw)) == 1


def test_a_table_of_ones_own_name_does_not_lead_the_function_astray(raw) -> None:
    raw.execute("CREATE TEMP TABLE record_history (LIKE talent_sync.record_history)")
    raw.execute(
        "CREATE FUNCTION pg_temp.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{}'::jsonb $$"
    )
    raw.execute("SET LOCAL search_path = pg_temp, talent_sync, pg_catalog")
    record = insert(raw)
    raw.execute("UPDATE talent_sync.talents SET full_name = 'Eve' WHERE id = %s", [record])
    assert told(raw, record) == [
        ("create", 1, {}),
        ("update", 1, {"full_name": {"before": "Ada", "after": "Eve"}}),
    ]
    assert created_as(raw, "talent", record)["full_name"] == "Ada"


def test_a_statement_over_all_tenants_writes_each_ones_history(
    raw, tenant, database_urls: DatabaseUrls
) -> None:
    names = [f"{tenant}-{number}" for number in range(3)]
    records = []
    for name in names:
        as_tenant(raw, name)
        records.append(insert(raw))
    raw.commit()
    with psycopg.connect(database_urls.admin) as admin:
        admin.execute("UPDATE talent_sync.talents SET headline = tenant WHERE tenant = ANY(%s)", [names])
        assert admin.execute("SELECT current_setting('looma.tenant')").fetchone() == ("",)
    for name, record in zip(names, records, strict=True):
        as_tenant(raw, name)
        assert told(raw, record)[1:] == [("update", 1, {"headline": {"before": None, "after": name}})]
        assert len(entries(raw)) == 2
