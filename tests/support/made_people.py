"""Made-up people with whole curricula, written as a sync writes them: for measurements of room.

Words are of made-up syllables and drawn by Zipf's law, so that texts compress about as those of a language do. Every
fifth person writes Chinese. The database's own triggers write history and what people are found by; the months of the
entries alone are put where they would be after a year.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import Any

import psycopg

from looma_engines.talent_sync.privacy.sealing import Place
from looma_engines.talent_sync.retention.plan import HISTORY, Partitioned, Plan, month_of, moved, name_of
from looma_engines.talent_sync.retention.statements import carry_out, look_into_default
from support.database import DatabaseUrls
from support.key_ring import SEALER

SEED = 20261127
MONTHS = 12
"""Age of the oldest record."""
ROUNDS = 3
CHANGED_OF = 5
"""In each round one of so many records is changed."""
MOST_AT_ONCE = 25_000
COLUMNS = (
    *("id", "tenant", "created_at", "updated_at", "full_name", "email", "email_hash", "phone", "phone_hash"),
    *("location", "headline", "summary", "language", "skills", "experience", "education"),
    *("source_type", "source_ref"),
)
_SYLLABLES = [a + b for a in ("b", "c", "d", "fr", "g", "l", "m", "pr", "s", "st", "t", "v") for b in "aeiou"]
_PLACES = ("London", "北京", "Leeds", "Shanghai", "Berlin", "上海", "Oslo", "Lisbon")
_SKILLS = 3_000


class Words:
    """Draws texts; the same seed gives the same ones.

    Args:
        seed: of the draws.
    """

    def __init__(self, seed: int = SEED) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - the same draws each time
        chance = random.Random(SEED)  # noqa: S311 - the same words, whatever is drawn
        self._words = list(
            dict.fromkeys("".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(6_000))
        )
        self._signs = [chr(0x4E00 + n) for n in chance.sample(range(8_000), 2_500)]
        self._often = list(accumulate(1 / (rank + 2.7) for rank in range(len(self._words))))
        self._signs_often = list(accumulate(1 / (rank + 2.7) for rank in range(len(self._signs))))

    def text(self, words: int, *, chinese: bool) -> str:
        """So many words, or about as much in Chinese."""
        if chinese:
            return "".join(
                self._chance.choices(self._signs, cum_weights=self._signs_often, k=round(words * 1.7))
            )
        return " ".join(self._chance.choices(self._words, cum_weights=self._often, k=words)).capitalize()

    def number(self, most: int) -> int:
        """A number below `most`."""
        return self._chance.randrange(most)

    def skills(self, count: int) -> list[str]:
        """Names of skills, some of which many have."""
        ranks = sorted({int(_SKILLS ** self._chance.random()) for _ in range(count)})
        return [f"{self._words[rank].capitalize()} {self._words[-rank]}" for rank in ranks]


def people(count: int, *, tenant: str, created: datetime, first: int, words: Words) -> Iterator[list[Any]]:
    """Rows of `talents`, by `COLUMNS`; `first` is the number of the first of them."""
    for number in range(first, first + count):
        chinese = number % 5 == 0
        one = str(uuid.UUID(int=words.number(2**128), version=4))
        email, phone = f"person.{number}@mail.example", f"+44 7{number % 10**9:09}"
        at = created - timedelta(seconds=number % 2_000_000)
        yield [
            one,
            tenant,
            at,
            at,
            words.text(2, chinese=chinese)[:30].title(),
            *_sealed(tenant, one, "email", email),
            *_sealed(tenant, one, "phone", phone),
            _PLACES[number % len(_PLACES)],
            words.text(4, chinese=chinese),
            words.text(40, chinese=chinese),
            "zh" if chinese else "en",
            _json(words.skills(10)),
            _json([_job(words, nth, chinese=chinese) for nth in range(1 + number % 4)]),
            _json([_school(words, nth, chinese=chinese) for nth in range(1 + number % 2)]),
            "sync",
            f"people/{number}",
        ]


def _sealed(tenant: str, one: str, field: str, value: str) -> tuple[str, str]:
    # What a number is found by has the length of what an address is found by.
    return SEALER.seal(value, Place(tenant, "talent", one, field)), SEALER.hash("email", value, tenant=tenant)


def _job(words: Words, nth: int, *, chinese: bool) -> dict[str, object]:
    begin, end = 2022 - nth * 3, 2025 - nth * 3
    return {
        "title": words.text(2, chinese=chinese),
        "company": words.text(2, chinese=chinese).title(),
        "location": _PLACES[words.number(len(_PLACES))],
        "start": f"{begin}-{words.number(12) + 1:02}",
        "end": f"{end}-{words.number(12) + 1:02}",
        "dates": f"{begin} - {end}",
        "description": words.text(30, chinese=chinese),
    }


def _school(words: Words, nth: int, *, chinese: bool) -> dict[str, object]:
    return {
        "institution": words.text(3, chinese=chinese).title(),
        "degree": ("bachelor", "master", "doctor")[nth],
        "major": words.text(2, chinese=chinese),
        "start": f"{2008 + nth * 3}-09",
        "end": f"{2011 + nth * 3}-06",
        "dates": f"{2008 + nth * 3} - {2011 + nth * 3}",
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_people(urls: DatabaseUrls, tenant: str, count: int, *, today: date) -> None:
    """Write people of the last twelve months, and change three times a fifth of those of before the last.

    By a superuser, since row-level security refuses a COPY; all triggers run.
    """
    months = [moved(month_of(today), -age) for age in range(MONTHS, 0, -1)]
    make_months(urls, months)
    words = Words()
    this = name_of(month_of(today))
    done = 0
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        for age, month in enumerate([*months, month_of(today)]):
            until = count * (age + 1) // (MONTHS + 1)
            last = age == MONTHS
            if last:
                for nth in range(ROUNDS):
                    change(connection, tenant, of=CHANGED_OF, which=nth)
                    _age(connection, this, months[-1 - nth])
            for first in range(done, until, MOST_AT_ONCE):
                created = datetime(month.year, month.month, 1, tzinfo=UTC)
                some = min(MOST_AT_ONCE, until - first)
                _copy(connection, people(some, tenant=tenant, created=created, first=first, words=words))
                if not last:
                    _age(connection, this, month)
            done = until


def make_months(urls: DatabaseUrls, months: Sequence[date], *, of: Partitioned = HISTORY) -> None:
    """Give a table partitions of these months, as the upkeep would have in their time."""
    with psycopg.connect(urls.owner_libpq) as connection:
        planned = Plan(create=tuple(months), drop=(), oldest=date(1, 1, 1))
        for statement in (*look_into_default(of), *carry_out(planned, of=of)):
            connection.execute(statement.encode())


def change(connection: psycopg.Connection[Any], tenant: str, *, of: int, which: int) -> int:
    """Give one of `of` people another headline and a skill more; how many were changed."""
    with connection.transaction():
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        return connection.execute(
            "UPDATE talent_sync.talents SET headline = left(md5(id::text || version), 12) || ' ' || headline,"
            " skills = skills || to_jsonb('Skill ' || version), version = version + 1, updated_at = now()"
            " WHERE tenant = %s AND deleted_at IS NULL AND abs(hashtext(id::text)) %% %s = %s",
            [tenant, of, which],
        ).rowcount


def _copy(connection: psycopg.Connection[Any], rows: Iterator[list[Any]]) -> None:
    with connection.transaction():
        first = next(rows)
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [first[1]])
        connection.execute("SELECT set_config('looma.origin', 'sync', true)")
        into = f"COPY talent_sync.talents ({', '.join(COLUMNS)}) FROM STDIN"
        with connection.cursor().copy(into.encode()) as copy:
            copy.write_row(first)
            for row in rows:
                copy.write_row(row)


def _age(connection: psycopg.Connection[Any], this: str, month: date) -> None:
    """Move what was just written from this month's partition to a month before."""
    spread = "make_interval(secs => abs(hashtext(record_id::text)) %% 2400000)"
    with connection.transaction():
        connection.execute(
            f"INSERT INTO talent_sync.{name_of(month)}"  # noqa: S608 - our own names
            " (tenant, entity, record_id, version, changed_at, id, actor, origin, action, changes)"
            " SELECT tenant, entity, record_id, version, %s::timestamptz + "
            + spread
            + f", id, actor, origin, action, changes FROM talent_sync.{this}",
            [datetime(month.year, month.month, 1, tzinfo=UTC)],
        )
        connection.execute(f"TRUNCATE talent_sync.{this}")


