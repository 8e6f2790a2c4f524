"""Imports a taxonomy: what is stored is read, each row is decided, and all of it is written in one transaction."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, func, insert, select, text, update

from looma_core import logging
from looma_core.api.skill import SkillDraft, SkillImport
from looma_core.db import new_id
from looma_engines.talent_sync.rights.audit import note
from looma_engines.talent_sync.skills.files import Given, read_skills
from looma_engines.talent_sync.skills.models import SkillImportRow, SkillRow
from looma_engines.talent_sync.skills.planning import FIELDS, Planned, Stored, plan
from looma_engines.talent_sync.skills.ties import lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client import Counter
    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database
    from looma_core.metrics import Metrics

AT_ONCE: Final = 500
OUTCOMES: Final = ("created", "updated", "unchanged", "kept", "refused")
_ORIGIN = text("SELECT set_config('looma.origin', 'import', true)")
_NOTE_VERSIONS = text("""
    INSERT INTO talent_sync.skill_imports (skill_id, version)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS int[]))
    ON CONFLICT (tenant, skill_id) DO UPDATE SET version = excluded.version
""")
log = logging.get(__name__)


class _TrialOverError(Exception):
    """Takes back what a trial did."""


def skill_metrics(metrics: Metrics) -> Counter:
    """Counts rows of taxonomies; made once."""
    return metrics.counter(
        "looma_skills_imported_total",
        "Rows of taxonomies that were imported, by what became of them; trials are not counted.",
        ["outcome"],
    )


def starter_rows() -> list[Given]:
    """Looma's own taxonomy, as it comes with the engine."""
    content = files("looma_engines.talent_sync.skills").joinpath("data", "starter.csv").read_bytes()
    return list(read_skills([content], "csv"))


class SkillImporter:
    """Brings taxonomies in.

    Args:
        database: connection pool.
        counted: counts rows by what became of them; None where nobody looks.
    """

    def __init__(self, database: Database, counted: Counter | None = None) -> None:
        self._database = database
        self._counted = counted

    async def starter(self, principal: Principal) -> SkillImport:
        """Bring in Looma's own taxonomy of common skills."""
        return summary(await self.run(principal, starter_rows()))

    async def run(
        self, tenant: Principal | str, given: Iterable[Given], *, dry_run: bool = False
    ) -> list[Planned]:
        """Import rows, or only tell what would become of them; in their order.

        Raises:
            NotReady: the database does not answer; nothing was done.
        """
        done: list[Planned] = []
        with suppress(_TrialOverError):
            async with self._database.tenant_session(tenant) as session:
                await session.execute(_ORIGIN)
                await lock(session)
                today = datetime.now(UTC).date()
                done = plan(given, await _stored(session), new_id=new_id, today=today)
                await _write(session, done)
                if dry_run:
                    raise _TrialOverError
                await note(session, "import-records", "skill", detail=msgspec.structs.asdict(summary(done)))
        if dry_run:
            return done
        if self._counted is not None:
            for one in done:
                self._counted.labels(one.outcome).inc()
        log.info("skills imported", **msgspec.structs.asdict(summary(done)))
        return done


def summary(done: Sequence[Planned]) -> SkillImport:
    """How many rows ended in each way."""
    return SkillImport(**{name: sum(one.outcome == name for one in done) for name in OUTCOMES})


async def _stored(session: AsyncSession) -> list[Stored]:
    imported = SkillImportRow
    found = await session.execute(
        select(SkillRow, imported.version).outerjoin(imported, imported.skill_id == SkillRow.id)
    )
    return [
        Stored(
            id=row.id,
            version=row.version,
            draft=msgspec.convert({name: getattr(row, name) for name in FIELDS}, SkillDraft),
            deleted=row.deleted_at is not None,
            by_people=row.version != version,
        )
        for row, version in found.tuples()
    ]


async def _write(session: AsyncSession, done: Sequence[Planned]) -> None:
    columns = {one.id: _columns(one.draft) for one in done if one.draft is not None}
    created = [one for one in done if one.outcome == "created"]
    for some in _in_parts(created):
        rows = [{"id": one.id, "source_type": "manual", **columns[one.id]} for one in some]
        await session.execute(insert(SkillRow).values(rows))
    updated = [one for one in done if one.outcome == "updated"]
    if updated:
        # As a table: the session would take these for objects of its own that it is to keep in step.
        table = cast("Table", SkillRow.__table__)
        changes: dict[str, Any] = {name: bindparam(f"new_{name}") for name in (*FIELDS, "version")}
        connection = await session.connection()
        await connection.execute(
            update(table).where(table.c.id == bindparam("its_id")).values(**changes, updated_at=func.now()),
            [
                {"its_id": one.id, "new_version": one.version}
                | {f"new_{name}": value for name, value in columns[one.id].items()}
                for one in updated
                if one.id is not None
            ],
        )
    written = [*created, *updated]
    noted = {"ids": [one.id for one in written], "versions": [one.version for one in written]}
    await session.execute(_NOTE_VERSIONS, noted)


def _columns(draft: SkillDraft) -> dict[str, Any]:
    # Lists are JSON; an id of a column is one.
    return {name: msgspec.to_builtins(getattr(draft, name), builtin_types=(UUID,)) for name in FIELDS}


def _in_parts(rows: Iterable[Planned]) -> Iterator[list[Planned]]:
    rest = iter(rows)
    while part := list(islice(rest, AT_ONCE)):
        yield part
