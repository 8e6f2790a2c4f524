"""A replay of the hot queries over many talents, beside the same queries on a naive copy of the tables.

The copy has the same rows, a primary key and no other index; its lists are paged by OFFSET and searched by ILIKE, and
name their tenant in WHERE. Looma's queries are asked by the engine's code, as the application's role with row-level
security on. What is timed is what the database is waited for: all statements of a query together, answers included.
"""

from __future__ import annotations

import asyncio
import math
import random
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import event, text

from bench import bench_pools
from bench.report import Row
from looma_core.db import Database
from looma_core.db.migrate import migrate
from looma_engines.talent_sync.cursor import Position
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.relations import RELATIONS
from looma_engines.talent_sync.syncing.models import QuarantineRow
from looma_engines.talent_sync.syncing.review_repository import ReviewRepository
from looma_engines.talent_sync.talents import TALENTS
from support.database import DatabaseUrls, database_server, make_database
from support.key_ring import SEALER
from support.many_records import fill
from support.plans import nodes

TALENTS_FILLED = 100_000
TENANT = "demo"
OTHERS = ("companies", "jobs", "relations", "quarantine", "record_history")
TABLES = ("talents", *OTHERS)
CHANCE = random.Random(20261127)  # noqa: S311 - the same draws each time
REPEATS, NAIVE_REPEATS = 100, 12
PAGE = 51
MOST_MS, SLOW_MS = 10.0, 50.0
COMMON_WORDS = ("engineer", "python", "数据仓库", "london", "security")
RARE_WORDS = ("kestrel", "茯苓", "s123", "qx", "grace 0a1b")


@dataclass(frozen=True)
class Sample:
    """Values that queries are asked with."""

    talents: Sequence[uuid.UUID]
    companies: Sequence[uuid.UUID]
    middles: Sequence[tuple[datetime, uuid.UUID]]


@dataclass(frozen=True)
class Query:
    """One hot query: how the engine asks it, and what a naive schema is asked instead."""

    name: str
    ask: Callable[[Any, Sample], Awaitable[object]]
    naive: str
    values: Callable[[Sample], dict[str, Any]] = lambda _: {}


def _page(entity: Any, **more: Any) -> Callable[[Any, Sample], Awaitable[object]]:
    return lambda session, _: RecordRepository(session, entity).page(
        limit=PAGE, **{"sort": "-created_at", **more}
    )


def _search(words: Sequence[str]) -> Callable[[Any, Sample], Awaitable[object]]:
    return lambda session, _: RecordRepository(session, TALENTS).page(
        sort="-created_at", limit=PAGE, q=CHANCE.choice(words)
    )


def _deep(session: Any, sample: Sample) -> Awaitable[object]:
    at, one = CHANCE.choice(sample.middles)
    after = Position(sort="-created_at", value=at.astimezone(UTC).isoformat(), id=one)
    return RecordRepository(session, TALENTS).page(sort="-created_at", limit=PAGE, after=after)


NEWEST = "WHERE tenant = 'demo' AND deleted_at IS NULL {more} ORDER BY created_at DESC LIMIT 51"


def _newest(table: str, more: str = "") -> str:
    """The newest page of a table of the naive schema."""
    return f"SELECT * FROM naive.{table} " + NEWEST.format(more=more)  # noqa: S608 - our own texts


