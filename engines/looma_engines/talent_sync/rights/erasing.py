"""Erases one record in the caller's transaction: looks up what belongs to it, takes it away, writes the ledger.

    gather     what there is of a record, and the values that tell of it
    take_away  erases it under an entry of the ledger that is there
    erase      both, with the entry and the proof

All of it is for a connection whose transaction knows its tenant; the application's role and the tables' owner may both
do it. The rows go by the function `erase_record` of the database (`talent_sync_0009`): no role of the application can
delete them by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from looma_core.api.rights import Proof
from looma_core.crypto import DecryptionError, FileCipher
from looma_core.db import new_id
from looma_engines.talent_sync.models import SCHEMA
from looma_engines.talent_sync.syncing.source_row import own_keys

from .ledger import LedgerKey
from .naming import ENDS, RELATION, Naming, naming
from .opening import Opens
from .searching import search
from .traces import FIELDS, Traces

TABLES = {"talent": "talents", "company": "companies", "job": "jobs", "relation": "relations"}
ANSWERS = (f"{SCHEMA}.idempotency_keys", "resume.idempotency_keys")
KEPT_FILES = "resume_files"
RETENTION = "retention"
SLOWEST_SECONDS = 120
"""A search goes through every row of a tenant; the 15 seconds of other requests are too few for a large one."""
_STREAMED = {"yield_per": 200}

Answers = FileCipher | Literal["all", "none"]
"""Which kept answers go: those that hold the person, read with a cipher; all; or none, past their time as they are."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be erased, and what the ledger says of it."""

    entity: str
    record_id: UUID
    reason: str
    origin: str
    requested_at: datetime
    reference: str | None = None
    erased_by: str | None = None


