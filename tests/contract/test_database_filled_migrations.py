"""All migrations of talent-sync, down to nothing and up again, with a record of each kind in the tables."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine

from looma_core.db.migrate import branches, migrate
from looma_engines.talent_sync.privacy.resealing import connect, reseal
from support.key_ring import SEALER
from support.operations import a_record_of_each_kind, all_engines

if TYPE_CHECKING:
    from support.database import DatabaseUrls

SEALED_SINCE = "talent_sync_0007"
KEPT = ("talents", "companies", "jobs", "relations")
"""Older than the seals: their rows outlive all that came later."""


def down(urls: DatabaseUrls, revision: str) -> None:
    """Go down to a revision, in one transaction."""
    (branch,) = [branch for branch in branches() if branch.name == "talent_sync"]
    engine = create_engine(urls.owner)
    try:
        with engine.begin() as connection:
            command.downgrade(branch.config(connection), revision)
    finally:
        engine.dispose()


def tables(urls: DatabaseUrls) -> dict[str, int]:
    """How many rows each table has, partitions left out; read past the policies."""
    with psycopg.connect(urls.admin) as connection:
        names = connection.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'talent_sync'::regnamespace"
            " AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        ).fetchall()
        return {
            name: connection.execute(f"SELECT count(*) FROM talent_sync.{name}").fetchall()[0][0]  # type: ignore[arg-type]  # noqa: S608 - its own names
            for (name,) in names
        }


def found_by(urls: DatabaseUrls) -> dict[str, int]:
    """How many records of each kind the search has; the taxonomy's skills left out, which go with their tables."""
    with psycopg.connect(urls.admin) as connection:
        return {
            name: connection.execute(
                f"SELECT count(*) FROM talent_sync.record_grams g JOIN talent_sync.{name} r ON r.id = g.record_id"  # type: ignore[arg-type]  # noqa: S608 - our own names
            ).fetchall()[0][0]
            for name in KEPT
        }


def columns(urls: DatabaseUrls) -> list[tuple[Any, ...]]:
    """What the tables look like."""
    with psycopg.connect(urls.admin) as connection:
        return connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'talent_sync' ORDER BY 1, 2"
        ).fetchall()


def erasing(urls: DatabaseUrls) -> str:
    """The function that erases, as it is by now: revisions change it step by step."""
    with psycopg.connect(urls.admin) as connection:
        ((definition,),) = connection.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'erase_record'"
        ).fetchall()
    return str(definition)


def test_a_filled_database_goes_down_and_up_again(empty_database: DatabaseUrls) -> None:
    migrate(empty_database.owner)
    with all_engines(empty_database) as engines:
        a_record_of_each_kind(engines, "demo", name=f"Quillon{secrets.token_hex(6)}")
    filled, shape, steps = tables(empty_database), columns(empty_database), erasing(empty_database)
    grams = found_by(empty_database)
    assert all(grams.values()), grams
    # What nobody has asked for: a taxonomy from a file, a key with a request, and the lifting of an erasure.
    empty = {name for name, count in filled.items() if not count}
    assert empty <= {
        *("skill_imports", "skill_links", "idempotency_keys"),
        *("duplicate_scans", "sync_fences", "erasure_lifts"),
    }, empty

    with pytest.raises(RuntimeError, match="run `looma-engine records-reseal --open`, then go down"):
        down(empty_database, "base")
    assert tables(empty_database) == filled, "what is refused takes nothing away"

    down(empty_database, SEALED_SINCE)
    older = tables(empty_database)
    assert "applications" not in older
    assert "erasures" not in older
    assert {name: older[name] for name in KEPT} == {name: filled[name] for name in KEPT}
    migrate(empty_database.owner)
    assert columns(empty_database) == shape
    assert erasing(empty_database) == steps
    again = tables(empty_database)
    assert {name: again[name] for name in KEPT} == {name: filled[name] for name in KEPT}
    assert found_by(empty_database) == grams, "what is made of the records is made again"

    with connect(empty_database.owner) as connection:
        reseal(connection, SEALER, sealing=False)
    down(empty_database, "base")
    migrate(empty_database.owner)
    assert columns(empty_database) == shape
    assert tables(empty_database)["talents"] == 0
