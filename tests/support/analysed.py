"""What tests of analyses share: services whose second image is measured, on a gateway that the test plays."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from .control_plane import ControlPlane
from .observed_metrics import Observed
from .operator_process import Looma, make
from .operator_routes import route, say

Object = dict[str, Any]


@pytest.fixture(scope="module")
def analysed(
    control_plane: ControlPlane, observed: Observed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Looma]:
    """A namespace with one replica of the operator that knows Prometheus."""
    made = make(control_plane, tmp_path_factory.mktemp("operator"))
    observed.target.namespace = made.namespace
    try:
        made.start(LOOMA_PROMETHEUS_URL=observed.url)
        yield made
    finally:
        made.stop()


def apply(looma: Looma, name: str, image: str, rollout: Object) -> None:
    """Ask for that image of a service that has a route."""
    code, answer = looma.apply(
        name,
        engine="resume",
        image=image,
        replicas=4,
        rollout=rollout,
        route={"pathPrefixes": [f"/api/v1/{name}"]},
    )
    assert code in (200, 201), answer


def play(looma: Looma, name: str, until: Callable[[], bool], sentence: str, *, seconds: float = 60) -> None:
    """Play pods and the gateway of a service until something holds."""

    def step() -> bool:
        if route(looma, name):
            say(looma, name)
        return until()

    looma.play(step, sentence, seconds=seconds)


def begun(looma: Looma, name: str, rollout: Object) -> None:
    """The service at r1, and a second image that was just asked for."""
    apply(looma, name, "engine:1", rollout)
    play(looma, name, lambda: looma.status(name).get("phase") == "Ready", "r1 serves")
    apply(looma, name, "engine:2", rollout)


def rollout_of(looma: Looma, name: str) -> Object:
    """What status says of its rollout."""
    found: Object = looma.status(name).get("rollout") or {}
    return found


TOKEN = "Bearer of-nobody-else"


@pytest.fixture(scope="module")
def scores() -> Iterator[tuple[str, dict[str, float]]]:
    """An HTTP server that gives scores by revision to whoever has the token; its address, and the scores."""
    by_path: dict[str, float] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("Authorization") == TOKEN
            body = json.dumps({"results": [{"score": by_path.get(self.path)}]}).encode()
            self.send_response(200 if allowed else 401)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", by_path
    server.shutdown()
    server.server_close()


def keep_secret(looma: Looma, name: str, **values: str) -> None:
    """A Secret with these values by key."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }
    code, answer = looma.plane.apply(looma.path("secrets", name, group="v1"), body)
    assert code in (200, 201), answer
