"""A database of before there were seals, filled; and what it holds after this and that was done to it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from litestar.testing import TestClient
from sqlalchemy import create_engine

from looma_core.crypto import new_key
from looma_core.db.migrate import Branch, branches
from looma_core.db.schema import number_of
from looma_core.settings import EngineSettings
from looma_engines.talent_sync.app import create
from looma_engines.talent_sync.privacy.resealing import connect, counted, reseal
from looma_engines.talent_sync.privacy.ring import Ring, new_ring, parse
from looma_engines.talent_sync.privacy.sealing import Sealer
from support.database import DatabaseUrls
from support.tokens import verifier

Json = dict[str, Any]
TENANTS = ("one", "two")
OLD, NEW = parse(new_ring()), parse(new_ring())
BOTH = Ring(seal=(*NEW.seal, *OLD.seal), hash=(*NEW.hash, *OLD.hash))
"""The ring while keys change: the new ones are active."""
FILE_KEYS = new_key()


@contextmanager
def engine(urls: DatabaseUrls, folder: Path, ring: Ring) -> Iterator[TestClient[Any]]:
    """The engine with a ring of its own."""
    file = folder / f"{uuid.uuid4().hex}.json"
    file.write_text(
        json.dumps(
            {kind: [{"id": k.id, "key": k.key} for k in getattr(ring, kind)] for kind in ("seal", "hash")}
        )
    )
    settings = EngineSettings(
        database_url=urls.app, schema_wait_seconds=5, file_keys=FILE_KEYS, key_ring_file=str(file)
    )
    with TestClient(create(settings, verifier=verifier()), raise_server_exceptions=False) as client:
        yield client


def dump(urls: DatabaseUrls, table: str) -> list[Json]:
    with psycopg.connect(urls.admin) as connection:
        rows = connection.execute(f"SELECT to_jsonb(t) FROM talent_sync.{table} t ORDER BY 1")  # noqa: S608
        return [row[0] for row in rows]


TABLES = ("talents", "sync_states", "sync_conflicts", "quarantine", "record_history")
FILES = ("resume_files", "resume_file_parts")
"""Came later than all that an older release could leave in the clear."""


def dumps(urls: DatabaseUrls) -> dict[str, list[Json]]:
    return {table: dump(urls, table) for table in TABLES}


def older(folder: Path) -> Branch:
    """The branch as it was before anything could be sealed."""
    (known,) = [branch for branch in branches() if branch.name == "talent_sync"]
    for file in known.folder.glob("talent_sync_*.py"):
        if number_of(file.stem, "talent_sync") <= 6:
            (folder / file.name).write_text(file.read_text())
    return Branch(name="talent_sync", folder=folder)


def fill(urls: DatabaseUrls, *, people: int = 7) -> dict[str, list[str]]:
    """Rows in the clear, of two tenants, as the release before left them; ids of the people by tenant."""
    made: dict[str, list[str]] = {}
    with psycopg.connect(urls.app_libpq) as connection:
        for tenant in TENANTS:
            connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
            made[tenant] = [str(uuid.uuid4()) for _ in range(people)]
            for number, record in enumerate(made[tenant]):
                told = {
                    "id": record,
                    "n": number,
                    "phone": None if number % 3 == 0 else f"+44 113 496 {number:04}",
                }
                connection.execute(
                    """INSERT INTO talent_sync.talents (id, full_name, email, phone, language, source_type)
                    VALUES (%(id)s, 'Ada ' || %(n)s, 'old.' || %(n)s || '@mail.example', %(phone)s, 'en', 'sync')""",
                    told,
                )
                connection.execute(
                    """UPDATE talent_sync.talents SET email = 'ada.' || %(n)s || '@mail.example', version = 2
                    WHERE id = %(id)s""",
                    told,
                )
                connection.execute(
                    """INSERT INTO talent_sync.sync_states (entity, origin, key, record_id, base, written_version,
                        written_digest, seen_generation, seen_position, shard_hash)
                    VALUES ('talent', 'people', %(n)s::text, %(id)s,
                        jsonb_build_object('full_name', 'Ada', 'email', 'base.' || %(n)s || '@mail.example',
                            'phone', NULL), 1, '', 1, 1, 1)""",
                    told,
                )
            connection.execute(
                """INSERT INTO talent_sync.sync_conflicts (id, job, epoch, generation, origin, entity, key, record_id,
                    field, base, source, target, resolution, reason)
                VALUES (gen_random_uuid(), 'looma/people', 1, 1, 'people', 'talent', '1', %s, 'email', 'null',
                    '"theirs@mail.example"', '"ours@mail.example"', 'open', 'x')""",
                [made[tenant][1]],
            )
            connection.execute(
                """INSERT INTO talent_sync.quarantine (id, job, epoch, generation, origin, entity, key, position,
                    shard_hash, raw, raw_digest, whole, errors)
                VALUES (gen_random_uuid(), 'looma/people', 1, 1, 'people', 'talent', 'x', 1, 1,
                    '{"email": "wrong@mail.example"}', '', true, '[]')"""
            )
            # A company's website is nobody's address.
            connection.execute(
                "INSERT INTO talent_sync.companies (id, name, language, source_type)"
                " VALUES (gen_random_uuid(), 'mail.example', 'en', 'manual')"
            )
    return made


def run(urls: DatabaseUrls, ring: Ring, **how: Any) -> dict[str, int]:
    with connect(urls.owner) as connection:
        return reseal(connection, Sealer(ring), **how)


def counts(urls: DatabaseUrls) -> dict[str, dict[str, int]]:
    with connect(urls.owner) as connection:
        return counted(connection)


def down(urls: DatabaseUrls, revision: str) -> None:
    (branch,) = [branch for branch in branches() if branch.name == "talent_sync"]
    made = create_engine(urls.owner)
    try:
        with made.begin() as connection:
            command.downgrade(branch.config(connection), revision)
    finally:
        made.dispose()
