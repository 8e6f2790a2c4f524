"""The history of one record: entries as the API answers them, and where the next page begins. Pure."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
from msgspec import Meta

from looma_core.api.history import Action, FieldChange, HistoryEntry
from looma_core.problems import FieldError, ValidationProblem

if TYPE_CHECKING:
    from looma_engines.talent_sync.records.history_rows import HistoryRow

# Names of columns that a record has in an object.
_NAMES = {"source_type": "source.type", "source_ref": "source.ref"}
LARGEST_ID = 2**63 - 1


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """The last entry of a page: when, and its number among those of that moment."""

    at: Annotated[datetime, Meta(tz=True)]
    id: Annotated[int, Meta(ge=1, le=LARGEST_ID)]


def entry_of(row: HistoryRow, settable: Sequence[str]) -> HistoryEntry:
    """The entry of a row; its changes are in the order of the fields, what no field has comes last."""
    order = {name: place for place, name in enumerate(settable)}
    names = sorted(row.changes, key=lambda name: (order.get(name, len(order)), name))
    if row.action == "create":
        changes = [
            FieldChange(field=_NAMES.get(name, name), after=row.changes[name])
            for name in names
            if row.changes[name] not in (None, [])
        ]
    else:
        changes = [_change(name, row.changes[name]) for name in names]
    return HistoryEntry(
        version=row.version,
        action=cast("Action", row.action),
        at=row.changed_at,
        actor=row.actor,
        origin=row.origin,
        changes=changes,
    )


def encode(mark: Mark) -> str:
    """The cursor for the page after this entry."""
    return urlsafe_b64encode(msgspec.json.encode(mark)).rstrip(b"=").decode()


def decode(cursor: str) -> Mark:
    """Read a cursor that was given out.

    Raises:
        ValidationProblem: it is not one of ours.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(urlsafe_b64decode(padded), type=Mark)
    except (ValueError, msgspec.MsgspecError) as error:
        message = "give back `next_cursor` of the page before, unchanged"
        raise ValidationProblem(errors=[FieldError(field="cursor", message=message)]) from error


def _change(name: str, change: dict[str, Any]) -> FieldChange:
    return FieldChange(field=_NAMES.get(name, name), before=change.get("before"), after=change.get("after"))
