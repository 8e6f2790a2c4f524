"""What the pages about incoming records say."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

STATES: dict[str, LazyString] = {
    "open": lazy_gettext("Waits"),
    "replayed": lazy_gettext("Put right"),
    "discarded": lazy_gettext("Thrown away"),
    "superseded": lazy_gettext("Put right by the source"),
}
RESOLUTIONS: dict[str, LazyString] = {
    "open": lazy_gettext("Waits"),
    "source": lazy_gettext("The source's"),
    "target": lazy_gettext("Ours"),
    "merged": lazy_gettext("Both"),
}
WRITES: dict[str, LazyString] = {
    "intended": lazy_gettext("Not known yet"),
    "written": lazy_gettext("Written"),
    "refused": lazy_gettext("Refused by the source"),
    "moved": lazy_gettext("Changed there meanwhile"),
    "dropped": lazy_gettext("Not carried out"),
}
WRITE_TONES = {"intended": "quiet", "written": "good", "refused": "bad", "moved": "quiet", "dropped": "quiet"}
TONES = {"open": "bad", "replayed": "good", "discarded": "quiet", "superseded": "good"}
ENTITIES: dict[str, LazyString] = {
    "talent": lazy_gettext("Person"),
    "company": lazy_gettext("Company"),
    "job": lazy_gettext("Job"),
}
COUNTS: dict[str, LazyString] = {
    "read": lazy_gettext("Read"),
    "created": lazy_gettext("New"),
    "updated": lazy_gettext("Changed"),
    "unchanged": lazy_gettext("Unchanged"),
    "deleted": lazy_gettext("Deleted"),
    "conflicts": lazy_gettext("Conflicts"),
    "resolved": lazy_gettext("Conflicts settled"),
    "quarantined": lazy_gettext("In quarantine"),
    "failed": lazy_gettext("Failed records"),
    "erased": lazy_gettext("Erased here, not brought back"),
    "written_back": lazy_gettext("Written back"),
    "write_refused": lazy_gettext("Refused by the source"),
    "write_moved": lazy_gettext("Changed there meanwhile"),
}
