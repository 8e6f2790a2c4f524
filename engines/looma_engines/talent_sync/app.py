"""Builds the application of the engine talent-sync."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from litestar import Router
from litestar.di import Provide

from looma_core.crypto import FileCipher
from looma_core.db import Database, wait_for_schema
from looma_core.db.migrate import head_of
from looma_core.http import Idempotency, create_app
from looma_core.metrics import Metrics
from looma_core.settings import SettingsError, load_config, variable
from looma_engines.talent_sync.care.watching import Watch
from looma_engines.talent_sync.companies import COMPANIES
from looma_engines.talent_sync.config import TalentConfig
from looma_engines.talent_sync.duplicates.keys import secret_of
from looma_engines.talent_sync.duplicates.scanning import Scanner
from looma_engines.talent_sync.exchange.exporting import Exporter, Slots
from looma_engines.talent_sync.exchange.importing import Importer
from looma_engines.talent_sync.exchange.metrics import exchange_metrics
from looma_engines.talent_sync.exchange.routes import (
    CompanyExchange,
    JobExchange,
    RelationExchange,
    TalentExchange,
)
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.models import BRANCH, SCHEMA
from looma_engines.talent_sync.privacy.ring import RingError, read
from looma_engines.talent_sync.privacy.sealing import Sealer
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.records.batch import Batches
from looma_engines.talent_sync.records.restoring import Restorer
from looma_engines.talent_sync.records.service import RecordService, record_metrics
from looma_engines.talent_sync.relations import RELATIONS
from looma_engines.talent_sync.rights.ledger import LedgerKey
from looma_engines.talent_sync.rooms import Rooms
from looma_engines.talent_sync.routes import (
    CompanyController,
    JobController,
    RelationController,
    TalentController,
)
from looma_engines.talent_sync.skills.entity import SKILLS
from looma_engines.talent_sync.skills.routes import SkillController
from looma_engines.talent_sync.talents import TALENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar import Controller, Litestar

    from looma_core.auth import TokenVerifier
    from looma_core.settings import EngineSettings
    from looma_engines.talent_sync.records.entity import Entity


def create(settings: EngineSettings, *, verifier: TokenVerifier | None = None) -> Litestar:
    """Return the application.

    Args:
        settings: from the environment.
        verifier: checks tokens; made from the settings if not given.

    Raises:
        SettingsError: `LOOMA_FILE_KEYS`, `LOOMA_LEDGER_KEY`, the key ring or `spec.config` is wrong.
    """
    config = load_config(settings.config, TalentConfig)
    try:
        cipher = FileCipher(settings.file_keys)
        ledger = LedgerKey(settings.ledger_key) if settings.ledger_key else None
    except ValueError as error:
        raise SettingsError(str(error)) from error
    metrics = Metrics(service=settings.service, revision=settings.revision)
    sealer = _sealer(settings, metrics)
    database = Database(
        settings.database_url,
        pool_size=settings.database_pool,
        pool_seconds=settings.database_pool_seconds,
        statement_seconds=settings.database_statement_seconds,
        metrics=metrics,
        application_name=f"{settings.service}-{settings.revision}",
        info=sealing_with(sealer),
    )
    counted = record_metrics(metrics)
    # A trial of an import stores nothing, so what it does is counted where nobody looks.
    nowhere = record_metrics(Metrics(service=settings.service, revision=settings.revision))
    exchanged = exchange_metrics(metrics)
    slots = Slots()

    def routed(
        controller: type[Controller], exchange: type[Controller] | None, entity: Entity[Any, Any]
    ) -> Router:
        records = RecordService(database, entity, counted, max_page_size=config.max_page_size)
        trial = RecordService(database, entity, nowhere, max_page_size=config.max_page_size)
        batches = Batches(database, records, most=config.max_batch_items)
        importer = Importer(
            database, records, uncounted=trial, rows=exchanged.imported, most=config.max_import_rows
        )
        restorer = Restorer(database, entity, changed=counted.changed)
        exporter = Exporter(records, slots=slots, rows=exchanged.exported)
        return Router(
            path="/",
            route_handlers=[controller, *([exchange] if exchange else [])],
            dependencies={
                "records": Provide(lambda: records, sync_to_thread=False),
                "batches": Provide(lambda: batches, sync_to_thread=False),
                "importer": Provide(lambda: importer, sync_to_thread=False),
                "restorer": Provide(lambda: restorer, sync_to_thread=False),
                "exporter": Provide(lambda: exporter, sync_to_thread=False),
            },
        )

    idempotency = Idempotency(
        database,
        schema=SCHEMA,
        cipher=cipher,
        hours=settings.idempotency_hours,
        metrics=metrics,
        service=settings.service,
    )

    of = Rooms(database, metrics, config)
    watch = Watch(database, metrics)

    @asynccontextmanager
    async def with_database(_: Litestar) -> AsyncIterator[None]:
        try:
            await wait_for_schema(
                database, branch=BRANCH, needed=head_of(BRANCH), seconds=settings.schema_wait_seconds
            )
            async with watch.running():
                yield
        finally:
            await database.close()

    return create_app(
        name="talent-sync",
        description="The people, jobs, companies and relations of the CRM, and what sync runs did and left.",
        settings=settings,
        route_handlers=[
            routed(TalentController, TalentExchange, TALENTS),
            routed(CompanyController, CompanyExchange, COMPANIES),
            routed(JobController, JobExchange, JOBS),
            routed(RelationController, RelationExchange, RELATIONS),
            of.sync_runs(),
            of.duplicates(cipher, Scanner(secret_of(settings.file_keys))),
            of.rights(cipher, ledger),
            of.files(),
            of.applications(),
            of.skills(routed(SkillController, None, SKILLS)),
            of.the_database(),
        ],
        metrics=metrics,
        verifier=verifier,
        readiness={"database": database.ping},
        lifespan=[with_database],
        idempotency=idempotency,
    )


def _sealer(settings: EngineSettings, metrics: Metrics) -> Sealer:
    """What seals and opens, counted by key.

    Raises:
        SettingsError: there is no key ring that can be used.
    """
    counter = metrics.counter(
        "looma_sealed_values_total",
        "Values of people that were sealed or opened, by the id of the key; an empty one: stored before it was sealed.",
        ["action", "key"],
    )
    try:
        ring = read(settings.key_ring_file, setting=variable("key_ring_file"))
    except RingError as error:
        raise SettingsError(str(error)) from error
    return Sealer(ring, noted=lambda action, key: counter.labels(action, key).inc())
