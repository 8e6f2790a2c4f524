"""Keeps the answers of requests with an `Idempotency-Key`: one table in each engine's schema, one row a key.

The row is written by the transaction that does the request's work, so that both are there or neither is; a unique
index lets one of two such transactions through. The answer holds people's data and is encrypted; the key itself is
kept as a digest alone. A row belongs to its tenant, as all others do, and is gone after `hours`.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from looma_core.db.ids import new_id
from looma_core.db.policies import Operations, enable_tenant_isolation, tenant_columns
from looma_core.idempotency import Answer, Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.schema import SchemaItem

    from looma_core.crypto import FileCipher

TABLE = "idempotency_keys"
SWEPT_AT_ONCE = 100
"""Rows past their time that one request takes away: more than it adds, and never so many that it is slow."""


class Overtaken(Exception):
    """Another transaction has answered this key, or it belongs to another request: look again."""


class KeyedRequest(msgspec.Struct, frozen=True):
    """A request with a key: digests of which it is (`identity`) and of what it asks for (`fingerprint`)."""

    tenant: str
    identity: bytes
    fingerprint: bytes


class TableOperations(Operations, Protocol):
    """What `create_table` needs of Alembic's module `op`."""

    def create_table(self, table_name: str, /, *columns: SchemaItem, schema: str) -> object:
        """Make a table."""

    def create_index(
        self,
        index_name: str,
        table_name: str,
        columns: Sequence[str],
        /,
        *,
        schema: str,
        unique: bool = False,
    ) -> None:
        """Make an index."""


def create_table(op: TableOperations, schema: str) -> None:
    """Step of a migration: make the table in an engine's schema."""
    op.create_table(
        TABLE,
        *tenant_columns(),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(identity) = 32 AND length(fingerprint) = 32", name="digests_length"),
        schema=schema,
    )
    op.create_index(f"uq_{TABLE}_tenant_identity", TABLE, ["tenant", "identity"], unique=True, schema=schema)
    op.create_index(f"ix_{TABLE}_tenant_expires", TABLE, ["tenant", "expires_at"], schema=schema)
    # Encrypted bytes do not compress; trying costs time.
    op.execute(sa.text(f"ALTER TABLE {schema}.{TABLE} ALTER COLUMN answer SET STORAGE EXTERNAL"))
    enable_tenant_isolation(op, schema, TABLE)


@cache
def _table(schema: str) -> sa.TableClause:
    names = ("id", "tenant", "created_at", "identity", "fingerprint", "answer", "expires_at")
    return sa.table(TABLE, *(sa.column(name) for name in names), schema=schema)


class AnswerStore:
    """Reads and writes the rows of one engine, inside sessions that know their tenant.

    Args:
        schema: of the engine's tables.
        cipher: encrypts answers.
        hours: how long an answer is given again.
    """

    def __init__(self, *, schema: str, cipher: FileCipher, hours: int) -> None:
        self.schema = schema
        self._table = _table(schema)
        self._cipher = cipher
        self._lifetime = timedelta(hours=hours)

    async def find(self, session: AsyncSession, keyed: KeyedRequest) -> Stored | None:
        """What is known of the key, or None; a row past its time counts as none.

        Raises:
            DecryptionError: the answer was encrypted with a key that is no longer there.
        """
        columns = self._table.c
        row = (
            await session.execute(
                sa.select(columns.fingerprint, columns.answer).where(
                    columns.identity == keyed.identity, columns.expires_at > func.now()
                )
            )
        ).one_or_none()
        if row is None:
            return None
        packed = self._cipher.decrypt(row.answer) if row.answer is not None else None
        answer = msgspec.msgpack.decode(packed, type=Answer) if packed is not None else None
        return Stored(fingerprint=row.fingerprint, answer=answer)

    async def keep(self, session: AsyncSession, keyed: KeyedRequest, answer: Answer | None) -> None:
        """Write the answer, or with None that the request was begun, in the transaction that does its work.

        Waits for another transaction that has the same key.

        Raises:
            Overtaken: the key is another request's, or answered already. The transaction must not be committed.
        """
        columns = self._table.c
        packed = self._cipher.encrypt(msgspec.msgpack.encode(answer)) if answer is not None else None
        # `now()` is when the transaction began, which for a long one is a while ago.
        moment = func.clock_timestamp(type_=sa.DateTime(timezone=True))
        new = insert(self._table).values(
            id=new_id(),
            identity=keyed.identity,
            fingerprint=keyed.fingerprint,
            answer=packed,
            expires_at=moment + self._lifetime,
        )
        statement = new.on_conflict_do_update(
            index_elements=["tenant", "identity"],
            set_={name: new.excluded[name] for name in ("fingerprint", "answer", "expires_at")},
            where=(columns.expires_at <= moment)
            | (columns.answer.is_(None) & (columns.fingerprint == new.excluded.fingerprint)),
        ).returning(columns.id)
        if (await session.execute(statement)).one_or_none() is None:
            raise Overtaken
        await self._sweep(session)

    async def forget(self, session: AsyncSession, keyed: KeyedRequest) -> None:
        """Take away that the request was begun; an answer stays."""
        columns = self._table.c
        await session.execute(
            sa.delete(self._table).where(columns.identity == keyed.identity, columns.answer.is_(None))
        )

    async def _sweep(self, session: AsyncSession) -> None:
        columns = self._table.c
        # Rows that another request takes away at this moment are passed over: nobody waits for cleaning.
        past = (
            sa.select(columns.id)
            .where(columns.expires_at <= func.now())
            .order_by(columns.expires_at)
            .limit(SWEPT_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        await session.execute(sa.delete(self._table).where(columns.id.in_(past)))
