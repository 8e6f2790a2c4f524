"""Imports a file: one transaction, and a savepoint for each row.

What is refused is told with its line, and the rest goes on. A trial does the very same and takes all of it back, so
that it tells what would happen, duplicates within the file among it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DataError, IntegrityError

from looma_core import logging
from looma_core.api.exchange import ImportReport, RowCounts, RowResult
from looma_core.api.reading import read
from looma_core.problems import (
    FieldError,
    InternalError,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    ProblemError,
)
from looma_engines.talent_sync.exchange.candidates import Candidate, candidate
from looma_engines.talent_sync.exchange.columns import column_of
from looma_engines.talent_sync.exchange.reading import Format, Readable, RowFault, read_rows
from looma_engines.talent_sync.rights.audit import note

if TYPE_CHECKING:
    from prometheus_client import Counter

    from looma_core.api.exchange import RowStatus
    from looma_core.auth import Principal
    from looma_core.db import Database
    from looma_engines.talent_sync.exchange.reading import Row
    from looma_engines.talent_sync.records.service import RecordService

WHOLE_ROW = "row"
"""The field of a fault that is the row's, not a column's."""

log = logging.get(__name__)


class _TrialOverError(Exception):
    """Takes back what a trial did."""


class Importer:
    """Imports records of one kind.

    Args:
        database: connection pool of `records`.
        records: does each row's work.
        uncounted: does it in a trial, whose records nobody is to count.
        rows: where rows are counted.
        most: rows of one file.
    """

    def __init__(
        self,
        database: Database,
        records: RecordService[Any, Any],
        *,
        uncounted: RecordService[Any, Any],
        rows: Counter,
        most: int,
    ) -> None:
        self._database = database
        self._records = records
        self._uncounted = uncounted
        self._counted = rows
        self._most = most

    async def run(
        self,
        principal: Principal,
        file: Readable,
        file_format: Format,
        *,
        dry_run: bool,
        keep_existing: bool,
    ) -> ImportReport:
        """Import a file, or only try to.

        Args:
            principal: who asks.
            file: its bytes.
            file_format: how they are written.
            dry_run: take everything back at the end.
            keep_existing: leave records as they are that came from a row's source before.

        Raises:
            ValidationProblem: the file has no readable header.
            PayloadTooLarge: it has too many rows; nothing was done.
            NotReady: the database does not answer; nothing was done.
        """
        records = self._uncounted if dry_run else self._records
        results: list[RowResult] = []
        with suppress(_TrialOverError):
            async with self._database.one_transaction(principal):
                for row in read_rows(file, file_format):
                    if len(results) == self._most:
                        raise PayloadTooLarge(
                            f"The file has more than {self._most} rows: divide it. Nothing was imported."
                        )
                    results.append(
                        await self._row(records, principal, row, file_format, keep_existing=keep_existing)
                    )
                if dry_run:
                    raise _TrialOverError
                async with self._database.tenant_session(principal) as session:
                    detail = {"format": file_format, "rows": len(results)}
                    await note(session, "import-records", records.entity.name, detail=detail)
        counts = RowCounts()
        for result in results:
            setattr(counts, result.status, getattr(counts, result.status) + 1)
            if not dry_run:
                self._counted.labels(records.entity.name, result.status).inc()
        told = {name: getattr(counts, name) for name in RowCounts.__struct_fields__}
        log.info("import", entity=records.entity.name, format=file_format, dry_run=dry_run, **told)
        return ImportReport(dry_run=dry_run, counts=counts, rows=results)

    async def _row(
        self,
        records: RecordService[Any, Any],
        principal: Principal,
        row: Row | RowFault,
        file_format: Format,
        *,
        keep_existing: bool,
    ) -> RowResult:
        name = records.entity.name
        if isinstance(row, RowFault):
            return _refused(row.line, [FieldError(field=WHOLE_ROW, message=row.reason)])
        try:
            asked = candidate(name, file_format, row.values)
            status, record_id = await _imported(records, principal, asked, keep_existing=keep_existing)
            return RowResult(line=row.line, status=status, id=record_id)
        except ProblemError as error:
            if error.status >= InternalError.status:
                # Of no row in particular.
                raise
            return _refused(row.line, _errors(name, error, by_columns=file_format == "csv"))
        except (DataError, IntegrityError) as error:
            # What the rules let through and the table does not: the savepoint took it back.
            log.error("row failed", entity=name, error=type(error).__name__)  # noqa: TRY400 - values are in its text
            return _refused(row.line, [FieldError(field=WHOLE_ROW, message="cannot be stored")])


async def _imported(
    records: RecordService[Any, Any], principal: Principal, asked: Candidate, *, keep_existing: bool
) -> tuple[RowStatus, Any]:
    """What became of a row, and the id of its record.

    | the row has             | and there is            | then                                      |
    | ----------------------- | ----------------------- | ----------------------------------------- |
    | an id                   | a record                | it is changed; with a version, only if it is still at it |
    | an id                   | none                    | NotFound                                  |
    | a source's reference    | a record from there     | it is changed, or kept as it is           |
    | anything else           |                         | it is created                             |
    """
    record_id = asked.id
    if record_id is None and asked.source.ref is not None:
        known = await records.find_by_source(principal, asked.source)
        if known is not None and keep_existing:
            return "existing", known.id
        record_id = known.id if known is not None else None
    if record_id is None:
        draft = read(
            {**asked.fields, "source": {"type": asked.source.type, "ref": asked.source.ref}},
            records.entity.draft,
        )
        record, is_new = await records.create(principal, draft)
        return ("created" if is_new else "existing"), record.id
    # The version of a row is that of its id.
    version = asked.version if asked.id is not None else None
    record, changed = await records.amend(principal, record_id, patch=asked.fields, version=version)
    return ("updated" if changed else "unchanged"), record.id


def _errors(entity_name: str, error: ProblemError, *, by_columns: bool) -> list[FieldError]:
    if isinstance(error, NotFound):
        return [FieldError(field="id", message="there is none with this id")]
    if isinstance(error, PreconditionFailed):
        message = "it was changed since it was exported: export it again"
        return [FieldError(field="version", message=message)]
    if not error.errors:
        return [FieldError(field=WHOLE_ROW, message=error.detail or error.title)]
    if not by_columns:
        return error.errors
    return [
        FieldError(field=column_of(entity_name, told.field), message=told.message) for told in error.errors
    ]


def _refused(line: int, errors: list[FieldError]) -> RowResult:
    return RowResult(line=line, status="refused", errors=errors)
