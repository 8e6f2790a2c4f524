"""What a database must hold after a run, told from the source's file alone. Shares no code with the engine.

It has its own reader (`json`), its own idea of a record's form and of how a sealed address opens, and SQL of its own.
A row made as a bad one has a field `_bad`, which no talent has: so the engine refuses it, and this knows it.

Of each record it holds a key and a digest a field, neither the file nor the table: a million take some 300 MB.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from psycopg.rows import dict_row

FIELDS = ("full_name", "email", "headline", "location", "skills")
DIGEST_BYTES = 8
"""Of a field: two values with one digest are a chance of one in 2^64."""


@dataclass(frozen=True)
class Expected:
    """By key the form of each record that must be there; how many rows must be in quarantine."""

    records: dict[str, bytes]
    quarantined: int


def form(record: dict[str, Any]) -> bytes:
    """Digests of the fields that are compared, one after another: empty texts and lists are nothing."""
    return b"".join(
        _digest(json.dumps(record.get(name) or None, ensure_ascii=False).encode()) for name in FIELDS
    )


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]


def _differing(one: bytes, other: bytes) -> str:
    """The fields in which two forms differ."""
    places = [slice(number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES) for number in range(len(FIELDS))]
    return ", ".join(name for name, at in zip(FIELDS, places, strict=True) if one[at] != other[at])


def expected(path: Path) -> Expected:
    """What the file asks for: of each key the first good row, and everything else in quarantine."""
    records: dict[str, bytes] = {}
    bad: set[tuple[str, bytes]] = set()
    with path.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            key = str(row["id"])
            if "_bad" in row or key in records:
                bad.add((key, _digest(line.rstrip(b"\n"))))
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
    wrong = []
    found: dict[str, int] = {}
    with _asked(url, tenant) as connection:
        waiting = connection.execute(
            "SELECT count(*) AS number FROM talent_sync.quarantine WHERE state = 'open'"
        ).fetchone()
        with connection.cursor("talents") as rows:
            rows.itersize = 5_000
            rows.execute(
                "SELECT id, source_ref, full_name, email, headline, location, skills FROM talent_sync.talents"
                " WHERE deleted_at IS NULL"
            )
            for row in rows:
                row["email"] = opened(row["email"], keys, tenant, "talent", str(row["id"]), "email")
                key = row["source_ref"].split(":", 1)[1]
                found[key] = found.get(key, 0) + 1
                if key in wanted.records and (fields := _differing(form(row), wanted.records[key])):
                    wrong.append(f"{key}: other than the source has it: {fields}")
    wrong += [f"{key}: lost" for key in wanted.records.keys() - found.keys()]
    wrong += [f"{key}: left over" for key in found.keys() - wanted.records.keys()]
    wrong += [f"{key}: {times} times" for key, times in found.items() if times > 1]
    if waiting is None or waiting["number"] != wanted.quarantined:
        wrong.append(f"{waiting} in quarantine instead of {wanted.quarantined}")
    return sorted(wrong)


@contextmanager
def _asked(url: str, tenant: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(url, row_factory=dict_row) as connection, connection.transaction():
        connection.execute("SELECT set_config('looma.tenant', %s, true)", (tenant,))
        yield connection
