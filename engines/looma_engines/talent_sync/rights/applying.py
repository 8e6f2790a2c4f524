"""The ledger out of a database, and carried out on another: one that was restored from before some erasures.

Both work on a connection of the tables' owner, tenant by tenant. Which tenants there are the owner sees only without
the policies' force, for a moment: in a savepoint that is rolled back, so that neither the change nor its lock stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from looma_core.db import new_id
from looma_engines.talent_sync.models import SCHEMA

from .erasing import TABLES, Answers, Gathered, Wanted, gather, take_away, write_entry, write_keys
from .ledger import ErasedKey, LedgerEntry, LedgerKey, LedgerLift
from .naming import ENDS, RELATION, may_name, read_id, values_of
from .opening import Opens
from .traces import Traces

_TENANT = text(
    "SELECT set_config('looma.tenant', :tenant, true), set_config('looma.actor', '', true),"
    " set_config('looma.origin', :origin, true)"
)
_ENTRIES = text(f"""
    SELECT e.*, lift.id AS lift_id, lift.basis, lift.purposes, lift.reference AS lift_reference, lift.lifted_by,
        lift.given_at, lift.created_at AS lifted_at,
        (SELECT jsonb_agg(jsonb_build_object('digest', encode(k.digest, 'hex'), 'kind', k.kind)
                ORDER BY k.kind, k.digest)
            FROM {SCHEMA}.erased_keys k WHERE k.erasure_id = e.id) AS keys
    FROM {SCHEMA}.erasures e LEFT JOIN {SCHEMA}.erasure_lifts lift ON lift.erasure_id = e.id
    ORDER BY e.created_at, e.id
""")  # noqa: S608 - our own names
_STREAMED = {"yield_per": 1000}


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What was done with a tenant's part of a ledger."""

    entries: int
    erased: int
    rows: int

    def __add__(self, other: Applied) -> Applied:
        return Applied(
            entries=self.entries + other.entries,
            erased=self.erased + other.erased,
            rows=self.rows + other.rows,
        )


def enter_tenant(connection: Connection, tenant: str, *, origin: str) -> None:
    """Have the transaction see and write one tenant's rows."""
    connection.execute(_TENANT, {"tenant": tenant, "origin": origin})


def tenants_of(connection: Connection, query: str, *tables: str, **values: Any) -> list[str]:
    """What a query for tenants answers without the policies' force on some tables; for their owner."""
    savepoint = connection.begin_nested()
    try:
        for table in tables:
            connection.execute(text(f"ALTER TABLE {SCHEMA}.{table} NO FORCE ROW LEVEL SECURITY"))
        return sorted(connection.scalars(text(query), values).all())
    finally:
        savepoint.rollback()


def exported(connection: Connection, key: LedgerKey) -> Iterator[LedgerEntry]:
    """All entries of all tenants that were made with this key."""
    query = f"SELECT DISTINCT tenant FROM {SCHEMA}.erasures"  # noqa: S608 - our own names
    for tenant in tenants_of(connection, query, "erasures"):
        enter_tenant(connection, tenant, origin="ledger")
        for row in connection.execute(_ENTRIES):
            if row.key_id == key.id:
                yield _entry(tenant, row)


def _entry(tenant: str, row: Any) -> LedgerEntry:  # noqa: ANN401 - a row of the statement above
    lift = None
    if row.lift_id is not None:
        lift = LedgerLift(
            id=row.lift_id,
            basis=row.basis,
            purposes=row.purposes,
            reference=row.lift_reference,
            lifted_by=row.lifted_by,
            given_at=row.given_at,
            created_at=row.lifted_at,
        )
    return LedgerEntry(
        id=row.id,
        tenant=tenant,
        entity=row.entity,
        reason=row.reason,
        reference=row.reference,
        origin=row.origin,
        erased_by=row.erased_by,
        requested_at=row.requested_at,
        created_at=row.created_at,
        counts=row.counts,
        keys=[msgspec.convert(key, ErasedKey) for key in row.keys or ()],
        lift=lift,
    )


def carry_out(
    connection: Connection,
    tenant: str,
    entries: Iterable[LedgerEntry],
    *,
    key: LedgerKey,
    answers: Answers,
    opens: Opens,
) -> Applied:
    """Erase again all that a tenant's ledger says, and take the entries over; a second time it finds nothing.

    Args:
        connection: of the owner, in a transaction.
        tenant: whose entries they are.
        entries: from the file.
        key: the one that they were made with.
        answers: which kept answers go.
        opens: reads what rows hold.
    """
    enter_tenant(connection, tenant, origin="ledger")
    entries = list(entries)
    for entry in entries:
        _take_over(connection, entry, key)
    done = Applied(entries=len(entries), erased=0, rows=0)
    records = {one.digest: entry for entry in entries for one in entry.keys if one.kind == "record"}
    for entity in TABLES:
        for record_id in _ids(connection, entity):
            its = records.get(key.of_record(tenant, entity, record_id).hex())
            found = gather(connection, entity, record_id, opens=opens) if its is not None else None
            if its is not None and found is not None:
                counts = take_away(connection, its.id, _wanted(its, record_id), found, answers=answers)
                done += Applied(entries=0, erased=1, rows=sum(counts.values()))
    return done + _empty_quarantine(connection, tenant, entries, key=key, opens=opens)


