"""Pages about models: ask, put together, render; and their live streams."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort
from flask_babel import gettext

from looma_console.cluster.api import KubernetesError
from looma_console.cluster.models import by_model, meant_by, pinned_in, read_model_version, references
from looma_console.models import messages
from looma_console.services.streaming import blocks_of, open_stream
from looma_console.web.caller import cluster_person
from looma_console.web.fragments import render
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("models", __name__, template_folder="templates")
LIST, PAGE = "models/index.html", "models/version.html"


@blueprint.get("/models")
@requires(Permission.SERVICES_READ)
def index() -> Response:
    """All versions of all models."""
    return render(LIST, "live", **_index())


@blueprint.get("/models/live")
@requires(Permission.SERVICES_READ)
def index_live() -> Response:
    """The same page's block, whenever it changes."""
    watches = (parts().model_watch, parts().service_watch)
    return open_stream(lambda: blocks_of(LIST, ("list",), _index()), watches=watches)


@blueprint.get("/models/<name>")
@requires(Permission.SERVICES_READ)
def version(name: str) -> Response:
    """One version, with every kept revision that has it: these are read in the person's name."""
    context = _version(name)
    try:
        kept, complete = parts().cluster.revisions(cluster_person())
    except KubernetesError as error:
        problem = gettext("The cluster refused: %(why)s", why=error.message)
        return render(PAGE, "live", **context, pinned=(), complete=True, problem=problem)
    return render(PAGE, "live", **context, pinned=pinned_in(kept, name), complete=complete, problem="")


@blueprint.get("/models/<name>/live")
@requires(Permission.SERVICES_READ)
def version_live(name: str) -> Response:
    """What the cluster says of the version, whenever it changes."""
    _version(name)

    def blocks() -> dict[str, str]:
        # One that was deleted meanwhile: the page keeps what it shows, and says so at its next load.
        if parts().model_watch.get(name) is None:
            return {}
        return blocks_of(PAGE, ("overview", "uses"), _version(name))

    return open_stream(blocks, watches=(parts().model_watch, parts().service_watch))


def _index() -> dict[str, Any]:
    refs = references(parts().service_watch.objects())
    return {
        "models": by_model(parts().model_watch.objects()),
        "synced": parts().model_watch.synced.is_set(),
        "meant_by": lambda item: meant_by(item, refs),
        **_words(),
    }


def _version(name: str) -> dict[str, Any]:
    document = parts().model_watch.get(name)
    if document is None:
        abort(404)
    found = read_model_version(document)
    return {
        "version": found,
        "meant": meant_by(found, references(parts().service_watch.objects())),
        **_words(),
    }


def _words() -> dict[str, object]:
    return {
        "phases": messages.PHASES,
        "tones": messages.TONES,
        "evaluation_words": messages.evaluation_words,
        "reference_words": messages.reference_words,
    }
