"""Opens the live stream of a page: what wakes it, who may go on reading it, and its place among the others."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from flask import Response, request
from flask import stream_with_context as with_context
from jinja2_fragments.flask import render_block

from looma_console.auth.operations import current
from looma_console.cluster.listwatch import ListWatch
from looma_console.services import live
from looma_console.web.guard import SESSION_COOKIE
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission


def blocks_of(template: str, names: Iterable[str], context: Mapping[str, object]) -> dict[str, str]:
    """Some of a template's blocks, by name."""
    return {name: render_block(template, name, **context) for name in names}


def open_stream(
    blocks: Callable[[], Mapping[str, str]],
    *,
    every: float | None = None,
    watches: Sequence[ListWatch] = (),
    permission: Permission = Permission.SERVICES_READ,
) -> Response:
    """Send a page's blocks whenever the cluster changes, and `every` so many seconds, where they differ.

    The cluster is what `watches` see, without any the services and their events; who loses `permission` loses the page.
    With `every` the page hears a beat as often, if there is nothing else, and so knows when it hears nothing.
    Without a place left it answers 503: the page then asks for itself every half minute, and stays right.
    """
    slot = live.Slot(parts().streams)
    if not slot.taken:
        return Response(status=503, headers={"Retry-After": "30"})
    watches = watches or (parts().service_watch, parts().event_watch)
    seen = [watch.version for watch in watches]
    token = request.cookies.get(SESSION_COOKIE, "")

    closing = parts().closing
    # Gunicorn's own; another server's streams end by their heartbeat.
    connection = request.environ.get("gunicorn.socket")

    def is_closing() -> bool:
        return closing.is_set() or live.has_hung_up(connection)

    def wait(seconds: float) -> bool:
        before, begun = list(seen), time.monotonic()
        due = every is not None and every <= seconds
        end = begun + (every if every is not None and due else seconds)
        while seen == before and not is_closing() and (left := end - time.monotonic()) > 0:
            # Waiting on the first and looking at the others: events tell of changes, a moment before or after.
            seen[0] = watches[0].wait(seen[0], min(left, 1.0))
            seen[1:] = [watch.version for watch in watches[1:]]
        return due or seen != before

    def may_go_on() -> bool:
        now = dt.datetime.now(dt.UTC)
        who = current(parts().db, token, now=now, lifetime=parts().lifetime, is_request=False)
        return who is not None and permission in who.permissions

    body = live.stream(
        wait=wait,
        render=blocks,
        may_go_on=may_go_on,
        seconds=parts().settings.live_seconds,
        beat_seconds=live.HEARTBEAT_SECONDS if every is None else every,
        is_closing=is_closing,
    )
    response = Response(with_context(body), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(slot.release)
    return response
