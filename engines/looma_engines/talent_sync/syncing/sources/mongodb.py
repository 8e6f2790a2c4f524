"""Reads a collection of MongoDB, document by document, in the order of `_id`.

There is no snapshot: a document that is there all the time is read once, and what changes meanwhile is seen by the
second reading or by the next incremental run. A cursor that the server has lost is followed by another from the last
`_id` on. A comparison finds values of its own type alone, so the types that come after it are asked for by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pymongo
from bson import DatetimeMS, Decimal128, ObjectId, Timestamp, json_util
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from looma_core.api.syncjob import MongodbSource
from looma_engines.sync_worker.inputs import BadInputError

from ..source_row import SourceRow
from .credentials import Secrets
from .making import row_of
from .plain import plain
from .record_source import SourceGoneError

Document = dict[str, Any]
TIMEOUT_MS = 60_000
"""For each answer of the server."""
CONNECT_MS = 10_000
FETCHED = 200
"""Documents that are asked for at once."""
CA = "ca.crt"
_REFUSED = {2, 9, 13, 18, 40324}
"""Codes that a later try would not mend: a wrong value or query, no right, no such account."""
_UNKNOWN_COMMAND = 59
_OPTIONS: CodecOptions[Document] = CodecOptions(
    tz_aware=True,
    # A moment that Python has no value for is one document's fault, and not the end of all.
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
    uuid_representation=UuidRepresentation.STANDARD,
)
_EXACT = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL, uuid_representation=UuidRepresentation.STANDARD, tz_aware=True
)
_ORDER: tuple[tuple[tuple[str, ...], tuple[type, ...]], ...] = (
    (("null",), (type(None),)),
    (("int", "long", "double", "decimal"), (int, float, Decimal128)),
    (("string",), (str,)),
    (("object",), (dict,)),
    (("binData",), (bytes, UUID)),
    (("objectId",), (ObjectId,)),
    (("bool",), (bool,)),
    (("date",), (datetime, DatetimeMS)),
    (("timestamp",), (Timestamp,)),
)
"""Types in the order in which MongoDB sorts them, as it and as Python calls them."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a reading is: after which `_id`, as extended JSON, and how many were read."""

    last: str
    position: int


