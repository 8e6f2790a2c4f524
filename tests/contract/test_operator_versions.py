"""The operator of an earlier version takes over live resources and hands them back: a downgrade and an upgrade.

The earlier one is this repository's own at another commit, run on the definitions as they are now, which is what is
there after `helm rollback` of the operator alone. A pod begins anew where its Deployment's template changes, so the
templates are compared.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from looma_operator.names import REQUEST
from support.control_plane import ControlPlane
from support.operator_process import Looma, make
from support.operator_routes import MERGE, route, say

pytestmark = pytest.mark.control_plane
ROOT = Path(__file__).resolve().parents[2]
EARLIER = {
    "2026-11-26": "aba34a3bbe00a39baf24bdf52ed5d975fcafb461",
    "2026-11-27": "013e7343e555964f5e43d5faea7d97cdf65b3359",
}
"""Operators that had canaries already, and less in their statuses, other webhooks and another order of their writes."""
REPLICAS = 2
CANARY = {"strategy": "Canary", "steps": [{"setWeight": 50}, {"pause": {}}]}
SERVICES: dict[str, dict[str, Any]] = {
    "rolled": {"strategy": "Rolling"},
    "promoted": CANARY,
    "aborted": CANARY,
    "blue": {"strategy": "BlueGreen", "scaleDownDelaySeconds": 1},
}


@pytest.fixture(params=EARLIER.values(), ids=EARLIER)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where Python finds the operator of that commit; skips where the checkout has no history, or a part of it."""
    git = ["git", "-C", str(ROOT)]
    shallow = subprocess.run([*git, "rev-parse", "--is-shallow-repository"], capture_output=True, check=False)
    if shallow.stdout.strip() != b"false":
        pytest.skip("this checkout has no whole history")
    # Where there is one, a commit that is not in it is a mistake of this test.
    archive = subprocess.run(
        [*git, "archive", request.param, "operator", "core"], capture_output=True, check=True
    )
    tar = shutil.which("tar") or "tar"
    subprocess.run([tar, "-x", "-C", str(tmp_path)], input=archive.stdout, check=True)
    path = f"{tmp_path / 'operator'}:{tmp_path / 'core'}"
    where = "import looma_core, looma_operator; print(looma_core.__file__, looma_operator.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=True
    )
    assert found.stdout.decode().count(str(tmp_path)) == 2, "it is before the present one"
    return path


@pytest.fixture
def fresh(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looma]:
    """A namespace with no operator yet."""
    looma = make(control_plane, tmp_path_factory.mktemp("versions"))
    yield looma
    looma.stop()


def apply(looma: Looma, name: str, image: str, *, replicas: int = REPLICAS) -> None:
    code, answer = looma.apply(
        name,
        image=image,
        replicas=replicas,
        rollout=SERVICES[name],
        route={"pathPrefixes": [f"/api/v1/{name}"]},
    )
    assert code in (200, 201), answer


def ask(looma: Looma, name: str, action: str) -> None:
    request = json.dumps({"id": action, "action": action})
    body = {"metadata": {"annotations": {REQUEST: request}}}
    assert looma.plane.request("PATCH", looma.path("aiservices", name), body, content_type=MERGE)[0] == 200


def play(looma: Looma, name: str, wanted: tuple[str, str], sentence: str) -> None:
    """Play pods and gateway until the service has that phase and stable revision, and no canary."""

    def holds() -> bool:
        if route(looma, name):
            say(looma, name)
        status = looma.status(name)
        return (status.get("phase"), status.get("stableRevision")) == wanted and "canary" not in status

    looma.play(holds, sentence)


def to_the_middle(looma: Looma) -> None:
    """Every service has a first version that serves; all but the one that is rolled wait with a second one."""
    for name in SERVICES:
        apply(looma, name, "engine:1")
    for name in SERVICES:
        play(looma, name, ("Ready", "r1"), f"{name} serves")
        if name != "rolled":
            apply(looma, name, "engine:2")

    def waits() -> bool:
        for name in SERVICES:
            say(looma, name)
        canaries = [looma.status(name).get("canary") or {} for name in SERVICES if name != "rolled"]
        return all(canary.get("waits", "").startswith("somebody") for canary in canaries)

    looma.play(waits, "all of them wait for somebody")


def templates(looma: Looma) -> dict[str, Any]:
    """Of each Deployment what its pods are made of."""
    return {item["metadata"]["name"]: item["spec"]["template"] for item in looma.deployments()}


def pods(looma: Looma) -> dict[str, int]:
    """Of each Deployment how many pods it is to have."""
    return {item["metadata"]["name"]: item["spec"]["replicas"] for item in looma.deployments()}


def steps(looma: Looma) -> dict[str, Any]:
    """Where each service is in its rollout."""
    kept = ("phase", "stableRevision", "targetRevision")
    found = {name: looma.status(name) for name in SERVICES}
    return {
        name: [status.get(key) for key in kept] + [(status.get("canary") or {}).get("step")]
        for name, status in found.items()
    }


def take_over(looma: Looma, path: str | None) -> None:
    """End the operator and start that of `path` (None: the present one), until it has looked at all services."""
    looma.replicas[-1].stop()
    replica = looma.start(**({} if path is None else {"PYTHONPATH": path}))

    def looked() -> bool:
        line = 'looma_operator_reconcile_seconds_count{kind="AIService",result="done"} '
        counted = [text.removeprefix(line) for text in replica.get("/metrics").splitlines() if line in text]
        return bool(counted) and float(counted[0]) >= len(SERVICES)

    looma.until(looked, "it has looked at all of them")


def test_given_rollouts_in_the_middle_when_an_earlier_operator_comes_and_goes_then_no_pod_begins_anew(
    fresh: Looma, earlier: str
):
    fresh.start()
    to_the_middle(fresh)
    made, there, where = templates(fresh), pods(fresh), steps(fresh)
    take_over(fresh, earlier)
    assert templates(fresh) == made
    assert (pods(fresh), steps(fresh)) == (there, where)

    # It goes on with what the later one began,
    ask(fresh, "promoted", "promote-full")
    play(fresh, "promoted", ("Ready", "r2"), "the earlier operator promotes it")
    apply(fresh, "rolled", "engine:1", replicas=3)
    fresh.play(lambda: fresh.counts("rolled") == {"r1": 3}, "and scales", floor=REPLICAS)
    assert templates(fresh) == made

    # and the later one with what the earlier one did.
    play(fresh, "rolled", ("Ready", "r1"), "it rests")
    there, where = pods(fresh), steps(fresh)
    take_over(fresh, None)
    assert templates(fresh) == made
    assert (pods(fresh), steps(fresh)) == (there, where)
    ask(fresh, "aborted", "abort")
    play(fresh, "aborted", ("Degraded", "r1"), "it is aborted")
    ask(fresh, "blue", "promote")
    play(fresh, "blue", ("Ready", "r2"), "it is promoted")
    assert templates(fresh) == made
