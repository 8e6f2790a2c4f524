"""What is known of a kind of record without asking how it is found: enough to judge one and to store it.

A worker of a sync job takes this alone: a small source is read in less time than an engine's tables are imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import msgspec

from looma_engines.talent_sync.quality.rule import Rule

if TYPE_CHECKING:
    from looma_core.api.source import Source


class Drafted(Protocol):
    """What every draft has."""

    source: Source


DraftT = TypeVar("DraftT", bound=Drafted)


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[DraftT]):
    """One kind of record.

    Args:
        name: what people call one of them, as `talent`.
        draft: what a client sends.
        table: the table's name; it has a column for each field of the draft but `source`.
        rules: what is asked of a draft.
        tidy: what of a draft is stored.
        refers: fields that hold the id of another record, each with the name of that one's table.
    """

    name: str
    draft: type[DraftT]
    table: str
    rules: tuple[Rule[DraftT], ...]
    tidy: Callable[[DraftT], DraftT]
    refers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def settable(self) -> tuple[str, ...]:
        """Names of the fields that a client may set."""
        return tuple(
            member.name
            for member in msgspec.structs.fields(cast("type[msgspec.Struct]", self.draft))
            if member.name != "source"
        )
