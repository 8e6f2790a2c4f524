"""What the pages about duplicates say."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

VERDICTS: dict[str, LazyString] = {
    "certain": lazy_gettext("One person"),
    "likely": lazy_gettext("Perhaps one person"),
    "unlikely": lazy_gettext("Hardly one person"),
}
STATUSES: dict[str, LazyString] = {
    "open": lazy_gettext("Waits"),
    "dismissed": lazy_gettext("Two people"),
    "merged": lazy_gettext("Merged"),
    "gone": lazy_gettext("Merged with another"),
}
TONES = {"certain": "bad", "likely": "quiet", "unlikely": "quiet"}
REASONS: dict[str, LazyString] = {
    "full_name.same": lazy_gettext("The name is the same."),
    "full_name.transliterated": lazy_gettext("The name is the same in another script."),
    "full_name.close": lazy_gettext("The names differ by a slip, or by a part that is left out."),
    "full_name.initials": lazy_gettext("One name has a letter where the other has a word."),
    "full_name.part": lazy_gettext("A part of the name is the same."),
    "full_name.different": lazy_gettext("The names are different."),
    "email.same": lazy_gettext("The address is the same."),
    "email.mailbox": lazy_gettext("The address is the same at another host."),
    "email.different": lazy_gettext("The addresses are different."),
    "phone.same": lazy_gettext("The telephone number is the same."),
    "phone.different": lazy_gettext("The telephone numbers are different."),
    "experience.together": lazy_gettext("Both were at the same company at the same time."),
    "experience.company": lazy_gettext("Both were at the same company."),
    "experience.different": lazy_gettext("They were at different companies."),
    "education.same": lazy_gettext("Both were at the same school."),
    "education.different": lazy_gettext("They were at different schools."),
    "location.same": lazy_gettext("The place is the same."),
    "location.different": lazy_gettext("The places are different."),
}
"""What a reason is, by its field and outcome."""
FIELDS: dict[str, LazyString] = {
    "full_name": lazy_gettext("Name"),
    "email": lazy_gettext("Email"),
    "phone": lazy_gettext("Phone"),
    "location": lazy_gettext("Place"),
    "headline": lazy_gettext("Headline"),
    "summary": lazy_gettext("Summary"),
    "language": lazy_gettext("Language"),
    "skills": lazy_gettext("Skills"),
    "experience": lazy_gettext("Jobs"),
    "education": lazy_gettext("Schools"),
}
LISTS = frozenset({"skills", "experience", "education"})
FATES: dict[str, LazyString] = {
    "moved": lazy_gettext("went along"),
    "doubled": lazy_gettext("was there already"),
    "own": lazy_gettext("was between the two"),
    "refused": lazy_gettext("does not fit beside the others"),
}
