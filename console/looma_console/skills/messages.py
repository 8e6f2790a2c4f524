"""What the pages about skills say."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

KINDS: dict[str, LazyString] = {
    "group": lazy_gettext("Heading"),
    "skill": lazy_gettext("Skill"),
    "knowledge": lazy_gettext("Knowledge"),
    "tool": lazy_gettext("Technology or product"),
    "language": lazy_gettext("Spoken language"),
}
STATUSES: dict[str, LazyString] = {
    "active": lazy_gettext("In use"),
    "retired": lazy_gettext("Retired"),
}
MATCHES: dict[str, LazyString] = {
    "exact": lazy_gettext("This name"),
    "prefix": lazy_gettext("Begins so"),
    "part": lazy_gettext("Has it"),
}
FIELDS: dict[str, LazyString] = {
    "key": lazy_gettext("Key"),
    "name_en": lazy_gettext("English name"),
    "name_zh": lazy_gettext("Chinese name"),
    "aliases_en": lazy_gettext("Other English names"),
    "aliases_zh": lazy_gettext("Other Chinese names"),
    "kind": lazy_gettext("Kind"),
    "parents": lazy_gettext("Above it"),
    "esco_uri": lazy_gettext("Concept of ESCO"),
    "status": lazy_gettext("State"),
    "replaced_by": lazy_gettext("Replaced by"),
}
"""The form's fields in their order."""
CHOICES = {"kind": KINDS, "status": STATUSES}
LISTS = frozenset({"aliases_en", "aliases_zh", "parents"})
FIXED = frozenset({"key"})
"""Fields of a new one alone."""
LATER = frozenset({"status", "replaced_by"})
"""Fields of one that is there."""
