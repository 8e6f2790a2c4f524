"""What a database must hold after a run, told from the source's file alone. Shares no code with the engine.

It has its own reader (`json`), its own idea of a record's form and of how a sealed address opens, and SQL of its own.
A row made as a bad one has a field `_bad`, which no talent has: so the engine refuses it, and this knows it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from psycopg.rows import dict_row

FIELDS = ("full_name", "email", "headline", "location", "skills")


@dataclass(frozen=True)
class Expected:
    """By key the fields of each record that must be there; positions of the rows that must be in quarantine."""

    records: dict[str, tuple[Any, ...]]
    quarantined: int


def form(record: dict[str, Any]) -> tuple[Any, ...]:
    """The fields that are compared: empty texts and lists are nothing."""
    return tuple(json.dumps(record.get(name) or None, ensure_ascii=False) for name in FIELDS)


def expected(path: Path) -> Expected:
    """What the file asks for: of each key the first good row, and everything else in quarantine."""
    records: dict[str, tuple[Any, ...]] = {}
    bad: set[tuple[str, str]] = set()
    for line in path.read_text().splitlines():
        row = json.loads(line)
        key = str(row["id"])
        if "_bad" in row or key in records:
            bad.add((key, line))
        else:
            records[key] = form(row)
    return Expected(records=records, quarantined=len(bad))


def opened(stored: str | None, keys: Mapping[str, bytes], *bound_to: str) -> str | None:
    """What was sealed; a value that was not is wrong, whatever it says."""
    if stored is None:
        return None
    word, number, key, text = stored.split(":")
    assert (word, number) == ("sealed", "1")
    sealed = base64.urlsafe_b64decode(text + "==")
    place = json.dumps(bound_to, ensure_ascii=False, separators=(",", ":")).encode()
    return AESSIV(keys[key]).decrypt(sealed, [place]).decode()


def differences(url: str, tenant: str, wanted: Expected, keys: Mapping[str, bytes]) -> list[str]:
    """What is lost, doubled, left over or different; empty where all is as the source has it.

    Args:
        url: libpq's, of a role that may read the tables.
        tenant: whose records.
        wanted: from `expected`.
        keys: what opens addresses, by their ids.
    """
    with psycopg.connect(url, row_factory=dict_row) as connection, connection.transaction():
        connection.execute("SELECT set_config('looma.tenant', %s, true)", (tenant,))
        rows = connection.execute(
            "SELECT id, source_ref, full_name, email, headline, location, skills FROM talent_sync.talents"
            " WHERE deleted_at IS NULL"
        ).fetchall()
        waiting = connection.execute(
            "SELECT count(*) AS number FROM talent_sync.quarantine WHERE state = 'open'"
        ).fetchone()
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        row["email"] = opened(row["email"], keys, tenant, "talent", str(row["id"]), "email")
        found.setdefault(row["source_ref"].split(":", 1)[1], []).append(form(row))
    wrong = [f"{key}: lost" for key in wanted.records.keys() - found.keys()]
    wrong += [f"{key}: left over" for key in found.keys() - wanted.records.keys()]
    for key, forms in found.items():
        if len(forms) > 1:
            wrong.append(f"{key}: {len(forms)} times")
        elif key in wanted.records and forms[0] != wanted.records[key]:
            wrong.append(f"{key}: {forms[0]} instead of {wanted.records[key]}")
    if waiting is None or waiting["number"] != wanted.quarantined:
        wrong.append(f"{waiting} in quarantine instead of {wanted.quarantined}")
    return sorted(wrong)
