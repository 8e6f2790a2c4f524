"""The search by words: whichever road it takes, it finds what has the words, of its own tenant alone."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from looma_core.api.page import Count
from looma_core.db import Database
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.records import looking_up
from looma_engines.talent_sync.records.counting import counted
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.records.searching import PROBED, Road, road
from looma_engines.talent_sync.talents import TALENTS
from support.database import make_database
from support.key_ring import SEALER
from support.many_records import fill
from support.plans import nodes, plans_in

if TYPE_CHECKING:
    from support.database import DatabaseUrls

pytestmark = pytest.mark.database
ROWS = 1_500
TENANT, OTHER = "words", "words-other"


@pytest.fixture(scope="module")
def urls(postgres_admin: str) -> Iterator[DatabaseUrls]:
    from looma_core.db.migrate import migrate
    from support.database import drop_database

    urls = make_database(postgres_admin)
    migrate(urls.owner)
    for tenant in (TENANT, OTHER):
        fill(urls, tenant, ROWS, tables=("talents",))
    yield urls
    drop_database(postgres_admin, urls.name)


@pytest.fixture
async def database(urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(urls.app, pool_size=1, info=sealing_with(SEALER))
    yield database
    await database.close()


def texts(urls: DatabaseUrls, tenant: str) -> list[str]:
    with psycopg.connect(urls.admin) as connection:
        query = "SELECT search FROM talent_sync.talents WHERE tenant = %s AND deleted_at IS NULL ORDER BY id"
        return [row[0] for row in connection.execute(query, [tenant])]


def pieces(found: list[str]) -> list[str]:
    """Pieces of what is stored, of one letter to nine, some with what parts words, and words nobody has."""
    chance = random.Random(20261127)  # noqa: S311 - the same pieces each time
    made = [
        "茯",
        "茯苓",
        "qx",
        "kestrel",
        "estre",
        "kestrel 茯苓",
        "nobody",
        "%",
        "_",
        "q",
        '"',
        '",',
        'go"',
        "a\\b",
    ]
    for _ in range(24):
        text = chance.choice(found)
        begin = chance.randrange(len(text))
        made.append(text[begin : begin + chance.randint(1, 9)])
    return [piece for piece in made if piece.split()]


@pytest.mark.parametrize(
    ("probed", "hits", "expected"),
    [
        (1_000, 5, Road.WALK),
        (1_000, 4, Road.LOOK_UP),
        (1_000, 0, Road.LOOK_UP),
        (999, 0, Road.WALK),
        (0, 0, Road.WALK),
    ],
)
def test_which_road_is_the_shorter(probed: int, hits: int, expected: Road) -> None:
    assert road(probed=probed, hits=hits) is expected


@pytest.mark.parametrize(
    ("found", "expected", "told"),
    [
        (0, 70, Count(count=0, exact=True)),
        (1_000, 70, Count(count=1_000, exact=True)),
        (1_001, 98_700, Count(count=98_700, exact=False)),
        (1_001, 70, Count(count=1_001, exact=False)),
    ],
)
def test_a_list_is_counted_as_far_as_that_is_cheap(found: int, expected: int, told: Count) -> None:
    assert counted(found, expected=expected) == told


@pytest.mark.parametrize("taken", list(Road))
async def test_both_roads_find_what_has_the_words(
    urls: DatabaseUrls, database: Database, monkeypatch: pytest.MonkeyPatch, taken: Road
) -> None:
    monkeypatch.setattr(looking_up, "road", lambda **_: taken)
    stored = texts(urls, TENANT)
    for q in pieces(stored):
        words = q.lower().split()
        expected = sum(all(word in text for word in words) for text in stored)
        async with database.tenant_session(TENANT) as session:
            found = await RecordRepository(session, TALENTS).page(sort="full_name", limit=ROWS + 1, q=q)
        assert len(found) == expected, f"{q!r} by {taken}"


def make_skill(urls: DatabaseUrls, tenant: str, name: str) -> uuid.UUID:
    """A skill of a tenant's taxonomy, and its id."""
    with psycopg.connect(urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        row = connection.execute(
            "INSERT INTO talent_sync.skills (id, key, name_en, kind, source_type)"
            " VALUES (gen_random_uuid(), lower(%(name)s), %(name)s, 'tool', 'manual') RETURNING id",
            {"name": name},
        ).fetchone()
    assert row is not None
    found: uuid.UUID = row[0]
    return found


@pytest.mark.parametrize("taken", list(Road))
@pytest.mark.parametrize("most", [5, 5_000])
async def test_both_roads_find_who_has_the_words_and_a_skill(
    urls: DatabaseUrls, database: Database, monkeypatch: pytest.MonkeyPatch, taken: Road, most: int
) -> None:
    monkeypatch.setattr(looking_up, "road", lambda **_: taken)
    monkeypatch.setattr(looking_up, "MOST_LOOKED_UP", most)
    for name in ("Rust", "s7"):
        skill = make_skill(urls, TENANT, f"{name} {taken} {most}")
        with psycopg.connect(urls.app_libpq) as connection:
            connection.execute("SELECT set_config('looma.tenant', %s, true)", [TENANT])
            connection.execute(
                "UPDATE talent_sync.skills SET aliases = %s WHERE id = %s",
                [Jsonb([{"language": "en", "name": name}]), skill],
            )
        for q in (None, "engineer", "kestrel", "london grace", "nobody-has-this"):
            with psycopg.connect(urls.admin) as connection:
                query = (
                    "SELECT id FROM talent_sync.talents WHERE tenant = %(tenant)s AND deleted_at IS NULL"
                    " AND skills @> jsonb_build_array(%(skill)s::text)"
                    " AND (SELECT bool_and(strpos(search, word) > 0) FROM unnest(%(words)s::text[]) AS word)"
                    " IS NOT FALSE"
                )
                asked = {"tenant": TENANT, "skill": name, "words": (q or "").split()}
                expected = {one for (one,) in connection.execute(query, asked)}
            async with database.tenant_session(TENANT) as session:
                repository = RecordRepository(session, TALENTS)
                page = await repository.page(sort="full_name", limit=ROWS, q=q, filters={"skill": skill})
                told = await repository.count(q=q, filters={"skill": skill})
            assert {person.id for person in page} == expected, f"{name} {q} by {taken}"
            assert told == Count(count=len(expected), exact=True)


async def test_of_what_many_have_and_few_at_once_no_more_than_the_head_is_read(
    urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one with the word has a skill that every fourth has: a thousand with the skill are four thousand people."""
    fill(urls, "far", 6_000, tables=("talents",))
    skill = make_skill(urls, "far", "Rust")
    monkeypatch.setattr(looking_up, "MOST_LOOKED_UP", 200)
    database = Database(urls.app, pool_size=1, info=sealing_with(SEALER))
    found: list[Any] = []

    async def ask(session: Any) -> None:
        page = RecordRepository(session, TALENTS).page
        found.extend(await page(sort="created_at", limit=20, q="kestrel", filters={"skill": skill}))

    read = 0
    for plan in await plans_in(database, "far", ask, carried_out=True):
        for node in nodes(plan):
            if node.get("Relation Name") == "talents":
                rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                read += rows * node["Actual Loops"]
    await database.close()
    assert len(found) == 1
    assert read <= PROBED + 20


def scans(urls: DatabaseUrls) -> int:
    with psycopg.connect(urls.admin) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'ix_record_grams_grams'"
        ).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_word_that_few_have_is_looked_up_in_the_index(urls: DatabaseUrls) -> None:
    before = scans(urls)
    # Closed at once, so that the server hears of what was done.
    database = Database(urls.app, pool_size=1, info=sealing_with(SEALER))
    async with database.tenant_session(TENANT) as session:
        found = await RecordRepository(session, TALENTS).page(sort="-created_at", limit=20, q="茯苓")
    await database.close()
    assert [person.headline for person in found if person.headline and "茯苓" in person.headline]
    assert len(found) == 1
    for _ in range(50):
        if scans(urls) > before:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the index was not used")


async def test_what_is_changed_is_found_by_its_new_words_and_what_is_deleted_by_none(
    urls: DatabaseUrls, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking_up, "road", lambda **_: Road.LOOK_UP)

    async def found(q: str) -> int:
        async with database.tenant_session(TENANT) as session:
            return len(await RecordRepository(session, TALENTS).page(sort="created_at", limit=5, q=q))

    def grams() -> int:
        with psycopg.connect(urls.admin) as connection:
            row = connection.execute("SELECT count(*) FROM talent_sync.record_grams").fetchone()
        assert row is not None
        return int(row[0])

    there = grams()
    with psycopg.connect(urls.app_libpq) as connection:
        for statement, told in (
            (
                (
                    "INSERT INTO talent_sync.talents (id, full_name, language, source_type)"
                    " VALUES (gen_random_uuid(), 'Zyxwv Vwxyz', 'en', 'manual')"
                ),
                (1, 0),
            ),
            ("UPDATE talent_sync.talents SET full_name = 'Pqpqp' WHERE full_name = 'Zyxwv Vwxyz'", (0, 1)),
            ("UPDATE talent_sync.talents SET deleted_at = now() WHERE full_name = 'Pqpqp'", (0, 0)),
            ("UPDATE talent_sync.talents SET deleted_at = NULL WHERE full_name = 'Pqpqp'", (0, 1)),
        ):
            connection.execute("SELECT set_config('looma.tenant', %s, true)", [TENANT])
            connection.execute(statement)
            connection.commit()
            assert (await found("zyxwv"), await found("qpq")) == told, statement
            assert grams() == there + (told != (0, 0)), "nothing is left of what is deleted"
    with psycopg.connect(urls.admin) as connection:
        connection.execute("DELETE FROM talent_sync.talents WHERE full_name = 'Pqpqp'")
    assert grams() == there


def test_what_is_looked_up_is_of_the_own_tenant(urls: DatabaseUrls) -> None:
    look_up = "SELECT cardinality(talent_sync.look_up('talent', '{kestrel}', 5000))"

    def asked(connection: psycopg.Connection[Any], tenant: str) -> Any:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        row = connection.execute(look_up).fetchone()
        assert row is not None
        return row[0]

    with psycopg.connect(urls.app_libpq) as connection:
        assert asked(connection, TENANT) == 1
        assert asked(connection, OTHER) == 1
        assert asked(connection, "nobody") == 0
        assert asked(connection, "") == 0
        for statement in (
            "SELECT * FROM talent_sync.record_grams",
            "DELETE FROM talent_sync.record_grams",
            "SELECT talent_sync.grams_of('words/talent', 'a', true)",
        ):
            with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)  # type: ignore[call-overload]
        # More than is wanted is no answer, not a part of it.
        row = connection.execute(
            "SELECT set_config('looma.tenant', %s, true), talent_sync.look_up('talent', '{engineer}', 10)",
            [TENANT],
        ).fetchone()
        assert row is not None
        assert row[1] is None
    assert PROBED < ROWS


ODD = (
    "Ada  O'Neil",
    'Zoë "Zo" de la Cruz,Lovelace',
    "王小明",
    "王 小明 Wang",
    "  a ",
    "x",
    "new\nline\ttab",
    "Ada  O'Neil",
)


def differing(urls: DatabaseUrls, tenant: str) -> list[str]:
    """Names of those whose grams are not the whole text's."""
    query = """SELECT t.full_name FROM talent_sync.talents t
        LEFT JOIN talent_sync.record_grams g ON g.tenant = t.tenant AND g.record_id = t.id
        WHERE t.tenant = %s AND (SELECT array_agg(DISTINCT one ORDER BY one) FROM unnest(g.grams) AS one)
            IS DISTINCT FROM (SELECT array_agg(DISTINCT one ORDER BY one)
                FROM unnest(talent_sync.grams_of(t.tenant || '/talent', t.search, false)) AS one)"""
    with psycopg.connect(urls.admin) as connection:
        found = connection.execute(query, [tenant]).fetchall()
        return [name for (name,) in found]


def test_what_is_made_of_pieces_is_what_the_whole_text_has(urls: DatabaseUrls) -> None:
    with psycopg.connect(urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', 'pieces', false)")
        connection.execute(
            """INSERT INTO talent_sync.talents (id, full_name, headline, language, skills, source_type)
            SELECT gen_random_uuid(), name, nullif(place %% 3, 0)::text || ' ' || name, 'en',
                jsonb_build_array('Go', name, 'C++'), 'manual'
            FROM unnest(%s::text[]) WITH ORDINALITY AS given (name, place)""",
            [list(ODD)],
        )
        connection.commit()
        assert differing(urls, "pieces") == []
        connection.execute("SELECT set_config('looma.tenant', 'pieces', false)")
        connection.execute(
            "UPDATE talent_sync.talents SET headline = '数据 ' || full_name, version = version + 1"
        )
        connection.commit()
        assert differing(urls, "pieces") == []
    with psycopg.connect(urls.admin) as connection:
        connection.execute("UPDATE talent_sync.record_grams SET grams = '{1}' WHERE tenant = 'pieces'")
        connection.commit()
    assert len(differing(urls, "pieces")) == len(ODD), "the test sees what differs"
