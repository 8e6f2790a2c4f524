"""What a text may mean: the indexes of names find what looking through all of them finds, of one tenant alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from looma_core.auth import Principal
from looma_core.db import Database
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.skills.lookups import SkillLookups
from support.database import make_database
from support.key_ring import SEALER
from support.many_skills import fill_skills

if TYPE_CHECKING:
    from support.database import DatabaseUrls

pytestmark = pytest.mark.database
TENANT, OTHER, SKILLS = "names", "names-other", 3_000
MOST = 50

# All names looked through one by one; each skill once, by the name that fits best.
ONE_BY_ONE = """
    SELECT match, size FROM (
        SELECT DISTINCT ON (name.skill_id) length(name.key) AS size, CASE WHEN name.key = asked.key THEN 'exact'
            WHEN starts_with(name.key, asked.key) THEN 'prefix' ELSE 'part' END AS match
        FROM (SELECT talent_sync.skill_key(%(text)s) AS key) AS asked
            JOIN talent_sync.skill_names AS name ON strpos(name.key, asked.key) > 0
        WHERE name.tenant = %(tenant)s AND asked.key <> ''
        ORDER BY name.skill_id, name.key = asked.key DESC, starts_with(name.key, asked.key) DESC, length(name.key)
    ) AS found ORDER BY match = 'exact' DESC, match = 'prefix' DESC, size LIMIT %(most)s
"""


@pytest.fixture(scope="module")
def urls(postgres_admin: str) -> Iterator[DatabaseUrls]:
    from looma_core.db.migrate import migrate
    from support.database import drop_database

    urls = make_database(postgres_admin)
    migrate(urls.owner)
    fill_skills(urls, TENANT, SKILLS)
    fill_skills(urls, OTHER, 10)
    yield urls
    drop_database(postgres_admin, urls.name)


def texts(urls: DatabaseUrls) -> list[str]:
    """Whole names, beginnings and parts of them, from one sign on, some that a thousand have and some nobody has."""
    chance = random.Random(20261127)  # noqa: S311 - the same texts each time
    with psycopg.connect(urls.admin) as connection:
        query = "SELECT name FROM talent_sync.skill_names WHERE tenant = %s ORDER BY skill_id, place"
        names = [name for (name,) in connection.execute(query, [TENANT]).fetchall()]
    made = [
        "method",
        "Method 7",
        "方法",
        "法",
        "m",
        "7",
        "eth",
        "+",
        "c++",
        "nobody has this",
        "--",
        "%",
        "\\",
        "'",
    ]
    for _ in range(60):
        name = chance.choice(names)
        begin = chance.choice([0, chance.randrange(len(name))])
        made.append(name[begin : begin + chance.randint(1, 9)])
    return [text for text in made if text.strip()]


async def test_the_indexes_find_what_looking_through_all_names_finds(urls: DatabaseUrls) -> None:
    database = Database(urls.app, pool_size=1, info=sealing_with(SEALER))
    principal = Principal(subject="ada", tenant=TENANT, roles=frozenset({"recruiter"}))
    lookups = SkillLookups(database)
    kinds = set()
    try:
        with psycopg.connect(urls.admin) as connection:
            for text in texts(urls):
                asked = {"text": text, "tenant": TENANT, "most": MOST}
                expected = connection.execute(ONE_BY_ONE, asked).fetchall()
                found = (await lookups.resolve(principal, text, limit=MOST)).items
                assert [(one.match, key_length(connection, one.name)) for one in found] == expected, text
                kinds |= {match for match, _ in expected}
    finally:
        await database.close()
    assert kinds == {"exact", "prefix", "part"}


def key_length(connection: psycopg.Connection[Any], name: str) -> int:
    row = connection.execute("SELECT length(talent_sync.skill_key(%s))", [name]).fetchone()
    assert row is not None
    return int(row[0])


def scans(urls: DatabaseUrls) -> tuple[int, int]:
    """How often the index of parts was used, and rows of names that were read without any index."""
    with psycopg.connect(urls.admin) as connection:
        row = connection.execute(
            "SELECT (SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'ix_skill_name_grams_grams'),"
            " (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'skill_names')"
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


async def test_a_part_of_a_name_is_looked_up_in_the_index(urls: DatabaseUrls) -> None:
    before, read = scans(urls)
    # Closed at once, so that the server hears of what was done.
    with psycopg.connect(urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, false)", [TENANT])
        found = connection.execute("SELECT name FROM talent_sync.names_like('ethod1236')").fetchall()
    assert found == [("Method 1236",)]
    for _ in range(50):
        if scans(urls)[0] > before:
            assert scans(urls)[1] == read
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the index was not used")


def test_names_are_those_of_one_tenant(urls: DatabaseUrls) -> None:
    def found(connection: psycopg.Connection[Any], tenant: str) -> set[str]:
        connection.execute("SELECT set_config('looma.tenant', %s, false)", [tenant])
        return {one for (one,) in connection.execute("SELECT tenant FROM talent_sync.names_like('method')")}

    with psycopg.connect(urls.app_libpq) as connection:
        assert connection.execute("SELECT * FROM talent_sync.names_like('method')").fetchall() == []
        assert found(connection, TENANT) == {TENANT}
        assert found(connection, OTHER) == {OTHER}
        assert found(connection, "") == found(connection, "nobody") == set()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM talent_sync.skill_name_grams")