def _empty_quarantine(
    connection: Connection, tenant: str, entries: Iterable[LedgerEntry], *, key: LedgerKey, opens: Opens
) -> Applied:
    """Refused rows of a person whose record the restored database never had, and of relations that name the person."""
    records = {one.digest: entry for entry in entries for one in entry.keys if one.kind == "record"}
    sources = {
        one.digest: entry
        for entry in entries
        if entry.lift is None
        for one in entry.keys
        if one.kind == "source"
    }
    found: dict[UUID, tuple[LedgerEntry, list[UUID]]] = {}
    origins = _origins(connection)
    rows = connection.execute(
        text(f"SELECT id, entity, origin, key, raw FROM {SCHEMA}.quarantine"),  # noqa: S608 - our own names
        execution_options=_STREAMED,
    )
    for row in rows:
        entry = None
        if row.key:
            entry = sources.get(key.of_source(tenant, row.entity, "sync", f"{row.origin}:{row.key}").hex())
        if entry is None and row.entity == RELATION:
            raw = opens.opened_raw(row.id, row.raw)
            its = {entity: {*known, row.origin} for entity, known in origins.items()}
            by_id, by_key = _digests(tenant, raw, its, key=key)
            entry = next((records[one] for one in by_id if one in records), None) or next(
                (sources[one] for one in by_key if one in sources), None
            )
        if entry is not None:
            found.setdefault(entry.id, (entry, []))[1].append(row.id)
    erased = 0
    for entry, ids in found.values():
        # No record has this id: the entries alone are taken.
        nobody = _wanted(entry, new_id())
        counts = take_away(
            connection, entry.id, nobody, Gathered(traces=Traces(), entries=ids), answers="none"
        )
        erased += sum(counts.values())
    return Applied(entries=0, erased=0, rows=erased)


def _digests(
    tenant: str, raw: str, origins: Mapping[str, Iterable[str]], *, key: LedgerKey
) -> tuple[list[str], list[str]]:
    """Digests of all ids and of all keys by which what a source had of a relation may name a record."""
    by_id, by_key = [], []
    for field, value in (values_of(raw) or {}).items():
        record_id = read_id(value)
        for entity in ENDS:
            if record_id is not None:
                by_id.append(key.of_record(tenant, entity, record_id).hex())
            if may_name(entity, field):
                by_key += [
                    key.of_source(tenant, entity, "sync", f"{origin}:{value}").hex()
                    for origin in origins[entity]
                ]
    return by_id, by_key


def _origins(connection: Connection) -> dict[str, set[str]]:
    """The sources that ever brought records of a kind that a relation names, by the kind."""
    rows = connection.execute(
        text(
            f"SELECT entity, origin FROM {SCHEMA}.sync_states"  # noqa: S608 - our own names
            f" UNION SELECT entity, origin FROM {SCHEMA}.sync_shards"
        )
    )
    found: dict[str, set[str]] = {entity: set() for entity in ENDS}
    for row in rows:
        found.setdefault(row.entity, set()).add(row.origin)
    return found


def _wanted(entry: LedgerEntry, record_id: UUID) -> Wanted:
    return Wanted(
        entity=entry.entity,
        record_id=record_id,
        reason=entry.reason,
        origin="ledger",
        requested_at=entry.requested_at,
    )


def _ids(connection: Connection, entity: str) -> list[UUID]:
    """Of all records of a kind that left a trace, deleted or not."""
    query = (
        f"SELECT id FROM {SCHEMA}.{TABLES[entity]}"  # noqa: S608 - our own names
        f" UNION SELECT record_id FROM {SCHEMA}.record_history WHERE entity = :entity"
        f" UNION SELECT record_id FROM {SCHEMA}.sync_states WHERE entity = :entity"
    )
    return list(connection.scalars(text(query), {"entity": entity}))


def _take_over(connection: Connection, entry: LedgerEntry, key: LedgerKey) -> None:
    values: Mapping[str, Any] = msgspec.structs.asdict(entry)
    write_entry(connection, {**values, "key_id": key.id, "proof": None})
    write_keys(connection, entry.id, [(bytes.fromhex(one.digest), one.kind) for one in entry.keys])
    if entry.lift is not None:
        connection.execute(
            text(
                f"""INSERT INTO {SCHEMA}.erasure_lifts
                    (id, erasure_id, basis, purposes, reference, lifted_by, given_at, created_at)
                VALUES (:id, :erasure_id, :basis, CAST(:purposes AS jsonb), :reference, :lifted_by, :given_at,
                    :created_at) ON CONFLICT DO NOTHING"""  # noqa: S608 - our own names
            ),
            {
                **msgspec.structs.asdict(entry.lift),
                "erasure_id": entry.id,
                "purposes": msgspec.json.encode(entry.lift.purposes).decode(),
            },
        )
