"""Where the database holds sealed values: for each table which rows are to be done, and what becomes of one. Pure.

A row is found by its text alone, by what stands before the sealed bytes: so a walk that was stopped goes on where it
was, and one that has nothing to do reads and writes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from looma_engines.talent_sync.privacy.fields import FILE_FIELDS, SEALED, SIDES, Seals, hash_column
from looma_engines.talent_sync.privacy.sealing import PLAIN_DIGEST_BYTES, PREFIX, SealedBytes

TALENT = "talent"
FIELDS = SEALED[TALENT]

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One table.

    Args:
        table: its name.
        key: columns that tell its rows apart, in the order of an index.
        columns: what is read of a row to decide.
        values: SQL of each text that may be sealed.
        hashes: of each hash the column, and that of the value.
        digests: columns with digests of whole records. With a key in it one cannot be opened: it stays.
        assigned: SQL of what a column gets, where that is not the value itself.
        where: which rows have such values at all.
        most: rows of one transaction at most, where rows are large.
        opened: the plain values of a row, columns by their names.
        sealed: the columns as they are to be stored, of the plain ones.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[str, ...]
    opened: Callable[[Seals, Row], dict[str, Any]]
    sealed: Callable[[Seals, Row, Row], dict[str, Any]]
    hashes: tuple[tuple[str, str], ...] = ()
    digests: tuple[str, ...] = ()
    assigned: Mapping[str, str] = field(default_factory=dict)
    where: str = "true"
    most: int | None = None

    def to_do(self, *, sealing: bool) -> str:
        """Condition of the rows that are not as they shall be; `%(now)s` and `%(hash)s` are what texts begin with."""
        if not sealing:
            found = [f"starts_with({value}, '{PREFIX}')" for value in self.values]
            found += [f"{column} IS NOT NULL" for column, _ in self.hashes]
        else:
            found = [f"NOT starts_with({value}, %(now)s)" for value in self.values]
            found += [
                f"{of} IS NOT NULL AND NOT coalesce(starts_with({column}, %(hash)s), false)"
                for column, of in self.hashes
            ]
            found += [f"octet_length({column}) = {PLAIN_DIGEST_BYTES}" for column in self.digests]
        return f"({self.where}) AND ({' OR '.join(f'({one})' for one in found)})"


def _talent(seals: Seals, row: Row, plain: Row) -> dict[str, Any]:
    stored = seals.columns(TALENT, row["id"], plain)
    return {name: stored[name] for name in (*FIELDS, *map(hash_column, FIELDS))}


def _opened_part(seals: Seals, row: Row) -> dict[str, Any]:
    stored = SealedBytes(row["sealed_under"], bytes(row["content"]))
    return {"sealed_under": "", "content": seals.opened_part(row["file_id"], row["position"], stored)}


def _part(seals: Seals, row: Row, plain: Row) -> dict[str, Any]:
    sealed = seals.part(row["file_id"], row["position"], plain["content"])
    return {"sealed_under": sealed.key, "content": sealed.data}


def _history_values() -> tuple[str, ...]:
    found = []
    for name in FIELDS:
        value = f"changes -> '{name}'"
        # A record's creation has the value itself, a change both sides.
        found.append(f"CASE jsonb_typeof({value}) WHEN 'string' THEN changes ->> '{name}' END")
        found += [f"{value} ->> '{side}'" for side in ("before", "after")]
    return tuple(found)


# A row of a source is one entry that counts. Where a worker made another of it meanwhile, this one is found no more.
_ONE_ENTRY = """CASE WHEN EXISTS (SELECT FROM talent_sync.quarantine AS other
    WHERE other.id <> quarantine.id AND other.tenant = quarantine.tenant AND other.entity = quarantine.entity
    AND other.origin = quarantine.origin AND other.key = quarantine.key AND other.state <> 'superseded'
    AND other.raw_digest = %(raw_digest)s::bytea)
    THEN sha256(%(raw_digest)s::bytea || convert_to(quarantine.id::text, 'UTF8')) ELSE %(raw_digest)s::bytea END"""

WALKS: tuple[Walk, ...] = (
    Walk(
        table="talents",
        key=("id",),
        columns=("id", "language", *FIELDS),
        values=FIELDS,
        hashes=tuple((hash_column(name), name) for name in FIELDS),
        opened=lambda seals, row: {
            **seals.values(TALENT, row["id"], row),
            **dict.fromkeys(map(hash_column, FIELDS)),
        },
        sealed=_talent,
    ),
    Walk(
        table="sync_states",
        key=("tenant", "entity", "origin", "key"),
        columns=("record_id", "base", "raw_digest", "written_digest"),
        values=tuple(f"base ->> '{name}'" for name in FIELDS),
        digests=("raw_digest", "written_digest"),
        where=f"entity = '{TALENT}'",
        # A state may have no base: then its digests alone are to be done.
        opened=lambda seals, row: {
            "base": row["base"] and seals.opened_base(TALENT, row["record_id"], row["base"])
        },
        sealed=lambda seals, row, plain: {
            "base": plain["base"] and seals.base(TALENT, row["record_id"], plain["base"])
        },
    ),
    Walk(
        table="sync_conflicts",
        key=("id",),
        columns=("id", "field", *SIDES),
        values=tuple(f"{side} #>> '{{}}'" for side in SIDES),
        where=f"entity = '{TALENT}' AND field IN ({', '.join(repr(name) for name in FIELDS)})",
        opened=lambda seals, row: {
            side: seals.opened_side(TALENT, row["id"], row["field"], side, row[side]) for side in SIDES
        },
        sealed=lambda seals, row, plain: {
            side: seals.side(TALENT, row["id"], row["field"], side, plain[side]) for side in SIDES
        },
    ),
    Walk(
        table="quarantine",
        key=("id",),
        columns=("id", "raw", "raw_digest"),
        values=("raw",),
        digests=("raw_digest",),
        assigned={"raw_digest": _ONE_ENTRY},
        opened=lambda seals, row: {"raw": seals.opened_raw(row["id"], row["raw"])},
        sealed=lambda seals, row, plain: {"raw": seals.raw(row["id"], plain["raw"])},
    ),
    Walk(
        table="sync_writes",
        key=("id",),
        columns=("id", "intended"),
        values=("intended",),
        where="intended IS NOT NULL",
        opened=lambda seals, row: {"intended": seals.opened_intent(row["id"], row["intended"])},
        sealed=lambda seals, row, plain: {"intended": seals.intent(row["id"], plain["intended"])},
    ),
    Walk(
        table="record_history",
        key=("tenant", "record_id", "changed_at", "id"),
        columns=("record_id", "changes"),
        values=_history_values(),
        where=f"entity = '{TALENT}'",
        opened=lambda seals, row: {
            "changes": seals.changes(TALENT, row["record_id"], row["changes"], keep=True)
        },
        sealed=lambda seals, row, plain: {
            "changes": seals.sealed_changes(TALENT, row["record_id"], plain["changes"])
        },
    ),
    Walk(
        table="resume_files",
        key=("id",),
        columns=("id", *FILE_FIELDS),
        values=FILE_FIELDS,
        hashes=(("content_hash", "sha256"),),
        opened=lambda seals, row: {**seals.file_values(row["id"], row), "content_hash": None},
        sealed=lambda seals, row, plain: dict(seals.file_columns(row["id"], plain)),
    ),
    Walk(
        table="resume_file_parts",
        key=("file_id", "position"),
        columns=("file_id", "position", "sealed_under", "content"),
        # The key of bytes stands beside them: told as a text would tell its own.
        values=(f"CASE WHEN sealed_under = '' THEN '' ELSE '{PREFIX}' || sealed_under || ':' END",),
        most=16,
        opened=_opened_part,
        sealed=_part,
    ),
)


def becomes(walk: Walk, seals: Seals, row: Row, *, sealing: bool) -> dict[str, Any]:
    """The columns of a row as they are to be stored.

    Raises:
        SealError: what is stored does not open.
    """
    plain = walk.opened(seals, row)
    if not sealing:
        return plain
    digests = {name: row[name] for name in walk.digests}
    for name, digest in digests.items():
        if digest is not None and len(digest) == PLAIN_DIGEST_BYTES:
            digests[name] = seals.digest(digest)
    return {**walk.sealed(seals, row, {**row, **plain}), **digests}
