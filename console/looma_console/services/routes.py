"""Pages about services: parse, ask, render; and their live streams."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext
from jinja2_fragments.flask import render_block
from werkzeug.wrappers import Response as BaseResponse

from looma_console.cluster.actions import UnknownRevision
from looma_console.cluster.api import KubernetesError
from looma_console.cluster.model import (
    Event,
    Service,
    known_traffic,
    newest_first,
    read_event,
    read_service,
)
from looma_console.services import messages, operations
from looma_console.services.comparing import choose_sides, split
from looma_console.services.streaming import blocks_of, open_stream
from looma_console.web.caller import cluster_person
from looma_console.web.csrf import notice
from looma_console.web.fragments import render, wants_fragment
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires
from looma_core.api.gateway import FRESH_SECONDS
from looma_core.api.revision_diff import compare

blueprint = Blueprint("services", __name__, template_folder="templates")
EVENTS = 30
RESTART = "restart"


@blueprint.get("/services")
@requires(Permission.SERVICES_READ)
def index() -> Response:
    """All services and what happened lately."""
    return render("services/index.html", "live", **_index())


@blueprint.get("/services/live")
@requires(Permission.SERVICES_READ)
def index_live() -> Response:
    """The same page's blocks, whenever they change."""
    return open_stream(lambda: blocks_of("services/index.html", ("list", "events"), _index()))


@blueprint.get("/services/<name>")
@requires(Permission.SERVICES_READ)
def service(name: str) -> Response:
    """One service with its history."""
    return render("services/service.html", "live", **_service(name))


@blueprint.get("/services/<name>/live")
@requires(Permission.SERVICES_READ)
def service_live(name: str) -> Response:
    """The same page's blocks, whenever they change."""
    _find(name)

    seen: tuple[int, int] | None = None

    def blocks() -> dict[str, str]:
        nonlocal seen
        # A service that was deleted meanwhile: the page keeps what it shows, and says so at its next load.
        if parts().service_watch.get(name) is None:
            return {}
        now = (parts().service_watch.version, parts().event_watch.version)
        changed, seen = now != seen, now
        # What gateways said becomes unknown by getting old, when nothing else changes.
        names = ("overview", "rollout", "traffic", "history", "events") if changed else ("traffic",)
        return blocks_of("services/service.html", names, _service(name))

    return open_stream(blocks, every=FRESH_SECONDS)


@blueprint.get("/services/<name>/diff")
@requires(Permission.SERVICES_READ)
def diff(name: str) -> Response:
    """Two revisions side by side, read in the person's name."""
    found = _find(name)
    before, after = request.args.get("from", ""), request.args.get("to", "")
    sides = choose_sides(found, before=before, after=after)
    context: dict[str, Any] = {
        "service": found,
        "sides": sides,
        "before": sides.before.name if sides else before,
        "after": sides.after.name if sides else after,
        "differing": [],
        "same": [],
        "states": messages.STATES,
        "state_tones": messages.STATE_TONES,
        "problem": "",
    }

    def page(status: int, **more: object) -> Response:
        return make_response(render_template("services/diff.html", **{**context, **more}), status)

    if sides is None:
        gone = next((asked for asked in (before, after) if asked and not found.keeps(asked)), "")
        return page(404, problem=_gone(gone)) if gone else page(200, problem=_nothing_to_compare())
    try:
        contents = [
            (side.name, parts().cluster.content(cluster_person(), service=name, revision=side.name))
            for side in (sides.before, sides.after)
        ]
    except UnknownRevision as error:
        return page(404, problem=_gone(str(error)))
    except KubernetesError as error:
        problem = _explain(error) if error.reason != "Forbidden" else _refused(error)
        return page(_status(error), problem=problem)
    differing, same = split(compare(service=name, before=contents[0], after=contents[1]))
    return page(200, differing=differing, same=same)


@blueprint.get("/services/<name>/rollback")
@requires(Permission.SERVICES_CHANGE)
def rollback_form(name: str) -> Response:
    """The question before a rollback; htmx shows it as a dialog."""
    return _rollback_page(name, request.args.get("to", ""))


@blueprint.post("/services/<name>/rollback")
@requires(Permission.SERVICES_CHANGE)
def rollback(name: str) -> BaseResponse:
    """Go back, and return to the service's page."""
    revision, reason = request.form.get("to", ""), request.form.get("reason", "").strip()
    try:
        changed = operations.roll_back(
            parts().db,
            parts().cluster,
            cluster_person(),
            service=name,
            revision=revision,
            reason=reason,
            request_id=g.request_id,
        )
    except ValueError:
        problem = gettext("Say in %(min)d characters or more why.", min=operations.MIN_REASON)
        return _rollback_page(name, revision, reason=reason, problem=problem, status=422)
    except UnknownRevision:
        problem = gettext("%(revision)s is not kept any more.", revision=revision)
        return _rollback_page(name, revision, reason=reason, problem=problem, status=409)
    except KubernetesError as error:
        return _rollback_page(name, revision, reason=reason, problem=_explain(error), status=_status(error))
    flash(
        gettext("%(service)s is going back to %(revision)s.", service=name, revision=revision)
        if changed
        else gettext("%(service)s asks for %(revision)s already.", service=name, revision=revision)
    )
    return _back_to(name)


