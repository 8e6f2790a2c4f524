"""Files that are kept of a person, by name and size: they are another engine's, in the same database."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from looma_core.api.rights import StoredFile
from looma_core.crypto import DecryptionError, FileCipher

STORE = "resume.resumes"
_FILES = text(f"""
    SELECT id, file_name, media_type, size, sha256, created_at FROM {STORE}
    WHERE talent_id = :talent OR id = ANY (CAST(:files AS uuid[])) ORDER BY created_at, id
""")  # noqa: S608 - our own name


def files_of(
    connection: Connection, talent_id: UUID, files: Sequence[UUID], *, cipher: FileCipher
) -> list[StoredFile]:
    """What is kept of a person, the oldest first: the same files that an erasure takes away.

    Args:
        connection: in a transaction that knows its tenant.
        talent_id: whose.
        files: ids of files that the person was made from.
        cipher: reads their names.
    """
    if connection.scalar(text("SELECT to_regclass(:store)"), {"store": STORE}) is None:
        return []
    return [
        StoredFile(
            id=row.id,
            file_name=_name(cipher, bytes(row.file_name)),
            media_type=row.media_type,
            size=row.size,
            sha256=row.sha256,
            kept_at=row.created_at,
        )
        for row in connection.execute(_FILES, {"talent": talent_id, "files": list(files)})
    ]


def _name(cipher: FileCipher, sealed: bytes) -> str | None:
    try:
        return cipher.decrypt(sealed).decode("utf-8", "replace")
    except DecryptionError:
        return None
