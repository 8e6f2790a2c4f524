"""The hot queries that are measured: how the engine asks each, and what a naive schema is asked instead."""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from looma_engines.talent_sync.cursor import Position
from looma_engines.talent_sync.files.repository import FileRepository
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.pipeline.repository import ApplicationRepository
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.relations import RELATIONS
from looma_engines.talent_sync.skills.entity import SKILLS
from looma_engines.talent_sync.skills.lookups import matches
from looma_engines.talent_sync.syncing.models import QuarantineRow
from looma_engines.talent_sync.syncing.review_repository import ReviewRepository
from looma_engines.talent_sync.talents import TALENTS

CHANCE = random.Random(20261127)  # noqa: S311 - the same draws each time
PAGE = 51
COMMON_WORDS = ("engineer", "python", "数据仓库", "london", "security")
RARE_WORDS = ("kestrel", "茯苓", "s123", "qx", "grace 0a1b")
NAMES = ("python", "method 12", "ethod 99", "数据", "c++", "s7", "practice of 1")


@dataclass(frozen=True)
class Sample:
    """Values that queries are asked with."""

    talents: Sequence[uuid.UUID]
    companies: Sequence[uuid.UUID]
    middles: Sequence[tuple[datetime, uuid.UUID]]
    jobs: Sequence[uuid.UUID]
    common_skills: Sequence[uuid.UUID]
    rare_skills: Sequence[uuid.UUID]


@dataclass(frozen=True)
class Query:
    """One hot query: how the engine asks it, and what a naive schema is asked instead."""

    name: str
    ask: Callable[[Any, Sample], Awaitable[object]]
    naive: str
    values: Callable[[Sample], dict[str, Any]] = lambda _: {}


def _page(entity: Any, **more: Any) -> Callable[[Any, Sample], Awaitable[object]]:
    return lambda session, _: RecordRepository(session, entity).page(
        limit=PAGE, **{"sort": "-created_at", **more}
    )


def _search(words: Sequence[str]) -> Callable[[Any, Sample], Awaitable[object]]:
    return lambda session, _: RecordRepository(session, TALENTS).page(
        sort="-created_at", limit=PAGE, q=CHANCE.choice(words)
    )


def _deep(session: Any, sample: Sample) -> Awaitable[object]:
    at, one = CHANCE.choice(sample.middles)
    after = Position(sort="-created_at", value=at.astimezone(UTC).isoformat(), id=one)
    return RecordRepository(session, TALENTS).page(sort="-created_at", limit=PAGE, after=after)


def _skilled(which: str, **more: Any) -> Callable[[Any, Sample], Awaitable[object]]:
    return lambda session, sample: RecordRepository(session, TALENTS).page(
        sort="-created_at", limit=PAGE, filters={"skill": CHANCE.choice(getattr(sample, which))}, **more
    )


def _applications(sort: str, stale_since: datetime | None = None, **filters: object) -> Any:
    return lambda session, sample: ApplicationRepository(session).page(
        sort=sort,
        filters={
            name: CHANCE.choice(sample.jobs) if value is ANY else value for name, value in filters.items()
        },
        stale_since=stale_since,
        after=None,
        limit=PAGE,
    )


def _files(of: Callable[[Sample], dict[str, object]]) -> Callable[[Any, Sample], Awaitable[object]]:
    return lambda session, sample: FileRepository(session).page(filters=of(sample), limit=PAGE, after=None)


ANY = object()
"""A filter's value that is drawn each time."""
NEWEST = "WHERE tenant = 'demo' AND deleted_at IS NULL {more} ORDER BY created_at DESC LIMIT 51"


def _newest(table: str, more: str = "") -> str:
    """The newest page of a table of the naive schema."""
    return f"SELECT * FROM naive.{table} " + NEWEST.format(more=more)  # noqa: S608 - our own texts