QUERIES = (
    Query(
        "one talent by its id",
        lambda session, sample: RecordRepository(session, TALENTS).find(CHANCE.choice(sample.talents)),
        "SELECT * FROM naive.talents WHERE tenant = 'demo' AND id = %(id)s AND deleted_at IS NULL",
        lambda sample: {"id": CHANCE.choice(sample.talents)},
    ),
    Query("talents, the newest", _page(TALENTS), _newest("talents")),
    Query(
        "talents, a page in the middle",
        _deep,
        _newest("talents") + " OFFSET %(half)s",
    ),
    Query(
        "talents by name",
        _page(TALENTS, sort="full_name"),
        "SELECT * FROM naive.talents WHERE tenant = 'demo' AND deleted_at IS NULL ORDER BY full_name LIMIT 51",
    ),
    Query(
        "talents of a source",
        _page(TALENTS, filters={"source_type": "resume"}),
        _newest("talents", "AND source_type = 'resume'"),
    ),
    Query(
        "talents with a word that many have",
        _search(COMMON_WORDS),
        _newest("talents", "AND search ILIKE '%%' || %(word)s || '%%'"),
        lambda _: {"word": CHANCE.choice(COMMON_WORDS)},
    ),
    Query(
        "talents with a word that few have",
        _search(RARE_WORDS),
        _newest("talents", "AND search ILIKE '%%' || %(word)s || '%%'"),
        lambda _: {"word": CHANCE.choice(RARE_WORDS)},
    ),
    Query(
        "open jobs of a place",
        _page(JOBS, filters={"status": "open", "location": "Leeds"}),
        _newest("jobs", "AND status = 'open' AND location = 'Leeds'"),
    ),
    Query(
        "jobs of a company",
        lambda session, sample: RecordRepository(session, JOBS).page(
            sort="-created_at", limit=PAGE, filters={"company_id": CHANCE.choice(sample.companies)}
        ),
        _newest("jobs", "AND company_id = %(id)s"),
        lambda sample: {"id": CHANCE.choice(sample.companies)},
    ),
    Query(
        "relations of a person",
        lambda session, sample: RecordRepository(session, RELATIONS).page(
            sort="-created_at", limit=PAGE, filters={"talent_id": CHANCE.choice(sample.talents)}
        ),
        _newest("relations", "AND talent_id = %(id)s"),
        lambda sample: {"id": CHANCE.choice(sample.talents)},
    ),
    Query(
        "the history of a person",
        lambda session, sample: RecordRepository(session, TALENTS).history(
            CHANCE.choice(sample.talents), limit=PAGE
        ),
        "SELECT * FROM naive.record_history WHERE tenant = 'demo' AND record_id = %(id)s AND entity = 'talent'"
        " ORDER BY changed_at DESC LIMIT 51",
        lambda sample: {"id": CHANCE.choice(sample.talents)},
    ),
    Query(
        "the open quarantine",
        lambda session, _: ReviewRepository(session).page(
            QuarantineRow, filters={"state": "open"}, after=None, limit=PAGE
        ),
        "SELECT * FROM naive.quarantine WHERE tenant = 'demo' AND state = 'open' ORDER BY created_at DESC LIMIT 51",
    ),
)
NOTHING = Query("nothing", lambda session, _: session.execute(text("SELECT 1")), "")
"""What the machine itself takes: the way to the database and back, twice."""


