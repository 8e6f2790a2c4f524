"""Workers and their source are killed in the middle of runs, by a seed: no record is lost, doubled or deleted.

Real processes, `kill -9` of workers and of the source's server, and connections that break in the middle of bodies.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from looma_core.api.syncjob import CONTRACT, ExitCode, Variable
from support.database import DatabaseUrls
from support.key_ring import KEYS, VARIABLE, ring_file
from support.remote_sources import SourceServer, source_server
from support.source_server import CLIENT, SECRET
from support.sync_checker import differences, expected
from support.worker_pods import Pod, Pods

pytestmark = pytest.mark.database
RUNS = 1
MANY = 60
PATIENCE = 120.0  # Of a machine that does other things too.
AWAY_SECONDS = 1.5  # Less than a worker's patience, so that most runs go on by themselves.
SHARDS = 2


def people(rng: random.Random, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the source has: those of before, some changed, some gone, some new, some bad."""
    kept = [dict(row) for row in before if rng.random() > 0.1 and "_bad" not in row]
    for row in kept:
        if rng.random() < 0.3:
            row["headline"] = rng.choice(["Analyst", "Engineer", "数据分析师", ""])
    number = max((int(row["id"]) for row in before if "_bad" not in row), default=1000)
    kept += [
        {"id": str(key), "full_name": f"Ada Number {key}", "email": f"ada.{key}@mail.example"}
        for key in range(number + 1, number + 1 + rng.randint(80, 160))
    ]
    # Of a key that no good one ever has: a good record stays where the source has it wrong.
    return [
        *kept,
        *({**row, "id": str(10**6 + int(row["id"])), "_bad": rng.random()} for row in rng.sample(kept, 4)),
    ]


@dataclass
class World:
    """One SyncJob's tenant, its source, and its workers."""

    urls: DatabaseUrls
    tenant: str
    folder: Path
    server: SourceServer
    pods: Pods
    kind: str
    rng: random.Random
    epoch: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    @property
    def source(self) -> dict[str, Any]:
        """What the SyncJob says of it."""
        if self.kind == "http":
            return {"type": "http", "url": f"{self.server.url}/files/people.jsonl", "format": "jsonl"}
        return {
            "type": "zervigo",
            "url": self.server.url,
            "tokenUrl": f"{self.server.url}/oauth/token",
            "pageSize": 13,
            "requestsPerSecond": 100,
        }

    def write(self) -> None:
        """Other people from now on."""
        self.rows = people(self.rng, self.rows)
        self.server.put("talents", self.rows)
        self.server.file("people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def start(self, shard: int) -> Pod:
        """A worker of a shard."""
        secret = self.folder / "secret"
        secret.mkdir(exist_ok=True)
        (secret / "client_id").write_text(CLIENT)
        (secret / "client_secret").write_text(SECRET)
        target = {"tenant": self.tenant, "entity": "talent", "onMissing": "delete"}
        told = {
            Variable.CONTRACT: CONTRACT,
            Variable.JOB: "people",
            Variable.UID: "uid-1",
            Variable.NAMESPACE: "looma",
            Variable.RUN: f"people-sync-{self.epoch}",
            Variable.EPOCH: str(self.epoch),
            Variable.SHARD: str(shard),
            Variable.SHARDS: str(SHARDS),
            Variable.SOURCE: json.dumps(self.source),
            Variable.TARGET: json.dumps({**target, "conflictPolicy": {"default": "source"}}),
            Variable.BATCH_SIZE: "20",
            Variable.DATA: str(self.folder),
            Variable.CREDENTIALS: str(secret),
            "LOOMA_DATABASE_URL": self.urls.app,
            VARIABLE: ring_file(),
        }
        return self.pods.start(told)

    def trouble(self) -> list[dict[str, Any]]:
        """What the source does wrong in a run."""
        kinds = [
            {"kind": "cut", "bytes": self.rng.randint(0, 3000)},
            {"kind": "status", "status": 500},
            {"kind": "status", "status": 429, "retry_after": 1},
            {"kind": "slow", "seconds": 0.5},
            {"kind": "garbage"},
            {"kind": "expire"},
        ]
        where = "/api/v1/" if self.kind == "zervigo" else "/files/"
        chosen = [
            fault for fault in self.rng.sample(kinds, 3) if (self.kind, fault["kind"]) != ("http", "expire")
        ]
        return [{**fault, "where": where, "after": self.rng.randint(0, 9)} for fault in chosen * 2]

    def strike(self, workers: dict[int, Pod]) -> None:
        """One thing goes wrong."""
        fault = self.rng.choice(["kill", "kill", "stop", "source", "trouble"])
        self.done.append(fault)
        if fault in ("kill", "stop"):
            worker = workers[self.rng.randrange(SHARDS)]
            worker.signal(signal.SIGKILL if fault == "kill" else signal.SIGTERM)
        elif fault == "source":
            self.server.kill()
            time.sleep(self.rng.uniform(0, AWAY_SECONDS))
            self.server.start()
        else:
            self.server.faults(*self.trouble())

    def run(self) -> None:
        """One run to its end; a worker that ended without being done is followed by another, as a Job does."""
        self.epoch += 1
        self.server.faults(*self.trouble())
        workers = {shard: self.start(shard) for shard in range(SHARDS)}
        begun = time.monotonic()
        strikes = sorted(self.rng.uniform(0.3, 3) for _ in range(self.rng.randint(1, 4)))
        left = set(range(SHARDS))
        while left:
            assert time.monotonic() < begun + PATIENCE, f"shards {left} did not end: {self.done}"
            if strikes and time.monotonic() - begun >= strikes[0]:
                strikes.pop(0)
                self.strike(workers)
            for shard in list(left):
                code = self.pods.code(workers[shard])
                if code is None:
                    continue
                assert code not in (ExitCode.BAD_INPUT, ExitCode.FENCED), workers[shard].log.read_text()
                if code == 0:
                    left.discard(shard)
                else:
                    workers[shard] = self.start(shard)
            time.sleep(0.02)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SourceServer]:
    with source_server(tmp_path / "source") as found:
        yield found


def check(world: World, seed: int) -> None:
    """Three runs with faults, and after each all is as the source has it."""
    for _ in range(3):
        world.write()
        world.run()
        wanted = expected(world.server.file("people.jsonl"))
        wrong = differences(world.urls.app_libpq, world.tenant, wanted, KEYS)
        assert not wrong, (seed, world.kind, world.done, wrong[:5])


@pytest.mark.parametrize("kind", ["zervigo", "http"])
@pytest.mark.parametrize("seed", range(RUNS))
def test_nothing_is_lost_or_doubled(
    database_urls: DatabaseUrls, tenant: str, server: SourceServer, pods: Pods, *, seed: int, kind: str
) -> None:
    check(World(database_urls, tenant, server.folder.parent, server, pods, kind, random.Random(seed)), seed)  # noqa: S311


@pytest.mark.long
@pytest.mark.parametrize("kind", ["zervigo", "http"])
@pytest.mark.parametrize("seed", range(RUNS, MANY))
def test_nothing_is_lost_or_doubled_in_many_runs(
    database_urls: DatabaseUrls, tenant: str, server: SourceServer, pods: Pods, *, seed: int, kind: str
) -> None:
    check(World(database_urls, tenant, server.folder.parent, server, pods, kind, random.Random(seed)), seed)  # noqa: S311
