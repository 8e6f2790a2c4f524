"""Writes documents of MongoDB.

A write names what the document has to be for it: its `_id`, and each member that is read of it as it was read. The
server compares and changes a document at once, so nobody else's change is lost. A document that is made has an `_id`
made of our id of the record: there is no second one of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bson import DatetimeMS, Decimal128, ObjectId
from bson.errors import InvalidDocument
from pymongo import ReturnDocument
from pymongo.collection import Collection as Documents
from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError

from looma_core.api.syncjob import MongodbSource, WriteBack
from looma_engines.sync_worker.inputs import BadInputError

from ..source_row import SourceRow, own_keys
from ..sources.credentials import Secrets
from ..sources.making import time_of
from ..sources.mapping import DriftError
from ..sources.mongodb import TIMEOUT_MS, Document, MongodbRecords
from .putting import put, top_of
from .writable import (
    CHANGED,
    DOUBLE,
    GONE,
    MARKED,
    Change,
    Creation,
    Deletion,
    Outcome,
    Written,
    places_of,
)

_REFUSED = {121, 11000, 66, 16755}
"""Codes of one document alone: its rules, a value that must be one of its kind, a member that cannot be changed."""


class MongodbWriter(MongodbRecords):
    """The documents of a collection, as `MongodbRecords` reads them, to be written.

    Args:
        source: what the SyncJob says of it.
        secrets: as of `MongodbRecords`.
        entity: what the records are.
        write_back: which member marks a document as deleted.
    """

    def __init__(self, source: MongodbSource, secrets: Secrets, entity: str, write_back: WriteBack) -> None:
        super().__init__(source, secrets, entity)
        self._write_back = write_back

    def places(self, settable: Collection[str]) -> frozenset[str]:
        """Fields that are named; all where none is, as a document takes any."""
        return places_of(self._source.fields, settable, None)

    def write(self, change: Change) -> Written:
        """Write a document, if it still is what was read.

        Raises:
            BadInputError: this account may not write there.
            SourceGoneError: the server is away.
        """

        def compared(documents: Documents[Document]) -> Written:
            found = self._compared(documents, change.key, change.is_as_read)
            return found if isinstance(found, Written) else self._written(documents, found, change)

        return self._tried(compared)

    def find(self, record_id: UUID) -> SourceRow | None:
        """The document that was made for a record.

        Raises:
            BadInputError, SourceGoneError: as `write`.
        """
        with self._asked() as documents:
            found = self._made(documents, record_id)
            return None if found is None else self._row(found, 1)

    def create(self, creation: Creation) -> Written:
        """Make a document, unless there is one of this record.

        Raises:
            BadInputError: its ids are numbers, which nobody but their own programs can give; else as `write`.
            SourceGoneError: the server is away.
        """
        return self._tried(lambda documents: self._created(documents, creation))

    def delete(self, deletion: Deletion) -> Written:
        """Delete a document, or mark it, if it still is what was read.

        Raises:
            BadInputError, SourceGoneError: as `write`.
        """

        def compared(documents: Documents[Document]) -> Written:
            found = self._compared(documents, deletion.key, deletion.is_as_read)
            if not isinstance(found, Written):
                return self._deleted(documents, found)
            is_gone = found.outcome is Outcome.MOVED and found.row is None
            return Written(outcome=Outcome.WRITTEN, reason=GONE) if is_gone else found

        return self._tried(compared)

    def _tried(self, action: Callable[[Documents[Document]], Written]) -> Written:
        """Do something; what the server refuses of this document alone is said without its values."""
        with self._asked() as documents:
            try:
                return action(documents)
            except DriftError as error:
                return Written(outcome=Outcome.REFUSED, reason=str(error))
            except InvalidDocument:
                return Written(outcome=Outcome.REFUSED, reason="MongoDB has no room for the value")
            except OperationFailure as error:
                if error.code not in _REFUSED and not isinstance(error, WriteError):
                    raise
                # Of this document alone; the server's sentence may have the value.
                return Written(outcome=Outcome.REFUSED, reason=f"MongoDB refuses it (code {error.code})")

    def _compared(
        self, documents: Documents[Document], key: str, is_as_read: Callable[[SourceRow], bool]
    ) -> Document | Written:
        """The document, if it is what was read; or why it is not to be touched."""
        found = list(documents.find(self._where(key)).limit(3).max_time_ms(TIMEOUT_MS))
        rows = [(document, row) for document in found if (row := self._row(document, 1)).key == key]
        if not rows:
            return Written(outcome=Outcome.MOVED, reason=GONE)
        if len(rows) > 1:
            return Written(outcome=Outcome.REFUSED, reason=DOUBLE)
        document, before = rows[0]
        if not is_as_read(before):
            return Written(outcome=Outcome.MOVED, row=before, reason=CHANGED)
        return document

    def _made(self, documents: Documents[Document], record_id: UUID) -> Document | None:
        # In whatever form: by now the collection may have ids of another kind.
        return documents.find_one({"_id": {"$in": list(_own_ids(record_id).values())}})

    def _created(self, documents: Documents[Document], creation: Creation) -> Written:
        found = self._made(documents, creation.record_id)
        if found is None:
            try:
                documents.insert_one(self._new(documents, creation))
            except DuplicateKeyError:
                # Of another worker that was faster; or another unique index has something against it.
                found = self._made(documents, creation.record_id)
                if found is None:
                    raise
            found = found or self._made(documents, creation.record_id)
        if found is None:
            return Written(outcome=Outcome.MOVED, reason=GONE)
        return Written(outcome=Outcome.WRITTEN, row=self._row(found, 1))

    def _new(self, documents: Documents[Document], creation: Creation) -> Document:
        """A document like those that are there: of the kind of their ids and times, and found by the filter."""
        like = documents.find_one(self._filter(None, None), sort=[("_id", -1)]) or {}
        own = _own_ids(creation.record_id)
        given = own.get(type(like.get("_id", ObjectId())))
        if given is None:
            raise BadInputError(
                "spec.writeBack.creations: ids of the collection are neither ObjectIds, UUIDs nor texts: only the "
                "programs that it belongs to can give them"
            )
        new = {name: value for name, value in self._filter(None, None).items() if _is_value(name, value)}
        new |= put({}, self._source.fields, creation.values, {})
        new["_id"] = given
        if self._source.key != "_id":
            _set(new, self._source.key, str(creation.record_id))
        moment = datetime.now(UTC)
        if not _at(new, self._source.updated_at):
            is_text = isinstance(_at(like, self._source.updated_at), str)
            _set(new, self._source.updated_at, _text_of(moment) if is_text else moment)
        return new

    def _deleted(self, documents: Documents[Document], document: Document) -> Written:
        mark = self._write_back.mark
        if not mark:
            gone = documents.find_one_and_delete(self._as_read(document, {}))
            return Written(outcome=Outcome.WRITTEN) if gone is not None else self._again(documents, document)
        marked = _at(document, mark)
        if marked not in (None, False):
            return Written(outcome=Outcome.WRITTEN, row=self._row(document, 1), reason=MARKED)
        is_there = marked is not None or mark not in document
        update: Document = {"$set": {mark: True if is_there else datetime.now(UTC)}}
        if (moment := self._moment(document, update["$set"])) is not None:
            update = {**update, **moment, "$set": {**update["$set"], **moment.get("$set", {})}}
        after = documents.find_one_and_update(
            self._as_read(document, {mark: True}), update, return_document=ReturnDocument.AFTER
        )
        if after is None:
            return self._again(documents, document)
        return Written(outcome=Outcome.WRITTEN, row=self._row(after, 1))

    def _again(self, documents: Documents[Document], document: Document) -> Written:
        """What it has become between the question and the write; it is read by whoever asks next."""
        again = documents.find_one({"_id": document["_id"]})
        row = None if again is None else self._row(again, 1)
        return Written(outcome=Outcome.MOVED, row=row, reason=CHANGED)

    def _written(self, documents: Documents[Document], document: Document, change: Change) -> Written:
        values = put(document, self._source.fields, change.values, change.base, like=_like)
        update: Document = {"$set": values}
        if (moment := self._moment(document, values)) is not None:
            update |= moment
        after = documents.find_one_and_update(
            self._as_read(document, values), update, return_document=ReturnDocument.AFTER
        )
        if after is None:
            return self._again(documents, document)
        return Written(outcome=Outcome.WRITTEN, row=self._row(after, 1))

    def _moment(self, document: Document, values: Document) -> Document | None:
        """What notes the time, where the document has one; of the kind that it is."""
        path = self._source.updated_at
        if top_of(path) in values:
            return None
        held = _at(document, path)
        if isinstance(held, (datetime, DatetimeMS)):
            return {"$currentDate": {path: True}}
        if isinstance(held, str):
            return {"$set": {**values, path: _text_of(datetime.now(UTC))}}
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


def _own_ids(record_id: UUID) -> dict[type, Any]:
    """An `_id` of each kind that is made of our id of a record, always the same."""
    text, short = own_keys(record_id)
    return {ObjectId: ObjectId(short), UUID: record_id, str: text}


def _at(document: Any, path: str) -> Any:  # noqa: ANN401 - whatever a document has
    """What stands at a path of members; None where nothing does."""
    for step in path.split("."):
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _set(document: Document, path: str, value: Any) -> None:  # noqa: ANN401 - as above
    *way, last = path.split(".")
    for step in way:
        document = document.setdefault(step, {})
        if not isinstance(document, dict):
            raise DriftError(f"the source has no object where {path} goes on")
    document[last] = value


def _is_value(name: str, value: Any) -> bool:  # noqa: ANN401 - as above
    """Whether a member of a filter asks for a value, which a new document has then; as an upsert of MongoDB's own."""
    is_asked = isinstance(value, dict) and any(word.startswith("$") for word in value)
    return not name.startswith("$") and "." not in name and not is_asked


def _text_of(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _like(old: Any, new: Any) -> Any:  # noqa: ANN401 - whatever a document has
    """A time where one was; all else is as JSON has it."""
    if isinstance(old, (datetime, DatetimeMS)) and isinstance(new, str):
        moment = time_of(new)
        if moment is None:
            raise DriftError("the source has a time where the value is none")
        return moment
    return new
