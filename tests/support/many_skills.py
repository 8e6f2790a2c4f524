"""A taxonomy of many made-up skills, written in one statement with the database's triggers on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from support.database import DatabaseUrls

# A thousand and more begin alike; some have signs that count, and names in both languages.
_SKILLS = """
INSERT INTO talent_sync.skills (id, key, name_en, name_zh, aliases, kind, source_type)
SELECT gen_random_uuid(), 'skill-' || n,
    (ARRAY['Method ', 'Method ', 'Tool C++ ', 'Practice of '])[n %% 4 + 1] || n,
    CASE WHEN n %% 3 = 0 THEN (ARRAY['方法', '数据仓库', '项目管理'])[n %% 7 %% 3 + 1] || n END,
    jsonb_build_array(jsonb_build_object('language', 'en', 'name', substr(md5(n::text), 1, 4 + n %% 9))),
    'skill', 'manual'
FROM generate_series(0, %(last)s) AS n
"""


def fill_skills(urls: DatabaseUrls, tenant: str, skills: int) -> None:
    """Give a tenant so many skills.

    Args:
        urls: a migrated database.
        tenant: whose they are.
        skills: how many.
    """
    with psycopg.connect(urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        connection.execute(_SKILLS, {"last": skills - 1})
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        for table in ("skills", "skill_names", "skill_name_grams"):
            connection.execute(f"VACUUM ANALYZE talent_sync.{table}")
