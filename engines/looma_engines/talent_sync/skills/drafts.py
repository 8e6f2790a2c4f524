"""What is stored of a skill's draft, and the key that a name gives. Pure."""

from __future__ import annotations

import re

import msgspec

from looma_core.api.skill import SkillAlias, SkillDraft
from looma_engines.talent_sync.records.tidying import in_one_line, trimmed

LONGEST_KEY = 100
_BETWEEN = re.compile(r"[^a-z0-9]+")
_SPOKEN = {"+": " plus ", "#": " sharp ", "&": " and "}


def key_of(name: str) -> str | None:
    """The key that a name gives; None where it has no letter or digit of ASCII.

    | name             | answer           |
    | ---------------- | ---------------- |
    | Machine Learning | machine-learning |
    | C++              | c-plus-plus      |
    | C#               | c-sharp          |
    | Node.js          | node-js          |
    | 项目管理         | None             |
    """
    text = "".join(_SPOKEN.get(sign, sign) for sign in name.lower())
    return _BETWEEN.sub("-", text).strip("-")[:LONGEST_KEY].strip("-") or None


def tidy(draft: SkillDraft) -> SkillDraft:
    """Trim names, drop those that are there twice, make the key of the English name where none is given."""
    name_en, name_zh = (_line(name) for name in (draft.name_en, draft.name_zh))
    seen = {("en", name_en), ("zh", name_zh)}
    aliases = []
    for alias in draft.aliases:
        name = in_one_line(alias.name)
        if name and (alias.language, name) not in seen:
            seen.add((alias.language, name))
            aliases.append(SkillAlias(language=alias.language, name=name))
    return msgspec.structs.replace(
        draft,
        key=draft.key or (key_of(name_en) if name_en else None),
        name_en=name_en,
        name_zh=name_zh,
        aliases=aliases,
        parents=list(dict.fromkeys(draft.parents)),
        esco_uri=trimmed(draft.esco_uri),
    )


def _line(name: str | None) -> str | None:
    return in_one_line(name or "") or None
