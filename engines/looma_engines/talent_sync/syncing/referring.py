"""Fields whose values are the keys of another source: which of Looma's records they mean."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from psycopg import sql

from looma_core.problems import FieldError
from looma_engines.talent_sync.kinds import RELATION
from looma_engines.talent_sync.records.kind import Kind
from looma_engines.talent_sync.rights.naming import read_id
from looma_engines.talent_sync.schema import SCHEMA

from .batch import Execute
from .erased import ErasedKeys
from .source_row import SourceRow

ENTITIES = {"talents": "talent", "companies": "company", "jobs": "job"}


@dataclass(frozen=True, kw_only=True)
class Referred:
    """Rows with Looma's ids in the place of another source's keys.

    `faults` are of those rows, by position, that name a record which that source has not brought; such a key stays.
    """

    rows: Sequence[SourceRow]
    faults: Mapping[int, tuple[FieldError, ...]] = field(default_factory=dict)


class References:
    """Looks the keys up.

    Args:
        execute: runs a statement in the batch's transaction.
        entity: the kind of the records that refer to others.
        origins: by field, the name of the source whose keys its values are.
        erased: which keys of a kind and a source were erased.
    """

    def __init__(
        self,
        execute: Execute,
        entity: Kind[Any],
        origins: Mapping[str, str],
        erased: Callable[[str, str], ErasedKeys],
    ) -> None:
        self._execute = execute
        self._tables = {name: entity.refers[name] for name in origins}
        self._origins = origins
        # A relation is of whom it names. A job is not: one of a company that was erased waits to be put right.
        goes_with = entity.refers if entity.name == RELATION.name else {}
        self._erased = {
            name: erased(ENTITIES[table], origins.get(name, "")) for name, table in goes_with.items()
        }

    def resolve(self, rows: Sequence[SourceRow]) -> Referred:
        """The rows with ids for keys."""
        if not self._origins:
            return Referred(rows=rows)
        ids = {name: self._ids(name, _keys(rows, name)) for name in self._origins}
        resolved, faults = [], {}
        for row in rows:
            keys = {name: key for name in self._origins if (key := _key(row.values.get(name))) is not None}
            found = {name: ids[name].get(key, key) for name, key in keys.items()}
            resolved.append(replace(row, values={**row.values, **found}))
            absent = tuple(
                FieldError(
                    field=name, message=f"{self._origins[name]} has brought no such record that is here"
                )
                for name, key in keys.items()
                if key not in ids[name]
            )
            if absent:
                faults[row.position] = absent
        return Referred(rows=resolved, faults=faults)

    def erased(self, rows: Sequence[SourceRow]) -> frozenset[str]:
        """Keys of the rows, as the source has them, that are of a record which was erased: by its key, or by its id.

        Asked after the records that they name were locked: that waits for an erasure that is under way.
        """
        gone: dict[str, Collection[str]] = {}
        for name, asked in self._erased.items():
            keys = _keys(rows, name)
            if name in self._origins:
                gone[name] = asked.among(keys)
            else:
                ids = {number: key for key in keys if (number := read_id(key)) is not None}
                gone[name] = {ids[number] for number in asked.records_among(ids)}
        return frozenset(
            row.key
            for row in rows
            if row.key and any(_key(row.values.get(name)) in keys for name, keys in gone.items())
        )

    def _ids(self, name: str, keys: set[str]) -> dict[str, str]:
        query = sql.SQL(
            """SELECT state.key, record.id FROM talent_sync.sync_states AS state
            JOIN {table} AS record ON record.id = state.record_id AND record.deleted_at IS NULL
            WHERE state.entity = %(kind)s AND state.origin = %(of)s AND state.key = ANY(%(keys)s)"""
        ).format(table=sql.Identifier(SCHEMA, self._tables[name]))
        found = self._execute(
            query, kind=ENTITIES[self._tables[name]], of=self._origins[name], keys=sorted(keys)
        )
        return {row.key: str(row.id) for row in found}


def _keys(rows: Sequence[SourceRow], name: str) -> set[str]:
    return {key for row in rows if (key := _key(row.values.get(name))) is not None}


def _key(value: object) -> str | None:
    """A key as a source's own are read; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None
