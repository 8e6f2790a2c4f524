"""Builds the application of the engine talent-sync."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from litestar.di import Provide

from looma_core.crypto import FileCipher
from looma_core.db import Database, wait_for_schema
from looma_core.db.migrate import head_of
from looma_core.http import Idempotency, create_app
from looma_core.metrics import Metrics
from looma_core.settings import SettingsError, load_config
from looma_engines.talent_sync.config import TalentConfig
from looma_engines.talent_sync.models import BRANCH, SCHEMA
from looma_engines.talent_sync.routes import TalentController
from looma_engines.talent_sync.service import TalentService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar import Litestar

    from looma_core.auth import TokenVerifier
    from looma_core.settings import EngineSettings


def create(settings: EngineSettings, *, verifier: TokenVerifier | None = None) -> Litestar:
    """Return the application.

    Args:
        settings: from the environment.
        verifier: checks tokens; made from the settings if not given.

    Raises:
        SettingsError: `LOOMA_FILE_KEYS` or `spec.config` is wrong.
    """
    config = load_config(settings.config, TalentConfig)
    try:
        cipher = FileCipher(settings.file_keys)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    metrics = Metrics(service=settings.service, revision=settings.revision)
    database = Database(
        settings.database_url,
        pool_size=settings.database_pool,
        application_name=f"{settings.service}-{settings.revision}",
    )
    talents = TalentService(database, metrics, max_page_size=config.max_page_size)

    idempotency = Idempotency(
        database,
        schema=SCHEMA,
        cipher=cipher,
        hours=settings.idempotency_hours,
        metrics=metrics,
        service=settings.service,
    )

    @asynccontextmanager
    async def with_database(_: Litestar) -> AsyncIterator[None]:
        try:
            await wait_for_schema(
                database, branch=BRANCH, needed=head_of(BRANCH), seconds=settings.schema_wait_seconds
            )
            yield
        finally:
            await database.close()

    return create_app(
        name="talent-sync",
        description="The people of the CRM: create, read, search, change, delete.",
        settings=settings,
        route_handlers=[TalentController],
        metrics=metrics,
        verifier=verifier,
        readiness={"database": database.ping},
        lifespan=[with_database],
        dependencies={"talents": Provide(lambda: talents, sync_to_thread=False)},
        idempotency=idempotency,
    )
