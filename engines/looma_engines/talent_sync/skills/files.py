"""Rows of a taxonomy's files. Pure: bytes in, rows out.

| file   | a row has                                                                                          |
| ------ | -------------------------------------------------------------------------------------------------- |
| csv    | `key`, `name_en`, `name_zh`, `kind`, `aliases_en`, `aliases_zh`, `parents`, `esco_uri`, `status`,   |
|        | `replaced_by`; entries of a list are parted by `;`, and what has no column stays as it is          |
| jsonl  | the fields of a skill, with keys where it has ids                                                  |
| esco   | `conceptUri`, `preferredLabel`, `altLabels` (a line each), `skillType`, of one language            |

What is above a concept of ESCO is in a file of its own, with `conceptUri` and `broaderUri`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from looma_core.api.reading import read
from looma_core.api.skill import SkillAlias, SkillKind, SkillStatus
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.exchange.reading import Readable, Row, read_rows
from looma_engines.talent_sync.records.tidying import in_one_line

SkillFormat = Literal["csv", "jsonl", "esco"]
MOST_ALIASES: Final = 100
"""Other names of a concept in one language; the rest is left out."""
NAMED: Final = {"en": "name_en", "zh": "name_zh"}
"""Languages that a skill has a name in, each with its field; a name in any other is an alias."""
BETWEEN: Final = ";"
_COLUMNS: Final = frozenset(
    {
        *("key", "name_en", "name_zh", "kind", "aliases_en", "aliases_zh"),
        *("parents", "esco_uri", "status", "replaced_by"),
    }
)


class Incoming(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a row says of a skill; what it does not say stays as it is. Other skills are named by key or concept."""

    key: str | None = None
    name_en: str | None = None
    name_zh: str | None = None
    aliases: list[SkillAlias] | None = None
    kind: SkillKind | None = None
    parents: list[str] | None = None
    esco_uri: str | None = None
    status: SkillStatus | None = None
    replaced_by: str | None = None
    language: str | None = None
    """Of a concept: the language of the row, whose names alone the row knows."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One row with its line: what it says, or why it says nothing."""

    line: int
    skill: Incoming | None = None
    errors: tuple[FieldError, ...] = ()


def read_skills(
    source: Iterable[bytes] | Readable,
    file_format: SkillFormat,
    *,
    language: str = "en",
    broader: Mapping[str, list[str]] | None = None,
) -> Iterator[Given]:
    """Read a file row by row.

    Args:
        source: a binary file, or its bytes in pieces.
        file_format: how it is written.
        language: of a file of ESCO.
        broader: of a file of ESCO: what is above each concept.

    Raises:
        ValidationProblem: a CSV file has no readable header, or not the columns that its format has.
    """
    for row in read_rows(source, "jsonl" if file_format == "jsonl" else "csv"):
        if not isinstance(row, Row):
            yield Given(line=row.line, errors=(FieldError(field="row", message=row.reason),))
            continue
        try:
            yield Given(line=row.line, skill=_skill(row, file_format, language=language, broader=broader))
        except ValidationProblem as problem:
            yield Given(line=row.line, errors=tuple(problem.errors))


def read_broader(source: Iterable[bytes] | Readable) -> dict[str, list[str]]:
    """What is above each concept, by ESCO's file of broader relations.

    Raises:
        ValidationProblem: it has not the columns.
    """
    found: dict[str, list[str]] = {}
    for row in read_rows(source, "csv"):
        if not isinstance(row, Row):
            continue
        below, above = (str(row.values.get(name) or "") for name in ("conceptUri", "broaderUri"))
        if not below or not above:
            message = "the file of broader relations has the columns conceptUri and broaderUri"
            raise ValidationProblem(errors=[FieldError(field="row", message=message)])
        found.setdefault(below, []).append(above)
    return found


def _skill(
    row: Row, file_format: SkillFormat, *, language: str, broader: Mapping[str, list[str]] | None
) -> Incoming:
    if file_format == "esco":
        return _concept(row.values, language, broader)
    plain = row.values if file_format == "jsonl" else _fields(row.values)
    if "language" in plain:
        raise _wrong("language", "is not a known field")
    return read(plain, Incoming)


def _fields(cells: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(cells) - _COLUMNS):
        raise _wrong(unknown[0], f"is no column; there are {', '.join(sorted(_COLUMNS))}")
    texts = {name: str(cell or "").strip() for name, cell in cells.items()}
    plain: dict[str, Any] = {name: text or None for name, text in texts.items() if "aliases" not in name}
    if "parents" in texts:
        plain["parents"] = _entries(texts["parents"])
    told = [language for language in NAMED if f"aliases_{language}" in texts]
    if told:
        plain["aliases"] = [
            {"language": language, "name": name}
            for language in told
            for name in _entries(texts[f"aliases_{language}"])
        ]
    return plain


def _concept(cells: Mapping[str, Any], language: str, broader: Mapping[str, list[str]] | None) -> Incoming:
    uri, label = (str(cells.get(name) or "").strip() for name in ("conceptUri", "preferredLabel"))
    if not uri:
        raise _wrong("conceptUri", "is missing: a file of ESCO has it in each row")
    others = [in_one_line(name) for name in str(cells.get("altLabels") or "").splitlines()]
    aliases = [SkillAlias(language=language, name=name[:200]) for name in others if name]
    if label and language not in NAMED:
        aliases.insert(0, SkillAlias(language=language, name=label[:200]))
    kind: SkillKind = "skill"
    if str(cells.get("conceptType") or "") == "SkillGroup":
        kind = "group"
    elif str(cells.get("skillType") or "") == "knowledge":
        kind = "knowledge"
    concept = Incoming(
        key=f"esco-{uri.rstrip('/').rpartition('/')[2].lower().replace('.', '-')}",
        aliases=aliases[:MOST_ALIASES],
        kind=kind,
        esco_uri=uri,
        parents=None if broader is None else list(broader.get(uri, ())),
        language=language,
    )
    if label and language in NAMED:
        setattr(concept, NAMED[language], label[:200])
    return concept


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(BETWEEN) if entry.strip()]


def _wrong(field: str, message: str) -> ValidationProblem:
    return ValidationProblem(errors=[FieldError(field=field, message=message)])
