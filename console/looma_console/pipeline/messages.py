"""What the pages about applications say."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

KINDS: dict[str, LazyString] = {
    "open": lazy_gettext("Under way"),
    "hired": lazy_gettext("Hired"),
    "rejected": lazy_gettext("Rejected"),
    "withdrawn": lazy_gettext("Withdrawn"),
}
TONES = {"open": "quiet", "hired": "good", "rejected": "bad", "withdrawn": "quiet"}
ACTIONS: dict[str, LazyString] = {
    "create": lazy_gettext("Applied"),
    "move": lazy_gettext("Moved"),
    "reopen": lazy_gettext("Opened again"),
    "hand-over": lazy_gettext("Handed over"),
}
