"""`looma-engine records-duplicates`: looks for people who are there twice, in every tenant, then ends.

It works as the application's role, in one tenant at a time. Only the names of the tenants are asked as the owner: no
other role may see more than one.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

from msgspec import Meta
from sqlalchemy import create_engine, text

from looma_core import logging
from looma_core.db import Database
from looma_core.problems import NotReady
from looma_core.settings import (
    CoreSettings,
    EngineSettings,
    MigrateSettings,
    SettingsError,
    load,
    meta_of,
    variable,
)
from looma_engines.talent_sync.duplicates.catching_up import catch_up
from looma_engines.talent_sync.duplicates.keys import secret_of
from looma_engines.talent_sync.duplicates.scanning import Scanner
from looma_engines.talent_sync.privacy.ring import RingError, read
from looma_engines.talent_sync.privacy.sealing import Sealer
from looma_engines.talent_sync.privacy.sessions import sealing_with

LOCK_TIMEOUT_MS = 20_000
# Rolled back: what is loosened here is never seen by anybody else.
_LOOSEN = text("ALTER TABLE talent_sync.duplicate_scans NO FORCE ROW LEVEL SECURITY")
_TENANTS = text("SELECT tenant FROM talent_sync.duplicate_scans ORDER BY tenant")
log = logging.get(__name__)


class DuplicatesSettings(CoreSettings, frozen=True, kw_only=True):
    """What `looma-engine records-duplicates` reads beside `CoreSettings`."""

    database_url: Annotated[str, meta_of(EngineSettings, "database_url")]
    owner_database_url: Annotated[str, meta_of(MigrateSettings, "owner_database_url")]
    file_keys: Annotated[str, meta_of(EngineSettings, "file_keys"), Meta(min_length=1)]
    key_ring_file: Annotated[str, Meta(description=meta_of(EngineSettings, "key_ring_file").description)] = ""


def tenants(owner_url: str) -> list[str]:
    """The names of all tenants that have, or had, a person."""
    engine = create_engine(owner_url, hide_parameters=True, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
            connection.execute(_LOOSEN)
            found = list(connection.scalars(_TENANTS))
            connection.rollback()
            return found
    finally:
        engine.dispose()


async def look_everywhere(settings: DuplicatesSettings, sealer: Sealer) -> None:
    """Look for duplicates in every tenant, one after the other."""
    database = Database(
        settings.database_url, pool_size=1, application_name="looma-duplicates", info=sealing_with(sealer)
    )
    scanner = Scanner(secret_of(settings.file_keys))
    try:
        for tenant in await asyncio.to_thread(tenants, settings.owner_database_url):
            await catch_up(database, scanner, tenant)
    finally:
        await database.close()


def main(name: str) -> None:
    """Entry point; ends the process with 1 where the database does not answer, with 2 on wrong settings."""
    try:
        settings = load(DuplicatesSettings)
        sealer = Sealer(read(settings.key_ring_file, setting=variable("key_ring_file")))
    except (SettingsError, RingError) as error:
        print(f"looma-engine {name} cannot start:\n{error}", file=sys.stderr)
        sys.exit(2)
    logging.configure(service=name, level=settings.log_level)
    try:
        asyncio.run(look_everywhere(settings, sealer))
    except NotReady as error:
        log.error("not looked for duplicates", error=str(error))  # noqa: TRY400 - the message is all there is to know
        sys.exit(1)
