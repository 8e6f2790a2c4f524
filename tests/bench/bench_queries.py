"""A replay of the hot queries over many talents, beside the same queries on a naive copy of the tables.

The copy has the same rows, a primary key and no other index; its lists are paged by OFFSET and searched by ILIKE, and
name their tenant in WHERE. Looma's queries are asked by the engine's code, as the application's role with row-level
security on. What is timed is what the database is waited for: all statements of a query together, answers included.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import event, text

from bench import bench_api, bench_bringing, bench_pools
from bench.hot_queries import CHANCE, NOTHING, QUERIES, Query, Sample
from bench.report import Row
from looma_core.db import Database
from looma_core.db.migrate import migrate
from looma_engines.talent_sync.privacy.sessions import sealing_with
from support.database import DatabaseUrls, database_server, make_database
from support.key_ring import SEALER
from support.many_records import fill
from support.many_skills import fill_skills
from support.plans import nodes

TALENTS_FILLED = 100_000
TENANT = "demo"
OTHERS = (
    *("companies", "jobs", "relations", "applications", "resume_files", "quarantine", "record_history"),
)
TABLES = ("talents", *OTHERS)
SKILLS_FILLED = 20_000
REPEATS, NAIVE_REPEATS = 100, 12
MOST_MS, SLOW_MS = 10.0, 50.0


@dataclass
class Replay:
    """What a replay found out: milliseconds of each query, here and of the naive schema, and what was kept ready."""

    times: dict[str, list[float]] = field(default_factory=dict)
    naive: dict[str, list[float]] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    """Statements with values that one was sent with."""
    sent: int = 0
    prepared: int = 0
    planned: int = 0
    """Of those that were prepared: how many were planned anew all the same."""
    pages: int = 0
    pages_read: int = 0
    by_index: int = 0


def run(talents: int = TALENTS_FILLED) -> list[Row]:
    """p95 of each query beside the naive schema's, and of answers over HTTP; what is kept ready; the pool by size."""
    with database_server() as admin:
        urls = make_database(admin)
        migrate(urls.owner)
        fill(urls, TENANT, talents, tables=("talents",))
        fill(urls, TENANT, talents // 4, tables=OTHERS)
        fill(urls, "other", max(talents // 20, 1_000), tables=TABLES)
        _skills(urls)
        _copy(urls)
        sample = _sample(urls)
        replay = asyncio.run(_replay(urls, sample, talents))
        answers = bench_api.run(urls, TENANT, sample, talents)
        pools = bench_pools.run(urls, TENANT, sample.talents)
        brought = bench_bringing.run(admin)
    return [*_rows(replay, talents), *answers, *brought, *pools]


def _skills(urls: DatabaseUrls) -> None:
    """A taxonomy of many skills, some of which people have."""
    fill_skills(urls, TENANT, SKILLS_FILLED)
    with psycopg.connect(urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [TENANT])
        connection.execute(
            "INSERT INTO talent_sync.skills (id, key, name_en, kind, source_type)"
            " SELECT gen_random_uuid(), lower(name), name, 'tool', 'manual'"
            " FROM unnest(ARRAY['Python', 'SQL'] || (SELECT array_agg('s' || n) FROM generate_series(0, 49) AS n))"
            " AS name"
        )


def _rows(replay: Replay, talents: int) -> list[Row]:
    times, naive, statements = replay.times, replay.naive, len(replay.seen)
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
            value=100 * replay.by_index / statements,
            unit="%",
            limit="100 %",
            note=f"of {statements} different ones, by their plans; none reads a table of a thousand rows whole",
        ),
        Row(
            what="statements that were prepared already",
            value=100 * replay.prepared / replay.sent,
            unit="%",
            limit="85 %",
            note=f"of {replay.sent:,} that one connection sent: not parsed again; of those {replay.planned:,} were "
            "planned anew, since the plan depends on the value",
        ),
        Row(
            what="pages that were in the database's memory",
            value=100 * (1 - replay.pages_read / max(replay.pages, 1)),
            unit="%",
            limit="85 %",
            note=f"of {replay.pages:,} of 8 KiB that the replay and the naive copy asked for, by pg_stat_database; "
            "shared_buffers is 128 MiB",
        ),
    ]


def p95(values: Sequence[float]) -> float:
    """The value that 95 % do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _copy(urls: DatabaseUrls) -> None:
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA naive")
        for table in (*TABLES, "skills"):
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
        jobs = asked("SELECT job_id " + of.format("applications") + " ORDER BY id LIMIT 500")
        common = asked("SELECT id " + of.format("skills") + " AND key IN ('python', 'sql')")
        rare = asked("SELECT id " + of.format("skills") + " AND key ~ '^s[0-9]+$'")
    return Sample(
        talents=[one for (one,) in talents],
        companies=[one for (one,) in companies],
        middles=middles,
        jobs=[one for (one,) in jobs],
        common_skills=[one for (one,) in common],
        rare_skills=[one for (one,) in rare],
    )


async def _replay(urls: DatabaseUrls, sample: Sample, talents: int) -> Replay:
    """Both schemas are asked in turn, in one random order: what else the machine does meets them alike."""
    database = Database(urls.app, pool_size=1, info=sealing_with(SEALER))
    spent = 0.0
    begun = 0.0
    replay = Replay()

    def begins(_c: Any, _u: Any, statement: str, values: Any, *_rest: Any) -> None:
        nonlocal begun
        replay.sent += 1
        if "talent_sync." in statement:
            replay.seen.setdefault(statement, values)
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
    times: dict[str, list[float]] = {query.name: [] for query in (NOTHING, *QUERIES)}
    naive: dict[str, list[float]] = {query.name: [] for query in QUERIES}
    connection = await psycopg.AsyncConnection.connect(urls.admin, autocommit=True)
    before = _pages(urls)
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
        async with database.engine.connect() as same:
            told = await same.execute(text("SELECT generic_plans, custom_plans FROM pg_prepared_statements"))
            plans = [tuple(row) for row in told]
        replay.prepared = sum(sum(both) for both in plans)
        replay.planned = sum(custom for _, custom in plans)
    finally:
        await database.close()
        await connection.close()
    replay.times, replay.naive = (
        {name: found[1:] for name, found in both.items()} for both in (times, naive)
    )
    replay.pages, replay.pages_read = (now - then for now, then in zip(_pages(urls), before, strict=True))
    replay.by_index = _by_index(urls, replay.seen)
    return replay


def _pages(urls: DatabaseUrls) -> tuple[int, int]:
    """Pages that were asked for in the database, and those of them that were not in its memory."""
    with psycopg.connect(urls.admin) as connection:
        row = connection.execute(
            "SELECT blks_hit + blks_read, blks_read FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return row


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
