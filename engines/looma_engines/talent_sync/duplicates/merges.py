"""Merging two people and taking them apart again: one transaction each.

The one who goes is deleted as any other record is: row and history stay. The database writes both histories, with the
origin `merge`. What it takes to undo a merge is kept with it, encrypted, and goes where either person is erased.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import func, text, update
from sqlalchemy.exc import IntegrityError

from looma_core import logging
from looma_core.api.duplicates import Merge, MergeRequest
from looma_core.api.reading import read
from looma_core.api.talent import Talent, TalentDraft
from looma_core.crypto import DecryptionError, FileCipher
from looma_core.db import new_id
from looma_core.problems import Conflict, FieldError, NotFound, PreconditionFailed, ValidationProblem
from looma_engines.talent_sync.duplicates import sources
from looma_engines.talent_sync.duplicates.choosing import merged_values, put_back
from looma_engines.talent_sync.duplicates.ends import Ends, Moved
from looma_engines.talent_sync.duplicates.metrics import DuplicateMetrics
from looma_engines.talent_sync.duplicates.models import DuplicateRow, MergeRow
from looma_engines.talent_sync.duplicates.repository import DuplicateRepository
from looma_engines.talent_sync.duplicates.review import there
from looma_engines.talent_sync.duplicates.scanning import Scanner
from looma_engines.talent_sync.duplicates.sources import KeyState
from looma_engines.talent_sync.files import moving
from looma_engines.talent_sync.files.moving import MovedFile
from looma_engines.talent_sync.models import TalentRow
from looma_engines.talent_sync.quality.assessing import refusals
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.talents import TALENTS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database

_ORIGIN: Final = text("SELECT set_config('looma.origin', 'merge', true)")
_BUSY: Final = "One of the two is being changed at this moment; try again."
log = logging.get(__name__)


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to undo a merge. `fields` has the kept record's before and after, of those that changed."""

    before: dict[str, Any]
    after: dict[str, Any]
    relations: list[Moved]
    states: list[KeyState]
    conflicts: list[UUID]
    pairs: list[tuple[UUID, str]]
    files: list[MovedFile] = []


