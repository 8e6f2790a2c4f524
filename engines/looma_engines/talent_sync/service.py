"""What can be done with talents: create, read, list, change, delete. One transaction each.

Changes name the version that they start from (`If-Match`), so that of two people who edit at once the second is
told instead of overwriting the first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from looma_core.api.page import Page
from looma_core.api.talent import Talent, TalentDraft
from looma_core.problems import Conflict, NotFound, PreconditionFailed
from looma_engines.talent_sync import cursor as cursors
from looma_engines.talent_sync import rules
from looma_engines.talent_sync.etag import allows
from looma_engines.talent_sync.quality.assessing import assess
from looma_engines.talent_sync.repository import TalentRepository

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from looma_core.api.quality import Assessment
    from looma_core.auth import Principal
    from looma_core.db import Database
    from looma_core.metrics import Metrics
    from looma_engines.talent_sync.cursor import Sort

_ATTEMPTS = 3
"""A talent of the same source can be deleted between the refused insert and the read; then try again."""


SCORES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)


class TalentService:
    """Works on the talents of the caller's tenant.

    Args:
        database: connection pool.
        metrics: where creations and changes are counted.
        max_page_size: most talents in one answer, whatever is asked for.
    """

    def __init__(self, database: Database, metrics: Metrics, *, max_page_size: int) -> None:
        self._database = database
        self._max_page_size = max_page_size
        self._created = metrics.counter(
            "looma_talents_created_total",
            "Answers to POST /talents, by source and by whether the talent was new.",
            ["source", "outcome"],
        )
        self._changed = metrics.counter(
            "looma_talents_changed_total", "Changes of talents, by action.", ["action"]
        )
        self._scores = metrics.histogram(
            "looma_talent_quality_score",
            "Quality of talents as they were stored, 0 to 100.",
            buckets=SCORES,
        )
        self._findings = metrics.counter(
            "looma_talent_findings_total",
            "Rules that found something in a talent that was stored, by rule.",
            ["rule"],
        )

    async def create(self, principal: Principal, draft: TalentDraft) -> tuple[Talent, bool]:
        """Store a draft; a source that is there already answers its talent.

        Returns:
            The talent, and whether it is new.

        Raises:
            ValidationProblem: fields are wrong.
        """
        neat = rules.accepted(draft, today=_today())
        for _ in range(_ATTEMPTS):
            async with self._database.tenant_session(principal) as session:
                repository = TalentRepository(session)
                talent = await repository.add(neat)
                if talent is not None:
                    self._created.labels(neat.source.type, "created").inc()
                    self._note_quality(neat)
                    return talent, True
                existing = await repository.find_by_source(neat.source)
                if existing is not None:
                    self._created.labels(neat.source.type, "existing").inc()
                    return existing, False
        raise Conflict("A talent from this source is being changed at this moment; try again.")

    async def get(self, principal: Principal, talent_id: UUID) -> Talent:
        """Return a talent.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        async with self._database.tenant_session(principal) as session:
            return await _found(TalentRepository(session), talent_id)

    async def page(
        self,
        principal: Principal,
        *,
        sort: Sort,
        limit: int,
        cursor: str | None,
        q: str | None,
        source: str | None,
    ) -> Page[Talent]:
        """Return one page of talents.

        Raises:
            ValidationProblem: the cursor is wrong.
        """
        after = cursors.decode(cursor, sort=sort) if cursor else None
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            # One more than asked tells whether there is a next page.
            found = await TalentRepository(session).page(
                sort=sort, limit=limit + 1, after=after, q=q, source=source
            )
        items = found[:limit]
        if len(found) <= limit:
            return Page(items=items)
        last = items[-1]
        key = getattr(last, sort.removeprefix("-"))
        return Page(items=items, next_cursor=cursors.encode(sort=sort, key=key, row_id=last.id))

    async def change(self, principal: Principal, talent_id: UUID, *, if_match: str, patch: object) -> Talent:
        """Apply a merge patch to the version that the caller saw.

        Raises:
            NotFound: there is no such talent.
            PreconditionFailed: it was changed since.
            ValidationProblem: the result does not fit.
        """
        async with self._database.tenant_session(principal) as session:
            repository = TalentRepository(session)
            current = await _expected(repository, talent_id, if_match)
            wanted = rules.patched(current, patch, today=_today())
            if rules.same(current, wanted):
                return current
            changed = await repository.replace(talent_id, version=current.version, fields=wanted)
        if changed is None:
            raise _stale()
        self._changed.labels("update").inc()
        self._note_quality(wanted)
        return changed

    async def quality(self, principal: Principal, talent_id: UUID) -> Assessment:
        """What the rules say of a talent today.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        return assess(_draft(await self.get(principal, talent_id)), today=_today())

    def assess(self, draft: TalentDraft) -> Assessment:
        """What the rules say of a draft as it was sent; nothing is kept."""
        return assess(draft, today=_today())

    def _note_quality(self, stored: TalentDraft) -> None:
        found = assess(stored, today=_today())
        self._scores.observe(found.score)
        for rule in {finding.rule for finding in found.findings}:
            self._findings.labels(rule).inc()

    async def delete(self, principal: Principal, talent_id: UUID, *, if_match: str) -> None:
        """Hide a talent.

        Raises:
            NotFound: there is no such talent.
            PreconditionFailed: it was changed since.
        """
        async with self._database.tenant_session(principal) as session:
            repository = TalentRepository(session)
            current = await _expected(repository, talent_id, if_match)
            deleted = await repository.delete(talent_id, version=current.version)
        if not deleted:
            raise _stale()
        self._changed.labels("delete").inc()


def _today() -> date:
    return datetime.now(UTC).date()


def _draft(talent: Talent) -> TalentDraft:
    names = [field.name for field in msgspec.structs.fields(TalentDraft)]
    return TalentDraft(**{name: getattr(talent, name) for name in names})


async def _found(repository: TalentRepository, talent_id: UUID) -> Talent:
    talent = await repository.find(talent_id)
    if talent is None:
        raise NotFound(f"There is no talent {talent_id}.")
    return talent


async def _expected(repository: TalentRepository, talent_id: UUID, if_match: str) -> Talent:
    current = await _found(repository, talent_id)
    if not allows(if_match, current.version):
        raise _stale()
    return current


def _stale() -> PreconditionFailed:
    return PreconditionFailed("The talent was changed since you read it: read it again, then change it.")
