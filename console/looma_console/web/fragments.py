"""Page or fragment from one template: htmx gets the block it asked for, everybody else the page."""

from __future__ import annotations

from flask import Response, make_response, render_template, request
from jinja2_fragments.flask import render_block


def wants_fragment() -> bool:
    """Whether htmx asks, and neither for a whole page nor to restore one from history."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def render(template: str, block: str, *, status: int = 200, **context: object) -> Response:
    """The block if htmx asks, else the page. `Vary` keeps caches from mixing the two up."""
    body = (
        render_block(template, block, **context) if wants_fragment() else render_template(template, **context)
    )
    response = make_response(body, status)
    response.headers.add("Vary", "HX-Request")
    return response


def fragment(template: str, block: str, *, status: int = 200, **context: object) -> Response:
    """The block, whoever asks."""
    return make_response(render_block(template, block, **context), status)
