"""Which part of a source a run reads, and from when on the next one will. Pure.

| the SyncJob wants, and the source can | runs before that succeeded            | the run reads        |
| -------------------------------------- | ------------------------------------- | -------------------- |
| all                                    | any                                   | all                  |
| changes                                | none, or none that knows its time     | all                  |
| changes                                | the last one read another `form`      | all                  |
| changes                                | the last full one is `full_every` ago | all                  |
| changes                                | else                                  | changes, and overlap |

All shards of a run do the same: the first one's span is kept in the database, and the others take it from there. Only
`until` is each one's own, as each has begun to read at a time of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from looma_core.api.syncjob import Incremental, Reading, RemoteSource, SourceBase

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run reads: all, or what was changed `since` then.

    `until` is the source's time before its first record was read: what is changed later is the next run's, whatever a
    later part of this reading may see. `before` is the watermark that stood, `form` a digest of how records are made.
    `full_in` is which run after this one reads all again by `fullEvery`: 1 is the next one.
    """

    until: datetime
    form: str = ""
    since: datetime | None = None
    before: datetime | None = None
    full_in: int | None = None

    @property
    def full(self) -> bool:
        """Whether it is all."""
        return self.since is None


def reading_of(span: Span | None) -> Reading:
    """What a shard's entry says of it; a source without spans is read whole."""
    if span is None:
        return Reading(mode="full")
    return Reading(
        mode="full" if span.full else "incremental",
        since=span.since,
        watermark=span.before,
        full_in=span.full_in,
    )


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run that succeeded: what it read, and up to when it knows of all changes."""

    span: Span | None
    watermark: datetime | None


def next_span(*, asked: Incremental | None, form: str, past: Sequence[Run], now: datetime) -> Span:
    """What a run reads, by the table above.

    Args:
        asked: what the SyncJob says; None where only all can be read.
        form: digest of how records are made of the source now.
        past: runs that succeeded, the newest first.
        now: the time by the source's clock.
    """
    last = past[0] if past else None
    every = (asked.full_every or None) if asked is not None else None
    if asked is None or last is None or last.watermark is None or last.span is None or last.span.form != form:
        return Span(until=now, form=form, full_in=every)
    since_full = next((at for at, run in enumerate(past) if run.span is None or run.span.full), len(past))
    if every is not None and since_full + 1 >= every:
        return Span(until=now, form=form, full_in=every)
    since = last.watermark - duration(asked.overlap)
    left = None if every is None else every - since_full - 1
    return Span(until=now, form=form, since=since, before=last.watermark, full_in=left)


def watermark_of(span: Span, latest: datetime | None) -> datetime | None:
    """Up to when a shard that is done knows of all changes.

    Not later than the last change that was read: a replica may be behind, and its clock is not the writer's. And not
    later than the beginning of the reading, whatever times the records have.
    """
    reached = None if latest is None else min(latest, span.until)
    if reached is None or span.before is None:
        return reached or span.before
    return max(reached, span.before)


def form_of(source: SourceBase) -> str:
    """A digest of all that makes records of a source what they are; and of the word that asks for a full run."""
    if not isinstance(source, RemoteSource):
        return ""
    asked = source.incremental
    same = msgspec.structs.replace(
        source, credentials=None, incremental=Incremental(full=asked.full) if asked else None
    )
    return hashlib.blake2b(msgspec.json.encode(same, order="sorted"), digest_size=12).hexdigest()


def duration(text: str) -> timedelta:
    """The time that a text as 5m names.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if found is None:
        raise ValueError(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
