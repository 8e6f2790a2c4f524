"""The console's own scripts, styles and pictures, addressed by content so that browsers may keep them."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from flask import Blueprint, Flask, Response, request, send_from_directory, url_for

from looma_console.web.permissions import public

FOLDER = Path(__file__).parents[1] / "static"
blueprint = Blueprint("static", __name__, url_prefix="/static")


@blueprint.get("/<path:name>")
@public("scripts, styles and pictures hold no data")
def file(name: str) -> Response:
    """One static file; kept by browsers for a year if the address names its content."""
    response = send_from_directory(FOLDER, name)
    if request.args.get("v") and request.args["v"] == digest(name):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        response.headers["Cache-Control"] = "no-cache"
    return response


def init_app(app: Flask) -> None:
    """Serve the files, and give templates `asset(name)`."""
    app.register_blueprint(blueprint)
    app.jinja_env.globals["asset"] = asset


def asset(name: str) -> str:
    """Address of a static file, with its content's digest."""
    return url_for("static.file", name=name, v=digest(name))


@functools.cache
def digest(name: str) -> str:
    """The first digits of a file's SHA-256; empty if there is no such file."""
    path = FOLDER / name
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""
