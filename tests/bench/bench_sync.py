"""A sync of made-up people from a JSONL file into PostgreSQL, beside what cannot be saved of it.

That is a bare COPY of the same rows into a table without indexes, policies or triggers, and the rules of each record in
one process. The worker is a process of its own, as in its pod; what it did is judged by `support.sync_checker`, which
shares no code with it.
"""

from __future__ import annotations

import compileall
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.copy import FileWriter

from bench.report import ROOT, Row
from bench.sync_worker import BATCH, TENANT, worked
from looma_core.api.syncjob import Variable
from looma_core.api.talent import TalentDraft
from looma_core.db.migrate import migrate
from looma_engines.talent_sync.quality.assessing import assess
from looma_engines.talent_sync.talents import TALENTS
from support.database import DatabaseUrls, database_server, make_database
from support.key_ring import KEYS
from support.labelled_talents import labelled
from support.sync_checker import differences, expected

SEED = 20261127
TODAY = date(2026, 11, 27)
SIZES = (1_000, 100_000)
SHARED = 10_000
"""From so many people on workers side by side are worth their start."""
WORKERS = 2
PIECE = 64 * 1024
"""Bytes of what is copied at a time."""
LIMIT_MIB = 300
COMPILED = ("core", "engines", "tests/support")
"""A worker's image holds all of it compiled, so its start is no compilation here either."""
COLUMNS = ("full_name", "email", "phone", "location", "headline", "summary", "language", "skills")


def people(count: int) -> Iterator[dict[str, object]]:
    """Good talents, each with a name of its own and a key: those with a label, over and over."""
    good = [msgspec.to_builtins(one.draft) for one in labelled(SEED) if not one.field]
    for number in range(count):
        draft = {name: value for name, value in good[number % len(good)].items() if name != "source"}
        yield {
            "id": f"p-{number}",
            "updated_at": "2026-05-01T12:00:00Z",
            **draft,
            "email": f"person.{number}@mail.example",
        }


def run(sizes: tuple[int, ...] = SIZES) -> list[Row]:
    """For each size: the first run, one in which nothing changed, what the checker found, and the worker's memory."""
    for tree in COMPILED:
        compileall.compile_dir(ROOT / tree, quiet=1)
    rows: list[Row] = []
    with database_server() as admin, tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            urls = make_database(admin)
            migrate(urls.owner)
            file = Path(folder) / "people.jsonl"
            with file.open("w") as out:
                out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in people(size))
            alone = _measured(urls, file, size)
            rows += alone
            if size >= SHARED:
                rows += _side_by_side(admin, file, size, alone[0])
    return rows


def _side_by_side(admin: str, file: Path, size: int, alone: Row) -> list[Row]:
    """The first sync once more, into another database, by a worker for each core, beside the same as one worker's."""
    urls = make_database(admin)
    migrate(urls.owner)
    took, memory = sync(urls, file, epoch=1, shards=WORKERS)
    wrong = differences(urls.app_libpq, TENANT, expected(file), KEYS)
    return [
        Row(
            what=f"first sync of {size:,} people by {WORKERS} workers",
            value=took,
            unit="s",
            baseline=alone.baseline,
            baseline_name=alone.baseline_name,
            limit="4 ×",
            note=f"`spec.parallelism: {WORKERS}`, on as many cores as the database has to share with them; "
            f"by one worker {alone.value:.1f} s; most memory of one {memory:.0f} MiB",
        ),
        Row(
            what=f"records lost, doubled or different of those {size:,}",
            value=len(wrong),
            unit="records",
            limit="0",
            note="by the same checker",
        ),
    ]


def _measured(urls: DatabaseUrls, file: Path, size: int) -> list[Row]:
    copied, judged = _copy(urls, file), _rules(file)
    first, memory = sync(urls, file, epoch=1)
    again, _ = sync(urls, file, epoch=2)
    wrong = differences(urls.app_libpq, TENANT, expected(file), KEYS)
    beside = f"a bare COPY, {copied:.2f} s, and the rules alone, {judged:.2f} s"
    people_of = f"{size:,} people"
    return [
        Row(
            what=f"first sync of {people_of}",
            value=first,
            unit="s",
            baseline=copied + judged,
            baseline_name=beside,
            limit="2 s" if size <= 1_000 else "4 ×",
            note=f"one worker, with its start; batches of {BATCH}; all read and found again: {size / first:,.0f}/s",
        ),
        Row(
            what=f"sync of the same {people_of} unchanged",
            value=again,
            unit="s",
            baseline=first,
            baseline_name="the first",
            note=f"each read, compared and found again: {size / again:,.0f}/s",
        ),
        Row(
            what=f"records lost, doubled or different of {people_of}",
            value=len(wrong),
            unit="records",
            limit="0",
            note="by a checker that shares no code with the worker",
        ),
        Row(
            what=f"most memory of the worker, {people_of}",
            value=memory,
            unit="MiB",
            limit=f"{LIMIT_MIB} MiB",
            note="resident, in the first sync",
        ),
    ]


def _copy(urls: DatabaseUrls, file: Path) -> float:
    """Seconds of a COPY of what was made ready before, so that neither memory nor the reading of JSON counts."""
    ready = file.with_suffix(".copy")
    with psycopg.connect(urls.owner_libpq) as connection:
        names = ", ".join(f"{name} text" for name in COLUMNS)
        connection.execute(f"CREATE TABLE bare ({names})")
        with ready.open("wb") as out, psycopg.Copy(connection.cursor(), writer=FileWriter(out)) as copy:
            for row in _rows(file):
                copy.write_row(
                    [json.dumps(row[name]) if name == "skills" else row.get(name) for name in COLUMNS]
                )
        begun = time.monotonic()
        with (
            ready.open("rb") as lines,
            connection.cursor().copy(f"COPY bare ({', '.join(COLUMNS)}) FROM STDIN") as copy,
        ):
            while piece := lines.read(PIECE):
                copy.write(piece)
        connection.commit()
        took = time.monotonic() - begun
        connection.execute("DROP TABLE bare")
    ready.unlink()
    return took


def _rules(file: Path) -> float:
    """Seconds of the rules alone, in one process; drafts are made ready a batch at a time."""
    rows, took = _rows(file), 0.0
    while drafts := [msgspec.convert(row, TalentDraft) for row in islice(rows, BATCH)]:
        begun = time.monotonic()
        for draft in drafts:
            assess(TALENTS.tidy(draft), today=TODAY, rules=TALENTS.rules)
        took += time.monotonic() - begun
    return took


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """The file's people, without what a source says beside a draft."""
    with file.open("rb") as lines:
        for line in lines:
            row = msgspec.json.decode(line)
            row.pop("id")
            row.pop("updated_at")
            yield row


def sync(urls: DatabaseUrls, file: Path, *, epoch: int, shards: int = 1) -> tuple[float, float]:
    """Seconds, and MiB at most of the worker that took most."""
    took, printed = worked(
        urls,
        epoch=epoch,
        source={"type": "jsonl", "path": file.name},
        target={"entity": "talent"},
        place={Variable.DATA: str(file.parent)},
        shards=shards,
    )
    return took, max(float(lines[-1]) for lines in printed)
