"""Tables filled with many records of one tenant in a few statements, for plans and for measurements.

A superuser fills them with triggers off, and then does in one statement each what those would have done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from support.database import DatabaseUrls

COMMON = {
    "created_at": "now() - n * interval '1 minute'",
    "updated_at": "now() - (n * 7919 % {rows}) * interval '1 second'",
    "source_type": "(ARRAY['manual', 'sync', 'sync', 'resume', 'demo'])[n % 5 + 1]",
    "source_ref": "'r' || n",
}
PLACES = "(ARRAY['London', '北京', 'Leeds', 'Shanghai', 'Berlin', '上海', 'Oslo', 'Lisbon'])[n % 8 + 1]"


def _nth(table: str, number: str) -> str:
    """The id of one of the tenant's records of another table."""
    ids = f"SELECT array_agg(id ORDER BY id) FROM talent_sync.{table} WHERE tenant = {{tenant}}"  # noqa: S608
    return f"({ids})[{number}]"


WORDS = (
    "(ARRAY['Data', 'Platform', 'Security', '后端', 'Research', '产品'])[n % 6 + 1] || "
    "(ARRAY[' engineer', ' analyst', '工程师', ' manager', ' lead'])[n / 6 % 5 + 1]"
)
# One in some thousand has a word of its own.
RARE = "CASE WHEN n % 9973 = 5 THEN ' kestrel 茯苓 qx' ELSE '' END"
SKILLS = (
    "jsonb_build_array('Python', 'SQL', "
    "(ARRAY['Go', 'Rust', '数据仓库', 'Kubernetes'])[n % 4 + 1], 's' || n % 700)"
)
SYNCED = {
    "id": "gen_random_uuid()",
    "created_at": "now() - n * interval '1 minute'",
    "job": "'looma/people-' || n % 50",
    "epoch": "1",
    "generation": "n / 100 + 1",
    "origin": "'people'",
    "entity": "(ARRAY['talent', 'talent', 'company', 'job'])[n % 4 + 1]",
}
FILLS: dict[str, dict[str, str]] = {
    "companies": {
        **COMMON,
        "name": "'Company ' || n",
        "language": "'en'",
        "size": "(ARRAY['1-10', '11-50', '51-200', '1001-5000'])[n % 4 + 1]",
        "industry": WORDS + " || " + RARE,
        "location": PLACES,
    },
    "talents": {
        **COMMON,
        "full_name": "(ARRAY['Ada', 'Grace', '王', 'Linus', '李'])[n % 5 + 1] || ' ' || substr(md5(n::text), 1, 8)",
        "language": "'en'",
        "headline": WORDS + " || " + RARE,
        "location": PLACES,
        "skills": SKILLS,
    },
    "jobs": {
        **COMMON,
        "title": WORDS + " || ' ' || n",
        "language": "'en'",
        "status": "(ARRAY['open', 'open', 'closed', 'draft', 'paused'])[n % 5 + 1]",
        "workplace": "(ARRAY['remote', 'hybrid', 'on-site'])[n % 3 + 1]",
        "employment": "(ARRAY['full-time', 'full-time', 'contract', 'part-time'])[n % 4 + 1]",
        "location": PLACES,
        "skills": SKILLS,
        "company_name": "'Company ' || n || " + RARE,
        "company_id": _nth("companies", "n / 9 + 1"),
    },
    "relations": {
        **COMMON,
        "kind": "(ARRAY['works_at', 'applied_to', 'knows', 'worked_at'])[n % 4 + 1]",
        "talent_id": _nth("talents", "n / 4 + 1"),
        "company_id": "CASE WHEN n % 4 IN (0, 3) THEN " + _nth("companies", "n / 9 + 1") + " END",
        "job_id": "CASE n % 4 WHEN 1 THEN " + _nth("jobs", "n / 9 + 1") + " END",
        "other_talent_id": "CASE n % 4 WHEN 2 THEN " + _nth("talents", "n / 4 + 2") + " END",
        "title": WORDS,
        "note": "'Met in ' || " + PLACES + " || " + RARE,
        "starts_on": "date '2015-01-01' + n % 4000",
    },
    "applications": {
        "id": "gen_random_uuid()",
        "created_at": "now() - n * interval '1 minute'",
        "relation_id": "gen_random_uuid()",
        "talent_id": _nth("talents", "n + 1"),
        "job_id": _nth("jobs", "n / 9 + 1"),
        "stage": "(ARRAY['applied', 'screening', 'interview', 'rejected'])[n % 4 + 1]",
        "kind": "(ARRAY['open', 'open', 'open', 'rejected'])[n % 4 + 1]",
        "since": "now() - (n * 7919 % {rows}) * interval '1 minute'",
        "owner": "'recruiter-' || n % 40",
    },
    "quarantine": {
        **SYNCED,
        "key": "n::text",
        "position": "n",
        "shard_hash": "n",
        "raw": "''",
        "raw_digest": "n::text::bytea",
        "whole": "true",
        "errors": """'[{{"field": "email", "message": ""}}]'""",
        "state": "(ARRAY['open', 'discarded', 'replayed'])[n % 3 + 1]",
    },
    "sync_conflicts": {
        **SYNCED,
        "key": "n::text",
        "record_id": _nth("talents", "n / 4 + 1"),
        "field": "'headline'",
        "resolution": "(ARRAY['open', 'source', 'target', 'merged'])[n % 4 + 1]",
        "reason": "''",
    },
    "sync_writes": {
        **SYNCED,
        "key": "n::text",
        "record_id": _nth("talents", "n / 4 + 1"),
        "version": "1",
        "fields": "'[]'",
        "state": "(ARRAY['written', 'refused', 'moved', 'dropped'])[n % 4 + 1]",
    },
    "sync_shards": {
        "id": "gen_random_uuid()",
        "job": "'looma/people-' || n % 50",
        "uid": "'u'",
        "epoch": "n",
        "generation": "n / 4 + 1",
        "shard": "n % 4",
        "shards": "4",
        "run": "'r' || n",
        "origin": "'people'",
        "entity": "'talent'",
    },
    "resume_files": {
        "id": "gen_random_uuid()",
        "created_at": "now() - n * interval '1 minute'",
        # One of five is nobody's yet.
        "talent_id": "CASE WHEN n % 5 <> 0 THEN " + _nth("talents", "n / 4 + 1") + " END",
        "number": "CASE WHEN n % 5 <> 0 THEN n % 4 + 1 END",
        "file_name": "'cv.pdf'",
        "media_type": "'application/pdf'",
        "size": "n + 1",
        "sha256": "md5(n::text) || md5(n::text)",
        "content_hash": "'k:' || n",
        "state": "(ARRAY['stored', 'parsed', 'refused'])[n % 3 + 1]",
        "reason": "CASE WHEN n % 3 = 2 THEN 'no-text-in-document' END",
        "uploaded_by": "'ada'",
    },
    "record_history": {
        "record_id": _nth("talents", "n / 4 + 1"),
        "entity": "'talent'",
        "version": "n % 4 + 1",
        "changed_at": "now() - n % 4 * interval '20 days'",
        "origin": "'api'",
        "action": "'update'",
        "changes": "'{{}}'",
    },
}
SKILLED = {"talents": "talent", "jobs": "job"}
SEARCHED = {"companies": "company", "talents": "talent", "jobs": "job", "relations": "relation"}