class MongodbRecords:
    """The documents of a collection.

    Args:
        source: what the SyncJob says of it.
        secrets: with username, password and ca.crt, as far as there are.
        entity: what the records are to be.
    """

    live = True
    incremental = True

    def __init__(self, source: MongodbSource, secrets: Secrets, entity: str) -> None:
        self._source = source
        self._secrets = secrets
        self._entity = entity
        self._client: MongoClient[Document] | None = None
        self._is_empty = False

    def now(self) -> datetime:
        """The server's time."""
        with self._asked() as collection:
            said = _said_of_itself(collection.database.client)
        moment = said.get("localTime")
        return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else datetime.now(UTC)

    def total(self, *, since: datetime | None) -> int | None:
        """How many documents there are."""
        with self._asked() as collection:
            return int(collection.count_documents(self._filter(None, since), maxTimeMS=TIMEOUT_MS))

    def rows(self, *, after: str, since: datetime | None) -> Iterator[SourceRow]:
        """The documents after a cursor.

        Raises:
            BadInputError: the server refuses what is asked for.
            SourceGoneError: it is away.
        """
        begin = _cursor(after)
        position = begin.position if begin else 0
        with self._asked() as collection:
            found = collection.find(
                self._filter(begin, since), sort=[("_id", pymongo.ASCENDING)], batch_size=FETCHED
            ).max_time_ms(TIMEOUT_MS)
            with found:
                for document in found:
                    position += 1
                    yield self._row(document, position)
        if not after and since is None:
            self._is_empty = position == 0

    def shortfall(self) -> str:
        """A collection that is not there has no documents either, and no server says so."""
        return "the source has no record at all" if self._is_empty else ""

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _row(self, document: Document, position: int) -> SourceRow:
        last = json_util.dumps(document.get("_id"), json_options=_EXACT)
        values = plain(document, more=_bson)
        raw = msgspec.json.encode(values, order="sorted")
        return row_of(
            values,
            position=position,
            source=self._source,
            entity=self._entity,
            cursor=msgspec.json.encode(Cursor(last=last, position=position)).decode(),
            anchor=int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big") >> 1,
            nulls=False,
        )

    def _filter(self, begin: Cursor | None, since: datetime | None) -> Document:
        parts: list[Document] = []
        if self._source.filter:
            try:
                asked = json_util.loads(self._source.filter, json_options=_EXACT)
            except (ValueError, TypeError, BSONError):
                asked = None
            if not isinstance(asked, dict):
                raise BadInputError('spec.source.filter: write a query document, as {"deleted": false}')
            parts.append(asked)
        if begin is not None:
            parts.append(_following(json_util.loads(begin.last, json_options=_EXACT)))
        if since is not None:
            name = self._source.updated_at
            # Kept as dates by most, as texts by some; what has neither is read each time.
            changed = [
                {name: {"$gte": since}},
                {name: {"$gte": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")}},
                {name: None},
            ]
            parts.append({"$or": changed})
        if not parts:
            return {}
        return parts[0] if len(parts) == 1 else {"$and": parts}

    @contextmanager
    def _asked(self) -> Iterator[Collection[Document]]:
        """The collection; what goes wrong with it is said in our own words, without anything of a document."""
        try:
            if self._client is None:
                self._client = self._connect()
            database = self._client.get_default_database(None, codec_options=_OPTIONS)
            yield database.get_collection(self._source.collection, read_concern=ReadConcern("local"))
        except ConfigurationError as error:
            raise BadInputError(
                "spec.source.url: write mongodb://HOST:PORT/DATABASE, of a MongoDB of 4.4 or newer"
            ) from error
        except OperationFailure as error:
            if error.code in _REFUSED:
                raise BadInputError(f"spec.source: MongoDB refuses it (code {error.code})") from error
            raise SourceGoneError(f"MongoDB could not answer (code {error.code})") from error
        except (PyMongoError, BSONError) as error:
            raise SourceGoneError(f"MongoDB is away ({type(error).__name__})") from error

    def _connect(self) -> MongoClient[Document]:
        if "@" in self._source.url:
            raise BadInputError("spec.source.url: write it without name and password; the Secret has them")
        more: dict[str, Any] = {}
        if username := self._secrets.text("username"):
            more = {"username": username, "password": self._secrets.text("password")}
        certificate = self._secrets.file(CA)
        if certificate is not None:
            more |= {"tls": True, "tlsCAFile": str(certificate)}
        try:
            return MongoClient(
                self._source.url,
                appname="looma-sync",
                # Whoever reads tries again, from the last document on.
                retryReads=False,
                serverSelectionTimeoutMS=CONNECT_MS,
                connectTimeoutMS=CONNECT_MS,
                socketTimeoutMS=TIMEOUT_MS,
                maxPoolSize=2,
                **more,
            )
        except ConfigurationError as error:
            if self._source.url.startswith("mongodb+srv:"):
                raise SourceGoneError("the name server did not say where MongoDB is") from error
            raise


def _said_of_itself(client: MongoClient[Document]) -> Document:
    try:
        return client.admin.command("hello")
    except OperationFailure as error:
        # The first of 4.4 know it by its older name alone.
        if error.code != _UNKNOWN_COMMAND:
            raise
        return client.admin.command("ismaster")


def _following(last: Any) -> Document:  # noqa: ANN401 - whatever an `_id` may be
    """A filter of what comes after an `_id` in MongoDB's order."""
    # A boolean is a number in Python, and none in MongoDB: so the last that fits.
    places = [place for place, (_, types) in enumerate(_ORDER) if isinstance(last, types)]
    later = [name for names, _ in _ORDER[places[-1] + 1 :] for name in names] if places else []
    return {"$or": [{"_id": {"$gt": last}}, *({"_id": {"$type": name}} for name in later)]}


def _bson(value: Any) -> Any:  # noqa: ANN401 - whatever BSON has
    """ObjectId, UUID, code and the like are their texts, decimals numbers, and a moment out of range its number."""
    if isinstance(value, Decimal128):
        return plain(value.to_decimal())
    if isinstance(value, DatetimeMS):
        return f"{int(value)} ms"
    if isinstance(value, Mapping):
        return plain(dict(value), more=_bson)
    return str(value)


def _cursor(text: str) -> Cursor | None:
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=Cursor)
    except msgspec.MsgspecError:
        raise BadInputError(
            "the source was another one when this run began: cancel it, and ask for a new one"
        ) from None
