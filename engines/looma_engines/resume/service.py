"""What can be done with résumés: parse, keep, read, list, erase. Routes call it; it knows no HTTP.

Keeping a résumé takes three steps, each safe to repeat: the parsed file is stored and committed; the talent
is created at talent-sync, named by the résumé's id; the talent's id is noted. If talent-sync is away after
the first step nothing is lost: the record says so, and `complete` (or the same file sent again) goes on.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import msgspec

from looma_core import logging
from looma_core.api.page import Page
from looma_core.problems import FieldError, NotFound, NotReady, ValidationProblem
from looma_engines.resume.cursor import decode, encode
from looma_engines.resume.documents.problems import DocumentProblem
from looma_engines.resume.documents.sniff import SHORT_NAMES
from looma_engines.resume.draft import talent_draft
from looma_engines.resume.problems import told
from looma_engines.resume.repository import NewResume, ResumeRepository
from looma_engines.resume.talents import TalentsUnreachable
from looma_engines.resume.worker import PoolBusy
from looma_engines.resume.worker.messages import Job, Result

if TYPE_CHECKING:
    from uuid import UUID

    from looma_core.api.resume import (
        Entity,
        ParsedResume,
        ResumeRecord,
        ResumeSource,
        ResumeSummary,
        SkillMention,
    )
    from looma_core.auth import Principal
    from looma_core.crypto import FileCipher
    from looma_core.db import Database
    from looma_core.metrics import Metrics
    from looma_engines.resume.config import ResumeConfig
    from looma_engines.resume.talents import TalentClient
    from looma_engines.resume.worker import WorkerPool

MAX_FILE_NAME = 255
log = logging.get(__name__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A résumé after `keep` or `complete`.

    Attributes:
        record: what is stored.
        is_new: it was not there before.
        pending: why its talent does not exist yet, or None.
        pages: how many were read for it; 0 where the file was known.
    """

    record: ResumeRecord
    is_new: bool
    pending: str | None = None
    pages: int = 0


