"""How often it is right who is one person, and what looking for it takes, here and on a PostgreSQL of its own.

The pairs are made up here, each with the truth (`support.labelled_duplicates`); a pair without a key in common is one
that nobody is shown.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import ExitStack
from datetime import date

from bench.report import Row
from looma_core.db import Database
from looma_core.db.migrate import migrate
from looma_engines.talent_sync.duplicates.catching_up import catch_up
from looma_engines.talent_sync.duplicates.features import features_of
from looma_engines.talent_sync.duplicates.keys import keys_of, secret_of
from looma_engines.talent_sync.duplicates.scanning import Scanner
from looma_engines.talent_sync.duplicates.scoring import judge
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.talents import TALENTS
from support.database import database_server, make_database
from support.key_ring import SEALER
from support.labelled_duplicates import pairs, person, rates

SEED = 20261128
TODAY = date(2026, 11, 27)
OF_EACH = 300
PEOPLE = 5000
SECRET = secret_of("a key of the bench")


def run() -> list[Row]:
    """Precision and recall of `certain` and of all that is shown, time of one comparison, people a second."""
    made = pairs(OF_EACH, seed=SEED)
    begun = time.process_time()
    both = [(features_of(pair.one), features_of(pair.other)) for pair in made]
    verdicts = [judge(one, other, today=TODAY).verdict for one, other in both]
    taken = (time.process_time() - begun) / len(made) * 1000
    met = [
        bool(keys_of(one, secret=SECRET, tenant="t") & keys_of(other, secret=SECRET, tenant="t"))
        for one, other in both
    ]
    note = f"{len(made)} pairs with the truth, {OF_EACH} of each sort; seed {SEED}"
    rows = []
    for what, said in (
        ("`certain`", [verdict == "certain" and met for verdict, met in zip(verdicts, met, strict=True)]),
        (
            "all that is shown",
            [verdict != "unlikely" and met for verdict, met in zip(verdicts, met, strict=True)],
        ),
    ):
        found = rates([(says, pair.same) for says, pair in zip(said, made, strict=True)])
        wrong = sorted({pair.how for says, pair in zip(said, made, strict=True) if says and not pair.same})
        missed = sorted({pair.how for says, pair in zip(said, made, strict=True) if pair.same and not says})
        rows += [
            Row(
                what=f"precision of {what}",
                value=100 * found.precision,
                unit="%",
                limit="99 %" if what == "`certain`" else "90 %",
                note=f"{note}; wrong: {', '.join(wrong) or 'none'}",
            ),
            Row(
                what=f"recall of {what}",
                value=100 * found.recall,
                unit="%",
                limit="60 %" if what == "`certain`" else "88 %",
                note=f"{note}; missed: {', '.join(missed) or 'none'}",
            ),
        ]
    rows.append(
        Row(
            what="comparing two people",
            value=taken,
            unit="ms",
            note=f"mean of {len(made)} pairs, processor time",
        )
    )
    rows.append(
        Row(
            what="people looked at in a second",
            value=asyncio.run(_people_a_second()),
            unit="people/s",
            note=f"{PEOPLE} people of one tenant, all new, with common names; keys and pairs written",
        )
    )
    return rows


async def _people_a_second() -> float:
    chance = random.Random(SEED)  # noqa: S311 - the same people each time
    with ExitStack() as stack:
        urls = make_database(stack.enter_context(database_server()))
        migrate(urls.owner)
        database = Database(urls.app, pool_size=1, info=sealing_with(SEALER))
        try:
            async with database.tenant_session("bench") as session:
                repository = RecordRepository(session, TALENTS)
                for _ in range(PEOPLE):
                    await repository.add(person(chance))
            begun = time.monotonic()
            seen = await catch_up(database, Scanner(SECRET), "bench")
            return seen.people / (time.monotonic() - begun)
        finally:
            await database.close()
