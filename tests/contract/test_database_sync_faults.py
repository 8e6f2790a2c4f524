"""Workers and database are killed in the middle of runs, by a seed: no record is lost, doubled or half written.

Real processes, `kill -9`, and a real PostgreSQL that recovers from the crash of one of its processes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from looma_core.api.syncjob import CONTRACT, ExitCode, Variable
from support.database import DatabaseUrls
from support.key_ring import KEYS, VARIABLE, ring_file
from support.sync_checker import differences, expected
from support.worker_pods import Pod, Pods

pytestmark = pytest.mark.database
RUNS = 5
MANY = 200
PATIENCE = 90.0
SPAN_SECONDS = 0.6  # About as long as a run takes by itself.


def source(rng: random.Random, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The file's rows: those of before, some changed, some gone, some new, some bad, some with a key twice."""
    kept = [dict(row) for row in before if rng.random() > 0.05 and "_bad" not in row and "_again" not in row]
    for row in kept:
        if rng.random() < 0.3:
            row["headline"] = rng.choice(["Analyst", "Engineer", "数据分析师", ""])
    number = max((int(row["id"]) for row in before if "_bad" not in row), default=0)
    kept += [
        {
            "id": str(key),
            "full_name": f"Ada Number {key}",
            "email": f"ada.{key}@mail.example",
            "skills": rng.sample(["Python", "SQL", "Go", "微服务"], rng.randint(0, 4)),
        }
        for key in range(number + 1, number + 1 + rng.randint(80, 160))
    ]
    rng.shuffle(kept)
    for row in rng.sample(kept, 5):
        # Of a key that no good one ever has: a good record stays where the source has it wrong.
        bad = {**row, "id": str(10**6 + int(row["id"])), "_bad": rng.random()}
        kept.insert(rng.randrange(len(kept)), bad)
    return kept


@dataclass
class World:
    """One SyncJob's tenant, its file, its workers, and the database below them."""

    urls: DatabaseUrls
    tenant: str
    folder: Path
    pods: Pods
    rng: random.Random
    epoch: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "people.jsonl"

    def write(self) -> None:
        self.rows = source(self.rng, self.rows)
        self.file.write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def start(self, shard: int, shards: int, *, epoch: int | None = None) -> Pod:
        """A worker of a shard."""
        target = {"tenant": self.tenant, "entity": "talent", "onMissing": "delete"}
        told = {
            Variable.CONTRACT: CONTRACT,
            Variable.JOB: "people",
            Variable.UID: "uid-1",
            Variable.NAMESPACE: "looma",
            Variable.RUN: f"people-sync-{self.epoch}",
            Variable.EPOCH: str(epoch or self.epoch),
            Variable.SHARD: str(shard),
            Variable.SHARDS: str(shards),
            Variable.SOURCE: '{"type":"jsonl","path":"people.jsonl"}',
            Variable.TARGET: json.dumps({**target, "conflictPolicy": {"default": "source"}}),
            Variable.BATCH_SIZE: "20",
            Variable.DATA: str(self.folder),
            "LOOMA_DATABASE_URL": self.urls.app,
            VARIABLE: ring_file(),
        }
        return self.pods.start(told)

    def strike(self, workers: dict[int, Pod], shards: int) -> None:
        """One thing goes wrong."""
        fault = self.rng.choice(["kill", "kill", "stop", "cut", "crash", "twin", "freeze", "older"])
        self.done.append(fault)
        worker = workers[self.rng.randrange(shards)]
        if fault in ("kill", "stop"):
            worker.signal(signal.SIGKILL if fault == "kill" else signal.SIGTERM)
        elif fault in ("cut", "crash"):
            self.hit_database(fault)
        elif fault == "freeze":
            worker.signal(signal.SIGSTOP)
            time.sleep(self.rng.uniform(0, 0.3))
            worker.signal(signal.SIGCONT)
        elif fault == "twin":
            # A second pod of a shard that still has one: its node was thought lost.
            twin = self.start(self.rng.randrange(shards), shards)
            time.sleep(self.rng.uniform(0.3, 1))
            twin.signal(signal.SIGKILL)
            self.pods.ended(twin)
        elif self.epoch > 1:
            late = self.start(0, shards, epoch=self.epoch - 1)
            assert self.pods.ended(late, seconds=PATIENCE) == ExitCode.FENCED, late.log.read_text()

    def hit_database(self, fault: str) -> None:
        """End a worker's connection, or kill its server process, which takes down all of PostgreSQL."""
        try:
            admin = psycopg.connect(self.urls.admin, autocommit=True)
        except psycopg.OperationalError:
            return  # It is down already: a busy machine takes long to begin again after an earlier fault.
        with admin as connection:
            pids = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'sync-people' AND datname = %s",
                (self.urls.name,),
            ).fetchall()
            if not pids:
                return
            (pid,) = self.rng.choice(pids)
            if fault == "cut":
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
                return
        os.kill(pid, signal.SIGKILL)

    def run(self, shards: int, faults: int) -> None:
        """One run to its end; a worker that ended without being done is followed by another, as a Job does."""
        self.epoch += 1
        workers = {shard: self.start(shard, shards) for shard in range(shards)}
        until = time.monotonic() + PATIENCE
        left = set(range(shards))
        strikes = sorted(self.rng.uniform(0, SPAN_SECONDS) for _ in range(faults))
        begun = time.monotonic()
        while left:
            assert time.monotonic() < until, f"shards {left} did not end"
            if strikes and time.monotonic() - begun >= strikes[0]:
                strikes.pop(0)
                self.strike(workers, shards)
            for shard in list(left):
                code = self.pods.code(workers[shard])
                if code is None:
                    continue
                assert code not in (ExitCode.BAD_INPUT, ExitCode.FENCED), workers[shard].log.read_text()
                if code == 0:
                    left.discard(shard)
                else:
                    workers[shard] = self.start(shard, shards)
            time.sleep(0.02)

    def counted(self) -> dict[str, int]:
        """What the shards of the run say that they did, together."""
        with psycopg.connect(self.urls.app_libpq) as connection, connection.transaction():
            connection.execute("SELECT set_config('looma.tenant', %s, true)", (self.tenant,))
            rows = connection.execute(
                "SELECT counts, verification FROM talent_sync.sync_shards WHERE epoch = %s", (self.epoch,)
            ).fetchall()
        names = ("read", "created", "updated", "unchanged", "deleted", "quarantined")
        counts = {name: sum(row[0].get(name, 0) for row in rows) for name in names}
        return {**counts, **{name: sum(row[1][name] for row in rows) for name in ("looked", "held")}}