class ResumeService:
    """Works on the résumés of the caller's tenant.

    Args:
        pool: reads and parses.
        config: limits.
        metrics: where documents are counted.
        database: connection pool.
        cipher: encrypts what is stored.
        talents: client of talent-sync.
    """

    def __init__(
        self,
        *,
        pool: WorkerPool,
        config: ResumeConfig,
        metrics: Metrics,
        database: Database,
        cipher: FileCipher,
        talents: TalentClient,
    ) -> None:
        self._pool, self._config, self._database = pool, config, database
        self._cipher, self._talents = cipher, talents
        self._seconds = metrics.histogram(
            "looma_resume_parse_seconds", "Time of reading and parsing one document, by type.", ["type"]
        )
        self._documents = metrics.counter(
            "looma_resume_documents_total",
            "Documents by type and by outcome (parsed, or the problem).",
            ["type", "outcome"],
        )
        self._pages = metrics.counter("looma_resume_pages_total", "Pages of parsed documents.")
        self._pending = metrics.counter(
            "looma_resume_talents_pending_total", "Résumés kept whose talent could not be created at once."
        )

    async def parse_file(self, data: bytes) -> ParsedResume:
        """Parse a file without keeping it.

        Raises:
            ProblemError: the document was refused; see `problems`.
        """
        return _parsed(await self._run(Job(kind="file", data=data, limits=self._config.limits)))

    async def parse_text(self, text: str) -> ParsedResume:
        """Parse a text without keeping it; raises as `parse_file`."""
        return _parsed(await self._run(Job(kind="text", text=text, limits=self._config.limits)))

    async def entities(self, text: str) -> list[Entity]:
        """Named spans of a text, in code points of it; raises as `parse_file`."""
        return (await self._run(Job(kind="entities", text=text))).entities or []

    async def skills(self, text: str) -> list[SkillMention]:
        """Every mention of a skill in a text, in code points of it; raises as `parse_file`."""
        return (await self._run(Job(kind="skills", text=text))).skills or []

    async def keep(self, principal: Principal, *, file_name: str, data: bytes, source: ResumeSource) -> Kept:
        """Parse and store a file, and create its talent.

        The same bytes again answer the résumé that is there, and create its talent if that is still missing.

        Raises:
            ProblemError: the document was refused; nothing is stored then.
        """
        digest = hashlib.sha256(data).hexdigest()
        async with self._database.tenant_session(principal) as session:
            known = await ResumeRepository(session, self._cipher).find_by_digest(digest)
        if known is not None:
            return await self._with_talent(principal, known, is_new=False)
        result = await self._run(Job(kind="file", data=data, limits=self._config.limits))
        new = NewResume(
            file_name=_plain_name(file_name),
            media_type=result.media_type,
            sha256=digest,
            content=data,
            parsed=_parsed(result),
            source=source,
        )
        async with self._database.tenant_session(principal) as session:
            repository = ResumeRepository(session, self._cipher)
            record = await repository.add(new)
            # None: the same file arrived twice at once, and the other request was faster.
            stored = record or await repository.find_by_digest(digest)
        if stored is None:
            raise NotReady("The résumé was erased while it was being stored; send it again.")
        kept = await self._with_talent(principal, stored, is_new=record is not None)
        return msgspec.structs.replace(kept, pages=new.parsed.pages)

    async def complete(self, principal: Principal, resume_id: UUID) -> Kept:
        """Create the talent of a résumé that has none yet.

        Raises:
            NotFound: there is no such résumé in the caller's tenant.
        """
        return await self._with_talent(principal, await self.get(principal, resume_id), is_new=False)

    async def _with_talent(self, principal: Principal, record: ResumeRecord, *, is_new: bool) -> Kept:
        if record.talent_id is not None:
            return Kept(record=record, is_new=is_new)
        draft = talent_draft(
            record.parsed, resume_id=str(record.id), source=record.source, file_name=record.file_name
        )
        try:
            talent_id = await self._talents.create(draft)
        except TalentsUnreachable as error:
            self._pending.inc()
            return Kept(record=record, is_new=is_new, pending=str(error))
        async with self._database.tenant_session(principal) as session:
            await ResumeRepository(session, self._cipher).set_talent(record.id, talent_id)
        return Kept(record=msgspec.structs.replace(record, talent_id=talent_id), is_new=is_new)

    async def get(self, principal: Principal, resume_id: UUID) -> ResumeRecord:
        """Return a résumé with what was found in it; raises NotFound."""
        async with self._database.tenant_session(principal) as session:
            record = await ResumeRepository(session, self._cipher).find(resume_id)
        if record is None:
            raise _missing(resume_id)
        return record

    async def file(self, principal: Principal, resume_id: UUID) -> tuple[ResumeSummary, bytes]:
        """Return a résumé's file as it was sent; raises NotFound."""
        async with self._database.tenant_session(principal) as session:
            found = await ResumeRepository(session, self._cipher).content(resume_id)
        if found is None:
            raise _missing(resume_id)
        return found

    async def page(
        self, principal: Principal, *, limit: int, cursor: str | None, talent_id: UUID | None
    ) -> Page[ResumeSummary]:
        """Return one page, newest first; raises ValidationProblem for a cursor that is not ours."""
        after = None
        if cursor is not None:
            try:
                after = decode(cursor)
            except ValueError as error:
                raise ValidationProblem(
                    errors=[
                        FieldError(
                            field="cursor", message="give back `next_cursor` of the page before, unchanged"
                        )
                    ]
                ) from error
        async with self._database.tenant_session(principal) as session:
            # One more than asked tells whether there is a next page.
            found = await ResumeRepository(session, self._cipher).page(
                limit=limit + 1, after=after, talent_id=talent_id
            )
        items = found[:limit]
        return Page(items=items, next_cursor=encode(items[-1].id) if len(found) > limit else None)

    async def erase(self, principal: Principal, resume_id: UUID) -> None:
        """Erase file and parsed document; the talent stays. Raises NotFound."""
        async with self._database.tenant_session(principal) as session:
            erased = await ResumeRepository(session, self._cipher).delete(resume_id)
        if not erased:
            raise _missing(resume_id)

    async def _run(self, job: Job) -> Result:
        started = time.perf_counter()
        kind = "text" if job.kind != "file" else "unknown"
        try:
            result = await self._pool.run(job)
        except DocumentProblem as problem:
            self._documents.labels(kind, problem.code).inc()
            raise told(problem, most_pages=self._config.limits.max_pages) from problem
        except PoolBusy as busy:
            self._documents.labels(kind, "busy").inc()
            raise NotReady("All workers are busy; try again.", headers={"Retry-After": "5"}) from busy
        if job.kind == "file":
            kind = SHORT_NAMES.get(result.media_type, "unknown")
        self._documents.labels(kind, "parsed").inc()
        self._seconds.labels(kind).observe(time.perf_counter() - started)
        if result.parsed is not None:
            self._pages.inc(result.parsed.pages)
        return result


def _parsed(result: Result) -> ParsedResume:
    if result.parsed is None:
        raise RuntimeError("the worker answered another question")
    return result.parsed


def _missing(resume_id: UUID) -> NotFound:
    return NotFound(f"There is no résumé {resume_id}.")


def _plain_name(file_name: str) -> str:
    """A file's own name: no folders, no control characters, not longer than a file system takes."""
    base = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(char for char in base if char.isprintable())[-MAX_FILE_NAME:] or "resume"
