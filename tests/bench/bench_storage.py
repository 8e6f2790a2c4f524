"""The room that talents take, what of it old partitions give back, and their backups: by the image's own programs.

Tables, indexes and compression are measured beside plain tables of the same people (`bench.storage_plain`), backups
beside a plain dump. The server is the one of the image, set as the chart sets it; the people are made up
(`support.made_people`), with whole curricula, and have a year of history.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from sqlalchemy import create_engine

from bench.report import Row
from bench.storage_plain import (
    bytes_of_history_after_delete,
    bytes_of_indexes,
    bytes_of_rows,
    bytes_written_afresh,
    make_plain,
)
from looma_core.auth import Principal
from looma_core.db import Database
from looma_core.db.migrate import migrate
from looma_engines.talent_sync.moments import Span
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.records.history import Mark
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.retention.plan import month_of, moved
from looma_engines.talent_sync.retention.upkeep import keep
from looma_engines.talent_sync.talents import TALENTS
from support.database import DatabaseUrls, make_database
from support.image_postgres import PROGRAMS, ImagePostgres, image_postgres, seconds_until_answered
from support.key_ring import SEALER
from support.made_people import change, multiply, write_people
from support.plans import partitions_in, plans_in

TALENTS_FILLED = 100_000
WRITTEN = 25_000
"""So many are written one by one, by all triggers; more than that are copies of them."""
TENANT = "demo"
KEPT_MONTHS = 6
CHANGED_OF = 20
DATA = ("talents", "record_history")
FINDING = ("record_grams", "record_skills")
ARCHIVING = {"archive_mode": "on", "archive_command": "pgbackrest archive-push %p"}
HASTE = {"fsync": "off", "full_page_writes": "off"}
"""While the tables are filled."""
SUMS = {
    "talents": "SELECT count(*), sum(hashtext(t::text)::bigint) FROM talent_sync.talents t",
    "record_history": "SELECT count(*), sum(id), sum(length(changes::text)) FROM talent_sync.record_history",
    "record_grams": "SELECT count(*), sum(cardinality(grams)), sum(grams[1]) FROM talent_sync.record_grams",
}


def run(talents: int = TALENTS_FILLED) -> list[Row]:
    """Bytes a talent beside plain tables, compression, pruning, clean-up, and backups with the way back."""
    written = min(talents, WRITTEN)
    today = datetime.now(UTC).date()
    with image_postgres() as server:
        server.stop()
        server.start(**HASTE)
        urls = make_database(server.admin)
        migrate(urls.owner)
        write_people(urls, TENANT, written, today=today)
        with psycopg.connect(urls.admin, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            make_plain(connection)
            rows = [*_room(connection, written), *_compression(connection, written)]
        rows += asyncio.run(_pruning(urls, today))
        with psycopg.connect(urls.admin, autocommit=True) as connection:
            plain = bytes_of_history_after_delete(connection, moved(month_of(today), -KEPT_MONTHS))
            connection.execute("DROP SCHEMA plain CASCADE")
        multiply(urls, talents // written)
        server.stop()
        server.start()
        rows += _log(server, urls)
        rows += _backups(server, urls, talents)
        rows += _clean_up(urls, plain * (talents // written), today)
    return rows


def _room(connection: psycopg.Connection[Any], talents: int) -> list[Row]:
    def bytes_of(schema: str) -> tuple[float, float, float]:
        data, indexes = bytes_of_rows(connection, schema, *DATA), bytes_of_indexes(connection, schema, *DATA)
        if schema == "plain":
            finding = _size(connection, "plain.words")
            return data / talents, (indexes - finding) / talents, finding / talents
        finding = bytes_of_rows(connection, schema, *FINDING) + bytes_of_indexes(connection, schema, *FINDING)
        return data / talents, indexes / talents, finding / talents

    ours, plain = bytes_of("talent_sync"), bytes_of("plain")
    changes = _one(connection, "SELECT count(*) FROM talent_sync.record_history")
    over = (
        f"{talents:,} talents written by all triggers, with {changes / talents:.1f} entries of history each"
    )
    named = "plain tables"
    names = (
        "talents and their history",
        "indexes of their lists and histories",
        "what words and skills are found by",
    )
    notes = (
        f"{over}; the plain ones are text without compression, with a copy of the record before and after each change",
        "the same indexes on both",
        "grams of two and three letters, and skills by their graph; plain: trigrams of the text, for whole words alone",
    )
    rows = [
        Row(what=f"{name}, each", value=here, unit="B", baseline=there, baseline_name=named, note=note)
        for name, here, there, note in zip(names, ours, plain, notes, strict=True)
    ]
    data = Row(
        what="talents, history and their indexes, each",
        value=sum(ours[:2]),
        unit="B",
        baseline=sum(plain[:2]),
        baseline_name=named,
        limit="ratio 0.6",
        note="both rows above but for what is found by",
    )
    whole = Row(
        what="all of it, each",
        value=sum(ours),
        unit="B",
        baseline=sum(plain),
        baseline_name=named,
        limit="ratio 0.6",
    )
    return [*rows, data, whole]


def _compression(connection: psycopg.Connection[Any], talents: int) -> list[Row]:
    sizes = {kind: bytes_written_afresh(connection, kind) / talents for kind in ("none", "pglz", "lz4")}
    used = connection.execute("SHOW default_toast_compression").fetchone()
    return [
        Row(
            what="talents and history written afresh, lz4, each",
            value=sizes["lz4"],
            unit="B",
            baseline=sizes["none"],
            baseline_name="without compression",
            note=f"by pglz {sizes['pglz']:.4g} B; the chart sets {used[0] if used else '?'}; PostgreSQL compresses "
            "rows of more than 2 kB alone",
        )
    ]


async def _pruning(urls: DatabaseUrls, today: date) -> list[Row]:
    """How many partitions the engine's own queries look into."""
    database = Database(urls.app, pool_size=1, info=sealing_with(SEALER))
    with psycopg.connect(urls.admin) as connection:
        found = connection.execute(
            "SELECT id FROM talent_sync.talents ORDER BY created_at LIMIT 1"
        ).fetchone()
        every = _one(
            connection,
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'talent_sync.record_history'::regclass",
        )
    assert found is not None
    begin, end = (
        datetime(month.year, month.month, 1, tzinfo=UTC)
        for month in (moved(month_of(today), -3), moved(month_of(today), -2))
    )
    asked: dict[str, Callable[[Any], Awaitable[object]]] = {
        "the history of a person": lambda session: RecordRepository(session, TALENTS).history(
            found[0], limit=51
        ),
        "its page after an entry six months old": lambda session: RecordRepository(session, TALENTS).history(
            found[0],
            limit=51,
            after=Mark(at=datetime(*_ago(today, 6), 15, tzinfo=UTC), id=1),
        ),
        "the history of a person in one month": lambda session: RecordRepository(session, TALENTS).history(
            found[0], limit=51, span=Span(begin, end)
        ),
    }
    principal = Principal(subject="bench", tenant=TENANT, roles=frozenset({"admin"}))
    try:
        plans = {name: await plans_in(database, principal.tenant, ask) for name, ask in asked.items()}
    finally:
        await database.close()
    return [
        Row(
            what=f"partitions looked into: {name}",
            value=len(partitions_in(plans[name], "record_history")),
            unit="partitions",
            baseline=every,
            baseline_name="all of the history",
            note="by the plan of the statement that the engine sends, as the application's role",
        )
        for name in asked
    ]


