"""Résumé files while their keys change: each opens before, between and after, and none stays under an old key."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar.testing import TestClient

from looma_core.db.migrate import migrate
from looma_engines.talent_sync.files.packing import PART_BYTES
from support.database import DatabaseUrls
from support.sealed_database import BOTH, FILES, NEW, OLD, counts, engine, run
from support.tokens import bearer

pytestmark = pytest.mark.database
PATH = "/api/v1/resume-files"
AUTH = bearer(tenant="one")
DATA = b"%PDF-1.7" + secrets.token_bytes(2 * PART_BYTES)


def kept(client: TestClient[Any], data: bytes = DATA) -> dict[str, Any]:
    answer = client.post(PATH, files={"file": ("cv.pdf", data)}, headers=AUTH)
    assert answer.status_code in (200, 201), answer.text
    file: dict[str, Any] = answer.json()
    return file


def content(client: TestClient[Any], file: dict[str, Any]) -> bytes:
    answer = client.get(f"{PATH}/{file['id']}/content", headers=AUTH)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_files_are_sealed_anew_when_the_keys_change(empty_database: DatabaseUrls, tmp_path: Path) -> None:
    migrate(empty_database.owner)
    with engine(empty_database, tmp_path, OLD) as client:
        file = kept(client)
    with engine(empty_database, tmp_path, BOTH) as client:
        assert content(client, file) == DATA
        assert kept(client)["id"] == file["id"], "found by the older hash"
        # Large rows go a few at a time, whatever a batch is elsewhere.
        done = run(empty_database, BOTH, batch=2)
        assert {table: done[table] for table in FILES} == {"resume_files": 1, "resume_file_parts": 3}
        assert kept(client)["id"] == file["id"]
    found = counts(empty_database)
    assert found["resume_files"] == {NEW.seal[0].id: 2}
    assert found["resume_files hashes"] == {NEW.hash[0].id: 1}
    assert found["resume_file_parts"] == {NEW.seal[0].id: 3}
    assert sum(run(empty_database, BOTH).values()) == 0
    with engine(empty_database, tmp_path, NEW) as client:
        assert content(client, file) == DATA
        shown = client.get(f"{PATH}/{file['id']}", headers=AUTH)
        assert shown.json() == file, "neither its version nor its time has changed"
        assert kept(client)["id"] == file["id"]


def test_files_are_opened_before_a_release_that_knows_no_seals(
    empty_database: DatabaseUrls, tmp_path: Path
) -> None:
    migrate(empty_database.owner)
    with engine(empty_database, tmp_path, NEW) as client:
        file = kept(client)
        done = run(empty_database, NEW, sealing=False)
        assert {table: done[table] for table in FILES} == {"resume_files": 1, "resume_file_parts": 3}
        assert counts(empty_database)["resume_file_parts"] == {"": 3}
        with psycopg.connect(empty_database.admin) as connection:
            assert connection.execute("SELECT file_name FROM talent_sync.resume_files").fetchall() == [
                ("cv.pdf",)
            ]
        assert content(client, file) == DATA, "both are read"
        run(empty_database, NEW)
        assert counts(empty_database)["resume_file_parts"] == {NEW.seal[0].id: 3}
        assert content(client, file) == DATA