class Merges:
    """Merges people of the caller's tenant.

    Args:
        database: connection pool.
        cipher: for what it takes to undo a merge.
        scanner: looks for further duplicates of the one who stays.
        metrics: where merges are counted.
    """

    def __init__(
        self, database: Database, cipher: FileCipher, scanner: Scanner, metrics: DuplicateMetrics
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._scanner = scanner
        self._metrics = metrics

    async def merge(self, principal: Principal, pair_id: UUID, asked: MergeRequest) -> Merge:
        """Make one of two.

        Raises:
            NotFound: there is no such pair in the caller's tenant.
            PreconditionFailed: one of the two was changed since it was read.
            Conflict: the pair is settled, or one of the two is gone.
            ValidationProblem: the record would not be right, or is none of the pair.
        """
        async with self._database.tenant_session(principal) as session:
            repository, people = DuplicateRepository(session), RecordRepository(session, TALENTS)
            row = there(await repository.find(pair_id), pair_id)
            if asked.keep not in row.pair:
                message = f"is none of the two: write {row.first_id} or {row.second_id}"
                raise ValidationProblem(errors=[FieldError(field="keep", message=message)])
            # People first, then the pair: whoever merges one of them with a third waits here.
            await repository.lock_people(row.pair)
            row = there(await repository.find(pair_id, lock=True), pair_id)
            if row.status not in ("open", "dismissed"):
                raise Conflict(f"The pair is {row.status}: there is nothing to merge.")
            kept, other = _both(await people.several(row.pair), keep=asked.keep)
            _check_versions(asked, kept, other)
            draft = _merged_draft(kept, other, asked)
            await session.execute(_ORIGIN)
            stays = await self._kept(people, kept, draft)
            relations = await Ends(session).move(other.id, kept.id)
            files = await moving.move(session, other.id, kept.id)
            if not await people.delete(other.id, version=other.version):
                raise Conflict(_BUSY)
            changed = [name for name in TALENTS.settable if getattr(kept, name) != getattr(stays, name)]
            merge_id = new_id()
            before = Before(
                before=_plain(kept, changed),
                after=_plain(stays, changed),
                relations=relations,
                states=await sources.give(session, other.id, stays),
                conflicts=await sources.close_conflicts(session, other.id, kept.id),
                pairs=await self._close_pairs(repository, row, other.id),
                files=files,
            )
            await repository.change(
                row.id,
                status="merged",
                merge_id=merge_id,
                settled_at=func.now(),
                settled_by=principal.subject,
            )
            stored = await repository.add_merge(
                id=merge_id,
                duplicate_id=row.id,
                kept_id=kept.id,
                other_id=other.id,
                other_source_type=other.source.type,
                other_source_ref=other.source.ref,
                changed=changed,
                relations=[{"id": str(one.id), "fate": one.fate} for one in relations],
                before=self._cipher.encrypt(msgspec.json.encode(before)),
                merged_by=principal.subject,
            )
            seen = await self._scanner.look(session, principal.tenant, [stays])
            answer = _merge(stored)
        self._metrics.settled.labels("merged").inc()
        self._metrics.count(seen)
        log.info("people merged", merge=str(merge_id), fields=len(changed), relations=len(relations))
        return answer

    async def read(self, principal: Principal, merge_id: UUID) -> Merge:
        """One merge.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        async with self._database.tenant_session(principal) as session:
            return _merge(_there(await DuplicateRepository(session).find_merge(merge_id), merge_id))

    async def undo(self, principal: Principal, merge_id: UUID, *, force: bool) -> Merge:
        """Make two of one again.

        Raises:
            NotFound: there is no such merge.
            Conflict: it was undone, the kept record is gone, or fields that the merge changed were changed since.
        """
        async with self._database.tenant_session(principal) as session:
            repository, people = DuplicateRepository(session), RecordRepository(session, TALENTS)
            row = _there(await repository.find_merge(merge_id), merge_id)
            await repository.lock_people((row.kept_id, row.other_id))
            row = _there(await repository.find_merge(merge_id, lock=True), merge_id)
            if row.undone_at is not None:
                raise Conflict("The merge was undone already.")
            kept = await people.find(row.kept_id)
            if kept is None:
                raise Conflict(
                    f"The record {row.kept_id} that stayed is gone. Where it was merged since, undo that first."
                )
            before = self._before(row)
            draft = _put_back(kept, before, force=force)
            await session.execute(_ORIGIN)
            stays = await self._kept(people, kept, draft)
            other = await self._bring_back(session, people, row.other_id)
            await Ends(session).back(before.relations, person=other.id, from_=kept.id)
            await moving.back(session, before.files, person=other.id, from_=kept.id)
            await sources.give_back(session, before.states, person=other, from_=kept.id)
            await sources.open_conflicts(session, before.conflicts)
            await repository.end_merge(row, by=principal.subject)
            await self._open_pairs(repository, row, before)
            seen = await self._scanner.look(session, principal.tenant, [stays, other])
            answer = _merge(row)
        self._metrics.settled.labels("undone").inc()
        self._metrics.count(seen)
        log.info("merge undone", merge=str(merge_id), forced=force)
        return answer

    def _before(self, row: MergeRow) -> Before:
        try:
            return msgspec.json.decode(self._cipher.decrypt(row.before), type=Before)
        except DecryptionError as error:
            raise Conflict(
                "The key that what was before is encrypted with is not among the file keys any more."
            ) from error

    async def _kept(
        self, people: RecordRepository[TalentDraft, Talent], kept: Talent, draft: TalentDraft
    ) -> Talent:
        if all(getattr(kept, name) == getattr(draft, name) for name in TALENTS.settable):
            return kept
        changed = await people.replace(kept.id, version=kept.version, draft=draft)
        if changed is None:
            raise Conflict(_BUSY)
        return changed

    async def _bring_back(
        self, session: AsyncSession, people: RecordRepository[TalentDraft, Talent], person: UUID
    ) -> Talent:
        try:
            await session.execute(
                update(TalentRow)
                .where(TalentRow.id == person, TalentRow.deleted_at.is_not(None))
                .values(version=TalentRow.version + 1, updated_at=func.now(), deleted_at=None)
                .execution_options(synchronize_session=False)
            )
        except IntegrityError as error:
            raise Conflict(
                "Another record came from the same source since: delete that one, then undo the merge."
            ) from error
        found = await people.find(person)
        if found is None:
            raise Conflict("The record that went was erased: the merge cannot be undone.")
        return found

    async def _close_pairs(
        self, repository: DuplicateRepository, merged: DuplicateRow, other: UUID
    ) -> list[tuple[UUID, str]]:
        """Whoever is like the one who goes is compared with the one who stays from now on."""
        closed = []
        for row in await repository.pairs_of([other]):
            if row.id != merged.id and row.status in ("open", "dismissed"):
                closed.append((row.id, row.status))
                await repository.change(row.id, status="gone")
        return closed

    async def _open_pairs(self, repository: DuplicateRepository, row: MergeRow, before: Before) -> None:
        await repository.change(
            row.duplicate_id, status="open", merge_id=None, settled_at=None, settled_by=None
        )
        for pair_id, status in before.pairs:
            await repository.change(pair_id, status=status)


def _both(talents: list[Talent], *, keep: UUID) -> tuple[Talent, Talent]:
    if len(talents) < 2:
        raise Conflict("One of the two was deleted: there is nothing to merge.")
    kept, other = talents if talents[0].id == keep else reversed(talents)
    return kept, other


def _check_versions(asked: MergeRequest, kept: Talent, other: Talent) -> None:
    wrong = [
        FieldError(field=name, message=f"is {now}: read the record again, then merge")
        for name, said, now in (
            ("keep_version", asked.keep_version, kept.version),
            ("other_version", asked.other_version, other.version),
        )
        if said != now
    ]
    if wrong:
        raise PreconditionFailed("One of the two was changed since you read it.", errors=wrong)


def _merged_draft(kept: Talent, other: Talent, asked: MergeRequest) -> TalentDraft:
    mine, theirs = (_plain(talent, TALENTS.settable) for talent in (kept, other))
    values = merged_values(mine, theirs, {str(name): take for name, take in asked.fields.items()})
    draft = TALENTS.tidy(_draft(kept, values))
    if errors := refusals(draft, today=datetime.now(UTC).date(), rules=TALENTS.rules):
        raise ValidationProblem(errors=errors)
    return draft


def _put_back(kept: Talent, before: Before, *, force: bool) -> TalentDraft:
    found = put_back(before=before.before, after=before.after, now=_plain(kept, TALENTS.settable))
    if found.changed_since and not force:
        errors = [
            FieldError(field=name, message="was changed since the merge") for name in found.changed_since
        ]
        raise Conflict(
            "Fields were changed since the merge: undoing it would lose that. Say `force` if it may.",
            errors=errors,
        )
    return _draft(kept, found.values)


def _draft(kept: Talent, values: dict[str, Any]) -> TalentDraft:
    return read({**values, "source": msgspec.to_builtins(kept.source)}, TalentDraft)


def _plain(talent: Talent, names: Any) -> dict[str, Any]:  # noqa: ANN401 - any collection of names
    found: dict[str, Any] = msgspec.to_builtins(talent)
    return {name: found[name] for name in names}


def _there(row: MergeRow | None, merge_id: UUID) -> MergeRow:
    if row is None:
        raise NotFound(f"There is no merge {merge_id}.")
    return row


def _merge(row: MergeRow) -> Merge:
    return msgspec.convert(
        {
            "id": row.id,
            "duplicate_id": row.duplicate_id,
            "kept": row.kept_id,
            "other": row.other_id,
            "changed": row.changed,
            "relations": row.relations,
            "merged_at": row.created_at,
            "merged_by": row.merged_by,
            "undone_at": row.undone_at,
            "undone_by": row.undone_by,
        },
        Merge,
    )
