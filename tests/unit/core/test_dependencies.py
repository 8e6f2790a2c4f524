"""Each library that the project asks for has its line in docs/dependencies.md, saying where and why."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "dependencies.md"


def _asked_for() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {re.split(r"[\[<>=~!; ]", name, maxsplit=1)[0].lower() for name in wanted}
    return names - {"looma"}


def _documented() -> set[str]:
    rows = re.findall(r"^\| ([^|]+) \|", DOCS.read_text(), re.MULTILINE)
    return {part.split(" (")[0].strip(" `").lower() for row in rows for part in row.split(",")}


def test_every_dependency_says_where_and_why() -> None:
    missing = sorted(_asked_for() - _documented())
    assert not missing, f"{DOCS.name} has no line for: {', '.join(missing)}"
