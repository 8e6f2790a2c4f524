"""Real résumé PDFs of many programs, where the folder with public data lies beside the project.

They never enter the project; without the folder the test is skipped. It promises only what must hold for
every file: no crash, offsets that hold, and a person found.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_engines.resume.documents import read_document
from support.resume_files import parser

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILES = sorted(path for folder in ("offlinecv_en", "resume_files") for path in (DATA / folder).rglob("*.pdf"))


@pytest.mark.skipif(not FILES, reason="the folder with public résumés is not beside the project")
def test_every_public_file_is_parsed() -> None:
    wrong: list[str] = []
    for path in FILES:
        parsed = parser().parse(read_document(path.read_bytes()))
        if any(parsed.text[e.start : e.end] != e.text for e in parsed.entities):
            wrong.append(f"{path.name}: an entity's offsets do not hold")
        if any(not 0 <= s.start < s.end <= len(parsed.text) for s in parsed.skills):
            wrong.append(f"{path.name}: a skill's offsets do not hold")
        if not (parsed.contact.full_name and (parsed.contact.email or parsed.contact.phone)):
            wrong.append(f"{path.name}: no person")
        if not parsed.experience and not parsed.education:
            wrong.append(f"{path.name}: neither jobs nor schools")
    assert not wrong, "\n".join(wrong)