def fill(
    urls: DatabaseUrls,
    tenant: str,
    rows: int,
    *,
    tables: tuple[str, ...] = tuple(FILLS),
    schema: str = "talent_sync",
) -> None:
    """Put so many rows of a tenant into each table.

    Args:
        urls: a migrated database.
        tenant: whose they are.
        rows: how many in each table.
        tables: which of them.
        schema: where the tables are, if they are copies.
    """
    with psycopg.connect(urls.admin) as connection:
        for statement in filling(tenant, rows, tables=tables, schema=schema):
            connection.execute(statement)
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        for statement in tidying(tables, schema=schema):
            connection.execute(statement)


def filling(
    tenant: str, rows: int, *, tables: tuple[str, ...], schema: str = "talent_sync"
) -> Iterator[sql.Composable]:
    """The statements of one transaction that fill tables in which the tenant has nothing, for a superuser."""
    yield sql.SQL("SET session_replication_role = replica")
    for table in tables:
        columns = {"tenant": "{tenant}", **FILLS[table]}
        if table in SEARCHED:
            columns["id"] = "gen_random_uuid()"
        values = sql.SQL(", ".join(columns.values())).format(
            tenant=sql.Literal(tenant), rows=sql.Literal(rows)
        )
        yield sql.SQL("INSERT INTO {} ({}) SELECT {} FROM generate_series(0, {}) AS n").format(
            sql.Identifier(schema, table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            values,
            sql.Literal(rows - 1),
        )
        # What the triggers would have made.
        for names, kept, made in (
            (SEARCHED, "record_grams (tenant, record_id, grams)", "grams_of(tenant || {}, search, false)"),
            (SKILLED, "record_skills (tenant, record_id, marks)", "skill_marks(tenant || {}, skills)"),
        ):
            if table in names:
                yield sql.SQL(
                    f"INSERT INTO talent_sync.{kept} SELECT tenant, id, talent_sync.{made} FROM {{}}"  # noqa: S608 - our own names
                    " WHERE tenant = {}"
                ).format(sql.Literal(f"/{names[table]}"), sql.Identifier(schema, table), sql.Literal(tenant))


def tidying(tables: tuple[str, ...], *, schema: str = "talent_sync") -> Iterator[sql.Composable]:
    """The statements after that, each by itself: so that plans are those of tables which are known."""
    beside = ("record_grams", "record_skills")
    for table in (*tables, *beside):
        yield sql.SQL("VACUUM ANALYZE {}").format(
            sql.Identifier("talent_sync" if table in beside else schema, table)
        )
