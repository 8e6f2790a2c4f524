"""The forms in which all that is held of a person goes out."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from datetime import UTC, datetime
from typing import Any

import msgspec

from looma_core.api.rights import EXPORT_FORMAT, PersonExport
from looma_engines.talent_sync.rights.forms import PART, readable, zipped

NOW = "2026-06-01T10:20:30Z"


def export(name: str = "Ada", **changes: Any) -> PersonExport:
    record = {
        "id": str(uuid.uuid4()),
        "version": 1,
        "full_name": name,
        "language": "en",
        "source": {"type": "manual", "ref": None},
        "created_at": NOW,
        "updated_at": NOW,
    }
    lists = ("relations", "history", "consents", "sources", "conflicts", "quarantine", "audit")
    empty = (*lists, "files", "resume_files", "applications", "writes")
    values: dict[str, Any] = {name: [] for name in empty}
    values |= {"format": EXPORT_FORMAT, "made_at": NOW, "deleted": False, "record": record, **changes}
    return msgspec.convert(values, PersonExport)


def file(name: str | None) -> dict[str, Any]:
    kind = {"media_type": "application/pdf", "size": 9, "sha256": "0" * 64, "kept_at": NOW}
    return {"id": str(uuid.uuid4()), "file_name": name, **kind}


def test_the_archive_has_both_forms_and_the_list_of_files() -> None:
    document = export(files=[file("../../etc/passwd"), file(None)])
    document.merged.append(export("Ada L.", files=[file("b.pdf")]))
    with zipfile.ZipFile(io.BytesIO(b"".join(zipped(document)))) as archive:
        assert archive.testzip() is None
        # Whatever a file or a person is called: unpacked, it writes these three and nothing else.
        assert archive.namelist() == ["person.json", "person.html", "files.json"]
        assert json.loads(archive.read("person.json")) == msgspec.to_builtins(document)
        assert archive.read("person.html") == readable(document)
        assert [item["file_name"] for item in json.loads(archive.read("files.json"))] == [
            "../../etc/passwd",
            None,
            "b.pdf",
        ]
        entry = archive.getinfo("person.json")
        assert datetime(*entry.date_time, tzinfo=UTC) == document.made_at
        assert entry.external_attr >> 16 == 0o600


def test_the_archive_goes_out_in_parts() -> None:
    document = export(files=[file(f"{uuid.uuid4().hex * 200}.pdf") for _ in range(200)])
    size = len(msgspec.json.encode(document))
    assert size > 10 * PART
    parts = list(zipped(document))
    assert len(parts) > size // PART
    assert max(map(len, parts)) < 2 * PART
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.testzip() is None


def test_the_page_holds_nothing_that_a_browser_would_run() -> None:
    page = readable(export("<script>alert(1)</script>", files=[file("<img src=x>.pdf")])).decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "Files that the record was made from" in page
