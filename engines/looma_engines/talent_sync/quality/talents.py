"""All rules of talents, in one table."""

from __future__ import annotations

from looma_core.api.talent import TalentDraft
from looma_engines.talent_sync.quality import talent_contact, talent_fields, talent_times, texts
from looma_engines.talent_sync.quality.rule import Rule

_EVERY_TEXT = (
    "full_name",
    "email",
    "phone",
    "location",
    "headline",
    "summary",
    "skills[]",
    "experience[].title",
    "experience[].company",
    "experience[].location",
    "experience[].dates",
    "experience[].description",
    "education[].institution",
    "education[].degree",
    "education[].major",
    "education[].dates",
    "source.ref",
)

RULES: tuple[Rule[TalentDraft], ...] = (
    texts.letters("talent.full_name.letters", "full_name", "write the person's name"),
    texts.control("talent.texts.control", *_EVERY_TEXT),
    texts.identity_number("talent.texts.identity_number", *_EVERY_TEXT),
    texts.skill_names("talent.skills.names", points=3),
    texts.once(
        "talent.skills.once",
        "skills",
        points=1,
        asks="No skill is there twice, in whatever case; when it is stored the first stays.",
    ),
    texts.language("talent.language.matches", "headline", "summary", points=3),
    *talent_contact.RULES,
    *talent_times.RULES,
    *talent_fields.RULES,
)