def check(world: World, seed: int) -> None:
    """Two runs with faults, and after each all is as the file has it."""
    before: dict[str, dict[str, Any]] = {}
    for _ in range(2):
        world.write()
        world.run(shards=world.rng.choice([1, 2]), faults=world.rng.randint(1, 4))
        wanted = expected(world.file)
        wrong = differences(world.urls.app_libpq, world.tenant, wanted, KEYS)
        assert not wrong, (seed, world.done, wrong[:5])
        now = {row["id"]: row for row in world.rows if "_bad" not in row}
        counts = world.counted()
        assert counts["read"] == counts["looked"] == counts["held"] == len(world.rows), (seed, counts)
        assert counts["created"] == len(now.keys() - before.keys()), (seed, world.done, counts)
        assert counts["deleted"] == len(before.keys() - now.keys()), (seed, world.done, counts)
        both = now.keys() & before.keys()
        assert counts["unchanged"] >= sum(now[key] == before[key] for key in both), (seed, counts)
        assert counts["created"] + counts["updated"] + counts["unchanged"] == len(now), (seed, counts)
        before = now


@pytest.mark.parametrize("seed", range(RUNS))
def test_nothing_is_lost_or_doubled(
    database_urls: DatabaseUrls, tenant: str, tmp_path: Path, pods: Pods, seed: int
) -> None:
    check(World(database_urls, tenant, tmp_path, pods, random.Random(seed)), seed)  # noqa: S311


@pytest.mark.long
@pytest.mark.parametrize("seed", range(RUNS, MANY))
def test_nothing_is_lost_or_doubled_in_many_runs(
    database_urls: DatabaseUrls, tenant: str, tmp_path: Path, pods: Pods, seed: int
) -> None:
    check(World(database_urls, tenant, tmp_path, pods, random.Random(seed)), seed)  # noqa: S311
