"""The map of services: ask, add up, render; and its live stream."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from looma_console.gateway import messages
from looma_console.gateway.shadows import Copies
from looma_console.gateway.summary import picture
from looma_console.services.messages import budget_words, limit_words
from looma_console.services.streaming import blocks_of, open_stream
from looma_console.web.fragments import render
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("gateway", __name__, template_folder="templates")
TEMPLATE = "gateway/index.html"
ENGINE = "gateway"
LOOK_SECONDS = 2.0


@blueprint.get("/gateway")
@requires(Permission.SERVICES_READ)
def index() -> Response:
    """Where requests go, and how they fare."""
    return render(TEMPLATE, "live", **_context())


@blueprint.get("/gateway/live")
@requires(Permission.SERVICES_READ)
def live() -> Response:
    """The same page's blocks, every two seconds where they changed."""
    return open_stream(lambda: blocks_of(TEMPLATE, ("pods", "map"), _context()), every=LOOK_SECONDS)


def _context() -> dict[str, Any]:
    services = parts().services()
    gateways = [service.name for service in services if service.engine == ENGINE]
    shadowed = any(service.shadow and service.prefixes for service in services)
    copies = parts().shadows.read() if shadowed else {}
    return {
        "copies_known": copies is not None,
        "copies_of": lambda service, shadow: (copies or {}).get((service, shadow), Copies()),
        "synced": parts().service_watch.synced.is_set(),
        "has_gateway": bool(gateways),
        "picture": picture(services, parts().gateway.read(gateways), namespace=parts().settings.namespace),
        "circuits": messages.CIRCUITS,
        "circuit_tones": messages.CIRCUIT_TONES,
        "limit_words": limit_words,
        "budget_words": budget_words,
        "rate": messages.rate,
        "percent": messages.percent,
        "seconds": messages.seconds,
    }
