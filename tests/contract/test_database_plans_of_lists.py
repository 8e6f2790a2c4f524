"""Every list that the API's document allows goes by an index: each order, each filter, each pair of them, with words.

The lists are asked for by HTTP. What the engine then sends is caught on its way to the database, and explained as the
application's role with row-level security on, over tables of 50,000 rows of the tenant and some of another.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from litestar.testing import TestClient
from psycopg.rows import scalar_row
from sqlalchemy import Engine, event

from looma_core.crypto import new_key
from looma_core.settings import EngineSettings
from looma_engines.talent_sync.app import create
from support.database import drop_database, make_database
from support.key_ring import ring_file
from support.many_records import fill
from support.plans import nodes
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.database
ROWS = 50_000
MOST_SORTED = ROWS // 5
"""Rows that one sort may have before it. What a filter leaves may be put in order, a whole tenant may not."""
LARGE = 1_000
# Carried out: the planner may expect few rows of a statement that reads all.
EXPLAIN = "EXPLAIN (ANALYZE, FORMAT JSON) "
TENANT = "lists"
API = "/api/v1"
SHAPES_NOTHING = {"limit", "cursor", "fields", "q", "sort"}
WORDS = ("engineer", "茯苓", "nobody-has-this")
LISTS = (
    *("talents", "companies", "jobs", "relations", "quarantine", "sync-conflicts", "sync-runs"),
    "sync-writes",
    *("resume-files", "applications"),
)
ELSEWHERE = {
    "duplicates": "explained with pairs and keys of its own",
    "applications/{application_id}/moves": "the rows of one application: a range of their key",
    "sync-runs/{number}/repairs": "explained with repairs of its own",
    "skills": "a taxonomy of a few names, explained where who has a skill is",
    "erasures": "no filled table here: by the index of its order alone",
    "audit-events": "no filled table here: by the index of its order alone",
}
TABLES = {
    "quarantine": "quarantine",
    "sync-conflicts": "sync_conflicts",
    "sync-runs": "sync_shards",
    "resume-files": "resume_files",
    "sync-writes": "sync_writes",
}


class World:
    """The engine, and a connection as its role to explain what it sends."""

    def __init__(self, client: TestClient[Any], connection: psycopg.Connection[Any]) -> None:
        self.client = client
        self.connection = connection
        self.auth = bearer(tenant=TENANT)
        query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= %s"
        self.large = {str(name) for name in connection.execute(query, [LARGE])}
        self.parameters: dict[str, list[dict[str, Any]]] = {
            path.removeprefix(f"{API}/"): methods["get"].get("parameters", [])
            for path, methods in client.get("/openapi.json").json()["paths"].items()
            if "get" in methods
        }
        # One that everybody has, and one that few have.
        self.common, self.rare = (self.skill(name) for name in ("Python", "s13"))

    def skill(self, name: str) -> str:
        answer = self.client.post(f"{API}/skills", headers=self.auth, json={"name_en": name})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def one(self, table: str, column: str) -> Any:
        query = f"SELECT {column} FROM talent_sync.{table} WHERE {column} IS NOT NULL LIMIT 1"  # noqa: S608
        return self.connection.execute(query).fetchone()

    def asked(
        self, path: str, params: dict[str, str]
    ) -> Iterator[tuple[dict[str, str], str, dict[str, Any]]]:
        """What two pages of a list send: the query, the statement and its plan."""
        for _ in range(2):
            sent: list[tuple[str, Any]] = []

            def caught(_c: Any, _u: Any, statement: str, values: Any, *_rest: Any, into: Any = sent) -> None:
                into.append((statement, values))

            event.listen(Engine, "before_cursor_execute", caught)
            try:
                answer = self.client.get(f"{API}/{path}", headers=self.auth, params={**params, "limit": "20"})
            finally:
                event.remove(Engine, "before_cursor_execute", caught)
            assert answer.status_code == 200, answer.text
            for statement, values in sent:
                if "talent_sync." in statement and not statement.startswith("EXPLAIN"):
                    plan = self.connection.execute(EXPLAIN + statement, values).fetchone()
                    yield params, statement, plan[0]["Plan"]  # type: ignore[index]
            if (cursor := answer.json().get("next_cursor")) is None:
                return
            params = {**params, "cursor": cursor}


@pytest.fixture(scope="module")
def world(postgres_admin: str) -> Iterator[World]:
    from looma_core.db.migrate import migrate

    # A database of its own: its tables are large, and what they hold tells the planner how to go.
    urls = make_database(postgres_admin)
    migrate(urls.owner)
    fill(urls, f"{TENANT}-other", ROWS // 10)
    fill(urls, TENANT, ROWS)
    settings = EngineSettings(
        database_url=urls.app, service="talent-sync", file_keys=new_key(), key_ring_file=ring_file()
    )
    with (
        TestClient(create(settings, verifier=verifier())) as client,
        psycopg.connect(urls.app_libpq, autocommit=True, row_factory=scalar_row) as connection,
    ):
        connection.execute("SELECT set_config('looma.tenant', %s, false)", [TENANT])
        yield World(client, connection)
    drop_database(postgres_admin, urls.name)


def judged(world: World, plan: dict[str, Any], about: str) -> None:
    """The plan reads no large table whole, and puts no whole tenant in order."""
    for node in nodes(plan):
        if node["Node Type"] == "Seq Scan":
            assert node["Relation Name"] not in world.large, f"reads a whole table: {about}: {plan}"
        if node["Node Type"] in {"Sort", "Incremental Sort"}:
            below = node["Plans"][0]["Actual Rows"]
            assert below <= MOST_SORTED, f"puts {below} rows in order: {about}: {plan}"


def values_of(world: World, path: str, parameter: dict[str, Any]) -> list[str]:
    """Values of a filter: those that the document allows, or such as the table has."""
    schema = parameter["schema"]
    found: list[str] = []
    for one in (schema, *schema.get("oneOf", []), *schema.get("anyOf", [])):
        found += [value for value in one.get("enum", []) if value is not None]
        if one.get("type") == "boolean":
            found += ["true", "false"]
        if one.get("format") == "date":
            found += ["2014-12-31", "2020-06-01", "2030-01-01"]
        if one.get("format") == "date-time":
            found += ["2014-12-31T00:00:00Z", "2030-01-01T00:00:00Z"]
    if found:
        return found
    if parameter["name"] == "skill":
        return [world.common, world.rare, "00000000-0000-7000-8000-000000000000"]
    table = TABLES.get(path, path)
    there = str(world.one(table, parameter["name"]))
    # What must fit a pattern is a name, and no id.
    return [there] if "pattern" in str(schema) else [there, "00000000-0000-7000-8000-000000000000"]


def combinations(world: World, path: str, *, with_words: bool = False) -> Iterator[dict[str, str]]:
    """Queries of a list: no filter, each value of each filter, each pair of filters; each in each order.

    With words they are each filter once: what a filter leaves is searched alike.
    """
    parameters = world.parameters[path]
    sorts = next((one["schema"]["enum"] for one in parameters if one["name"] == "sort"), [None])
    filters = {
        one["name"]: values_of(world, path, one)
        for one in parameters
        if one["in"] == "query" and one["name"] not in SHAPES_NOTHING
    }
    narrowed: list[dict[str, str]] = [{}]
    if with_words:
        yield from ({"sort": sort} for sort in sorts)
        yield from ({name: values[0]} for name, values in filters.items())
        return
    narrowed += [{name: value} for name, values in filters.items() for value in values]
    narrowed += [
        {one: filters[one][0], other: filters[other][0]} for one, other in itertools.combinations(filters, 2)
    ]
    for query in narrowed:
        for sort in sorts:
            yield {**query, **({"sort": sort} if sort else {})}


@pytest.mark.parametrize("path", LISTS)
def test_every_list_that_the_document_allows_goes_by_an_index(world: World, path: str) -> None:
    seen = 0
    for params in combinations(world, path):
        for asked, statement, plan in world.asked(path, params):
            judged(world, plan, f"{path} {asked} {statement}")
            seen += 1
    assert seen >= 6


@pytest.mark.parametrize("path", LISTS[:4])
@pytest.mark.parametrize("word", WORDS)
def test_every_search_by_words_goes_by_an_index(world: World, path: str, word: str) -> None:
    for params in combinations(world, path, with_words=True):
        for asked, statement, plan in world.asked(path, {**params, "q": word}):
            judged(world, plan, f"{path} {asked} {statement}")


def test_a_history_is_a_range_of_an_index(world: World) -> None:
    record = world.one("talents", "id")
    for asked, statement, plan in world.asked(f"talents/{record}/history", {}):
        judged(world, plan, f"{asked} {statement}")


def test_what_a_run_put_right_is_a_range_of_an_index(world: World) -> None:
    last = "SELECT generation FROM talent_sync.sync_shards ORDER BY generation DESC, shard LIMIT 1"
    number = world.connection.execute(last).fetchone()
    whose = "SELECT job FROM talent_sync.sync_shards WHERE generation = %s ORDER BY shard LIMIT 1"
    job = world.connection.execute(whose, [number]).fetchone()
    for name, value in (("origin", "repair"), ("actor", f"syncjob:{job}")):
        world.connection.execute(f"SELECT set_config('looma.{name}', %s, false)", [value])
    some = "SELECT id FROM talent_sync.talents LIMIT 2000"
    world.connection.execute(f"UPDATE talent_sync.talents SET headline = 'x' WHERE id IN ({some})")  # noqa: S608
    seen = 0
    for asked, statement, plan in world.asked(f"sync-runs/{number}/repairs", {}):
        judged(world, plan, f"{asked} {statement}")
        seen += "record_history" in statement
    assert seen == 2, "two pages"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM talent_sync.talents WHERE headline = 'x'",
        "SELECT id FROM talent_sync.talents WHERE deleted_at IS NULL ORDER BY headline LIMIT 20",
        "SELECT id FROM talent_sync.talents WHERE deleted_at IS NULL ORDER BY created_at, headline OFFSET 30000",
    ],
)
def test_what_goes_by_none_would_be_found(world: World, statement: str) -> None:
    row = world.connection.execute(EXPLAIN + statement).fetchone()
    with pytest.raises(AssertionError):
        judged(world, row[0]["Plan"], statement)  # type: ignore[index]


def test_a_count_reads_no_more_than_a_page_or_two(world: World) -> None:
    for path in LISTS[:4]:
        whole = world.client.get(f"{API}/{path}/count", headers=world.auth).json()
        assert whole["exact"] is False
        assert 0.8 * ROWS < whole["count"] < 1.2 * ROWS, "by the statistics"
        none = world.client.get(f"{API}/{path}/count", headers=world.auth, params={"q": "nobody-has-this"})
        assert none.json() == {"count": 0, "exact": True}
        for params in ({}, {"source": "resume"}, {"q": "engineer"}, {"q": "茯苓"}):
            for asked, statement, plan in world.asked(f"{path}/count", params):
                judged(world, plan, f"{path}/count {asked} {statement}")
    some = world.client.get(f"{API}/talents/count", headers=world.auth, params={"q": "茯苓"}).json()
    assert some == {"count": len(range(5, ROWS, 9973)), "exact": True}


def test_every_list_is_among_them(world: World) -> None:
    lists = {
        path
        for path, parameters in world.parameters.items()
        if any(one["name"] == "cursor" for one in parameters)
    }
    histories = {f"{kind}/{{record_id}}/history" for kind in (*LISTS[:4], "skills")}
    assert lists - histories - set(ELSEWHERE) == set(LISTS)
