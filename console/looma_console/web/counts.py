"""How many a list has, as a sentence that comes after the list."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, make_response
from flask_babel import format_decimal, gettext, ngettext
from markupsafe import escape

from looma_console.engines import EngineError
from looma_core.api.page import Count


def rounded(count: int) -> int:
    """An estimate with two digits: more would look exact."""
    unit: int = 10 ** max(len(str(count)) - 2, 0)
    return round(count / unit) * unit


def told(ask: Callable[[], Count]) -> Response:
    """The sentence, or nothing: a list without it is whole."""
    try:
        found = ask()
    except EngineError:
        return make_response("")
    if found.exact:
        text = ngettext("%(num)d in all.", "%(num)d in all.", found.count)
    else:
        text = gettext("About %(count)s in all.", count=format_decimal(rounded(found.count)))
    return make_response(str(escape(text)))
