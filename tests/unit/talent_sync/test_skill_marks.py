"""What records are found by whose skill is asked for, kept by the database: of many rows what it is of each alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.database import DatabaseUrls

pytestmark = pytest.mark.database

# Two ways to write one skill, a name of signs that do not count alone, a text of another script, none at all.
SKILLS = (
    ["Node.js", "nodejs", "SQL"],
    ["NodeJS"],
    ["---", "C++"],
    ["..."],
    [],
    ["数据分析", "ＳＱＬ", "C++"],
)


@pytest.fixture
def writing(database_urls: DatabaseUrls, tenant: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_urls.app_libpq, autocommit=True) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, false)", [tenant])
        yield connection


def differing(urls: DatabaseUrls, tenant: str) -> list[Any]:
    """Skills of records whose marks are not what they would be of the record alone."""
    with psycopg.connect(urls.admin) as admin:
        found = admin.execute(
            """SELECT t.skills, s.marks FROM talent_sync.talents AS t
                LEFT JOIN talent_sync.record_skills AS s ON s.tenant = t.tenant AND s.record_id = t.id
                CROSS JOIN LATERAL (SELECT CASE WHEN t.deleted_at IS NULL
                    THEN talent_sync.skill_marks(t.tenant || '/talent', t.skills) ELSE '{}' END AS alone) AS a
            WHERE t.tenant = %s AND (SELECT array_agg(m ORDER BY m) FROM unnest(coalesce(s.marks, '{}')) AS m)
                IS DISTINCT FROM (SELECT array_agg(m ORDER BY m) FROM unnest(a.alone) AS m)""",
            [tenant],
        )
        return list(found)


def test_marks_of_many_are_those_of_each_alone(
    writing: psycopg.Connection[Any], database_urls: DatabaseUrls, tenant: str
) -> None:
    writing.execute(
        """INSERT INTO talent_sync.talents (id, full_name, language, source_type, skills)
        SELECT gen_random_uuid(), 'Ada', 'en', 'manual', one.value
        FROM jsonb_array_elements(%s::jsonb) AS one, generate_series(1, 3)""",
        [json.dumps(SKILLS)],
    )
    assert not differing(database_urls, tenant)
    # Each takes the skills of the next, so that some lose all and others have their first.
    for statement in (
        """UPDATE talent_sync.talents AS t SET skills = later.skills FROM (
            SELECT id, lead(skills, 1, '[]') OVER (ORDER BY skills::text) AS skills FROM talent_sync.talents) AS later
        WHERE later.id = t.id""",
        "UPDATE talent_sync.talents SET deleted_at = now() WHERE skills @> '[\"C++\"]'",
        "UPDATE talent_sync.talents SET deleted_at = NULL, skills = skills || '[\"Go\"]'",
        "UPDATE talent_sync.talents SET full_name = 'Ben'",
        "UPDATE talent_sync.talents SET skills = '[\"...\"]'",
    ):
        writing.execute(statement)
        assert not differing(database_urls, tenant)
    with psycopg.connect(database_urls.admin) as admin:
        kept = admin.execute("SELECT count(*) FROM talent_sync.record_skills WHERE tenant = %s", [tenant])
        assert kept.fetchone() == (0,)
