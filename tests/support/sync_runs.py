"""Runs of a SyncJob that brings records in, on a real PostgreSQL: files, shards, epochs, and what came of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from looma_core.api.syncjob import CONTRACT, ShardReport, Variable
from looma_engines.sync_worker.frame import run
from looma_engines.sync_worker.inputs import Inputs, read_inputs
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.rights.ledger import LedgerKey
from looma_engines.talent_sync.syncing.worker import RecordsWorker
from support.database import DatabaseUrls
from support.engines import LEDGER_KEY
from support.key_ring import SEALER
from support.sync_server import PATH, Server, seen_by

Json = dict[str, Any]


def person(number: int | str, **changes: Any) -> Json:
    """A talent as a source writes it, with a key and a time."""
    return {
        "id": f"p-{number}",
        "updated_at": "2026-05-01T12:00:00Z",
        "full_name": f"Ada Number {number}",
        "email": f"ada.{number}@mail.example",
        "skills": ["Python", "SQL"],
        **changes,
    }


@dataclass
class Runs:
    """A SyncJob of one tenant, `looma/people` if it has no other name."""

    urls: DatabaseUrls
    tenant: str
    folder: Path
    epoch: int = 0
    uid: str = "uid-1"
    target: Json = field(default_factory=dict)
    source: Json = field(default_factory=dict)
    server: Server = field(default_factory=Server)
    job: str = "people"

    def __post_init__(self) -> None:
        self.server.path = f"{PATH}/{self.job}"

    def write(self, rows: list[Any], name: str = "") -> None:
        """Make the source's file of objects, or of lines as they are."""
        lines = [
            row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()
            for row in rows
        ]
        (self.folder / (name or f"{self.job}.jsonl")).write_bytes(b"\n".join(lines) + b"\n")

    def inputs(self, *, shard: int = 0, shards: int = 1, batch: int = 3, epoch: int | None = None) -> Inputs:
        """What a worker of a shard is told."""
        file = {} if "url" in self.source else {"type": "jsonl", "path": f"{self.job}.jsonl"}
        source = {**file, **self.source}
        target = {"tenant": self.tenant, "entity": "talent", **self.target}
        return read_inputs(
            {
                Variable.CONTRACT: CONTRACT,
                Variable.JOB: self.job,
                Variable.UID: self.uid,
                Variable.NAMESPACE: "looma",
                Variable.RUN: f"{self.job}-sync-{epoch or self.epoch}",
                Variable.EPOCH: str(epoch or self.epoch),
                Variable.SHARD: str(shard),
                Variable.SHARDS: str(shards),
                Variable.SOURCE: json.dumps(source),
                Variable.TARGET: json.dumps(target),
                Variable.BATCH_SIZE: str(batch),
                Variable.DATA: str(self.folder),
                Variable.CREDENTIALS: str(self.folder / "credentials"),
            }
        )

    def worker(self, given: Inputs, **changes: Any) -> RecordsWorker:
        """A worker of the shard."""
        assert given.target is not None
        # The database is shared with tests that erase people.
        ledger = LedgerKey(LEDGER_KEY)
        return RecordsWorker(self.urls.app, given.target, **{"sealer": SEALER, "ledger": ledger, **changes})

    def run(self, rows: list[Any] | None = None, *, shards: int = 1, batch: int = 3) -> list[ShardReport]:
        """One whole run, of what the file has now; what its shards reported last."""
        if rows is not None:
            self.write(rows)
        self.epoch += 1
        self.server.epoch, self.server.uid = self.epoch, self.uid
        self.server.shards.clear()
        codes = []
        for shard in range(shards):
            given = self.inputs(shard=shard, shards=shards, batch=batch)
            worker = self.worker(given)
            try:
                codes.append(run(worker, given, seen_by(self.server, given)))
            finally:
                worker.close()
        self.codes = codes
        return [
            msgspec.convert(entry, ShardReport, strict=False)
            for _, entry in sorted(self.server.shards.items())
        ]

    def one(self, rows: list[Any] | None = None, **changes: Any) -> ShardReport:
        """A run of one shard that ends well."""
        (report,) = self.run(rows, **changes)
        assert (report.state, self.codes) == ("Succeeded", [0]), report.message
        return report

    def rows(self, query: str, **values: Any) -> list[Json]:
        """What the application's role sees of the tenant."""
        with (
            psycopg.connect(self.urls.app_libpq, row_factory=dict_row) as connection,
            connection.transaction(),
        ):
            connection.execute("SELECT set_config('looma.tenant', %s, true)", (self.tenant,))
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def change(self, query: str, **values: Any) -> None:
        """Change something as the application's role does."""
        with psycopg.connect(self.urls.app_libpq) as connection, connection.transaction():
            connection.execute("SELECT set_config('looma.tenant', %s, true)", (self.tenant,))
            connection.execute(query, values)  # type: ignore[arg-type]

    def talents(self) -> dict[str, Json]:
        """The talents that are there, by their keys, with what was sealed opened."""
        seals = Seals(SEALER, self.tenant)
        found = [
            seals.values("talent", row["id"], row)
            for row in self.rows("SELECT * FROM talent_sync.talents WHERE deleted_at IS NULL")
        ]
        return {row["source_ref"].partition(":")[2]: row for row in found}
