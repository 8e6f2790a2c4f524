"""Writes records of the platform Zervigo, by docs/openapi/zervigo.yaml.

A write is a merge patch with the ETag of what was read: the platform takes it only while the record has that one. A
question whose answer was lost is asked again, and is then refused as the record has another ETag: what it has become is
read, and found to be what was meant. A record is made at an address of its own, which has our id of it: asked again,
the platform makes no second one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from looma_core.api.syncjob import ZervigoSource
from looma_engines.sync_worker.inputs import BadInputError, Inputs

from ..source_row import SourceRow
from ..sources.mapping import DriftError
from ..sources.remote.asking import Account, SourceAwayError, Told
from ..sources.zervigo import ZervigoRecords
from .putting import put
from .writable import CHANGED, GONE, Change, Creation, Deletion, Outcome, Written, places_of

_GONE = (404, 410)
_MADE, _DELETED = 201, 204
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
        """Fields that are named; where none is all but our own ids, which the platform has no member for."""
        found = places_of(self._source.fields, settable, None)
        return found if self._source.fields else found - {"company_id"}

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
        tag = _tag_of(found)
        document, before = self._one(found)
        if not change.is_as_read(before):
            return Written(outcome=Outcome.MOVED, row=before, reason=CHANGED)
        try:
            values = put(document, self._source.fields, change.values, change.base)
        except DriftError as error:
            return Written(outcome=Outcome.REFUSED, reason=str(error))
        return self._patched(address, values, tag)

    def find(self, record_id: UUID) -> SourceRow | None:
        """The record that was made for one of here.

        Raises:
            SourceAwayError: the platform does not answer.
        """
        said = self._asking().told(self._own(record_id), taken=_GONE)
        return None if said.status in _GONE else self._one(said)[1]

    def create(self, creation: Creation) -> Written:
        """Make a record, unless there is one of this id.

        Raises:
            BadInputError: the platform lets this client make nothing.
            SourceAwayError: it does not answer.
        """
        try:
            values = put({}, self._source.fields, creation.values, {})
        except DriftError as error:
            return Written(outcome=Outcome.REFUSED, reason=str(error))
        said = self._asking().told(
            self._own(creation.record_id),
            method="PUT",
            content=msgspec.json.encode(values),
            headers={"Content-Type": "application/json", "If-None-Match": "*"},
            taken=(_MADE, _CHANGED, *_REFUSED, *_FORBIDDEN),
        )
        if (refused := _refused(said)) is not None:
            return refused
        if said.status == _CHANGED:
            # It was made before, or by this very question, whose answer was lost.
            row = self.find(creation.record_id)
            return Written(
                outcome=Outcome.WRITTEN if row else Outcome.MOVED, row=row, reason="" if row else GONE
            )
        return Written(outcome=Outcome.WRITTEN, row=self._one(said)[1])

    def delete(self, deletion: Deletion) -> Written:
        """Delete a record, if the platform still has what was read.

        Raises:
            BadInputError: the platform lets this client delete nothing, or gives records without an ETag.
            SourceAwayError: it does not answer.
        """
        address = f"{self._address}/{quote(deletion.key, safe='')}"
        found = self._asking().told(address, taken=_GONE)
        if found.status in _GONE:
            return Written(outcome=Outcome.WRITTEN, reason=GONE)
        _, before = self._one(found)
        if not deletion.is_as_read(before):
            return Written(outcome=Outcome.MOVED, row=before, reason=CHANGED)
        said = self._asking().told(
            address,
            method="DELETE",
            headers={"If-Match": _tag_of(found)},
            taken=(_DELETED, *_GONE, _CHANGED, *_REFUSED, *_FORBIDDEN),
        )
        if (refused := _refused(said)) is not None:
            return refused
        if said.status == _CHANGED:
            said = self._asking().told(address, taken=_GONE)
            if said.status not in _GONE:
                return Written(outcome=Outcome.MOVED, row=self._one(said)[1], reason=CHANGED)
        return Written(outcome=Outcome.WRITTEN)

    def _own(self, record_id: UUID) -> str:
        """Where the platform has the record that was made for one of here."""
        return f"{self._address}/by-external-id/{record_id}"

    def _patched(self, address: str, values: Mapping[str, Any], tag: str) -> Written:
        said = self._asking().told(
            address,
            method="PATCH",
            content=msgspec.json.encode(values),
            headers={"Content-Type": "application/merge-patch+json", "If-Match": tag},
            taken=(*_GONE, _CHANGED, *_REFUSED, *_FORBIDDEN),
        )
        if (refused := _refused(said)) is not None:
            return refused
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


def _tag_of(told: Told) -> str:
    if not told.tag:
        raise BadInputError("the platform gives records without an ETag: nothing can be written safely")
    return told.tag


def _refused(said: Told) -> Written | None:
    """What an answer says against this record; None where it says nothing.

    Raises:
        BadInputError: it says that this client may write nothing.
    """
    if said.status in _FORBIDDEN:
        raise BadInputError(f"the platform answers {said.status}: it lets this client write nothing there")
    if said.status not in _REFUSED:
        return None
    return Written(outcome=Outcome.REFUSED, reason=f"the platform answers {said.status}{_title(said)}")


def _title(told: Told) -> str:
    try:
        title = msgspec.json.decode(told.body, type=_Problem).title
    except msgspec.MsgspecError:
        return ""
    return f": {title[:_TITLE_LIMIT]}" if title else ""
