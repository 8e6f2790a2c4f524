"""The console's lists over many records, on a real cluster: each page beside the API's answer that it shows.

Both are asked through the gateway, one after the other, as one person does who looks through the lists: what is timed
is the server's part of a page, without a browser. The records are filled in by SQL beside those of the demo.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterable

import httpx
from psycopg import sql

from bench.bench_queries import p95
from bench.report import Row
from support.cluster import Cluster
from support.console_visits import visiting
from support.many_records import filling, tidying

FILLED = 100_000
REPEATS = 30
FURTHER_PAGES = 40
MOST_MS = 500.0
TENANT = "demo"
TABLES = ("companies", "talents", "jobs")
PSQL = ("psql", "-h", "/tmp", "-U", "postgres", "-d", "looma", "-qX", "-v", "ON_ERROR_STOP=1")  # noqa: S108 - where its socket is
PAGES = {
    "people": ("/people", "/api/v1/talents?limit=20"),
    "people with a word that many have": ("/people?q=engineer", "/api/v1/talents?limit=20&q=engineer"),
    "people with a word that few have": ("/people?q=kestrel", "/api/v1/talents?limit=20&q=kestrel"),
    "people of a source": ("/people?source=resume", "/api/v1/talents?limit=20&source=resume"),
    "jobs that are open": ("/jobs?status=open", "/api/v1/jobs?limit=20&status=open"),
    "companies": ("/companies", "/api/v1/companies?limit=20"),
}
"""What a person asks for: the console's page, and the answer of the API for the same."""
_MORE = re.compile(r'hx-get="([^"]+cursor=[^"]+)"')


def fill(cluster: Cluster, count: int) -> None:
    """Put the records into the instance's database."""
    # The fill makes these for all records of the tenant, those of the demo as well.
    kept = [
        sql.SQL("DELETE FROM {} WHERE tenant = {}").format(
            sql.Identifier("talent_sync", name), sql.Literal(TENANT)
        )
        for name in ("record_grams", "record_skills")
    ]
    begun, done = sql.SQL("BEGIN"), sql.SQL("COMMIT")
    _psql(cluster, [begun, *kept, *filling(TENANT, count, tables=TABLES), done])
    _psql(cluster, tidying(TABLES))


def _psql(cluster: Cluster, statements: Iterable[sql.Composable]) -> None:
    script = ";\n".join(statement.as_string(None) for statement in statements)
    exec_into = ("exec", "-i", "looma-postgres-0", "-c", "postgres", "--")
    cluster.kubectl(*exec_into, *PSQL, stdin=f"{script};\n", timeout=900)


def taken(ask: Callable[[], httpx.Response]) -> list[float]:
    """Milliseconds of each of the answers but the first."""
    found = []
    for _ in range(REPEATS + 1):
        begun = time.perf_counter()
        answer = ask()
        found.append((time.perf_counter() - begun) * 1000)
        answer.raise_for_status()
    return found[1:]


def further(visitor: httpx.Client) -> list[float]:
    """Milliseconds of each further page of the people, as the button below the list asks for it."""
    found, page = [], visitor.get("/people").raise_for_status().text
    for _ in range(FURTHER_PAGES):
        more = _MORE.search(page)
        assert more is not None, "the list ends too early"
        address = more[1].replace("&amp;", "&")
        begun = time.perf_counter()
        answer = visitor.get(address, headers={"HX-Request": "true"})
        found.append((time.perf_counter() - begun) * 1000)
        page = answer.raise_for_status().text
    return found


def run(cluster: Cluster) -> list[Row]:
    """p95 of each page, beside that of the API's answer."""
    fill(cluster, FILLED)
    rows = []
    with visiting(cluster) as visitor, cluster.api() as api:
        for what, (page, path) in PAGES.items():
            shown = taken(lambda: visitor.get(page))  # noqa: B023 - called at once
            answered = taken(lambda: api.get(path))  # noqa: B023
            rows.append(
                Row(
                    what=f"page of the console: {what}, p95",
                    value=p95(shown),
                    unit="ms",
                    baseline=p95(answered),
                    baseline_name="the API's answer, p95",
                    limit=f"{MOST_MS:g} ms",
                    note=f"of {FILLED:,} each; {REPEATS} times, one at a time; median "
                    f"{statistics.median(shown):.0f} ms, the API's {statistics.median(answered):.0f} ms",
                )
            )
        more = further(visitor)
    rows.append(
        Row(
            what=f"page of the console: each of {FURTHER_PAGES} further pages of the people, p95",
            value=p95(more),
            unit="ms",
            baseline=statistics.median(more[:5]),
            baseline_name="the first five of them, median",
            limit=f"{MOST_MS:g} ms",
            note=f"the last five of them, median: {statistics.median(more[-5:]):.0f} ms",
        )
    )
    return rows
