"""What differs between two revisions as `kubectl looma diff` prints it: for programs, and as a table."""

from __future__ import annotations

import json

import msgspec

from looma_core.api.revision_diff import Comparison


def to_json(comparison: Comparison) -> str:
    """The comparison for programs: each row with `differs`."""
    built = msgspec.to_builtins(comparison)
    built["differs"] = comparison.differs
    for row, made in zip(comparison.rows, built["rows"], strict=True):
        made["differs"] = row.differs
    return json.dumps(built, indent=2, ensure_ascii=False)


def to_rows(comparison: Comparison) -> list[list[str]]:
    """Rows of a table for people: a mark where they differ, the part, and both values, each on one line."""

    def one_line(value: str) -> str:
        return value.replace("\n", "\\n")

    return [
        ["*" if row.differs else "", row.part, one_line(row.before), one_line(row.after)]
        for row in comparison.rows
    ]
