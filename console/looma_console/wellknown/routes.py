"""`/.well-known/jwks.json`, `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from looma_console.web.parts import parts
from looma_console.web.permissions import public
from looma_core.auth import public_jwks
from looma_core.metrics import CONTENT_TYPE

blueprint = Blueprint("wellknown", __name__)


@blueprint.get("/.well-known/jwks.json")
@public("public keys are public")
def jwks() -> Response:
    """Public half of the issuer's key. Read anew each time, so that a rotated Secret is seen."""
    answer = jsonify(public_jwks(parts().settings.issuer_key))
    answer.headers["Cache-Control"] = "public, max-age=60"
    return answer


@blueprint.get("/healthz")
@public("the kubelet has no account")
def healthz() -> Response:
    """The process lives."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@public("the kubelet has no account")
def readyz() -> tuple[Response, int]:
    """Database, schema and routes are there; else 503 with what is missing."""
    missing = parts().is_ready()
    return jsonify(status="ok" if not missing else "not ready", missing=missing), 503 if missing else 200


@blueprint.get("/metrics")
@public("Prometheus has no account; the numbers name routes, not people")
def metrics() -> Response:
    """Metrics in Prometheus' text format."""
    return current_app.response_class(parts().metrics.exposition(), content_type=CONTENT_TYPE)
