"""One operator that serves two namespaces, with its rights in those and no more, beside one that it is not told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.control_plane import ControlPlane
from support.operator_process import Looma, grant, make

pytestmark = pytest.mark.control_plane


def serves(looma: Looma, revision: str) -> bool:
    status = looma.status("same")
    return (status.get("phase"), status.get("stableRevision")) == ("Ready", revision)


def test_one_operator_serves_the_namespaces_that_it_names_and_no_other(
    control_plane: ControlPlane, tmp_path: Path
):
    first, second, other = (make(control_plane, tmp_path) for _ in range(3))
    grant(control_plane, second.namespace, f"{first.namespace}-operator-0")
    try:
        replica = first.start(LOOMA_NAMESPACES=f"{first.namespace},{second.namespace}")
        for looma in (other, first, second):
            code, answer = looma.apply("same", replicas=2)
            assert code == 201, answer
        for looma in (first, second):
            looma.play(lambda looma=looma: serves(looma, "r1"), f"it serves in {looma.namespace}")
            looma.is_told("same", "RolloutCompleted")
        # Of one name, and yet two services: a change of one is none of the other.
        second.apply("same", replicas=2, image="engine:2")
        second.play(lambda: serves(second, "r2"), "the second one is at r2", floor=2)
        assert second.counts("same") == {"r1": 0, "r2": 2}
        assert first.counts("same") == {"r1": 2}
        assert first.status("same")["targetRevision"] == "r1"
        assert (other.status("same"), other.deployments(), other.events("same")) == ({}, [], [])
        metrics = replica.get("/metrics")
        for looma, count in ((first, 1), (second, 1), (other, 0)):
            line = (
                f'looma_operator_service_phase{{name="same",namespace="{looma.namespace}",phase="Ready"}} 1.0'
            )
            assert metrics.count(line) == count
        assert "orbidden" not in replica.log.read_text()
    finally:
        first.stop()
