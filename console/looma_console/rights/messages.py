"""What the pages about people's rights say."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

PURPOSES: dict[str, LazyString] = {
    "matching": lazy_gettext("Matching with jobs"),
    "contact": lazy_gettext("Contacting the person"),
    "storage": lazy_gettext("Keeping the record"),
    "sharing": lazy_gettext("Passing on to companies"),
    "research": lazy_gettext("Statistics"),
}
BASES: dict[str, LazyString] = {
    "consent": lazy_gettext("Consent"),
    "contract": lazy_gettext("Contract"),
    "legal_obligation": lazy_gettext("Legal obligation"),
    "vital_interest": lazy_gettext("Vital interest"),
    "public_task": lazy_gettext("Public task"),
    "legitimate_interest": lazy_gettext("Legitimate interest"),
}
SOURCES: dict[str, LazyString] = {
    "form": lazy_gettext("Form"),
    "email": lazy_gettext("Email"),
    "phone": lazy_gettext("Phone"),
    "paper": lazy_gettext("Paper"),
    "import": lazy_gettext("Import"),
    "api": lazy_gettext("API"),
}
STANDINGS: dict[str, LazyString] = {
    "given": lazy_gettext("In force"),
    "withdrawn": lazy_gettext("Withdrawn"),
    "expired": lazy_gettext("Expired"),
}
TONES = {"given": "good", "withdrawn": "bad", "expired": "quiet"}
REASONS: dict[str, LazyString] = {
    "request": lazy_gettext("The person asked for it"),
    "withdrawn": lazy_gettext("A consent was withdrawn"),
    "unlawful": lazy_gettext("The data should not have been there"),
    "order": lazy_gettext("A court or an authority ordered it"),
    "retention": lazy_gettext("It was deleted long ago"),
}
ASKED = ("request", "withdrawn", "unlawful", "order")
"""Reasons that a person gives; the last one is the upkeep's."""
KINDS: dict[str, LazyString] = {
    "id": lazy_gettext("Id"),
    "email": lazy_gettext("Email"),
    "phone": lazy_gettext("Phone"),
    "source": lazy_gettext("Key of a source"),
    "name": lazy_gettext("Name"),
}
ACTIONS: dict[str, LazyString] = {
    "export-person": lazy_gettext("Exported a person's data"),
    "export-records": lazy_gettext("Exported records"),
    "import-records": lazy_gettext("Imported records"),
    "erase": lazy_gettext("Erased"),
    "lift-erasure": lazy_gettext("Lifted an erasure"),
    "give-consent": lazy_gettext("Noted a consent"),
    "withdraw-consent": lazy_gettext("Withdrew a consent"),
    "restore": lazy_gettext("Restored"),
    "replay-quarantine": lazy_gettext("Put a record right"),
    "discard-quarantine": lazy_gettext("Threw a record away"),
    "settle-conflict": lazy_gettext("Settled a conflict"),
    "store-file": lazy_gettext("Kept a file of a person"),
    "read-file": lazy_gettext("Read a file of a person"),
    "link-file": lazy_gettext("Linked a file to a person"),
    "delete-file": lazy_gettext("Deleted a file of a person"),
    "write-again": lazy_gettext("Had a write tried again"),
}