def run(talents: int = TALENTS_FILLED) -> list[Row]:
    """p95 of each query beside the naive schema's, the median ratio, how many were slow, and the pool by its size."""
    with database_server() as admin:
        urls = make_database(admin)
        migrate(urls.owner)
        fill(urls, TENANT, talents, tables=("talents",))
        fill(urls, TENANT, talents // 4, tables=OTHERS)
        fill(urls, "other", max(talents // 20, 1_000), tables=TABLES)
        _copy(urls)
        sample = _sample(urls)
        times, naive, by_index, statements = asyncio.run(_replay(urls, sample, talents))
        pools = bench_pools.run(urls, TENANT, sample.talents)
    return [*_rows(times, naive, talents, by_index, statements), *pools]


def _rows(
    times: dict[str, list[float]], naive: dict[str, list[float]], talents: int, by_index: int, statements: int
) -> list[Row]:
    over = f"over {talents:,} talents and a quarter as many of each other kind"
    rows = [
        Row(
            what=f"{query.name}, p95",
            value=p95(times[query.name]),
            unit="ms",
            baseline=p95(naive[query.name]),
            baseline_name="the naive schema",
            limit=f"{MOST_MS:g} ms",
            note=f"{over}; {REPEATS} times, mixed with the others, median "
            f"{statistics.median(times[query.name]):.2f} ms; naive {NAIVE_REPEATS} times, median "
            f"{statistics.median(naive[query.name]):.2f} ms",
        )
        for query in QUERIES
    ]
    ratios = [
        statistics.median(naive[query.name]) / statistics.median(times[query.name]) for query in QUERIES
    ]
    everything = [one for query in QUERIES for one in times[query.name]]
    return [
        Row(
            what="SELECT 1, p95",
            value=p95(times[NOTHING.name]),
            unit="ms",
            note="what the machine itself takes for the two statements that each transaction has at least; its median "
            f"is {statistics.median(times[NOTHING.name]):.2f} ms",
        ),
        *rows,
        Row(
            what="how many times faster the median query is",
            value=statistics.median(ratios),
            unit="×",
            limit="10 ×",
            note=f"median of the queries' ratios, each of medians; the least of them is {min(ratios):.1f}",
        ),
        Row(
            what=f"queries over {SLOW_MS:g} ms in the replay",
            value=sum(one > SLOW_MS for one in everything),
            unit="queries",
            limit="0",
            note=f"of {len(everything):,}; the slowest took {max(everything):.1f} ms",
        ),
        Row(
            what="statements that go by an index",
            value=100 * by_index / statements,
            unit="%",
            limit="100 %",
            note=f"of {statements} different ones, by their plans; none reads a table of a thousand rows whole",
        ),
    ]


def p95(values: Sequence[float]) -> float:
    """The value that 95 % do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _copy(urls: DatabaseUrls) -> None:
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA naive")
        for table in TABLES:
            name, of = sql.Identifier("naive", table), sql.Identifier("talent_sync", table)
            connection.execute(sql.SQL("CREATE TABLE {} AS SELECT * FROM {}").format(name, of))
            key = sql.SQL("id, changed_at" if table == "record_history" else "id")
            connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(name, key))
            connection.execute(sql.SQL("VACUUM ANALYZE {}").format(name))


def _sample(urls: DatabaseUrls) -> Sample:
    def asked(query: str) -> list[Any]:
        return connection.execute(query).fetchall()

    with psycopg.connect(urls.admin) as connection:
        of = "FROM naive.{} WHERE tenant = 'demo'"
        talents = asked("SELECT id " + of.format("talents") + " ORDER BY random() LIMIT 500")
        companies = asked("SELECT id " + of.format("companies") + " ORDER BY id LIMIT 500")
        middles = asked(
            "SELECT created_at, id " + of.format("talents") + " ORDER BY created_at DESC LIMIT 500"
            " OFFSET (SELECT count(*) / 2 " + of.format("talents") + ")"
        )
    return Sample([one for (one,) in talents], [one for (one,) in companies], middles)


Times = dict[str, list[float]]


async def _replay(urls: DatabaseUrls, sample: Sample, talents: int) -> tuple[Times, Times, int, int]:
    """Milliseconds of each query, here and there; how many statements go by an index, of how many.

    Both are asked in turn, in one random order: what else the machine does meets them alike.
    """
    database = Database(urls.app, pool_size=1, info=sealing_with(SEALER))
    spent = 0.0
    begun = 0.0
    seen: dict[str, Any] = {}

    def begins(_c: Any, _u: Any, statement: str, values: Any, *_rest: Any) -> None:
        nonlocal begun
        if "talent_sync." in statement:
            seen.setdefault(statement, values)
        begun = time.perf_counter()

    def ended(*_: Any) -> None:
        nonlocal spent
        spent += time.perf_counter() - begun

    event.listen(database.engine.sync_engine, "before_cursor_execute", begins)
    event.listen(database.engine.sync_engine, "after_cursor_execute", ended)
    order = [(query, False) for query in QUERIES for _ in range(REPEATS)]
    order += [(query, True) for query in QUERIES for _ in range(NAIVE_REPEATS)]
    CHANCE.shuffle(order)
    # The first of each warm the cache up.
    order = [*((query, there) for query in QUERIES for there in (False, True)), *order]
    times: Times = {query.name: [] for query in (NOTHING, *QUERIES)}
    naive: Times = {query.name: [] for query in QUERIES}
    connection = await psycopg.AsyncConnection.connect(urls.admin, autocommit=True)
    try:
        for query, there in order:
            if there:
                naive[query.name].append(await _naive(connection, query, sample, talents))
                continue
            for one in (query, NOTHING) if len(times[NOTHING.name]) <= REPEATS else (query,):
                spent = 0.0
                async with database.tenant_session(TENANT) as session:
                    await one.ask(session, sample)
                times[one.name].append(spent * 1000)
    finally:
        await database.close()
        await connection.close()
    here, beside = ({name: found[1:] for name, found in both.items()} for both in (times, naive))
    return here, beside, _by_index(urls, seen), len(seen)


async def _naive(
    connection: psycopg.AsyncConnection[Any], query: Query, sample: Sample, talents: int
) -> float:
    values = {"half": talents // 2, **query.values(sample)}
    begun = time.perf_counter()
    await (await connection.execute(query.naive, values)).fetchall()
    return (time.perf_counter() - begun) * 1000


def _by_index(urls: DatabaseUrls, seen: dict[str, Any]) -> int:
    good = 0
    with psycopg.connect(urls.app_libpq) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= 1000"
        ).fetchall()
        large = {name for (name,) in found}
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [TENANT])
        for statement, values in seen.items():
            row = connection.execute("EXPLAIN (FORMAT JSON) " + statement, values).fetchone()
            assert row is not None
            whole = [
                node
                for node in nodes(row[0][0]["Plan"])
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] in large
            ]
            good += not whole
    return good
