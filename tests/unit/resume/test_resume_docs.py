"""docs/resume.md names every limit and every refusal."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from looma_engines.resume.config import ResumeConfig
from looma_engines.resume.documents.problems import CODES

TEXT = (Path(__file__).parents[3] / "docs" / "resume.md").read_text(encoding="utf-8")


def test_every_setting_has_its_line() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", TEXT, re.MULTILINE))
    fields = msgspec.structs.fields(ResumeConfig)
    assert rows == {
        field.encode_name: f"{field.default:g}" if field.default < 1e5 else str(field.default)
        for field in fields
    }


def test_every_refusal_has_its_line() -> None:
    assert set(re.findall(r"^\| `([a-z]+(?:-[a-z]+)+)` \|", TEXT, re.MULTILINE)) == CODES
