"""What the pages about people say, and how an engine's problem reads to a recruiter."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

from looma_console.engines import EngineError

KINDS: dict[str, LazyString] = {
    "contact": lazy_gettext("Contact"),
    "place": lazy_gettext("Place"),
    "job": lazy_gettext("Job"),
    "school": lazy_gettext("School"),
    "skill": lazy_gettext("Skill"),
    "date": lazy_gettext("Date"),
    "protected": lazy_gettext("Protected attribute, never used for ranking"),
}
LABELS: dict[str, LazyString] = {
    "NAME": lazy_gettext("Name"),
    "EMAIL": lazy_gettext("Email"),
    "PHONE": lazy_gettext("Phone"),
    "LOC": lazy_gettext("Place"),
    "ORG": lazy_gettext("Organisation"),
    "TITLE": lazy_gettext("Job title"),
    "SCHOOL": lazy_gettext("School"),
    "EDU": lazy_gettext("Degree"),
    "PRO": lazy_gettext("Major"),
    "SKILL": lazy_gettext("Skill"),
    "DATE": lazy_gettext("Date"),
    "CONT": lazy_gettext("Nationality"),
    "RACE": lazy_gettext("Ethnicity"),
}
SOURCES: dict[str, LazyString] = {
    "resume": lazy_gettext("Résumé"),
    "manual": lazy_gettext("By hand"),
    "demo": lazy_gettext("Demonstration"),
    "sync": lazy_gettext("Sync job"),
}
LANGUAGES: dict[str, LazyString] = {"zh": lazy_gettext("Chinese"), "en": lazy_gettext("English")}

QUALITY: dict[str, LazyString] = {
    "talent.full_name.plausible": lazy_gettext("The name does not look like a person's"),
    "talent.email.slip": lazy_gettext("The address looks mistyped"),
    "talent.phone.callable": lazy_gettext("No country gives out this number"),
    "talent.skills.names": lazy_gettext("A skill is a sentence"),
    "talent.skills.once": lazy_gettext("A skill is there twice"),
    "talent.language.matches": lazy_gettext("The text is in another language"),
    "talent.times.future": lazy_gettext("A time lies in the future"),
    "talent.times.length": lazy_gettext("A job or a school lasts very long"),
    "talent.career.length": lazy_gettext("A job began very long ago"),
    "talent.experience.overlap": lazy_gettext("Two jobs lie side by side"),
    "talent.experience.current": lazy_gettext("Many jobs go on"),
    "talent.education.overlap": lazy_gettext("Two schools lie side by side"),
    "talent.education.degrees": lazy_gettext("A higher degree comes before a lower one"),
    "talent.experience.once": lazy_gettext("A job is there twice"),
    "talent.education.once": lazy_gettext("A school is there twice"),
    "talent.contact.required": lazy_gettext("No way to reach the person"),
    "talent.contact.both": lazy_gettext("Address or phone is missing"),
    "talent.location.required": lazy_gettext("The place is missing"),
    "talent.headline.required": lazy_gettext("The headline is missing"),
    "talent.summary.required": lazy_gettext("The summary is missing"),
    "talent.skills.enough": lazy_gettext("Few skills"),
    "talent.experience.required": lazy_gettext("No job is known"),
    "talent.experience.names": lazy_gettext("A job lacks its title or company"),
    "talent.experience.dates": lazy_gettext("A job lacks its beginning"),
    "talent.experience.description": lazy_gettext("A job does not say what was done"),
    "talent.education.required": lazy_gettext("No school is known"),
    "talent.education.names": lazy_gettext("A school lacks its name, degree or major"),
    "talent.source.reference": lazy_gettext("The r\u00e9sum\u00e9 is not named"),
}
"""What a person lost points for, by the id of the rule."""

PROBLEMS: dict[str, LazyString] = {
    "no-route": lazy_gettext("The service for this is not set up in this cluster."),
    "engine-unreachable": lazy_gettext("The service is not running right now. Try again in a moment."),
    "engine-broke": lazy_gettext("The service broke off. Try again in a moment."),
    "engine-timeout": lazy_gettext("The service took too long. Try again in a moment."),
    "upstream-failed": lazy_gettext("A service that this one needs did not answer. Try again in a moment."),
    "not-ready": lazy_gettext("The service is not ready. Try again in a moment."),
    "forbidden": lazy_gettext("Your roles do not allow this."),
    "unauthenticated": lazy_gettext("The service did not accept the console's token. Tell your operators."),
    "not-found": lazy_gettext("That is not there, or not any more."),
    "precondition-failed": lazy_gettext(
        "Somebody else changed this in the meantime. Look at what is there now and change it again."
    ),
    "payload-too-large": lazy_gettext("The file is larger than the service takes."),
    "internal": lazy_gettext("Something went wrong in the service. Its log has the details."),
}


def explain(error: EngineError) -> str:
    """One sentence about an engine's problem, in the page's language where we know it.

    For a problem that we do not know, the engine's own words: they are English, but they say more than
    "error" would.
    """
    known = PROBLEMS.get(error.name)
    if known is not None:
        return str(known)
    return error.problem.detail or error.problem.title
