"""How a list is searched by words, and by a skill. A decision only: `looking_up` asks the database for both roads.

What many records have is found fastest by walking along the order that is asked for until a page is full; what few have
by looking up who has it (`talent_sync.look_up`). Which of them it is, the first records of the list tell.
"""

from __future__ import annotations

import enum
import re

PROBED = 1_000
"""Records at the head of a list that are looked at first: reading them takes about a millisecond."""
FREQUENT = 5
"""Hits among those from which on walking is the shorter way: a page of 50 is full after 10,000 records, on average."""
MOST_LOOKED_UP = 5_000
"""Records that are looked up at most. With more of them the list is walked along after all."""

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Road(enum.Enum):
    """How the records of a page are found."""

    WALK = "walk"
    LOOK_UP = "look-up"


def road(*, probed: int, hits: int) -> Road:
    """How to find the records that have the words.

    | probed | hits | answer  | because                                    |
    | ------ | ---- | ------- | ------------------------------------------ |
    | 1,000  | 5    | WALK    | a page is full soon                        |
    | 1,000  | 4    | LOOK_UP | few have them                              |
    | 999    | 0    | WALK    | the list is over, there is nothing to find |
    """
    if probed < PROBED or hits >= FREQUENT:
        return Road.WALK
    return Road.LOOK_UP


def words_of(q: str | None) -> list[str]:
    """The words of a query, as the searched text has them."""
    return (q or "").lower().split()


def is_address(word: str) -> bool:
    """Whether a word is a whole e-mail address.

    | word             | answer |
    | ---------------- | ------ |
    | ada@mail.example | True   |
    | @ada             | False  |
    | ada@mail         | False  |
    """
    return _ADDRESS.fullmatch(word) is not None
