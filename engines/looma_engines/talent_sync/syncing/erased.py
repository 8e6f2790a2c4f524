"""Which keys of a batch were erased here, by the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar
from uuid import UUID

from looma_engines.talent_sync.rights.ledger import LedgerKey

from .batch import SOURCE_TYPE, Execute

KeyT = TypeVar("KeyT", str, UUID)


class NoLedgerKeyError(Exception):
    """The ledger has entries, and there is no key to read them with."""


class ErasedKeys:
    """Asks the ledger.

    Args:
        execute: runs a statement in the batch's transaction.
        ledger: makes the digests; None where nothing ever was erased.
        tenant: whose records they are.
        entity: their kind.
        origin: what they say of their source.
    """

    def __init__(
        self, execute: Execute, ledger: LedgerKey | None, *, tenant: str, entity: str, origin: str
    ) -> None:
        self._execute = execute
        self._ledger = ledger
        self._tenant = tenant
        self._entity = entity
        self._origin = origin

    def among(self, keys: Iterable[str]) -> set[str]:
        """Keys whose records were erased and may not come again.

        Asked after the records' rows were locked: that waits for an erasure that is under way.

        Raises:
            NoLedgerKeyError: records were erased, and without the key nobody can say which.
        """
        return self._barred(
            set(keys),
            lambda ledger, key: ledger.of_source(
                self._tenant, self._entity, SOURCE_TYPE, f"{self._origin}:{key}"
            ),
        )

    def records_among(self, ids: Iterable[UUID]) -> set[UUID]:
        """Looma's ids of records that were erased and may not come again.

        Raises:
            NoLedgerKeyError: as `among`.
        """
        return self._barred(set(ids), lambda ledger, one: ledger.of_record(self._tenant, self._entity, one))

    def _barred(self, asked: set[KeyT], digest: Callable[[LedgerKey, KeyT], bytes]) -> set[KeyT]:
        if self._ledger is None:
            if self._execute("SELECT 1 AS found FROM talent_sync.erased_keys LIMIT 1").fetchone() is not None:
                raise NoLedgerKeyError
            return set()
        digests = {digest(self._ledger, one): one for one in asked}
        found = self._execute(
            """SELECT erased.digest FROM talent_sync.erased_keys AS erased
            WHERE erased.digest = ANY(%(digests)s) AND NOT EXISTS (
                SELECT FROM talent_sync.erasure_lifts AS lift WHERE lift.erasure_id = erased.erasure_id)""",
            digests=list(digests),
        )
        return {digests[bytes(row.digest)] for row in found}
