"""The platform Zervigo: lists of talents, companies and jobs, page by page, by docs/openapi/zervigo.yaml.

One page is held, and the next is asked for when its records are written: a database that is slow makes the platform's
work no more. A list ends where a page says so; a page that was cut short is no page, and one without `next` neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from looma_core.api.syncjob import ZervigoSource
from looma_core.problems import FieldError
from looma_engines.sync_worker.frame import Asked
from looma_engines.sync_worker.inputs import BadInputError, Inputs
from looma_engines.talent_sync.exchange.reading import RowFault, read_rows

from ..source_row import SourceRow, key_hash
from .credentials import Secrets
from .making import row_of
from .remote.asking import Account, Asker, SourceAwayError
from .remote.connecting import connect
from .remote.paging import Circle

PATHS = {"talent": "talents", "company": "companies", "job": "jobs"}


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next: str | None
    total: int | None = None


class _Cursor(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={"page": "p", "before": "n", "name": "k"}
):
    """Where a list goes on: the page, how many records are before it, and which was the last that was taken of it."""

    page: str = ""
    before: int = 0
    name: str = ""

    def text(self) -> str:
        """As the database keeps it."""
        return msgspec.json.encode(self).decode()


class ZervigoRecords:
    """One of the platform's lists. The position of a record is its place in the list.

    Args:
        inputs: what the pod was told.
        source: the platform.
        entity: which list.
        patience: seconds for which it may be away.
        now: the clock, where the platform does not tell its own.
    """

    live = True
    incremental = True

    def __init__(
        self,
        inputs: Inputs,
        source: ZervigoSource,
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
        self.account = Account()
        self._asker: Asker | None = None

    def now(self) -> datetime:
        """The platform's clock, as its answers have it."""
        self._page("", None, limit=1)
        try:
            return parsedate_to_datetime(self.account.date).astimezone(UTC)
        except ValueError:
            return self._now()

    def total(self, *, since: datetime | None) -> int | None:
        """What the platform says, if it does."""
        return self._page("", since, limit=1).total

    def rows(self, *, after: str, since: datetime | None) -> Iterator[SourceRow]:
        """The records of the list, in its own order.

        Raises:
            BadInputError: the platform refuses.
            SourceAwayError: it does not answer, or gives a list that does not end.
        """
        try:
            cursor = msgspec.json.decode(after, type=_Cursor) if after else _Cursor()
        except msgspec.MsgspecError:
            raise BadInputError(
                "the source was another one when this run began: cancel it, and ask for a new one"
            ) from None
        circle = Circle()
        while True:
            page = self._page(cursor.page, since, limit=self._source.page_size)
            for row in _behind(list(self._records(page.items, before=cursor.before)), cursor.name):
                reached = msgspec.structs.replace(cursor, name=_name(row))
                # Without a key its place decides of its shard, and that is another one when a record before it is gone.
                anchor = None if row.key else key_hash(row.digest.hex())
                yield replace(row, cursor=reached.text(), anchor=anchor)
            if page.next is None:
                return
            if circle.closes(page.next):
                raise SourceAwayError("the platform's list does not end: its pages come round again")
            cursor = _Cursor(page=page.next, before=cursor.before + len(page.items))

    def asked(self) -> Asked:
        """What was asked so far, whatever was closed meanwhile."""
        return self.account.told()

    def shortfall(self) -> str:
        """A list that was read to its end is all there is."""
        return ""

    def close(self) -> None:
        """Give the connections back."""
        if self._asker is not None:
            self._asker.close()
            self._asker = None

    def _asking(self) -> Asker:
        if self._asker is None:
            self._asker = connect(
                Secrets(self._inputs.credentials),
                patience=self._patience,
                asked=self.account,
                token_url=self._source.token_url,
                scope=self._source.scope,
                per_second=self._source.requests_per_second,
            )
        return self._asker

    def _page(self, cursor: str, since: datetime | None, *, limit: int) -> _Page:
        params = {"limit": str(limit)}
        if cursor:
            params["cursor"] = cursor
        if since is not None:
            params["updated_since"] = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return self._asking().decoded(self._address, _Page, params=params)

    @property
    def _address(self) -> str:
        return f"{self._source.url.rstrip('/')}/api/v1/{PATHS[self._entity]}"

    def _records(self, items: Sequence[bytes | msgspec.Raw], *, before: int = 0) -> Iterator[SourceRow]:
        # As lines of a file, so that what is no record is told in the same words.
        lines = (msgspec.json.format(bytes(item), indent=-1) + b"\n" for item in items)
        for found in read_rows(lines, "jsonl"):
            position = before + found.line
            if isinstance(found, RowFault):
                fault = FieldError(field="record", message=found.reason)
                yield SourceRow(position=position, key="", values={}, faults=(fault,), raw=found.raw)
            else:
                yield row_of(found.values, position=position, source=self._source, entity=self._entity)


def _name(row: SourceRow) -> str:
    """What a row is known by when its page is read again."""
    return row.key or row.digest.hex()


def _behind(rows: list[SourceRow], name: str) -> list[SourceRow]:
    """The rows of a page after the one of this name; all of them where it is gone.

    A row that comes again has its place of before, so it is not taken for another one with the same key.
    """
    at = next((number for number, row in enumerate(rows) if name and _name(row) == name), -1)
    return rows[at + 1 :]
