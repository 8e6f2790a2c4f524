"""An incremental sync from a table of PostgreSQL: one in a hundred changed, and three in four of these here as well.

What came of it is compared with what was changed, by SQL of its own; the worker is a process, as in its pod.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from bench.report import Row
from bench.sync_worker import TENANT, worked
from looma_core.api.syncjob import ShardReport, Variable
from looma_core.db.migrate import migrate
from support.database import DatabaseUrls, database_server, make_database

PEOPLE = 10_000
CHANGED = PEOPLE // 100
TABLE = """
    CREATE TABLE people (id text PRIMARY KEY, full_name text, headline text, location text, skills text[],
        updated_at timestamptz NOT NULL)
"""
FILL = """
    INSERT INTO people SELECT 'p-' || n, 'Ada Number ' || n, 'Engineer', 'Leeds', ARRAY['Python', 'SQL'],
        timestamptz '2026-05-01T12:00:00Z' - n * interval '1 minute' FROM generate_series(1, %s) AS n
"""
NUMBER = "substr(source_ref, strpos(source_ref, ':p-') + 3)::int"
"""Which of the people a record is."""


def run() -> list[Row]:
    """Seconds of the incremental sync, what of the changes it brought, and how many conflicts it settled."""
    with database_server() as admin, tempfile.TemporaryDirectory() as folder:
        urls, source = make_database(admin), make_database(admin)
        migrate(urls.owner)
        with psycopg.connect(source.owner_libpq) as connection:
            connection.execute(TABLE)
            connection.execute(FILL, [PEOPLE])
        first, _ = _sync(urls, source, Path(folder), epoch=1)
        _change(urls, source)
        took, report = _sync(urls, source, Path(folder), epoch=2)
        right, conflicts, settled = _outcome(urls)
    share = f"{CHANGED} of {PEOPLE:,} people changed there, three in four of them here too"
    return [
        Row(
            what=f"incremental sync of {PEOPLE:,} people of whom 1 % changed",
            value=took,
            unit="s",
            baseline=first,
            baseline_name="the first sync, of all",
            note=f"one worker, with its start; {report.read} read, {report.updated} updated; {share}",
        ),
        Row(
            what="changes that the incremental sync brought as they should be",
            value=100 * right / CHANGED,
            unit="%",
            limit="99 %",
            note="by SQL that shares no code with the worker; what was changed here is still there",
        ),
        Row(
            what="conflicts settled without a person",
            value=100 * settled / conflicts if conflicts else 0.0,
            unit="%",
            limit="95 %",
            note=f"{conflicts} fields that both sides changed, policy fieldMerge: lists merged, else the later change",
        ),
    ]


def _change(urls: DatabaseUrls, source: DatabaseUrls) -> None:
    """Of those that changed, by turns: the headline there alone, another field here, the same list, the same text."""
    with psycopg.connect(source.owner_libpq) as connection:
        connection.execute(
            "UPDATE people SET headline = 'Lead there', updated_at = now(),"
            " skills = CASE WHEN substr(id, 3)::int %% 4 = 2 THEN skills || 'Go'::text ELSE skills END"
            " WHERE substr(id, 3)::int <= %s",
            [CHANGED],
        )
    # At turn 0 nobody changes anything here.
    here = {1: "location = 'Here'", 2: "skills = skills || '\"Rust\"'::jsonb", 3: "headline = 'Lead here'"}
    with _tenant(urls) as connection:
        for turn, change in here.items():
            connection.execute(
                f"UPDATE talent_sync.talents SET {change}, version = version + 1, updated_at = now()"  # type: ignore[arg-type]  # noqa: S608 - our own texts
                f" WHERE {NUMBER} <= %s AND {NUMBER} %% 4 = %s",
                [CHANGED, turn],
            )


def _outcome(urls: DatabaseUrls) -> tuple[int, int, int]:
    """How many changed records are as they should be, how many conflicts there were, and how many are settled."""
    with _tenant(urls) as connection:
        rows = connection.execute(
            f"SELECT {NUMBER} AS number, headline, location, skills FROM talent_sync.talents"  # type: ignore[arg-type]  # noqa: S608 - our own texts
            f" WHERE deleted_at IS NULL AND {NUMBER} <= %s",
            [CHANGED],
        ).fetchall()
        found = connection.execute(
            "SELECT count(*) AS conflicts, count(*) FILTER (WHERE resolution <> 'open') AS settled"
            " FROM talent_sync.sync_conflicts"
        ).fetchall()[0]
    return sum(_is_right(row) for row in rows), found["conflicts"], found["settled"]


def _is_right(row: dict[str, Any]) -> bool:
    turn = row["number"] % 4
    # Here the change was the later one.
    wanted = "Lead here" if turn == 3 else "Lead there"
    location = "Here" if turn == 1 else "Leeds"
    skills = {"Python", "SQL", *(("Go", "Rust") if turn == 2 else ())}
    return (row["headline"], row["location"], set(row["skills"])) == (wanted, location, skills)


@contextmanager
def _tenant(urls: DatabaseUrls) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(urls.app_libpq, row_factory=dict_row) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", (TENANT,))
        yield connection


def _sync(urls: DatabaseUrls, source: DatabaseUrls, folder: Path, *, epoch: int) -> tuple[float, ShardReport]:
    """Seconds, and what the worker reported last."""
    given = psycopg.conninfo.conninfo_to_dict(source.owner_libpq)
    (folder / "username").write_text(str(given["user"]))
    (folder / "password").write_text(str(given["password"]))
    asked = {
        "type": "postgresql",
        "url": f"postgresql:///{given['dbname']}?host={given['host']}",
        "table": "people",
        "key": "id",
        "updatedAt": "updated_at",
        "incremental": {"overlap": "5m"},
    }
    took, (printed,) = worked(
        urls,
        epoch=epoch,
        source=asked,
        target={"entity": "talent", "conflictPolicy": {"default": "fieldMerge"}},
        place={Variable.CREDENTIALS: str(folder)},
    )
    # The last line is the worker's memory.
    return took, msgspec.json.decode(printed[-2], type=ShardReport, strict=False)
