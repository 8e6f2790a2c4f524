"""What the pages about services say."""

from __future__ import annotations

from flask_babel import LazyString, format_decimal, gettext, lazy_gettext, ngettext

from looma_console.cluster.model import Budget, Canary, RateLimit
from looma_console.cluster.rollouts import Analysed, Step

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


def limit_words(limit: RateLimit) -> str:
    """What a limit lets through, in the page's language."""
    words = gettext(
        "%(rate)d requests a second, %(burst)d at once", rate=limit.requests_per_second, burst=limit.burst
    )
    return f"{words}, {LIMIT_SCOPES.get(limit.per, limit.per)}"


def canary_words(canary: Canary) -> str:
    """What a new revision was meant to get and gets, in the page's language."""
    asked = format_decimal(canary.requested)
    if canary.achieved is None:
        return str(gettext("%(asked)s %% asked for, not known what is given", asked=asked))
    given = format_decimal(canary.achieved)
    return str(gettext("%(asked)s %% asked for, %(given)s %% given", asked=asked, given=given))


ACTIONS: dict[str, LazyString] = {
    "promote": lazy_gettext("Next step"),
    "promote-full": lazy_gettext("Leave out all steps"),
    "pause": lazy_gettext("Pause"),
    "resume": lazy_gettext("Go on"),
    "abort": lazy_gettext("Abort"),
    "retry": lazy_gettext("Try again"),
    "restart": lazy_gettext("Restart the pods"),
}
QUESTIONS: dict[str, LazyString] = {
    "promote": lazy_gettext("Take the new revision to its next step?"),
    "promote-full": lazy_gettext("Leave out all further steps?"),
    "pause": lazy_gettext("Pause the rollout?"),
    "resume": lazy_gettext("Let the rollout go on?"),
    "abort": lazy_gettext("Abort the rollout?"),
    "retry": lazy_gettext("Try the rollout again?"),
    "restart": lazy_gettext("Restart the pods?"),
}
MEANINGS: dict[str, LazyString] = {
    "promote": lazy_gettext("What its step waits for is not waited for any more."),
    "promote-full": lazy_gettext(
        "The new revision gets all pods, then all requests, and serves from then on."
    ),
    "abort": lazy_gettext(
        "All requests go to the revision that serves, at once. The new one gets none until it is tried again, or "
        "another spec is applied."
    ),
    "pause": lazy_gettext("Pods and requests stay as they are."),
    "resume": lazy_gettext("It goes on where it is."),
    "retry": lazy_gettext("It begins with its first step."),
    "restart": lazy_gettext(
        "The pods of the revision that is asked for are replaced, a quarter at a time. It stays the same revision."
    ),
}


def step_words(step: Step) -> str:
    """One step of a canary, in the page's language."""
    if step.weight is not None:
        return f"{step.weight} %"
    if step.analysis:
        return str(gettext("analysis"))
    if step.seconds is not None:
        return str(gettext("wait %(seconds)d s", seconds=step.seconds))
    return str(gettext("wait for somebody"))


VERDICTS: dict[str, LazyString] = {
    "Running": lazy_gettext("Goes on"),
    "Successful": lazy_gettext("Good"),
    "Failed": lazy_gettext("Failed"),
    "Inconclusive": lazy_gettext("Not known"),
    "Error": lazy_gettext("Not to be measured"),
}
VERDICT_TONES = {
    "Running": "busy",
    "Successful": "good",
    "Failed": "bad",
    "Suspicious": "busy",
    "Error": "bad",
}


def chart_words(found: Analysed) -> str:
    """What a chart shows, for those who do not see it."""
    values = ", ".join(f"{one.value:.4g}" for one in found.measurements if one.value is not None)
    return str(
        gettext("Values of %(metric)s, from old to new: %(values)s", metric=found.metric, values=values)
    )


def budget_words(budget: Budget) -> str:
    """What answers may cost, in the page's language."""
    words = ngettext(
        "%(units)s unit in %(seconds)s s",
        "%(units)s units in %(seconds)s s",
        budget.units,
        units=format_decimal(budget.units),
        seconds=format_decimal(budget.window_seconds),
    )
    return f"{words}, {LIMIT_SCOPES.get(budget.per, budget.per)}"
