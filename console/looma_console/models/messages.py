"""What the pages about models say."""

from __future__ import annotations

from flask_babel import LazyString, format_decimal, gettext, lazy_gettext

from looma_console.cluster.models import ModelVersion, Reference

PHASES: dict[str, LazyString] = {
    "Pending": lazy_gettext("Not fetched yet"),
    "Verified": lazy_gettext("Verified"),
    "Serving": lazy_gettext("Serves"),
    "Rejected": lazy_gettext("Rejected"),
    "Retired": lazy_gettext("Retired"),
}
TONES = {"Pending": "busy", "Verified": "good", "Serving": "good", "Rejected": "bad", "Retired": "quiet"}


def figure(number: float) -> str:
    """A value of an evaluation in the page's language."""
    return str(format_decimal(number, format="#,##0.####"))


def evaluation_words(version: ModelVersion) -> str:
    """How good a version is, and what its gate wants, in the page's language."""
    if version.value is None:
        return str(gettext("not evaluated"))
    words = str(
        gettext(
            "%(metric)s %(value)s on %(dataset)s",
            metric=version.metric,
            value=figure(version.value),
            dataset=version.dataset,
        )
    )
    if version.least is None:
        return words
    return str(
        gettext("%(evaluation)s, at least %(least)s wanted", evaluation=words, least=figure(version.least))
    )


def reference_words(reference: Reference) -> str:
    """How a service means a version, in the page's language."""
    if reference.channel:
        return str(gettext("follows %(channel)s", channel=reference.channel))
    return str(gettext("names it"))