@blueprint.get("/services/<name>/requests/<action>")
@requires(Permission.SERVICES_CHANGE)
def request_form(name: str, action: str) -> Response:
    """The question before an action of a rollout; htmx shows it as a dialog."""
    return _request_page(name, action)


@blueprint.post("/services/<name>/requests/<action>")
@requires(Permission.SERVICES_CHANGE)
def ask(name: str, action: str) -> BaseResponse:
    """Ask the operator for the action, and return to the service's page."""
    if action not in messages.QUESTIONS:
        abort(404)
    reason = request.form.get("reason", "").strip()
    try:
        operations.ask(
            parts().db,
            parts().cluster,
            cluster_person(),
            service=name,
            action=action,
            reason=reason,
            request_id=g.request_id,
        )
    except ValueError:
        problem = gettext("Say in %(min)d characters or more why.", min=operations.MIN_REASON)
        return _request_page(name, action, reason=reason, problem=problem, status=422)
    except KubernetesError as error:
        return _request_page(name, action, reason=reason, problem=_explain(error), status=_status(error))
    flash(gettext("%(service)s: asked for, what came of it is below.", service=name))
    return _back_to(name)


def _gone(revision: str) -> str:
    return str(gettext("%(revision)s is not kept any more.", revision=revision))


def _nothing_to_compare() -> str:
    return str(gettext("There is no second revision to compare with yet."))


def _refused(error: KubernetesError) -> str:
    return str(gettext("The cluster refused: %(why)s", why=error.message))


def _back_to(name: str) -> BaseResponse:
    where = url_for("services.service", name=name)
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


def _request_page(
    name: str, action: str, *, reason: str = "", problem: str = "", status: int = 200
) -> Response:
    found = _find(name)
    if action not in messages.QUESTIONS:
        abort(404)
    offered = found.rollout.actions if found.rollout is not None else ()
    # Pods can be replaced at any time: that is no action of a rollout.
    if not problem and action != RESTART and action not in offered:
        return notice(gettext("The rollout has gone on meanwhile."), 409)
    context = {
        "service": found,
        "action": action,
        "question": messages.QUESTIONS[action],
        "means": messages.MEANINGS[action],
        "reason": reason,
        "problem": problem,
        "verdict": parts().cluster.may_change(cluster_person(), name),
        "min_reason": operations.MIN_REASON,
        "max_reason": operations.MAX_REASON,
    }
    if wants_fragment():
        return make_response(render_block("services/request.html", "question", **context), status)
    return make_response(render_template("services/request.html", **context), status)


def _rollback_page(
    name: str, revision: str, *, reason: str = "", problem: str = "", status: int = 200
) -> Response:
    found = _find(name)
    kept = next((item for item in found.revisions if item.name == revision), None)
    if kept is None and not problem:
        return notice(gettext("%(revision)s is not kept any more.", revision=revision), 404)
    verdict = parts().cluster.may_change(cluster_person(), name)
    context = {
        "service": found,
        "revision": revision,
        "reason": reason,
        "problem": problem,
        "verdict": verdict,
        "min_reason": operations.MIN_REASON,
        "max_reason": operations.MAX_REASON,
    }
    if wants_fragment():
        return make_response(render_block("services/rollback.html", "question", **context), status)
    return make_response(render_template("services/rollback.html", **context), status)


def _index() -> dict[str, Any]:
    return {
        "services": parts().services(),
        "synced": parts().service_watch.synced.is_set(),
        **_events(lambda _event: True),
        **_words(),
    }


def _service(name: str) -> dict[str, Any]:
    found = _find(name)
    return {
        "service": found,
        "traffic": known_traffic(found, now=dt.datetime.now(dt.UTC)),
        "verdict": parts().cluster.may_change(cluster_person(), name),
        "state_tones": messages.STATE_TONES,
        "limit_words": messages.limit_words,
        "budget_words": messages.budget_words,
        "canary_words": messages.canary_words,
        "step_words": messages.step_words,
        "action_words": messages.ACTIONS,
        "verdicts": messages.VERDICTS,
        "chart_words": messages.chart_words,
        "verdict_tones": messages.VERDICT_TONES,
        "states": messages.STATES,
        **_events(lambda event: event.service == name),
        **_words(),
    }


def _find(name: str) -> Service:
    document = parts().service_watch.get(name)
    if document is None:
        abort(404)
    return read_service(document)


def _events(about: Callable[[Event], bool]) -> dict[str, object]:
    events = [read_event(item) for item in parts().event_watch.objects()]
    return {"events": newest_first((event for event in events if about(event)), limit=EVENTS)}


def _words() -> dict[str, object]:
    return {"phases": messages.PHASES, "tones": messages.TONES}


def _status(error: KubernetesError) -> int:
    return error.status if error.status in {403, 404, 409, 422} else 502


def _explain(error: KubernetesError) -> str:
    match error.reason:
        case "Forbidden":
            text = gettext("The cluster does not let you change this service: %(why)s", why=error.message)
        case "Conflict":
            text = gettext(
                "Somebody changed this service in the meantime. Look at it again before you roll back."
            )
        case "Unreachable":
            text = gettext("The cluster does not answer right now. Try again in a moment.")
        case _:
            text = _refused(error)
    return str(text)
