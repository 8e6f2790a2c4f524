"""The envelope of every list that the API answers."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

ItemT = TypeVar("ItemT")


class Page(msgspec.Struct, Generic[ItemT], frozen=True):
    """One page of a list, and how to ask for the next."""

    items: list[ItemT]
    next_cursor: Annotated[
        str | None, Meta(description="Give it back as `cursor` for the next page; null on the last page.")
    ] = None


class Count(msgspec.Struct, frozen=True):
    """How many a list has."""

    count: Annotated[int, Meta(ge=0)]
    exact: Annotated[
        bool,
        Meta(description="False over 1,000: then it is what the database's statistics tell."),
    ]