QUERIES = (
    Query(
        "one talent by its id",
        lambda session, sample: RecordRepository(session, TALENTS).find(CHANCE.choice(sample.talents)),
        "SELECT * FROM naive.talents WHERE tenant = 'demo' AND id = %(id)s AND deleted_at IS NULL",
        lambda sample: {"id": CHANCE.choice(sample.talents)},
    ),
    Query("talents, the newest", _page(TALENTS), _newest("talents")),
    Query(
        "talents, a page in the middle",
        _deep,
        _newest("talents") + " OFFSET %(half)s",
    ),
    Query(
        "talents by name",
        _page(TALENTS, sort="full_name"),
        "SELECT * FROM naive.talents WHERE tenant = 'demo' AND deleted_at IS NULL ORDER BY full_name LIMIT 51",
    ),
    Query(
        "talents of a source",
        _page(TALENTS, filters={"source_type": "resume"}),
        _newest("talents", "AND source_type = 'resume'"),
    ),
    Query(
        "talents with a word that many have",
        _search(COMMON_WORDS),
        _newest("talents", "AND search ILIKE '%%' || %(word)s || '%%'"),
        lambda _: {"word": CHANCE.choice(COMMON_WORDS)},
    ),
    Query(
        "talents with a word that few have",
        _search(RARE_WORDS),
        _newest("talents", "AND search ILIKE '%%' || %(word)s || '%%'"),
        lambda _: {"word": CHANCE.choice(RARE_WORDS)},
    ),
    Query(
        "open jobs of a place",
        _page(JOBS, filters={"status": "open", "location": "Leeds"}),
        _newest("jobs", "AND status = 'open' AND location = 'Leeds'"),
    ),
    Query(
        "jobs of a company",
        lambda session, sample: RecordRepository(session, JOBS).page(
            sort="-created_at", limit=PAGE, filters={"company_id": CHANCE.choice(sample.companies)}
        ),
        _newest("jobs", "AND company_id = %(id)s"),
        lambda sample: {"id": CHANCE.choice(sample.companies)},
    ),
    Query(
        "relations of a person",
        lambda session, sample: RecordRepository(session, RELATIONS).page(
            sort="-created_at", limit=PAGE, filters={"talent_id": CHANCE.choice(sample.talents)}
        ),
        _newest("relations", "AND talent_id = %(id)s"),
        lambda sample: {"id": CHANCE.choice(sample.talents)},
    ),
    Query(
        "the history of a person",
        lambda session, sample: RecordRepository(session, TALENTS).history(
            CHANCE.choice(sample.talents), limit=PAGE
        ),
        "SELECT * FROM naive.record_history WHERE tenant = 'demo' AND record_id = %(id)s AND entity = 'talent'"
        " ORDER BY changed_at DESC LIMIT 51",
        lambda sample: {"id": CHANCE.choice(sample.talents)},
    ),
    Query(
        "the open quarantine",
        lambda session, _: ReviewRepository(session).page(
            QuarantineRow, filters={"state": "open"}, after=None, limit=PAGE
        ),
        "SELECT * FROM naive.quarantine WHERE tenant = 'demo' AND state = 'open' ORDER BY created_at DESC LIMIT 51",
    ),
    Query(
        "talents with a skill that many have",
        _skilled("common_skills"),
        _newest("talents", "AND skills @> '[\"Python\"]'"),
    ),
    Query(
        "talents with a skill that few have",
        _skilled("rare_skills"),
        _newest("talents", "AND skills @> jsonb_build_array(%(skill)s::text)"),
        lambda _: {"skill": f"s{CHANCE.randrange(700)}"},
    ),
    Query(
        "talents with a word that few have and a skill that many have",
        _skilled("common_skills", q="kestrel"),
        _newest("talents", "AND skills @> '[\"Python\"]' AND search ILIKE '%%kestrel%%'"),
    ),
    Query(
        "what a text means, of many skills",
        lambda session, _: matches(session, CHANCE.choice(NAMES), limit=10),
        "SELECT * FROM naive.skills WHERE tenant = 'demo' AND deleted_at IS NULL"
        " AND search ILIKE '%%' || %(name)s || '%%' ORDER BY length(name_en) LIMIT 10",
        lambda _: {"name": CHANCE.choice(NAMES)},
    ),
    Query(
        "skills by key",
        lambda session, _: RecordRepository(session, SKILLS).page(sort="key", limit=PAGE),
        "SELECT * FROM naive.skills WHERE tenant = 'demo' AND deleted_at IS NULL ORDER BY key LIMIT 51",
    ),
    Query(
        "open applications to a job",
        _applications("-created_at", job_id=ANY, kind="open"),
        _newest("applications", "AND kind = 'open' AND job_id = %(id)s"),
        lambda sample: {"id": CHANCE.choice(sample.jobs)},
    ),
    Query(
        "applications that an owner left longest",
        _applications("since", stale_since=datetime.now(UTC), owner="recruiter-7", kind="open"),
        "SELECT * FROM naive.applications WHERE tenant = 'demo' AND deleted_at IS NULL AND owner = 'recruiter-7'"
        " AND kind = 'open' AND since < now() ORDER BY since LIMIT 51",
    ),
    Query(
        "files of a person",
        _files(lambda sample: {"talent_id": CHANCE.choice(sample.talents)}),
        _newest("resume_files", "AND talent_id = %(id)s"),
        lambda sample: {"id": CHANCE.choice(sample.talents)},
    ),
    Query(
        "files of nobody",
        _files(lambda _: {"unlinked": True}),
        _newest("resume_files", "AND talent_id IS NULL"),
    ),
)
NOTHING = Query("nothing", lambda session, _: session.execute(text("SELECT 1")), "")
"""What the machine itself takes: the way to the database and back, twice."""
