"""What goes wrong in a seed's run, and the people that its source has: all drawn before the run begins."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

Who = Literal["worker", "database", "source", "operator"]
How = Literal["killed", "cut off", "slowed"]
WHO: tuple[Who, ...] = ("worker", "database", "source", "operator")
HOW: tuple[How, ...] = ("killed", "cut off", "slowed")
TWIN, FENCED = "worker: a second one of its shard", "worker: frozen, and woken in a later run"
KINDS = (*(f"{who}: {how}" for who in WHO for how in HOW), TWIN, FENCED)
SOURCES = ("zervigo", "http", "s3", "postgresql")
SPAN_SECONDS = 1.6
"""About as long as a run of these sizes takes by itself; what comes later is told as too late."""
Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    `at` counts from the first worker's start, of the operator's from when the run is asked for; after `seconds` it is
    mended. `pick` (0 to 1) says which of several is struck, `size` after how many bytes an answer breaks off.
    """

    kind: str
    at: float
    seconds: float
    pick: float
    size: int


def drawn(rng: random.Random) -> list[Fault]:
    """One to three things of different kinds, for one run."""
    # What is about all of the operator costs seconds of waiting for a lease, so one kind of three is enough.
    operator = rng.choice([kind for kind in KINDS if kind.startswith("operator")])
    others = [kind for kind in KINDS if not kind.startswith("operator")]
    return [
        Fault(
            kind=kind,
            at=rng.uniform(0, SPAN_SECONDS),
            seconds=rng.uniform(0.1, 1.2),
            pick=rng.random(),
            size=rng.randint(0, 6000),
        )
        for kind in rng.sample([*others, operator], rng.randint(1, 3))
    ]


def people(rng: random.Random, before: list[Record]) -> list[Record]:
    """What a source has: those of before, some changed, some gone, some new, and some that the rules refuse."""
    kept = [dict(row) for row in before if rng.random() > 0.1 and "_bad" not in row]
    for row in kept:
        if rng.random() < 0.3:
            row["headline"] = rng.choice(["Analyst", "Engineer", "数据分析师", ""])
    first = max((int(row["id"]) for row in before if "_bad" not in row), default=1000) + 1
    kept += [
        {
            "id": str(number),
            "full_name": f"Ada Number {number}",
            "email": f"ada.{number}@mail.example",
            "headline": "",
            "skills": rng.sample(["Python", "SQL", "Go", "微服务"], rng.randint(0, 4)),
        }
        for number in range(first, first + rng.randint(80, 140))
    ]
    return [
        *kept,
        *({**row, "id": f"9{row['id']}", "full_name": "", "_bad": 1} for row in rng.sample(kept, 4)),
    ]
