"""What the pages about SyncJobs say."""

from __future__ import annotations

import datetime as dt

from flask_babel import LazyString, format_decimal, format_timedelta, gettext, lazy_gettext, ngettext

from looma_console.cluster.syncjobs import Progress

PHASES: dict[str, LazyString] = {
    "Pending": lazy_gettext("Pending"),
    "Scheduled": lazy_gettext("Waits for its time"),
    "Running": lazy_gettext("Running"),
    "Succeeded": lazy_gettext("Succeeded"),
    "Failed": lazy_gettext("Failed"),
    "Canceled": lazy_gettext("Canceled"),
    "Suspended": lazy_gettext("Suspended"),
}
TONES = {
    "Pending": "busy",
    "Scheduled": "good",
    "Running": "busy",
    "Succeeded": "good",
    "Failed": "bad",
    "Canceled": "quiet",
    "Suspended": "quiet",
}
"""Tones of phases, of the results of runs and of the states of workers."""

TARGETS: dict[str, LazyString] = {
    "talent": lazy_gettext("People"),
    "company": lazy_gettext("Companies"),
    "job": lazy_gettext("Jobs"),
    "relation": lazy_gettext("Relations"),
}
TRIGGERS: dict[str, LazyString] = {
    "Created": lazy_gettext("as it was made"),
    "Schedule": lazy_gettext("at its time"),
    "Request": lazy_gettext("asked for"),
    "Manual": lazy_gettext("by a Job made by hand"),
}
ACTIONS: dict[str, LazyString] = {
    "run": lazy_gettext("Run now"),
    "cancel": lazy_gettext("Cancel run"),
    "suspend": lazy_gettext("Suspend"),
    "resume": lazy_gettext("Go on"),
}
QUESTIONS: dict[str, LazyString] = {
    "run": lazy_gettext("Begin a run now?"),
    "cancel": lazy_gettext("Give up the run that goes on?"),
    "suspend": lazy_gettext("Suspend the sync job?"),
    "resume": lazy_gettext("Let the sync job go on?"),
}
MEANINGS: dict[str, LazyString] = {
    "run": lazy_gettext("All records of the source are taken, as at its usual time."),
    "cancel": lazy_gettext("Its workers are stopped. What they wrote stays; the next run begins anew."),
    "suspend": lazy_gettext(
        "No run begins, and the workers of one that goes on are stopped until it may go on."
    ),
    "resume": lazy_gettext("Runs begin at their times again. One that was stopped goes on where it was."),
}
RESULTS: dict[str, LazyString] = {"Done": lazy_gettext("Done"), "Refused": lazy_gettext("Refused")}


def count(number: int) -> str:
    """A number of records in the page's language."""
    return str(format_decimal(number))


def progress_words(progress: Progress) -> str:
    """How far somebody came, in the page's language."""
    read = count(progress.read)
    if progress.total is None:
        return str(ngettext("%(read)s record read", "%(read)s records read", progress.read, read=read))
    return str(gettext("%(read)s of %(total)s records read", read=read, total=count(progress.total)))


def duration(time: dt.timedelta) -> str:
    """How long something took, in the page's language; exact to the second where it is short."""
    return str(format_timedelta(time, granularity="second", threshold=2))
