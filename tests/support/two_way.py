"""What tests of writing back do to records here, and ask of the outbox."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

from looma_core.api.syncjob import ShardReport
from looma_engines.talent_sync.privacy.fields import Seals, hash_column
from support.key_ring import SEALER
from support.sync_runs import Json, Runs


def changed_here(runs: Runs, key: str, **fields: Any) -> None:
    """Change a talent here, as a person does: sealed what is sealed, and a version later."""
    (record,) = runs.rows(
        "SELECT record_id, record.version FROM talent_sync.sync_states"
        " JOIN talent_sync.talents AS record ON record.id = record_id WHERE key = %(key)s",
        key=key,
    )
    columns = Seals(SEALER, runs.tenant).columns("talent", record["record_id"], fields)
    columns = {
        name: value
        for name, value in columns.items()
        if name in fields or name in {hash_column(field) for field in fields}
    }
    given = {
        name: json.dumps(value) if isinstance(value, (list, dict)) else value
        for name, value in columns.items()
    }
    changes = ", ".join(f"{name} = %({name})s" for name in given)
    runs.change(
        f"UPDATE talent_sync.talents SET {changes}, version = version + 1, updated_at = now()"  # noqa: S608
        " WHERE id = %(id)s",
        id=record["record_id"],
        **given,
    )


def made_here(runs: Runs, name: str, **fields: Any) -> UUID:
    """Make a talent here, as a person does; without what is sealed."""
    record = uuid4()
    given = {
        column: json.dumps(value) if isinstance(value, (list, dict)) else value
        for column, value in {"full_name": name, "language": "en", **fields}.items()
    }
    runs.change(
        f"INSERT INTO talent_sync.talents (id, source_type, {', '.join(given)})"  # noqa: S608 - our own names
        f" VALUES (%(id)s, 'manual', {', '.join(f'%({column})s' for column in given)})",
        id=record,
        **given,
    )
    return record


def outbox(runs: Runs) -> list[Json]:
    """What was written, or was to be, in order; a row whose outcome is known keeps no values."""
    rows = runs.rows(
        "SELECT key, kind, state, reason, fields, intended, version FROM talent_sync.sync_writes"
        " ORDER BY created_at, id"
    )
    assert all((row["intended"] is None) == (row["state"] != "intended") for row in rows)
    return rows


def became(runs: Runs) -> list[tuple[str, str, list[str]]]:
    """By key what became of each write, and of which fields it was."""
    return [(row["key"], row["state"], row["fields"]) for row in outbox(runs)]


def back(report: ShardReport) -> tuple[int, int, int]:
    """Records that were written back, refused, and changed there meanwhile."""
    return report.written_back or 0, report.write_refused or 0, report.write_moved or 0


def open_conflicts(runs: Runs) -> list[str]:
    """Fields about which a person is to decide."""
    rows = runs.rows("SELECT field FROM talent_sync.sync_conflicts WHERE resolution = 'open' ORDER BY field")
    return [row["field"] for row in rows]