@dataclass(kw_only=True)
class Gathered:
    """What there is of a record."""

    traces: Traces
    sources: set[tuple[str, str]] = field(default_factory=set)
    """Types and references of where it came from."""
    gone: set[tuple[str, str]] = field(default_factory=set)
    """Those of them that had it no more, so that it was deleted here."""
    entries: list[UUID] = field(default_factory=list)
    """Entries of the quarantine that hold it, or that are of relations which name it."""
    doubtful: set[UUID] = field(default_factory=set)
    """Those of them that may be of somebody else's relations: they go all the same, and are told to nobody."""
    tied: dict[str, bool] = field(default_factory=dict)
    """Where its relations came from, as `origin:key`, and whether that source has them no more."""
    files: list[UUID] = field(default_factory=list)
    """Résumés that it was made from."""
    kept_files: list[UUID] | None = None
    """Files that are kept of the person; None where there is no room for them yet."""


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What was done."""

    id: UUID
    counts: dict[str, int]
    proof: Proof | None
    traces: Traces
    """What told of it, for whoever searches later."""


def gather(connection: Connection, entity: str, record_id: UUID, *, opens: Opens) -> Gathered | None:
    """Lock a record, deleted or not, and look up all that belongs to it; None where there is no trace of it."""
    connection.execute(text(f"SET LOCAL statement_timeout = '{SLOWEST_SECONDS}s'"))
    told = {"id": record_id, "entity": entity}
    record = connection.execute(
        text(f"SELECT * FROM {SCHEMA}.{TABLES[entity]} WHERE id = :id FOR UPDATE"),  # noqa: S608 - our own names
        told,
    ).one_or_none()
    history = connection.execute(
        text(f"SELECT changes FROM {SCHEMA}.record_history WHERE record_id = :id AND entity = :entity"),  # noqa: S608
        told,
    ).all()
    states = connection.execute(
        text(f"SELECT * FROM {SCHEMA}.sync_states WHERE record_id = :id AND entity = :entity"),  # noqa: S608
        told,
    ).all()
    if record is None and not history and not states:
        return None
    found = Gathered(traces=Traces())
    found.traces.add_id(record_id)
    said = [opens.values(entity, record_id, dict(record._mapping))] if record else []
    said += [opens.changes(entity, record_id, row.changes) for row in history]
    for fields in said:
        if entity == "talent":
            found.traces.add_fields(fields)
        _add_source(found, fields.get("source_type"), fields.get("source_ref"))
    for state in states:
        if entity == "talent":
            found.traces.add_fields(opens.opened_base(entity, record_id, state.base or {}))
        _add_source(found, "sync", f"{state.origin}:{state.key}")
        if state.gone:
            found.gone.add(("sync", f"{state.origin}:{state.key}"))
    if entity == RELATION and states and _went_with_an_end(connection, told):
        # Nobody here deleted it: it may come again with the record that it was hidden with.
        found.gone |= {("sync", f"{state.origin}:{state.key}") for state in states}
    _add_made(connection, found, told)
    _add_conflicts(connection, found, told, opens)
    _add_relations(connection, found, told)
    if entity == "talent":
        found.kept_files = _kept_files(connection, record_id)
        for file_id in found.kept_files or ():
            found.traces.add_id(file_id)
    _add_entries(connection, found, told, states, opens)
    return found


def _kept_files(connection: Connection, talent_id: UUID) -> list[UUID] | None:
    store = f"{SCHEMA}.{KEPT_FILES}"
    if connection.scalar(text("SELECT to_regclass(:store)"), {"store": store}) is None:
        return None
    query = text(f"SELECT id FROM {store} WHERE talent_id = :id ORDER BY id")  # noqa: S608 - our own names
    return list(connection.scalars(query, {"id": talent_id}))


def _add_source(found: Gathered, source_type: object, reference: object) -> None:
    # A value of the history that changed later has what it was before and after: a source never changes.
    if not (isinstance(source_type, str) and isinstance(reference, str)):
        return
    found.sources.add((source_type, reference))
    found.traces.add("source", reference)
    if source_type == "resume":
        try:
            number = UUID(reference)
        except ValueError:
            return
        if number not in found.files:
            found.files.append(number)


def _add_made(connection: Connection, found: Gathered, told: dict[str, Any]) -> None:
    """Keys under which a source may have the record that nobody heard of, where it makes them of our id."""
    rows = connection.scalars(
        text(
            f"SELECT DISTINCT origin FROM {SCHEMA}.sync_writes"  # noqa: S608 - our own names
            " WHERE record_id = :id AND entity = :entity AND kind = 'create' AND state = 'intended'"
        ),
        told,
    )
    for origin in rows:
        for key in own_keys(told["id"]):
            _add_source(found, "sync", f"{origin}:{key}")


def _add_conflicts(connection: Connection, found: Gathered, told: dict[str, Any], opens: Opens) -> None:
    rows = connection.execute(
        text(
            f"SELECT id, field, base, source, target FROM {SCHEMA}.sync_conflicts"  # noqa: S608 - our own names
            " WHERE record_id = :id AND entity = :entity"
        ),
        told,
    )
    for row in rows:
        if (kind := FIELDS.get(row.field)) is not None:
            for side, value in (("base", row.base), ("source", row.source), ("target", row.target)):
                found.traces.add(kind, opens.opened_side(told["entity"], row.id, row.field, side, value))


def _add_relations(connection: Connection, found: Gathered, told: dict[str, Any]) -> None:
    """What is noted of the relations that go with the record: their ids, and under which keys sources have them."""
    if told["entity"] not in ENDS:
        return
    about = " OR ".join(f"relation.{field} = :id" for field in ENDS[told["entity"]])
    rows = connection.execute(
        text(
            "SELECT relation.id, state.origin, state.key, state.gone,"  # noqa: S608 - our own names
            " relation.deleted_at = record.deleted_at AS went_along"
            f" FROM {SCHEMA}.relations AS relation JOIN {SCHEMA}.{TABLES[told['entity']]} AS record ON record.id = :id"
            f" LEFT JOIN {SCHEMA}.sync_states AS state"
            f" ON state.record_id = relation.id AND state.entity = '{RELATION}' WHERE {about}"
        ),
        told,
    )
    for row in rows:
        if told["entity"] == "talent":
            # Of a person a proof is made; a company may have more relations than a search has room for.
            found.traces.add_id(row.id)
        if row.key is not None:
            found.tied[f"{row.origin}:{row.key}"] = row.gone or bool(row.went_along and found.gone)


def _went_with_an_end(connection: Connection, told: dict[str, Any]) -> bool:
    """Whether a relation was hidden in the transaction that deleted a record it names, which its source had no more."""
    named = ", ".join(f"relation.{field}" for fields in ENDS.values() for field in fields)
    deleted = " ".join(
        f"WHEN '{kind}' THEN (SELECT deleted_at FROM {SCHEMA}.{TABLES[kind]} WHERE id = state.record_id)"  # noqa: S608
        for kind in ENDS
    )
    query = text(
        f"SELECT EXISTS (SELECT FROM {SCHEMA}.relations AS relation JOIN {SCHEMA}.sync_states AS state"  # noqa: S608
        f" ON state.record_id = ANY (ARRAY[{named}]) AND state.gone"
        f" WHERE relation.id = :id AND relation.deleted_at = CASE state.entity {deleted} END)"
    )
    return bool(connection.scalar(query, told))


def _add_entries(
    connection: Connection, found: Gathered, told: dict[str, Any], states: Sequence[Row[Any]], opens: Opens
) -> None:
    """Entries of the quarantine under the record's keys, those with the person's e-mail or phone, and its relations."""
    entity = told["entity"]
    keys = {(state.origin, state.key) for state in states}
    keys |= {
        (origin, key)
        for kind, reference in found.sources
        if kind == "sync"
        for origin, _, key in [reference.partition(":")]
    }
    names = {key for _, key in keys}
    named: list[tuple[Row[Any], Naming, bool]] = []
    rows = connection.execute(
        text(f"SELECT id, entity, origin, key, raw FROM {SCHEMA}.quarantine"),  # noqa: S608 - our own names
        execution_options=_STREAMED,
    )
    for row in rows:
        if row.key and row.entity == entity and (row.origin, row.key) in keys:
            found.entries.append(row.id)
            continue
        raw = opens.opened_raw(row.id, row.raw)
        has_contact = found.traces.is_contact_in(raw)
        how = naming(raw, entity, told["id"], names) if row.entity == RELATION else Naming.NOT
        if has_contact or how is not Naming.NOT:
            found.entries.append(row.id)
        if how is not Naming.NOT:
            named.append((row, how, has_contact))
    shared = any(how is Naming.BY_KEY for _, how, _ in named) and _is_shared(connection, told, names)
    for row, how, has_contact in named:
        if how is Naming.BY_ID or (how is Naming.BY_KEY and not shared):
            if row.key:
                # One of a record that only left its source may come again with it.
                found.tied.setdefault(f"{row.origin}:{row.key}", bool(found.gone))
        elif not has_contact:
            found.doubtful.add(row.id)


def _is_shared(connection: Connection, told: dict[str, Any], keys: Collection[str]) -> bool:
    """Whether a source has another record of the kind under one of the keys: then a key alone does not say whose."""
    query = text(
        f"SELECT EXISTS (SELECT FROM {SCHEMA}.sync_states"  # noqa: S608 - our own names
        " WHERE entity = :entity AND key = ANY (:keys) AND record_id <> :id)"
    )
    return bool(connection.scalar(query, {**told, "keys": list(keys)}))


def take_away(
    connection: Connection, erasure_id: UUID, wanted: Wanted, found: Gathered, *, answers: Answers
) -> dict[str, int]:
    """Erase what was gathered, under an entry of the ledger whose keys are there; how many rows, by store."""
    counts: dict[str, int] = connection.execute(
        text(
            f"SELECT {SCHEMA}.erase_record(:erasure, :entity, :id, CAST(:entries AS uuid[]), CAST(:files AS uuid[]))"
        ),
        {
            "erasure": erasure_id,
            "entity": wanted.entity,
            "id": wanted.record_id,
            "entries": found.entries,
            "files": found.files,
        },
    ).scalar_one()
    if found.kept_files is not None:
        # By the key that binds them to the person, with their parts.
        counts[f"{SCHEMA}.{KEPT_FILES}"] = len(found.kept_files)
    for store in ANSWERS:
        if (
            answers == "none"
            or connection.scalar(text("SELECT to_regclass(:store)"), {"store": store}) is None
        ):
            continue
        counts[store] = _forget_answers(connection, store, found, answers)
    return counts


def _forget_answers(connection: Connection, store: str, found: Gathered, answers: Answers) -> int:
    """Kept answers are encrypted, so each is read. One that no key opens can be given to nobody, and goes too."""
    rows = connection.execute(
        text(f"SELECT id, answer FROM {store} WHERE answer IS NOT NULL"),  # noqa: S608 - our own names
        execution_options=_STREAMED,
    )
    gone = [
        row.id
        for row in rows
        if not isinstance(answers, FileCipher) or _holds(answers, bytes(row.answer), found)
    ]
    if gone:
        connection.execute(
            text(f"DELETE FROM {store} WHERE id = ANY (CAST(:gone AS uuid[]))"),  # noqa: S608 - as above
            {"gone": gone},
        )
    return len(gone)


def _holds(cipher: FileCipher, answer: bytes, found: Gathered) -> bool:
    try:
        told = cipher.decrypt(answer).decode("utf-8", "replace")
    except DecryptionError:
        return True
    low, traces = told.lower(), found.traces
    # Whoever settled an entry of the quarantine was answered with what the source had.
    values = [*(value for _, value in traces.of("id", "source")), *map(str, found.entries)]
    return traces.is_contact_in(told) or any(value in low for value in values)


def erase(
    connection: Connection,
    tenant: str,
    wanted: Wanted,
    *,
    key: LedgerKey,
    answers: Answers,
    searched: bool = True,
    opens: Opens,
    also: Sequence[Traces] = (),
) -> Erased | None:
    """Erase a record and all that belongs to it; None where there is no trace of it.

    Args:
        connection: in a transaction that knows the tenant.
        tenant: its name.
        wanted: which record, and why.
        key: makes the ledger's digests.
        answers: which kept answers go.
        searched: whether all tables are searched afterwards.
        opens: reads what rows hold.
        also: what told of others who were erased with it, and is searched for too.
    """
    found = gather(connection, wanted.entity, wanted.record_id, opens=opens)
    if found is None:
        return None
    erasure_id = new_id()
    # What only its source deleted may come again when the source has it again; nobody asked for its erasure.
    barred = found.sources - found.gone if wanted.reason == RETENTION else found.sources
    keys = [(key.of_record(tenant, wanted.entity, wanted.record_id), "record")]
    keys += [(key.of_source(tenant, wanted.entity, *source), "source") for source in sorted(barred)]
    # Its relations do not come again without it: each would name it anew, and wait in the quarantine.
    tied = [one for one, is_gone in found.tied.items() if not (is_gone and wanted.reason == RETENTION)]
    keys += [(key.of_source(tenant, RELATION, "sync", one), "source") for one in sorted(tied)]
    write_keys(connection, erasure_id, keys)
    counts = take_away(connection, erasure_id, wanted, found, answers=answers)
    wide = found.traces.with_those_of(also)
    proof = search(connection, wide, opens=opens) if searched else None
    write_entry(
        connection,
        {
            "id": erasure_id,
            "entity": wanted.entity,
            "reason": wanted.reason,
            "reference": wanted.reference,
            "origin": wanted.origin,
            "erased_by": wanted.erased_by,
            "key_id": key.id,
            "counts": counts,
            "proof": msgspec.to_builtins(proof),
            "requested_at": wanted.requested_at,
            "created_at": datetime.now(UTC),
        },
    )
    return Erased(id=erasure_id, counts=counts, proof=proof, traces=found.traces)


def merged_with(connection: Connection, record_id: UUID) -> list[UUID]:
    """The other records of the same person: those that were merged into it, or it into them, and so on."""
    if connection.scalar(text("SELECT to_regclass(:table)"), {"table": f"{SCHEMA}.merges"}) is None:
        return []
    query = text(f"""
        WITH RECURSIVE pairs AS (
            SELECT kept_id AS one, other_id AS another FROM {SCHEMA}.merges WHERE undone_at IS NULL
            UNION ALL SELECT other_id, kept_id FROM {SCHEMA}.merges WHERE undone_at IS NULL
        ), person (id) AS (
            SELECT CAST(:id AS uuid) UNION SELECT pairs.another FROM person JOIN pairs ON pairs.one = person.id
        )
        SELECT id FROM person WHERE id <> :id ORDER BY id
    """)  # noqa: S608 - our own names
    return list(connection.scalars(query, {"id": record_id}))


def write_keys(connection: Connection, erasure_id: UUID, keys: Sequence[tuple[bytes, str]]) -> None:
    """Add an erasure's digests to the ledger; those that are there stay."""
    for digest, kind in keys:
        connection.execute(
            text(
                f"INSERT INTO {SCHEMA}.erased_keys (digest, erasure_id, kind)"  # noqa: S608 - our own names
                " VALUES (:digest, :erasure, :kind) ON CONFLICT DO NOTHING"
            ),
            {"digest": digest, "erasure": erasure_id, "kind": kind},
        )


def write_entry(connection: Connection, values: dict[str, Any]) -> None:
    """Add an erasure to the ledger; one that is there stays as it is."""
    json = {name: msgspec.json.encode(values[name]).decode() for name in ("counts", "proof")}
    if values["proof"] is None:
        json["proof"] = None  # type: ignore[assignment]
    connection.execute(
        text(
            f"""INSERT INTO {SCHEMA}.erasures (id, entity, reason, reference, origin, erased_by, key_id, counts, proof,
                requested_at, created_at)
            VALUES (:id, :entity, :reason, :reference, :origin, :erased_by, :key_id, CAST(:counts AS jsonb),
                CAST(:proof AS jsonb), :requested_at, :created_at)
            ON CONFLICT DO NOTHING"""  # noqa: S608 - our own names
        ),
        {**values, **json},
    )
