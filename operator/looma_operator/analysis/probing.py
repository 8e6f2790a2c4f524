"""Probes: requests whose right answers are known, sent to the pods of one revision and scored.

The score is the share of expectations that hold, in percent. An answer that is wrong is told by its place, never by
what it says: probes may be about people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import aiohttp
import msgspec

from ..plan.judging import Reading, Sample
from .pointer import point

AT_ONCE = 4
ONE_SECONDS = 15.0
NAMED = 5  # Places of wrong answers that are told.
Exchange = Callable[..., Awaitable[tuple[int, bytes]]]


class Unmeasurable(Exception):
    """Why there is no reading, in words for status."""


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request, the status and the values (by JSON pointer) that its answer must have. `name` tells it apart."""

    path: str
    method: Literal["GET", "POST"] = "POST"
    body: Any = None
    status: int = 200
    expect: dict[str, Any] = {}
    name: str = ""

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError("path must begin with /")


def read_probes(text: str) -> tuple[Probe, ...]:
    """The probes that a ConfigMap's key has: a JSON list.

    Raises:
        ValueError: if it is none, or an empty one, with a message that says what to write.
    """
    wanted = 'write a JSON list of {"path": "/api/v1/…", "body": {…}, "expect": {"/pointer": value}}'
    try:
        probes = msgspec.json.decode(text, type=tuple[Probe, ...])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{error}; {wanted}") from error
    if not probes:
        raise ValueError(f"it has no probe; {wanted}")
    return probes


async def probe(
    exchange: Exchange, base: str, probes: Sequence[Probe], *, headers: Mapping[str, str]
) -> Reading:
    """Send all probes to `base`, a few at once; the reading has the score in percent, of so many probes.

    A probe without an answer is wrong. If none has one, nothing was measured.

    Raises:
        Unmeasurable: then.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, asked: Probe) -> tuple[bool, list[str], int]:
        name = asked.name or str(number)
        every = [f"{name} {place}" for place in asked.expect] or [name]
        async with turns:
            try:
                async with asyncio.timeout(ONE_SECONDS):
                    body = {} if asked.body is None else {"json": asked.body}
                    status, answer = await exchange(
                        asked.method, base + asked.path, headers=dict(headers), **body
                    )
            except (aiohttp.ClientError, TimeoutError, OSError):
                return False, every, len(every)
        if status != asked.status:
            return True, every, len(every)
        return True, [f"{name} {place}" for place in _wrong(answer, asked.expect)], len(every)

    found = await asyncio.gather(*(one(number, asked) for number, asked in enumerate(probes)))
    if not any(answered for answered, _, _ in found):
        raise Unmeasurable(f"none of {len(probes)} probes was answered at {base}")
    whole = sum(count for _, _, count in found)
    wrong = [place for _, places, _ in found for place in places]
    more = ", …" if len(wrong) > NAMED else ""
    note = (
        f"{len(wrong)} of {whole} wrong: {', '.join(wrong[:NAMED])}{more}" if wrong else f"all {whole} right"
    )
    score = 100 * (whole - len(wrong)) / whole
    return Reading(samples=(Sample(value=score),), count=len(probes), note=note)


def _wrong(answer: bytes, expect: Mapping[str, Any]) -> list[str]:
    """Places at which the answer has something else than it must."""
    if not expect:
        return []
    try:
        document = msgspec.json.decode(answer)
    except msgspec.DecodeError:
        return list(expect)
    return [place for place, value in expect.items() if not _has(document, place, value)]


def _has(document: object, place: str, value: object) -> bool:
    try:
        there = point(document, place)
    except LookupError:
        return False
    # True is 1 to Python and something else in JSON.
    return bool(there == value) and isinstance(there, bool) == isinstance(value, bool)