def multiply(urls: DatabaseUrls, times: int) -> None:
    """Have so many times the people that are there: each again, under ids and digests of their own.

    Of what they are found by the large index is made anew; triggers are off, and what they write is copied as well.
    """
    mapped = "talent_sync.{table} r JOIN copied c ON c.was = r.{of}"
    digest = "CASE WHEN {0} IS NOT NULL THEN left({0}, 9) || left(md5(c.id::text || '{0}') || md5(c.id::text), 43) END"
    own = {
        "id": "c.id",
        "record_id": "c.id",
        "source_ref": "r.source_ref || '-' || c.copy",
        "email_hash": digest.format("email_hash"),
        "phone_hash": digest.format("phone_hash"),
    }
    index = "talent_sync.ix_record_grams_grams"
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("CREATE TEMP TABLE those AS SELECT id FROM talent_sync.talents")
        row = connection.execute("SELECT pg_get_indexdef(%s::regclass)", [index]).fetchone()
        assert row is not None
        connection.execute(f"DROP INDEX {index}".encode())
        for copy in range(1, times):
            connection.execute("DROP TABLE IF EXISTS copied")
            connection.execute(
                "CREATE TEMP TABLE copied AS SELECT id AS was, gen_random_uuid() AS id, %s::int AS copy FROM those",
                [copy],
            )
            connection.execute("ANALYZE copied")
            for table in ("talents", "record_history", "record_grams", "record_skills"):
                of = "id" if table == "talents" else "record_id"
                names = [
                    name
                    for (name,) in connection.execute(
                        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                        " AND NOT attisdropped AND attgenerated = ''",
                        [f"talent_sync.{table}"],
                    ).fetchall()
                    if (table, name) != ("record_history", "id")
                ]
                values = [
                    own[name] if name in own and (name != "id" or of == "id") else f"r.{name}"
                    for name in names
                ]
                connection.execute(
                    f"INSERT INTO talent_sync.{table} ({', '.join(names)}) SELECT {', '.join(values)}"  # noqa: S608
                    f" FROM {mapped.format(table=table, of=of)}".encode()
                )
        connection.execute(row[0].encode())
