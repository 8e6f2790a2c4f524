"""Many people brought in: by a worker of a sync job, and by the same rows within requests.

The work is the same: each is read, judged by the rules, sealed, written with its history and found by its key again.
The worker does it when nobody waits, many at a time; a request that imports a file, or that brings one person, is
waited for.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg

from bench import bench_sync, sync_worker
from bench.report import Row
from looma_core.db.migrate import migrate
from support.database import DatabaseUrls, make_database
from support.engines import engine_process, one_address, wait_until_ready
from support.tokens import bearer

PEOPLE, ONE_BY_ONE = 5_000, 200
TENANT = sync_worker.TENANT


def run(admin: str) -> list[Row]:
    """People a second by a worker, beside an import of the same file, and beside a request for each."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "people.jsonl"
        with file.open("w") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in bench_sync.people(PEOPLE))
        worker = _fresh(admin)
        took, _ = bench_sync.sync(worker, file, epoch=1)
        imported, single = _by_http(_fresh(admin), file)
    assert _people(worker) == PEOPLE
    note = f"{PEOPLE:,} made-up people, once each; the worker with its start, {took:.1f} s in all"
    return [
        Row(
            what="people brought in a second, while nobody waits",
            value=PEOPLE / took,
            unit="1/s",
            baseline=PEOPLE / imported,
            baseline_name="the same file imported in one request",
            limit="3 ×",
            note=f"{note}; the request took {imported:.1f} s",
        ),
        Row(
            what="people brought in a second, beside a request for each",
            value=PEOPLE / took,
            unit="1/s",
            baseline=ONE_BY_ONE / single,
            baseline_name="one request after the other",
            limit="3 ×",
            note=f"{ONE_BY_ONE} requests, {single / ONE_BY_ONE * 1000:.1f} ms each",
        ),
    ]


def _fresh(admin: str) -> DatabaseUrls:
    urls = make_database(admin)
    migrate(urls.owner)
    return urls


def _people(urls: DatabaseUrls) -> int:
    with psycopg.connect(urls.admin) as connection:
        row = connection.execute("SELECT count(*) FROM talent_sync.talents").fetchone()
    assert row is not None
    return int(row[0])


def _by_http(urls: DatabaseUrls, file: Path) -> tuple[float, float]:
    """Seconds of an import of the file's people, and of some of them one after the other before that."""
    rows = []
    for number, line in enumerate(file.read_text().splitlines()):
        given = json.loads(line)
        del given["id"], given["updated_at"]
        rows.append({**given, "source": {"type": "manual", "ref": f"p-{number}"}})
    with ExitStack() as stack:
        issuer = stack.enter_context(one_address())
        process, url = stack.enter_context(
            engine_process(
                "talent-sync",
                {
                    "LOOMA_DATABASE_URL": urls.app,
                    "LOOMA_JWKS_URL": f"{issuer}/jwks.json",
                    "LOOMA_LOG_LEVEL": "error",
                },
            )
        )
        wait_until_ready(url, process)
        client = stack.enter_context(
            httpx.Client(base_url=f"{url}/api/v1", headers=bearer(tenant=TENANT, seconds=7200), timeout=600)
        )
        other = bearer(tenant="one-by-one", seconds=7200)
        begun = time.monotonic()
        for row in rows[:ONE_BY_ONE]:
            client.post("/talents", json=row, headers=other).raise_for_status()
        single = time.monotonic() - begun
        sent = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
        begun = time.monotonic()
        answer = client.post("/talents/import", files={"file": ("people.jsonl", sent)})
        imported = time.monotonic() - begun
        answer.raise_for_status()
        assert answer.json()["counts"]["created"] == PEOPLE, answer.json()["counts"]
    return imported, single
