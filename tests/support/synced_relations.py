"""Relations that people make, and what a SyncJob leaves of some: states, conflicts, writes, rows that it refused."""

from __future__ import annotations

import json
import secrets
from typing import Any

from litestar.testing import TestClient
from psycopg.types.json import Jsonb

from looma_core.db import new_id
from looma_engines.talent_sync.privacy.fields import Seals
from support.key_ring import SEALER
from support.sync_runs import Json, Runs

ORIGIN = "crm-relations"
_RUN = {"job": "looma/relations", "epoch": 1, "generation": 1, "origin": ORIGIN, "entity": "relation"}


def made(client: TestClient[Any], auth: dict[str, str], path: str, /, **draft: Any) -> str:
    """Make a record by the API, as people do; its id."""
    answer = client.post(f"/api/v1/{path}", json=draft, headers=auth)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def known(runs: Runs, relation: str, *, key: str, base: Json | None = None, gone: bool = False) -> None:
    """Note that a relation came from the source under a key."""
    _insert(
        runs,
        "sync_states",
        origin=ORIGIN,
        entity="relation",
        key=key,
        record_id=relation,
        base=Jsonb(base or {}),
        gone=gone,
        written_version=1,
        written_digest=b"",
        seen_generation=1,
        seen_position=1,
        shard_hash=1,
    )


def written(runs: Runs, relation: str, *, key: str) -> None:
    """Note a write of a relation whose key is known."""
    values = {"record_id": relation, "version": 1, "fields": Jsonb(["title"]), "state": "written"}
    _insert(runs, "sync_writes", **_RUN, id=new_id(), key=key, **values)


def conflict(runs: Runs, relation: str, *, key: str, field: str = "title", source: Any = "Theirs") -> str:
    """A conflict about a relation that waits for a person; its id."""
    number = str(new_id())
    sides = {"base": Jsonb(None), "source": Jsonb(source), "target": Jsonb("Ours")}
    rest = {"field": field, "resolution": "open", "reason": "a person decides"}
    _insert(runs, "sync_conflicts", **_RUN, id=number, key=key, record_id=relation, **sides, **rest)
    return number


def refused(
    runs: Runs, raw: Json | str, *, key: str = "", entity: str = "relation", became: str | None = None
) -> str:
    """A row of the source that waits in the quarantine, or became a relation; the entry's id."""
    entry_id = new_id()
    text = raw if isinstance(raw, str) else json.dumps(raw)
    _insert(
        runs,
        "quarantine",
        **{**_RUN, "entity": entity},
        id=entry_id,
        key=key,
        position=1,
        shard_hash=1,
        raw=Seals(SEALER, runs.tenant).raw(entry_id, text),
        raw_digest=secrets.token_bytes(32),
        whole=True,
        errors=Jsonb([{"field": "talent_id", "message": "there is none with this key"}]),
        state="open" if became is None else "replayed",
        record_id=became,
    )
    return str(entry_id)


def _insert(runs: Runs, table: str, **values: Any) -> None:
    names, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    runs.change(f"INSERT INTO talent_sync.{table} ({names}) VALUES ({places})", **values)  # noqa: S608 - our own names
