"""What differs between two revisions: image, models, configuration and all else, side by side. Pure.

`kubectl looma diff` and the console's page about a service show the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

Json = Mapping[str, Any]

ORDER = ("engine", "image", "model", "config", "resources", "podTemplate")
"""Parts in the order in which a reader asks; parts of later releases come after them."""


class Row(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One part of the content as each of the revisions has it; empty where one has none."""

    part: str
    before: str = msgspec.field(name="from", default="")
    after: str = msgspec.field(name="to", default="")

    @property
    def differs(self) -> bool:
        """Whether the two are not the same."""
        return self.before != self.after


class Comparison(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Two revisions of a service, row by row."""

    service: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    rows: tuple[Row, ...]

    @property
    def differs(self) -> bool:
        """Whether any row does."""
        return any(row.differs for row in self.rows)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Every value below `value` with its path: `limits.memory`, `containers[engine].env[A].value`, `args[0]`."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}")
    elif isinstance(value, list) and value:
        names = [item.get("name") if isinstance(item, Mapping) else None for item in value]
        unique = all(names) and len(set(names)) == len(names)
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{names[index] if unique else index}]")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _models(entries: Sequence[Json]) -> dict[str, str]:
    """Models by their name, so that versions of one stand side by side; with their ModelVersion where one is twice."""
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry["model"]] = counts.get(entry["model"], 0) + 1
    return {
        f"model.{entry['model']}" + (f".{entry['name']}" if counts[entry["model"]] > 1 else ""): " ".join(
            (entry["version"], entry["name"], str(entry["uri"]).rpartition("@")[2])
        )
        for entry in entries
    }


def parts_of(content: Json) -> dict[str, str]:
    """The content of a revision as one text for each part, by a dotted name."""
    parts = _models(content.get("models", []))
    for name, value in content.items():
        if name != "models":
            parts.update(_leaves(value, name))
    return parts


def compare(*, service: str, before: tuple[str, Json], after: tuple[str, Json]) -> Comparison:
    """Two revisions, each by its name and content.

    | part                    | what stands there                          |
    | ----------------------- | ------------------------------------------ |
    | image, engine           | as it is                                   |
    | model.NAME              | version, ModelVersion and artifact digest  |
    | config.KEY, and all else | the value, by its path                    |
    """
    old, new = parts_of(before[1]), parts_of(after[1])

    def place(part: str) -> tuple[int, str]:
        head = part.partition(".")[0]
        return ORDER.index(head) if head in ORDER else len(ORDER), part

    rows = tuple(
        Row(part=part, before=old.get(part, ""), after=new.get(part, ""))
        for part in sorted({*old, *new}, key=place)
    )
    return Comparison(service=service, before=before[0], after=after[0], rows=rows)
