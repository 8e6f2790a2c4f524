"""What people may ask for about their own data: consents, an export, erasure with its proof, and what was audited."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.history import HistoryEntry
from looma_core.api.pipeline import ApplicationHistory
from looma_core.api.relation import Relation
from looma_core.api.resume_file import HeldFile
from looma_core.api.sync import QuarantineEntry, SyncConflict, SyncWrite
from looma_core.api.syncjob import Entity
from looma_core.api.talent import Talent

EXPORT_FORMAT = "looma-person/1"

ErasureReason = Literal["request", "withdrawn", "unlawful", "retention", "order"]
Purpose = Literal["matching", "contact", "storage", "sharing", "research"]
Basis = Literal[
    "consent", "contract", "legal_obligation", "vital_interest", "public_task", "legitimate_interest"
]
ConsentSource = Literal["form", "email", "phone", "paper", "import", "api"]
Standing = Literal["given", "withdrawn", "expired"]
AuditAction = Literal[
    "export-person",
    "export-records",
    "import-records",
    "erase",
    "lift-erasure",
    "give-consent",
    "withdraw-consent",
    "restore",
    "replay-quarantine",
    "discard-quarantine",
    "settle-conflict",
    "store-file",
    "read-file",
    "link-file",
    "delete-file",
    "write-again",
]

Reference = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$",
        description="Number of the case where it is kept; nothing of a person.",
        examples=["DSR-2026-0042"],
    ),
]
Instant = Annotated[datetime, Meta(tz=True)]


class ErasureRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why a person is erased. There is no room for a text on purpose: the ledger holds nothing of a person."""

    reason: Annotated[
        ErasureReason,
        Meta(
            description="`request` of the person, consent `withdrawn`, `unlawful` to have, past its `retention`, "
            "or an `order` of a court or an authority."
        ),
    ]
    reference: Reference | None = None
    requested_at: Annotated[Instant | None, Meta(description="When it was asked for; default now.")] = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the search afterwards found in one store, by the kind of what it looked for."""

    store: Annotated[str, Meta(examples=["talent_sync.relations"])]
    kind: Annotated[Literal["id", "email", "phone", "source", "name"], Meta(description="What was found.")]
    rows: int
    ids: Annotated[list[UUID], Meta(description="Of up to 20 rows, where they have an id.")]
    why: Annotated[str | None, Meta(description="Why it stays, where it is meant to.")] = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was searched after the erasure, in its transaction, for the values that were known before it."""

    searched_at: datetime
    stores: Annotated[dict[str, int], Meta(description="Tables that were searched, with how many columns.")]
    looked_for: Annotated[dict[str, int], Meta(description="How many values there were, by kind.")]
    left: Annotated[
        list[Found],
        Meta(description="Rows of other records that hold the same e-mail, phone, id or key of a source."),
    ]
    kept: Annotated[list[Found], Meta(description="Rows that stay by design, each with why.")]
    namesakes: Annotated[
        list[Found], Meta(description="Rows with the same name: most are of others who are called so.")
    ]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left that should not be."""
        return not self.left


class Lift(msgspec.Struct, kw_only=True):
    """That syncs may bring an erased person in again."""

    lifted_at: datetime
    lifted_by: str
    basis: Basis
    purposes: list[Purpose]
    given_at: datetime
    reference: str | None = None


class Erasure(msgspec.Struct, kw_only=True):
    """An entry of the ledger: what was erased, and the proof. Nothing in it is of the person."""

    id: UUID
    entity: str
    reason: ErasureReason
    reference: str | None
    requested_at: datetime
    erased_at: datetime
    erased_by: Annotated[str | None, Meta(description="`sub` of the token; null where no person asked.")]
    origin: Annotated[
        str, Meta(description="What it came through: api, retention, or ledger after a restore.")
    ]
    counts: Annotated[dict[str, int], Meta(description="Rows that were erased, by store.")]
    complete: Annotated[
        bool | None, Meta(description="Whether the search found nothing left; null where none was made.")
    ]
    proof: Proof | None = None
    lift: Lift | None = None


class LiftRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The new basis on which an erased person may be brought in again."""

    basis: Basis
    purposes: Annotated[list[Purpose], Meta(min_length=1, max_length=5)]
    given_at: Instant
    reference: Reference | None = None


class ConsentDraft(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A basis on which a person's data may be used for a purpose."""

    purpose: Purpose
    basis: Basis = "consent"
    given_at: Annotated[Instant | None, Meta(description="Default now.")] = None
    expires_at: Instant | None = None
    source: ConsentSource = "api"
    evidence: (
        Annotated[str, Meta(max_length=2000, description="Where the proof is, or what was agreed to.")] | None
    ) = None


class Consent(msgspec.Struct, kw_only=True):
    """A basis as it is kept; one that was withdrawn or has expired stays to be read."""

    id: UUID
    talent_id: UUID
    version: int
    purpose: Purpose
    basis: Basis
    given_at: datetime
    expires_at: datetime | None
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    source: ConsentSource
    evidence: str | None
    recorded_by: str
    created_at: datetime
    standing: Annotated[Standing, Meta(description="What it is today.")]


class Consents(msgspec.Struct, kw_only=True):
    """All bases of a person, the newest first, and what they come to."""

    items: list[Consent]
    allowed: Annotated[list[Purpose], Meta(description="Purposes with a basis that is in force.")]
    barred: Annotated[
        list[Purpose],
        Meta(
            description="Purposes that had a basis and have none in force: lists with `usable_for` leave it out."
        ),
    ]


class AuditEvent(msgspec.Struct, kw_only=True):
    """Who did what to which record, when and why. It names the record by its id, and nothing of it."""

    id: UUID
    at: datetime
    action: AuditAction
    entity: str
    record_id: UUID | None
    actor: str | None
    reason: str | None
    request_id: str | None
    detail: Annotated[dict[str, Any], Meta(description="Counts, formats and names of fields.")]


class StoredSource(msgspec.Struct, kw_only=True):
    """What a source last gave of the person, or of a relation of theirs."""

    entity: Entity
    record_id: UUID
    origin: str
    key: str
    seen_generation: int
    gone: bool
    base: dict[str, Any] | None


class StoredFile(msgspec.Struct, kw_only=True):
    """A file that is kept of the person; the file itself is at `/api/v1/resumes/{id}/file`."""

    id: UUID
    file_name: Annotated[str | None, Meta(description="Null where it was sealed under a key that is gone.")]
    media_type: str
    size: Annotated[int, Meta(description="Bytes.")]
    sha256: str
    kept_at: datetime


class PersonExport(msgspec.Struct, kw_only=True):
    """All that is held of one person, as one document."""

    format: Annotated[str, Meta(examples=[EXPORT_FORMAT])]
    made_at: datetime
    deleted: Annotated[bool, Meta(description="Whether the record is deleted and waits for its erasure.")]
    record: Talent
    relations: list[Relation]
    applications: list[ApplicationHistory]
    history: list[HistoryEntry]
    consents: list[Consent]
    sources: list[StoredSource]
    conflicts: list[SyncConflict]
    quarantine: list[QuarantineEntry]
    files: list[StoredFile]
    resume_files: Annotated[list[HeldFile], Meta(description="Without their bytes, which are at `content`.")]
    writes: Annotated[
        list[SyncWrite], Meta(description="What was written of the person to the sources, or was to be.")
    ]
    audit: list[AuditEvent]
    merged: Annotated[
        list[PersonExport], Meta(description="The same of each record that was merged with this one.")
    ] = []
