"""Follows a collection of MongoDB by its change stream: which documents changed since a mark.

A mark is the stream's resume token, or, of a server that gives none before the first change, the server's own time: to
begin earlier is no harm, for what is read twice is unchanged. A stream that cannot go on where a mark is, since the
server has forgotten that long ago or the collection is another one, is made good by reading all.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from bson import Timestamp, json_util
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

Document = dict[str, Any]
MOST_CHANGED = 50_000
"""Documents that are asked for by their ids; of more, all are read."""
AWAIT_MS = 300
"""How long the server waits for one more change before it says that there is none."""
_LOST = {136, 260, 280, 286}
"""Codes of a mark that the server has forgotten, or never gave."""
_ENDS = {"drop", "rename", "dropDatabase", "invalidate"}


@runtime_checkable
class FollowsChanges(Protocol):
    """A source that knows what changed since a mark."""

    def mark(self) -> str:
        """A mark of now."""
        ...

    def follow(self, mark: str) -> None:
        """Read only what changed since a mark from now on; all, where nobody knows."""
        ...


def mark_of(collection: Collection[Document], now: Timestamp) -> str:
    """A mark of now.

    Args:
        collection: what is followed.
        now: the server's time, for one that gives no token yet.
    """
    with collection.watch(max_await_time_ms=AWAIT_MS) as stream:
        stream.try_next()
        token = stream.resume_token
    return json_util.dumps({"after": token} if token is not None else {"at": now})


def changed_since(collection: Collection[Document], mark: str) -> list[Any] | None:
    """The `_id`s of documents that changed since a mark, as far as the server knows by now; None where all may have."""
    said = json_util.loads(mark)
    found: dict[str, Any] = {}
    try:
        with collection.watch(
            resume_after=said.get("after"),
            start_at_operation_time=said.get("at"),
            max_await_time_ms=AWAIT_MS,
        ) as stream:
            while (change := stream.try_next()) is not None:
                if change["operationType"] in _ENDS:
                    return None
                key = change["documentKey"]["_id"]
                found[json_util.dumps(key)] = key
                if len(found) > MOST_CHANGED:
                    return None
    except OperationFailure as error:
        if error.code in _LOST or error.has_error_label("NonResumableChangeStreamError"):
            return None
        raise
    return list(found.values())
