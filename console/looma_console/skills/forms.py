"""From a form to a skill and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from looma_console.skills.messages import FIELDS
from looma_core.api.skill import SkillRef
from looma_core.problems import FieldError

Document = dict[str, Any]
ALIASES = {"aliases_en": "en", "aliases_zh": "zh"}
REFERENCES = ("parents", "replaced_by")
"""Fields in which other skills are named as people name them."""
_BETWEEN = re.compile(r"[;；\n]+")


def title(skill: Mapping[str, Any], language: str) -> str:
    """What a skill is called on a page: in its language if it has a name in that."""
    first, second = ("name_zh", "name_en") if language.startswith("zh") else ("name_en", "name_zh")
    return str(skill.get(first) or skill.get(second) or skill.get("key") or "")


def title_of(skill: SkillRef, language: str) -> str:
    """The same of a reference."""
    return title({"name_en": skill.name_en, "name_zh": skill.name_zh, "key": skill.key}, language)


def entries(text: str) -> list[str]:
    """The entries of a list, by semicolons or lines."""
    return [entry.strip() for entry in _BETWEEN.split(text) if entry.strip()]


def shown(skill: Mapping[str, Any], titles: Mapping[str, str]) -> dict[str, str]:
    """What the form's fields hold for a skill; `titles` are those of the skills that it names, by id."""
    found = {name: str(skill.get(name) or "") for name in FIELDS}
    for field, language in ALIASES.items():
        names = [alias["name"] for alias in skill.get("aliases", ()) if alias["language"] == language]
        found[field] = "; ".join(names)
    found["parents"] = "; ".join(titles.get(number, number) for number in skill.get("parents", ()))
    replaced = skill.get("replaced_by")
    found["replaced_by"] = titles.get(replaced, replaced) if replaced else ""
    return found


def named(form: Mapping[str, str]) -> dict[str, list[str]]:
    """Names of other skills that a form has, by field."""
    return {field: entries(form[field]) for field in REFERENCES if field in form}


def wanted(
    form: Mapping[str, str], ids: Mapping[str, Sequence[str]], before: Mapping[str, Any] | None = None
) -> Document:
    """The fields that a form means; other names in further languages stay.

    Args:
        form: what was sent.
        ids: skills that it names, by field.
        before: the skill that it changes.
    """
    document: Document = {}
    for name in ("key", "name_en", "name_zh", "esco_uri"):
        if name in form:
            document[name] = form[name].strip() or None
    for name in ("kind", "status"):
        if form.get(name):
            document[name] = form[name]
    if any(field in form for field in ALIASES):
        kept = [
            alias for alias in (before or {}).get("aliases", ()) if alias["language"] not in ALIASES.values()
        ]
        document["aliases"] = [
            {"language": language, "name": name}
            for field, language in ALIASES.items()
            for name in entries(form.get(field, ""))
        ] + kept
    if "parents" in ids:
        document["parents"] = list(ids["parents"])
    if "replaced_by" in ids:
        document["replaced_by"] = next(iter(ids["replaced_by"]), None)
    return document


def patch_of(document: Mapping[str, Any], before: Mapping[str, Any]) -> Document:
    """What of a document differs from the skill as it is."""
    return {
        name: value
        for name, value in document.items()
        if _in_order(name, before.get(name)) != _in_order(name, value)
    }


def _in_order(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    # A form has other names by language: in which order they stood is nothing that it says.
    if name == "aliases" and value:
        return sorted(value, key=lambda alias: (alias["language"], alias["name"]))
    return value


def by_field(errors: Sequence[FieldError], skill: Mapping[str, Any]) -> dict[str, str]:
    """Messages by the form's fields: of a name in a list by the list that it is in.

    `skill` is what was sent: the engine counts other names in the order of its list.
    """
    found: dict[str, str] = {}
    aliases = skill.get("aliases") or []
    for error in errors:
        field = error.field
        if place := re.match(r"aliases\[(\d+)\]", field):
            number = int(place[1])
            language = aliases[number]["language"] if number < len(aliases) else "en"
            field = "aliases_zh" if language == "zh" else "aliases_en"
        elif field.startswith("aliases"):
            field = "aliases_en"
        found.setdefault(field.partition("[")[0], error.message)
    return found
