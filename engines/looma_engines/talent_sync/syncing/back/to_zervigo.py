"""Writes records of the platform Zervigo, by docs/openapi/zervigo.yaml.

A write is a merge patch with the ETag of what was read: the platform takes it only while the record has that one. A
question whose answer was lost is asked again, and is then refused as the record has another ETag: what it has become is
read, and found to be what was meant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from looma_core.api.syncjob import ZervigoSource
from looma_engines.sync_worker.inputs import BadInputError, Inputs

from ..source_row import SourceRow
from ..sources.mapping import DriftError
from ..sources.remote.asking import Account, SourceAwayError, Told
from ..sources.zervigo import ZervigoRecords
from .putting import put
from .writable import CHANGED, GONE, Change, Outcome, Written, places_of

_GONE = (404, 410)
_CHANGED = 412
_REFUSED = (400, 409, 413, 422)
_FORBIDDEN = (403, 405, 501)
_TITLE_LIMIT = 200


class _Problem(msgspec.Struct):
    """What of an RFC 9457 problem tells of the kind of error, and not of the record."""

    title: str = ""


class ZervigoWriter(ZervigoRecords):
    """The platform's records, as `ZervigoRecords` reads them, to be written.

    Args:
        inputs: what the pod was told.
        source: the platform.
        entity: which kind.
        patience: seconds for which it may be away.
        account: counts what is asked, with what the reading asks.
    """

    def __init__(
        self, inputs: Inputs, source: ZervigoSource, entity: str, *, patience: float, account: Account
    ) -> None:
        super().__init__(inputs, source, entity, patience=patience)
        self.account = account

    def places(self, settable: Collection[str]) -> frozenset[str]:
        """Fields that are named; all where none is."""
        return places_of(self._source.fields, settable, None)

    def write(self, change: Change) -> Written:
        """Write a record, if it still is what was read.

        Raises:
            BadInputError: the platform lets this client write nothing, or gives records without an ETag.
            SourceAwayError: it does not answer.
        """
        address = f"{self._address}/{quote(change.key, safe='')}"
        found = self._asking().told(address, taken=_GONE)
        if found.status in _GONE:
            return Written(outcome=Outcome.MOVED, reason=GONE)
        if not found.tag:
            raise BadInputError("the platform gives records without an ETag: nothing can be written safely")
        document, before = self._one(found)
        if not change.is_as_read(before):
            return Written(outcome=Outcome.MOVED, row=before, reason=CHANGED)
        try:
            values = put(document, self._source.fields, change.values, change.base)
        except DriftError as error:
            return Written(outcome=Outcome.REFUSED, reason=str(error))
        return self._patched(address, values, found.tag)

    def _patched(self, address: str, values: Mapping[str, Any], tag: str) -> Written:
        said = self._asking().told(
            address,
            method="PATCH",
            content=msgspec.json.encode(values),
            headers={"Content-Type": "application/merge-patch+json", "If-Match": tag},
            taken=(*_GONE, _CHANGED, *_REFUSED, *_FORBIDDEN),
        )
        if said.status in _FORBIDDEN:
            raise BadInputError(
                f"the platform answers {said.status}: it lets this client write nothing there"
            )
        if said.status in _REFUSED:
            return Written(
                outcome=Outcome.REFUSED, reason=f"the platform answers {said.status}{_title(said)}"
            )
        if said.status == _CHANGED:
            # Or it is what this very question wrote, whose answer was lost.
            said = self._asking().told(address, taken=_GONE)
            row = None if said.status in _GONE else self._one(said)[1]
            return Written(outcome=Outcome.MOVED, row=row, reason=CHANGED if row else GONE)
        if said.status in _GONE:
            return Written(outcome=Outcome.MOVED, reason=GONE)
        return Written(outcome=Outcome.WRITTEN, row=self._one(said)[1])

    def _one(self, told: Told) -> tuple[Mapping[str, Any], SourceRow]:
        """A record, and what it is here.

        Raises:
            SourceAwayError: it is no record; a server that is not quite there may answer anything.
        """
        try:
            document = msgspec.json.decode(told.body, type=dict[str, Any])
            (row,) = self._records([told.body])
        except (msgspec.MsgspecError, ValueError):
            raise SourceAwayError("the platform answers something else than a record") from None
        return document, row


def _title(told: Told) -> str:
    try:
        title = msgspec.json.decode(told.body, type=_Problem).title
    except msgspec.MsgspecError:
        return ""
    return f": {title[:_TITLE_LIMIT]}" if title else ""
