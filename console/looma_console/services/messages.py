"""What the pages about services say."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

PHASES: dict[str, LazyString] = {
    "Pending": lazy_gettext("Pending"),
    "Progressing": lazy_gettext("Rolling out"),
    "RollingBack": lazy_gettext("Rolling back"),
    "Ready": lazy_gettext("Ready"),
    "Degraded": lazy_gettext("Degraded"),
    "Paused": lazy_gettext("Paused"),
}
TONES = {
    "Ready": "good",
    "Degraded": "bad",
    "Progressing": "busy",
    "RollingBack": "busy",
    "Pending": "busy",
    "Paused": "quiet",
}
STATES: dict[str, LazyString] = {
    "Stable": lazy_gettext("Serves"),
    "Progressing": lazy_gettext("Takes over"),
    "Failed": lazy_gettext("Given up"),
    "Kept": lazy_gettext("Kept"),
}
STATE_TONES = {"Stable": "good", "Progressing": "busy", "Failed": "bad", "Kept": "quiet"}
LIMIT_SCOPES: dict[str, LazyString] = {
    "address": lazy_gettext("for each address"),
    "subject": lazy_gettext("for each person"),
    "service": lazy_gettext("all callers together"),
}
