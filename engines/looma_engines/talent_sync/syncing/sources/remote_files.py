"""Files by HTTP and from S3: brought here whole first, then read as a file of the data folder is.

What all readings of a pod see is one version of the file, and its cursors have that version: a pod that takes over and
finds another one ends the run, as the lines of two versions are not each other's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from looma_core.api.syncjob import CsvSource, HttpSource, JsonlSource, S3Source
from looma_engines.sync_worker.frame import Asked
from looma_engines.sync_worker.inputs import BadInputError, Inputs

from ..source_row import SourceRow
from .credentials import Secrets
from .files import FileRecords
from .remote.asking import Account, Asker
from .remote.connecting import connect
from .remote.fetching import Fetch, Fetched
from .remote.s3 import SignedObject

_CHANGED = "the source's file has changed since this run began to read it: ask for a new run"


class RemoteFileRecords:
    """A file that another program keeps. The position of a record is the line that it begins on.

    Args:
        inputs: what the pod was told.
        source: the file.
        entity: what its records are to be.
        patience: seconds for which its server may be away.
        now: the clock.
    """

    live = False
    incremental = False

    def __init__(
        self,
        inputs: Inputs,
        source: HttpSource | S3Source,
        entity: str,
        *,
        patience: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._inputs = inputs
        self._source = source
        self._entity = entity
        self._patience = patience
        self._now = now
        self._account = Account()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._records: FileRecords | None = None
        self._version = ""

    def now(self) -> datetime:
        """A file has no clock: this machine's."""
        return self._now()

    def total(self, *, since: datetime | None) -> int | None:
        """How many rows it has, of whatever worth.

        Raises:
            BadInputError, SourceAwayError: as `rows`.
        """
        return self._here().total(since=since)

    def rows(self, *, after: str, since: datetime | None) -> Iterator[SourceRow]:
        """The records of the file.

        Raises:
            BadInputError: it is refused, cannot be read, or has changed since the run began.
            SourceAwayError: its server does not give it.
        """
        line, _, version = after.partition("@")
        records = self._here()
        if after and version != self._version:
            raise BadInputError(_CHANGED)
        for row in records.rows(after=line, since=since):
            yield replace(row, cursor=f"{row.position}@{self._version}")

    def asked(self) -> Asked:
        """What was asked so far, whatever was closed meanwhile."""
        return self._account.told()

    def shortfall(self) -> str:
        """As of every file: one that came whole may yet have been put there before it was finished."""
        return self._records.shortfall() if self._records is not None else ""

    def close(self) -> None:
        """Forget the file."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = self._records = None

    def _here(self) -> FileRecords:
        if self._records is None:
            self.close()
            self._folder = tempfile.TemporaryDirectory(prefix="source-")
            folder = Path(self._folder.name)
            fetched = self._fetched(folder)
            if self._version and fetched.version != self._version:
                raise BadInputError(_CHANGED)
            self._version = fetched.version
            given = self._source
            kind = CsvSource if given.format == "csv" else JsonlSource
            file = kind(
                path=fetched.path.name,
                key=given.key,
                updated_at=given.updated_at,
                name=given.name,
                fields=given.fields,
            )
            inputs = replace(self._inputs, data=folder, source=file)
            self._records = FileRecords(inputs, file, self._entity, now=self._now)
        return self._records

    def _fetched(self, folder: Path) -> Fetched:
        secrets = Secrets(self._inputs.credentials)
        signed = isinstance(self._source, S3Source)
        asker = connect(secrets, patience=self._patience, asked=self._account, is_signed=signed)
        try:
            return self._fetch(asker, secrets, folder / f"file.{self._source.format}").run()
        finally:
            asker.close()

    def _fetch(self, asker: Asker, secrets: Secrets, into: Path) -> Fetch:
        if isinstance(self._source, HttpSource):
            return Fetch(asker, lambda: self._source.url, into)
        bucket, _, key = self._source.url.removeprefix("s3://").partition("/")
        signed = SignedObject(
            bucket=bucket,
            key=key,
            region=self._source.region,
            endpoint=self._source.endpoint,
            access_key_id=secrets.text("access_key_id") or "",
            secret_access_key=secrets.text("secret_access_key") or "",
            session_token=secrets.text("session_token") or "",
        )
        return Fetch(asker, signed.address, into, is_s3=True)
