"""What the pages about incoming records say."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import LazyString, lazy_gettext

from looma_console.people.messages import QUALITY as OF_PEOPLE
from looma_console.records.kinds import QUALITY as OF_RECORDS
from looma_console.relations.words import QUALITY as OF_RELATIONS
from looma_core.api.sync import QualityChange

RULES: Mapping[str, LazyString] = {**OF_PEOPLE, **OF_RECORDS, **OF_RELATIONS}
"""What a record fails, by the id of the rule."""
BEST = 100

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
WRITE_KINDS: dict[str, LazyString] = {
    "change": lazy_gettext("Changed here"),
    "create": lazy_gettext("Made here"),
    "delete": lazy_gettext("Deleted here"),
}
WRITE_TONES = {"intended": "quiet", "written": "good", "refused": "bad", "moved": "quiet", "dropped": "quiet"}
TONES = {"open": "bad", "replayed": "good", "discarded": "quiet", "superseded": "good"}
ENTITIES: dict[str, LazyString] = {
    "talent": lazy_gettext("Person"),
    "company": lazy_gettext("Company"),
    "job": lazy_gettext("Job"),
    "relation": lazy_gettext("Relation"),
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
    "repaired": lazy_gettext("Found altered, put right"),
    "written_back": lazy_gettext("Written back"),
    "created_back": lazy_gettext("Made at the source"),
    "deleted_back": lazy_gettext("Deleted at the source"),
    "write_refused": lazy_gettext("Refused by the source"),
    "write_moved": lazy_gettext("Changed there meanwhile"),
}


def bands(change: QualityChange) -> list[tuple[str, int, int]]:
    """How many records have which score, before and after a run, the best first.

    | bands before | bands after    | answer                          |
    | ------------ | -------------- | ------------------------------- |
    | 90: 2        | 100: 1, 90: 1  | ("100", 0, 1), ("90–99", 2, 1)  |
    """
    before = {band.least: band.records for band in change.before.bands}
    after = {band.least: band.records for band in change.after.bands}
    return [
        (str(BEST) if least == BEST else f"{least}–{least + 9}", before.get(least, 0), after.get(least, 0))
        for least in sorted({*before, *after}, reverse=True)
    ]
