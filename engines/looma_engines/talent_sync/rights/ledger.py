"""Digests of what was erased, and the ledger as a file. Pure.

The ledger must say whether a record or a key of a source was erased, and nothing else of it: so it holds HMAC-SHA256
under a key that is not in the database. An id has too many values to be tried out, a key of a source may not; without
the secret neither can be.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

FORMAT = "looma-ledger/1"
SHORTEST_KEY = 32
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class LedgerError(Exception):
    """A ledger that cannot be used; the message says why and what to do."""


class ErasedKey(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased, as a digest: a record, or where it came from."""

    digest: Digest
    kind: Annotated[str, Meta(pattern="^(record|source)$")]


class LedgerLift(msgspec.Struct, frozen=True, kw_only=True):
    """A lift, as the file has it."""

    id: UUID
    basis: str
    purposes: list[str]
    reference: str | None
    lifted_by: str
    given_at: datetime
    created_at: datetime


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure, as the file has it."""

    id: UUID
    tenant: Annotated[str, Meta(min_length=1)]
    entity: str
    reason: str
    reference: str | None
    origin: str
    erased_by: str | None
    requested_at: datetime
    created_at: datetime
    counts: dict[str, int]
    keys: list[ErasedKey]
    lift: LedgerLift | None = None


class _Head(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    format: str
    key_id: str


class _Foot(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    entries: int
    mac: str


class LedgerKey:
    """Makes digests.

    Args:
        secret: of `LOOMA_LEDGER_KEY`.

    Raises:
        ValueError: it is too short to keep a digest from being tried out.
    """

    def __init__(self, secret: str) -> None:
        if len(secret) < SHORTEST_KEY:
            msg = f"LOOMA_LEDGER_KEY has {len(secret)} characters, at least {SHORTEST_KEY} random ones are needed"
            raise ValueError(msg)
        self._secret = secret.encode()
        self.id = self._mac(b"looma-ledger-key-id").hex()[:16]

    def of_record(self, tenant: str, entity: str, record_id: UUID) -> bytes:
        """Digest of a record's id in its tenant."""
        return self._digest("record", tenant, entity, str(record_id))

    def of_source(self, tenant: str, entity: str, source_type: str, reference: str) -> bytes:
        """Digest of where a record came from, as `source` says it."""
        return self._digest("source", tenant, entity, source_type, reference)

    def seal(self, lines: bytes) -> str:
        """What shows that nobody changed a file without the key."""
        return self._mac(b"looma-ledger-file\x00" + lines).hex()

    def _digest(self, *parts: str) -> bytes:
        # Each part after its length, so that no two lists of parts look alike.
        told = [part.encode("utf-8", "surrogatepass") for part in parts]
        return self._mac(b"".join(len(part).to_bytes(8, "big") + part for part in told))

    def _mac(self, what: bytes) -> bytes:
        return hmac.digest(self._secret, what, hashlib.sha256)


def written(key: LedgerKey, entries: Iterable[LedgerEntry]) -> bytes:
    """The ledger as a file: a head, a line for each entry, and a foot that shows that all of it is there."""
    lines = [msgspec.json.encode(_Head(format=FORMAT, key_id=key.id))]
    lines += [msgspec.json.encode(entry) for entry in entries]
    body = b"\n".join(lines) + b"\n"
    return body + msgspec.json.encode(_Foot(entries=len(lines) - 1, mac=key.seal(body))) + b"\n"


def read(key: LedgerKey, file: bytes) -> list[LedgerEntry]:
    """The entries of a file.

    Raises:
        LedgerError: it is of another key, was changed or cut off, or is no ledger.
    """
    lines = file.splitlines(keepends=True)
    try:
        head = msgspec.json.decode(lines[0], type=_Head)
        foot = msgspec.json.decode(lines[-1], type=_Foot)
        entries = [msgspec.json.decode(line, type=LedgerEntry) for line in lines[1:-1]]
    except (IndexError, msgspec.MsgspecError) as error:
        raise LedgerError(
            "the file is no ledger, or was cut off: take it from `records-erase --export`"
        ) from error
    if head.format != FORMAT:
        raise LedgerError(f"the file is of the form {head.format}, and {FORMAT} is known")
    if head.key_id != key.id:
        raise LedgerError(
            "the ledger was made with another LOOMA_LEDGER_KEY: give the one that it was made with"
        )
    if foot.entries != len(entries) or not hmac.compare_digest(foot.mac, key.seal(b"".join(lines[:-1]))):
        raise LedgerError("the file was changed since it was exported: nothing of it is used")
    return entries
