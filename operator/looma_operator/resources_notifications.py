"""What people are still to be told of an object, as its status keeps it until they know."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Notification(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One happening that receivers in `to` have not been told of yet.

    `id` stays the same however often it is sent. `weight` is the percent of the requests that the new revision was
    meant to get, None where nothing is weighed; `why` is the reason that whoever asked gave.
    """

    id: str
    reason: str
    warning: bool = False
    note: str = ""
    at: datetime
    revision: str = ""
    from_: str = msgspec.field(name="from", default="")
    weight: int | None = None
    phase: str = ""
    requested_by: str = ""
    why: str = ""
    to: tuple[str, ...] = ()
