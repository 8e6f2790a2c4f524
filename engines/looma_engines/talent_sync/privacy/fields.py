"""Which fields of which rows are sealed, and where each is bound to. Pure.

| row                    | bound to                          | so it opens                                             |
| ---------------------- | --------------------------------- | ------------------------------------------------------- |
| a record               | its kind, its id, the field       | in that record                                          |
| an entry of history    | as the record's                   | in each entry about that record: the database copies    |
| a state of a sync      | `sync_state`, the record's id     | in the state of that record                             |
| a conflict             | `sync_conflict`, its own id       | in that conflict, on that side                          |
| quarantine             | `quarantine`, its own id          | in that entry; what the source had is sealed as a whole |
| a résumé file          | `resume_file`, its id, the field  | in that file                                            |
| a part of a file       | as the file, the part's position  | in that file, in that position                          |
| a write to a source    | `sync_write`, its own id          | in that row; what is meant is sealed as a whole         |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from looma_engines.talent_sync.privacy.sealing import Place, SealedBytes, Sealer

SEALED: Mapping[str, tuple[str, ...]] = {"talent": ("email", "phone")}
"""Fields that are sealed, by the kind of record."""
RESUME_FILE = "resume_file"
FILE_FIELDS = ("file_name", "sha256")
"""Of a résumé file: its name may say as much of a person as the file does, its digest which file it is."""
SIDES = ("base", "source", "target")
"""The sides of a conflict."""


def hash_column(field: str) -> str:
    """The column that a field is found by."""
    return f"{field}_hash"


class Seals:
    """Seals and opens what rows of one tenant have.

    Args:
        sealer: the keys.
        tenant: whose rows.
    """

    def __init__(self, sealer: Sealer, tenant: str) -> None:
        self.sealer = sealer
        self._tenant = tenant

    def columns(self, entity: str, record_id: UUID, values: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of a record: sealed fields sealed, with their hashes beside them."""
        fields = SEALED.get(entity, ())
        stored, row = dict(values), str(record_id)
        for field in fields:
            stored[hash_column(field)] = None
            if (value := values.get(field)) is None:
                continue
            stored[field] = self.sealer.seal(value, self._place(entity, row, field))
            stored[hash_column(field)] = self.sealer.hash(
                field, value, tenant=self._tenant, language=values.get("language") or "en"
            )
        return stored

    def values(self, entity: str, record_id: UUID, columns: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a record, of its columns."""
        row = str(record_id)
        return _each(entity, columns, lambda field, text: self._open(entity, row, field, text))

    def changes(
        self, entity: str, record_id: UUID, changes: Mapping[str, Any], *, keep: bool = False
    ) -> dict[str, Any]:
        """What an entry of the history says of a record.

        What only a change of keys changed is no change, and left out unless `keep` says otherwise.
        """
        opened = _in_changes(entity, changes, lambda field, text: self._open(entity, record_id, field, text))
        return opened if keep else {name: change for name, change in opened.items() if not _is_same(change)}

    def sealed_changes(self, entity: str, record_id: UUID, changes: Mapping[str, Any]) -> dict[str, Any]:
        """What an entry of the history says of a record, as it is stored."""
        return _in_changes(entity, changes, lambda field, text: self._seal(entity, record_id, field, text))

    def base(self, entity: str, record_id: UUID, base: Mapping[str, Any]) -> dict[str, Any]:
        """What the source last gave of a record, as it is stored."""
        row = str(record_id)
        return _each(entity, base, lambda field, text: self._seal("sync_state", row, field, text))

    def opened_base(self, entity: str, record_id: UUID, base: Mapping[str, Any]) -> dict[str, Any]:
        """What the source last gave of a record."""
        row = str(record_id)
        return _each(entity, base, lambda field, text: self._open("sync_state", row, field, text))

    def side(self, entity: str, conflict_id: UUID, field: str, side: str, value: object) -> object:
        """One side of a conflict about a field, as it is stored."""
        if field in SEALED.get(entity, ()) and isinstance(value, str):
            return self._seal("sync_conflict", conflict_id, side, value)
        return value

    def opened_side(self, entity: str, conflict_id: UUID, field: str, side: str, value: object) -> object:
        """One side of a conflict about a field."""
        if field in SEALED.get(entity, ()) and isinstance(value, str):
            return self._open("sync_conflict", conflict_id, side, value)
        return value

    def raw(self, entry_id: UUID, raw: str) -> str:
        """What the source had of a record that could not be taken, as it is stored."""
        return self._seal("quarantine", entry_id, "raw", raw)

    def opened_raw(self, entry_id: UUID, raw: str) -> str:
        """What the source had of a record that could not be taken."""
        return self._open("quarantine", entry_id, "raw", raw)

    def file_columns(self, file_id: UUID, values: Mapping[str, str]) -> dict[str, str]:
        """The columns of a résumé file that are sealed, and the hash that its bytes are found by."""
        stored = {name: self._seal(RESUME_FILE, file_id, name, values[name]) for name in FILE_FIELDS}
        content_hash = self.sealer.hash("file", values["sha256"], tenant=self._tenant)
        return {**stored, "content_hash": content_hash}

    def file_values(self, file_id: UUID, columns: Mapping[str, str]) -> dict[str, str]:
        """The sealed fields of a résumé file, of its columns."""
        return {name: self._open(RESUME_FILE, file_id, name, columns[name]) for name in FILE_FIELDS}

    def part(self, file_id: UUID, position: int, data: bytes) -> SealedBytes:
        """One part of a file, as it is stored."""
        return self.sealer.seal_bytes(data, self._place(RESUME_FILE, file_id, f"part:{position}"))

    def opened_part(self, file_id: UUID, position: int, stored: SealedBytes) -> bytes:
        """One part of a file."""
        return self.sealer.open_bytes(stored, self._place(RESUME_FILE, file_id, f"part:{position}"))

    def intent(self, write_id: UUID, intended: str) -> str:
        """What is meant to be written to a source, as it is stored."""
        return self._seal("sync_write", write_id, "intended", intended)

    def opened_intent(self, write_id: UUID, intended: str) -> str:
        """What is meant to be written to a source."""
        return self._open("sync_write", write_id, "intended", intended)

    def digest(self, digest: bytes) -> bytes:
        """A digest of a whole record, as it is stored."""
        return self.digests(digest)[0]

    def digests(self, digest: bytes) -> tuple[bytes, ...]:
        """All that may be stored for a digest: under each key, and as it was before it had one."""
        return self.sealer.digests(digest, tenant=self._tenant)

    def hashes(self, field: str, value: str) -> list[str]:
        """What the column of a field may have where the value is looked for."""
        return self.sealer.hashes(field, value, tenant=self._tenant)

    def _place(self, entity: str, row_id: UUID | str, field: str) -> Place:
        return Place(tenant=self._tenant, entity=entity, id=str(row_id), field=field)

    def _seal(self, entity: str, row_id: UUID | str, field: str, value: str) -> str:
        return self.sealer.seal(value, self._place(entity, row_id, field))

    def _open(self, entity: str, row_id: UUID | str, field: str, stored: str) -> str:
        return self.sealer.open(stored, self._place(entity, row_id, field))


def _each(entity: str, values: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    changed = dict(values)
    for field in SEALED.get(entity, ()):
        if isinstance(text := values.get(field), str):
            changed[field] = change(field, text)
    return changed


def _in_changes(entity: str, changes: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    """An entry's changes with each text of a sealed field changed, on both sides where there are two."""
    changed = _each(entity, changes, change)
    for field in SEALED.get(entity, ()):
        if isinstance(sides := changes.get(field), Mapping):
            changed[field] = {
                side: change(field, text) if isinstance(text, str) else text for side, text in sides.items()
            }
    return changed


def _is_same(change: object) -> bool:
    return isinstance(change, Mapping) and "before" in change and change["before"] == change.get("after")
