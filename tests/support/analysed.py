"""What tests of analyses share: services whose second image is measured, on a gateway that the test plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
