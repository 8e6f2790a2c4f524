"""Writes documents of MongoDB.

A write names what the document has to be for it: its `_id`, and each member that is read of it as it was read. The
server compares and changes a document at once, so nobody else's change is lost.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bson import DatetimeMS, Decimal128, ObjectId
from bson.errors import InvalidDocument
from pymongo import ReturnDocument
from pymongo.collection import Collection as Documents
from pymongo.errors import OperationFailure, WriteError

from ..sources.making import time_of
from ..sources.mapping import DriftError
from ..sources.mongodb import TIMEOUT_MS, Document, MongodbRecords
from .putting import put, top_of
from .writable import CHANGED, DOUBLE, GONE, Change, Outcome, Written, places_of

_REFUSED = {121, 11000, 66, 16755}
"""Codes of one document alone: its rules, a value that must be one of its kind, a member that cannot be changed."""


class MongodbWriter(MongodbRecords):
    """The documents of a collection, as `MongodbRecords` reads them, to be written."""

    def places(self, settable: Collection[str]) -> frozenset[str]:
        """Fields that are named; all where none is, as a document takes any."""
        return places_of(self._source.fields, settable, None)

    def write(self, change: Change) -> Written:
        """Write a document, if it still is what was read.

        Raises:
            BadInputError: this account may not write there.
            SourceGoneError: the server is away.
        """
        with self._asked() as documents:
            try:
                return self._compared(documents, change)
            except DriftError as error:
                return Written(outcome=Outcome.REFUSED, reason=str(error))
            except InvalidDocument:
                return Written(outcome=Outcome.REFUSED, reason="MongoDB has no room for the value")
            except OperationFailure as error:
                if error.code not in _REFUSED and not isinstance(error, WriteError):
                    raise
                # Of this document alone; the server's sentence may have the value.
                return Written(outcome=Outcome.REFUSED, reason=f"MongoDB refuses it (code {error.code})")

    def _compared(self, documents: Documents[Document], change: Change) -> Written:
        found = list(documents.find(self._where(change.key)).limit(3).max_time_ms(TIMEOUT_MS))
        rows = [(document, row) for document in found if (row := self._row(document, 1)).key == change.key]
        if not rows:
            return Written(outcome=Outcome.MOVED, reason=GONE)
        if len(rows) > 1:
            return Written(outcome=Outcome.REFUSED, reason=DOUBLE)
        document, before = rows[0]
        if not change.is_as_read(before):
            return Written(outcome=Outcome.MOVED, row=before, reason=CHANGED)
        return self._written(documents, document, change)

    def _written(self, documents: Documents[Document], document: Document, change: Change) -> Written:
        values = put(document, self._source.fields, change.values, change.base, like=_like)
        update: Document = {"$set": values}
        if (moment := self._moment(document, values)) is not None:
            update |= moment
        after = documents.find_one_and_update(
            self._as_read(document, values), update, return_document=ReturnDocument.AFTER
        )
        if after is None:
            # Between the question and the write; what it has become is read by whoever asks next.
            again = documents.find_one({"_id": document["_id"]})
            row = None if again is None else self._row(again, 1)
            return Written(outcome=Outcome.MOVED, row=row, reason=CHANGED)
        return Written(outcome=Outcome.WRITTEN, row=self._row(after, 1))

    def _moment(self, document: Document, values: Document) -> Document | None:
        """What notes the time, where the document has one; of the kind that it is."""
        path = self._source.updated_at
        if top_of(path) in values:
            return None
        held: Any = document
        for step in path.split("."):
            held = held.get(step) if isinstance(held, dict) else None
        if isinstance(held, (datetime, DatetimeMS)):
            return {"$currentDate": {path: True}}
        if isinstance(held, str):
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return {"$set": {**values, path: now}}
        return None

    def _as_read(self, document: Document, values: Document) -> Document:
        """A filter of this document as it was read."""
        source = self._source
        names = {top_of(path) for path in (*source.fields.values(), source.updated_at, source.key)}
        names |= values.keys() if source.fields else document.keys()
        condition: Document = {"_id": document["_id"]}
        for name in sorted(names - {"_id"}):
            condition[name] = {"$eq": document[name]} if name in document else {"$exists": False}
        return condition

    def _where(self, key: str) -> Document:
        """A filter of documents that may have this key: it is known as a text, whatever it is there."""
        here: Document = {self._source.key: {"$in": _ids(key)}}
        given = self._filter(None, None)
        return {"$and": [given, here]} if given else here


def _ids(key: str) -> list[Any]:
    """What a key may be in MongoDB, of which this is the text."""
    found: list[Any] = [key]
    if ObjectId.is_valid(key):
        found.append(ObjectId(key))
    try:
        number = json.loads(key)
    except ValueError:
        number = None
    if isinstance(number, (int, float)) and not isinstance(number, bool):
        found += [number, Decimal128(str(number))]
    with suppress(ValueError):
        found.append(UUID(key))
    return found


def _like(old: Any, new: Any) -> Any:  # noqa: ANN401 - whatever a document has
    """A time where one was; all else is as JSON has it."""
    if isinstance(old, (datetime, DatetimeMS)) and isinstance(new, str):
        moment = time_of(new)
        if moment is None:
            raise DriftError("the source has a time where the value is none")
        return moment
    return new
