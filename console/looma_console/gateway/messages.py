"""What the map of services says."""

from __future__ import annotations

from flask_babel import LazyString, format_decimal, lazy_gettext

from looma_core.api.gateway import Circuit

CIRCUITS: dict[Circuit, LazyString] = {
    "closed": lazy_gettext("closed"),
    "open": lazy_gettext("open: no requests"),
    "half-open": lazy_gettext("trying"),
}
CIRCUIT_TONES: dict[Circuit, str] = {"closed": "good", "open": "bad", "half-open": "busy"}


def rate(per_second: float) -> str:
    """Requests a second in the page's language: exact where they are few.

    | number  | text |
    | ------- | ---- |
    | 0       | 0    |
    | 0.004   | 0.01 |
    | 3.14159 | 3.14 |
    | 31.4159 | 31.4 |
    | 314.159 | 314  |
    """
    if per_second <= 0:
        return "0"
    digits = 2 if per_second < 10 else 1 if per_second < 100 else 0
    return str(format_decimal(max(round(per_second, digits), 10.0**-digits), format="#,##0.##"))


def percent(part: float) -> str:
    """Percent with one digit after the point where it is not whole; the line never breaks before the sign."""
    return f"{format_decimal(round(part, 1), format='#,##0.#')}\u00a0%"


def seconds(time: float | None, *, most: float = 60.0) -> str:
    """A time in milliseconds or seconds; None is more than `most`."""
    if time is None:
        return f"> {format_decimal(most, format='#')} s"
    if time < 1:
        milliseconds = time * 1000
        return f"{format_decimal(round(milliseconds, 1 if milliseconds < 10 else 0), format='#,##0.#')} ms"
    return f"{format_decimal(round(time, 1), format='#,##0.#')} s"