def _ago(today: date, months: int) -> tuple[int, int]:
    month = moved(month_of(today), -months)
    return month.year, month.month


def _log(server: ImagePostgres, urls: DatabaseUrls) -> list[Row]:
    """Bytes of PostgreSQL's log for changing a twentieth of the people, compressed and not."""
    wrote = {}
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        chart = server.settings.get("wal_compression", "off")
        for which, kind in enumerate(("off", "zstd")):
            connection.execute(f"SET wal_compression = {kind}".encode())
            connection.execute("CHECKPOINT")
            begun = _one(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'")
            changed = change(connection, TENANT, of=CHANGED_OF, which=which)
            wrote[kind] = (_one(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'") - begun) / changed
    return [
        Row(
            what="log of a change of one talent, wal_compression zstd",
            value=wrote["zstd"],
            unit="B",
            baseline=wrote["off"],
            baseline_name="off",
            note=f"one of {CHANGED_OF} people changed right after a checkpoint; the chart sets {chart}",
        )
    ]


def _backups(server: ImagePostgres, urls: DatabaseUrls, talents: int) -> list[Row]:
    """A full backup, one of what changed, and the way back from both."""
    dumped = _dumped(server, urls)
    server.stop()
    server.start(**ARCHIVING)
    server.backrest("stanza-create")
    full_seconds = _timed(lambda: server.backrest("--type=full", "backup"))
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        changed = change(connection, TENANT, of=CHANGED_OF, which=CHANGED_OF - 1)
    incremental_seconds = _timed(lambda: server.backrest("--type=incr", "backup"))
    full, incremental = server.backups()
    server.backrest("verify")
    before = _sums(urls)
    server.stop()
    begun = time.monotonic()
    # As after a lost volume: nothing of the folder's files may help.
    subprocess.run(["find", str(server.data), "-mindepth", "1", "-delete"], check=True)
    removed = time.monotonic() - begun
    begun = time.monotonic()
    server.backrest("restore")
    brought = time.monotonic() - begun
    server.start(**ARCHIVING)
    back = seconds_until_answered(urls.admin, "SELECT count(*) FROM talent_sync.companies", begun=begun)
    after = _sums(urls)
    server.run(
        f"{PROGRAMS}/pg_amcheck", "--host", server.inside, "--port", str(server.port), *_ONE_TABLE, urls.name
    )
    size, stored = full["info"]["size"], full["info"]["repository"]["delta"]
    mib = 2**20
    of = f"of {talents:,} talents"
    return [
        Row(
            what=f"full backup {of}",
            value=stored / mib,
            unit="MiB",
            baseline=size / mib,
            baseline_name="the data folder",
            limit="ratio 0.35",
            note=f"pgBackRest, zstd and AES-256, {full_seconds:.1f} s",
        ),
        Row(
            what=f"full backup {of}, beside a dump",
            value=stored / mib,
            unit="MiB",
            baseline=dumped / mib,
            baseline_name="`pg_dump`, plain, which has no index",
            limit="ratio 0.6",
        ),
        Row(
            what=f"incremental backup after {changed:,} changes",
            value=incremental["info"]["repository"]["delta"] / mib,
            unit="MiB",
            baseline=stored / mib,
            baseline_name="the full one",
            note=f"{incremental_seconds:.1f} s",
        ),
        Row(
            what=f"restore {of}, until a query is answered",
            value=back,
            unit="s",
            limit="120 s",
            note=f"into an empty folder, from the incremental backup and the log; the files are there after "
            f"{brought:.1f} s, the old ones were removed in {removed:.1f} s before",
        ),
        Row(
            what="tables that differ after the restore",
            value=sum(before[name] != after[name] for name in before),
            unit="tables",
            limit="0",
            note=f"rows and sums of {', '.join(before)}; pg_amcheck finds talents and their indexes whole",
        ),
    ]


_ONE_TABLE = ("--username=postgres", "--install-missing", "--table=talent_sync.talents", "--database")


def _dumped(server: ImagePostgres, urls: DatabaseUrls) -> int:
    """Bytes of a plain dump, which nobody keeps."""
    size = 0
    with subprocess.Popen(
        server.command(
            f"{PROGRAMS}/pg_dump",
            "--host=127.0.0.1",
            f"--port={server.port}",
            "--username=postgres",
            urls.name,
        ),
        env=server.environment(),
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(2**20):
            size += len(piece)
    assert process.returncode == 0
    return size


def _sums(urls: DatabaseUrls) -> dict[str, Any]:
    with psycopg.connect(urls.admin) as connection:
        return {table: connection.execute(query.encode()).fetchone() for table, query in SUMS.items()}


def _clean_up(urls: DatabaseUrls, plain: int, today: date) -> list[Row]:
    """What is given back where history is kept half a year."""
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        before = bytes_of_rows(connection, "talent_sync", "record_history") + bytes_of_indexes(
            connection, "talent_sync", "record_history"
        )
        entries = _one(connection, "SELECT count(*) FROM talent_sync.record_history")
        engine = create_engine(urls.owner)
        begun = time.monotonic()
        with engine.begin() as owner:
            done = keep(owner, months=KEPT_MONTHS, today=today)
        seconds = time.monotonic() - begun
        engine.dispose()
        after = bytes_of_rows(connection, "talent_sync", "record_history") + bytes_of_indexes(
            connection, "talent_sync", "record_history"
        )
        gone = entries - _one(connection, "SELECT count(*) FROM talent_sync.record_history")
    mib = 2**20
    return [
        Row(
            what=f"history after all but {KEPT_MONTHS} months went",
            value=after / mib,
            unit="MiB",
            baseline=before / mib,
            baseline_name="before",
            note=f"{gone:,} of {entries:,} entries went with {len(done.drop) if done else 0} partitions in "
            f"{seconds:.2f} s, and their room is the disk's again; in the plain table, after DELETE and VACUUM, "
            f"{plain / mib:.4g} MiB stay",
        )
    ]


def _size(connection: psycopg.Connection[Any], relation: str) -> int:
    return _one(connection, f"SELECT pg_relation_size('{relation}')")


def _one(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def _timed(act: Callable[[], object]) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun
