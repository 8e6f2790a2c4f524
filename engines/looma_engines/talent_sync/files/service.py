"""What can be done with résumé files: store, list, read, link, note, delete. One transaction each.

Of a file that is read each part is a transaction of its own: however slow whoever reads is, no connection waits.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError

from looma_core import logging
from looma_core.api.page import Count, Page
from looma_core.api.resume_file import NoteReading, ResumeFile
from looma_core.problems import (
    Conflict,
    FieldError,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    UnsupportedMedia,
    ValidationProblem,
)
from looma_engines.talent_sync import cursor as cursors
from looma_engines.talent_sync.etag import allows
from looma_engines.talent_sync.rights.audit import note

from .kinds import HEAD_BYTES, SHORT_NAMES, EmptyFile, WrongKind, kind_of
from .naming import plain_name
from .packing import PART_BYTES, DamagedPart, length_of, packed, parts_of, unpacked
from .ranges import Span, span_of
from .repository import FileRepository, NewFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from prometheus_client import Counter, Histogram

    from looma_core.auth import Principal
    from looma_core.db import Database
    from looma_core.metrics import Metrics

ENTITY = "resume_file"
FILE_BYTES = 10 * 2**20
SORT = "-created_at"
SIZES = (16_384, 65_536, 262_144, 1_048_576, 4_194_304, FILE_BYTES)
log = logging.get(__name__)


@dataclass(frozen=True, kw_only=True)
class FileMetrics:
    """What is counted of files."""

    done: Counter
    sizes: Histogram


def file_metrics(metrics: Metrics) -> FileMetrics:
    """The metrics of an engine's files; made once."""
    return FileMetrics(
        done=metrics.counter(
            "looma_resume_files_total",
            "What was done with résumé files, by the type that their bytes tell.",
            ["action", "type"],
        ),
        sizes=metrics.histogram(
            "looma_resume_file_bytes", "Size of the résumé files that were stored.", [], buckets=SIZES
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What a file is, whatever it is called."""

    media_type: str
    size: int
    sha256: str


def examine(file: IO[bytes]) -> Examined:
    """Read a file once, in parts.

    Raises:
        PayloadTooLarge: it is larger than is kept.
        ValidationProblem: there is nothing in it.
        UnsupportedMedia: it is of a type that is not kept.
    """
    digest, size, head = hashlib.sha256(), 0, b""
    file.seek(0)
    while data := file.read(PART_BYTES):
        head = head or data[:HEAD_BYTES]
        digest.update(data)
        size += len(data)
        if size > FILE_BYTES:
            message = (
                f"is larger than {FILE_BYTES // 2**20} MiB: send a smaller one, without pictures perhaps"
            )
            raise PayloadTooLarge(f"The file {message}.", errors=[FieldError(field="file", message=message)])
    try:
        media_type = kind_of(file, head)
    except EmptyFile as error:
        raise ValidationProblem(errors=[FieldError(field="file", message=str(error))]) from error
    except WrongKind as error:
        raise UnsupportedMedia(
            f"The file {error}.", errors=[FieldError(field="file", message=str(error))]
        ) from error
    return Examined(media_type=media_type, size=size, sha256=digest.hexdigest())


class FileService:
    """Works on the files of the caller's tenant.

    Args:
        database: connection pool.
        metrics: where files are counted.
        max_page_size: most files in one answer.
    """

    def __init__(self, database: Database, metrics: FileMetrics, *, max_page_size: int) -> None:
        self._database = database
        self._metrics = metrics
        self._max_page_size = max_page_size

    async def store(
        self,
        principal: Principal,
        *,
        talent_id: UUID | None,
        file_name: str,
        file: IO[bytes],
        language: str | None,
    ) -> tuple[ResumeFile, bool]:
        """Keep a file of a person, or of nobody yet; the same bytes of the same person are one file.

        Returns:
            The file, and whether it is new.

        Raises:
            ProblemError: it is too large, empty or of a type that is not kept; there is no such person.
        """
        try:
            examined = await asyncio.to_thread(examine, file)
        except (PayloadTooLarge, ValidationProblem, UnsupportedMedia):
            self._metrics.done.labels("turned_away", "").inc()
            raise
        async with self._database.tenant_session(principal) as session:
            files = FileRepository(session)
            if talent_id is not None and not await files.lock_person(talent_id):
                raise _nobody(talent_id)
            same = await files.find_same(talent_id, examined.sha256)
            if same is not None:
                self._count("existing", same)
                return same, False
            stored = await files.add(
                NewFile(
                    talent_id=talent_id,
                    number=await files.next_number(talent_id) if talent_id else None,
                    file_name=plain_name(file_name),
                    media_type=examined.media_type,
                    size=examined.size,
                    sha256=examined.sha256,
                    language=language,
                    uploaded_by=principal.subject,
                )
            )
            if stored is None:
                raise Conflict("The same file is being stored at this moment; try again.")
            await asyncio.to_thread(file.seek, 0)
            for position in range(parts_of(examined.size)):
                data = await asyncio.to_thread(lambda: packed(file.read(PART_BYTES)))
                await files.add_part(stored.id, position, data)
            await note(session, "store-file", ENTITY, stored.id, detail=_told(stored))
        self._count("stored", stored)
        self._metrics.sizes.observe(stored.size)
        return stored, True

    async def get(self, principal: Principal, file_id: UUID) -> ResumeFile:
        """A file without its content.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        async with self._database.tenant_session(principal) as session:
            return await _found(FileRepository(session), file_id)

    async def page(
        self, principal: Principal, *, filters: Mapping[str, object], limit: int, cursor: str | None
    ) -> Page[ResumeFile]:
        """One page of files, the newest first.

        Raises:
            ValidationProblem: the cursor is wrong.
        """
        after = cursors.decode(cursor, sort=SORT) if cursor else None
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            found = await FileRepository(session).page(filters=filters, limit=limit + 1, after=after)
        items = found[:limit]
        if len(found) <= limit:
            return Page(items=items)
        last = items[-1]
        return Page(items=items, next_cursor=cursors.encode(sort=SORT, key=last.created_at, row_id=last.id))

    async def count(self, principal: Principal, filters: Mapping[str, object]) -> Count:
        """How many files a list has."""
        async with self._database.tenant_session(principal) as session:
            return await FileRepository(session).count(filters)

    async def content(
        self, principal: Principal, file_id: UUID, *, asked: str | None = None
    ) -> tuple[ResumeFile, Span, AsyncGenerator[bytes, None]]:
        """A file, which of its bytes are given, and those in parts. The audit tells of it before the first of them.

        Args:
            principal: who asks.
            file_id: which file.
            asked: the header `Range`; all of it without one.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        async with self._database.tenant_session(principal) as session:
            files = FileRepository(session)
            file = await _found(files, file_id)
            span = span_of(asked, file.size) or Span(0, file.size - 1)
            first = await _part(files, file, span.first // PART_BYTES)
            await note(session, "read-file", ENTITY, file_id, detail=_told(file))
        self._count("read", file)
        return file, span, self._parts(principal, file, span, first)

    async def _parts(
        self, principal: Principal, file: ResumeFile, span: Span, part: bytes
    ) -> AsyncGenerator[bytes, None]:
        last = span.last // PART_BYTES
        for position in range(span.first // PART_BYTES, last + 1):
            begins = position * PART_BYTES
            yield part[max(span.first - begins, 0) : span.last - begins + 1]
            if position < last:
                async with self._database.tenant_session(principal) as session:
                    part = await _part(FileRepository(session), file, position + 1)

    async def link(
        self, principal: Principal, file_id: UUID, talent_id: UUID, *, if_match: str
    ) -> ResumeFile:
        """Say whose file it is.

        Raises:
            NotFound: there is no such file.
            ValidationProblem: there is no such person.
            PreconditionFailed: it was changed since.
            Conflict: the person has the same file.
        """
        async with self._database.tenant_session(principal) as session:
            files = FileRepository(session)
            file = await _expected(files, file_id, if_match)
            if file.talent_id == talent_id:
                return file
            if not await files.lock_person(talent_id):
                raise ValidationProblem(
                    errors=[FieldError(field="talent_id", message="there is none with this id")]
                )
            same = await files.find_same(talent_id, file.sha256)
            if same is not None:
                raise Conflict(f"The person has the same file already: it is {same.id}.")
            number = await files.next_number(talent_id)
            try:
                linked = await files.change(file_id, version=file.version, talent_id=talent_id, number=number)
            except IntegrityError as error:
                raise Conflict("The same file is being stored for the person; try again.") from error
            if linked is None:
                raise _stale()
            await note(session, "link-file", ENTITY, file_id, detail={"number": number})
        self._count("linked", linked)
        return linked

    async def note_reading(
        self, principal: Principal, file_id: UUID, reading: NoteReading, *, if_match: str
    ) -> ResumeFile:
        """Keep what a reader said of a file.

        Raises:
            NotFound: there is no such file.
            ValidationProblem: a reason is missing, or is too much.
            PreconditionFailed: it was changed since.
        """
        if (reading.state == "refused") != (reading.reason is not None):
            message = "say why it was refused; leave it out where it was read"
            raise ValidationProblem(errors=[FieldError(field="reason", message=message)])
        async with self._database.tenant_session(principal) as session:
            files = FileRepository(session)
            file = await _expected(files, file_id, if_match)
            noted = await files.change(
                file_id,
                version=file.version,
                state=reading.state,
                reason=reading.reason,
                language=reading.language or file.language,
            )
            if noted is None:
                raise _stale()
        self._count(reading.state, noted)
        return noted

    async def delete(self, principal: Principal, file_id: UUID, *, if_match: str) -> None:
        """Hide a file; the upkeep takes it away when its time is over.

        Raises:
            NotFound: there is no such file.
            PreconditionFailed: it was changed since.
        """
        async with self._database.tenant_session(principal) as session:
            files = FileRepository(session)
            file = await _expected(files, file_id, if_match)
            if await files.change(file_id, version=file.version, deleted_at=func.now()) is None:
                raise _stale()
            await note(session, "delete-file", ENTITY, file_id, detail=_told(file))
        self._count("deleted", file)

    def _count(self, action: str, file: ResumeFile) -> None:
        self._metrics.done.labels(action, SHORT_NAMES.get(file.media_type, "")).inc()


async def _found(files: FileRepository, file_id: UUID) -> ResumeFile:
    file = await files.find(file_id)
    if file is None:
        raise NotFound(f"There is no résumé file {file_id}.")
    return file


async def _expected(files: FileRepository, file_id: UUID, if_match: str) -> ResumeFile:
    file = await _found(files, file_id)
    if not allows(if_match, file.version):
        raise _stale()
    return file


async def _part(files: FileRepository, file: ResumeFile, position: int) -> bytes:
    stored = await files.part(file.id, position)
    if stored is None:
        raise DamagedPart(f"part {position} of the file {file.id} is not there")
    return await asyncio.to_thread(unpacked, stored, length=length_of(position, file.size))


def _told(file: ResumeFile) -> dict[str, object]:
    return {"format": SHORT_NAMES.get(file.media_type, ""), "bytes": file.size}


def _nobody(talent_id: UUID) -> NotFound:
    return NotFound(f"There is no talent {talent_id}.")


def _stale() -> PreconditionFailed:
    return PreconditionFailed("The file was changed since you read it: read it again, then change it.")
