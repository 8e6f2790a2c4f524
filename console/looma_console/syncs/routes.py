"""Pages about SyncJobs: parse, ask, render; and their live streams."""

from __future__ import annotations

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

from looma_console.cluster.api import KubernetesError
from looma_console.cluster.model import Event, newest_first, read_event
from looma_console.cluster.syncjobs import SyncJob, read_sync_job
from looma_console.engines import EngineError
from looma_console.people.messages import explain
from looma_console.services.operations import MAX_REASON, MIN_REASON
from looma_console.services.streaming import blocks_of, open_stream
from looma_console.syncs import messages, operations
from looma_console.web.caller import caller, cluster_person
from looma_console.web.csrf import notice
from looma_console.web.fragments import render, wants_fragment
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires
from looma_core.api.sync import SyncRun
from looma_core.api.syncjob import PLURAL

blueprint = Blueprint("syncs", __name__, template_folder="templates")
EVENTS = 30
READINGS = "20"
LIST, PAGE, QUESTION = "syncs/index.html", "syncs/sync.html", "syncs/request.html"


@blueprint.get("/syncs")
@requires(Permission.SYNCS_READ)
def index() -> Response:
    """All SyncJobs and what happened lately."""
    return render(LIST, "live", **_index())


@blueprint.get("/syncs/live")
@requires(Permission.SYNCS_READ)
def index_live() -> Response:
    """The same page's blocks, whenever they change."""
    return _open(lambda: blocks_of(LIST, ("list", "events"), _index()))


@blueprint.get("/syncs/<name>")
@requires(Permission.SYNCS_READ)
def sync(name: str) -> Response:
    """One SyncJob with its runs."""
    return render(PAGE, "live", **_sync(name))


@blueprint.get("/syncs/<name>/live")
@requires(Permission.SYNCS_READ)
def sync_live(name: str) -> Response:
    """The same page's blocks, whenever they change."""
    _find(name)

    def blocks() -> dict[str, str]:
        # One that was deleted meanwhile: the page keeps what it shows, and says so at its next load.
        if parts().sync_watch.get(name) is None:
            return {}
        return blocks_of(PAGE, ("overview", "run", "history", "answers", "events"), _sync(name))

    return _open(blocks)


@blueprint.get("/syncs/<name>/readings")
@requires(Permission.SYNCS_READ)
def readings(name: str) -> Response:
    """What its latest runs read: all of the source or what was changed, and from when to when."""
    found, words = _find(name), dict[str, Any](_words())
    runs: list[SyncRun] = []
    problem = None
    try:
        runs = parts().engines.sync_runs(caller(), {"job": found.full_name, "limit": READINGS}).items
    except EngineError as error:
        problem = explain(error)
    return render("syncs/readings.html", "main", job=found, runs=runs, problem=problem, **words)


@blueprint.get("/syncs/<name>/requests/<action>")
@requires(Permission.SYNCS_CHANGE)
def request_form(name: str, action: str) -> Response:
    """The question before something is asked for; htmx shows it as a dialog."""
    return _question(name, action)


@blueprint.post("/syncs/<name>/requests/<action>")
@requires(Permission.SYNCS_CHANGE)
def ask(name: str, action: str) -> BaseResponse:
    """Ask for it, and return to the SyncJob's page."""
    if action not in messages.QUESTIONS:
        abort(404)
    reason = request.form.get("reason", "").strip()
    try:
        operations.ask(
            parts().db,
            parts().cluster,
            cluster_person(),
            job=name,
            action=action,
            reason=reason,
            request_id=g.request_id,
        )
    except ValueError:
        problem = gettext("Say in %(min)d characters or more why.", min=MIN_REASON)
        return _question(name, action, reason=reason, problem=problem, status=422)
    except KubernetesError as error:
        return _question(name, action, reason=reason, problem=_explain(error), status=_status(error))
    flash(gettext("%(service)s: asked for, what came of it is below.", service=name))
    where = url_for("syncs.sync", name=name)
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


def _open(blocks: Callable[[], dict[str, str]]) -> Response:
    watches = (parts().sync_watch, parts().sync_event_watch)
    return open_stream(blocks, watches=watches, permission=Permission.SYNCS_READ)


def _question(name: str, action: str, *, reason: str = "", problem: str = "", status: int = 200) -> Response:
    found = _find(name)
    if action not in messages.QUESTIONS:
        abort(404)
    if not problem and action not in found.actions:
        return notice(gettext("The sync job has gone on meanwhile. Look at it again."), 409)
    context = {
        "job": found,
        "action": action,
        "question": messages.QUESTIONS[action],
        "means": messages.MEANINGS[action],
        "does": messages.ACTIONS[action],
        "reason": reason,
        "problem": problem,
        "verdict": _verdict(name),
        "min_reason": MIN_REASON,
        "max_reason": MAX_REASON,
    }
    page = (
        render_block(QUESTION, "question", **context)
        if wants_fragment()
        else render_template(QUESTION, **context)
    )
    return make_response(page, status)


def _index() -> dict[str, Any]:
    return {
        "jobs": [read_sync_job(item) for item in parts().sync_watch.objects()],
        "synced": parts().sync_watch.synced.is_set(),
        **_events(lambda _event: True),
        **_words(),
    }


def _sync(name: str) -> dict[str, Any]:
    return {
        "job": _find(name),
        "verdict": _verdict(name),
        "triggers": messages.TRIGGERS,
        "targets": messages.TARGETS,
        "action_words": messages.ACTIONS,
        "results": messages.RESULTS,
        "duration": messages.duration,
        **_events(lambda event: event.service == name),
        **_words(),
    }


def _verdict(name: str) -> object:
    return parts().cluster.may_change(cluster_person(), name, plural=PLURAL)


def _find(name: str) -> SyncJob:
    document = parts().sync_watch.get(name)
    if document is None:
        abort(404)
    return read_sync_job(document)


def _events(about: Callable[[Event], bool]) -> dict[str, object]:
    events = [read_event(item) for item in parts().sync_event_watch.objects()]
    return {"events": newest_first((event for event in events if about(event)), limit=EVENTS)}


def _words() -> dict[str, object]:
    return {
        "phases": messages.PHASES,
        "tones": messages.TONES,
        "count": messages.count,
        "progress_words": messages.progress_words,
    }


def _status(error: KubernetesError) -> int:
    return error.status if error.status in {403, 404, 409, 422} else 502


def _explain(error: KubernetesError) -> str:
    match error.reason:
        case "Forbidden":
            return str(
                gettext("The cluster does not let you change this sync job: %(why)s", why=error.message)
            )
        case "Unreachable":
            return str(gettext("The cluster does not answer right now. Try again in a moment."))
        case _:
            return str(gettext("The cluster refused: %(why)s", why=error.message))
