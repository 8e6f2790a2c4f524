"""`kubectl looma` against a real API server and the operator: what it prints, writes, and ends with."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from looma_operator.cli import FAILED, NOT_FOUND, TIMED_OUT
from looma_operator.cli_diff import DIFFERS, TROUBLE
from support.operator_process import BIN, Looma

pytestmark = pytest.mark.control_plane


def run(looma: Looma, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": str(looma.plane.kubeconfig), "COLUMNS": "200"}
    return subprocess.run(
        [str(BIN / "kubectl-looma"), *arguments, "-n", looma.namespace],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


@pytest.fixture(scope="module")
def rolled(looma: Looma) -> Looma:
    """The service `road` at r2, with r1 before."""
    looma.apply("road", replicas=2, config={"A": "1"})
    looma.play(lambda: looma.status("road").get("phase") == "Ready", "r1 serves")
    looma.apply("road", replicas=2, image="engine:2", annotations={"looma.dev/change-reason": "faster"})
    looma.play(lambda: looma.status("road").get("stableRevision") == "r2", "r2 serves")
    return looma


def test_status_of_all_and_of_one(rolled: Looma):
    everything = run(rolled, "status")
    assert everything.returncode == 0
    assert everything.stdout.splitlines()[0].split() == [
        "NAME",
        "ENGINE",
        "PHASE",
        "READY",
        "STABLE",
        "TARGET",
        "IMAGE",
    ]
    assert "road  custom  Ready  2/2    r2      r2      engine:2" in everything.stdout
    one = run(rolled, "status", "road")
    assert "RouteAccepted" in one.stdout
    document = json.loads(run(rolled, "status", "road", "-o", "json").stdout)
    assert document["status"]["stableRevision"] == "r2"


def test_history_tells_who_and_why(rolled: Looma):
    lines = run(rolled, "history", "road").stdout.splitlines()
    assert lines[1].split()[:3] == ["r2", "Stable", "2/2"]
    assert "admin" in lines[1]
    assert "faster" in lines[1]
    assert lines[2].split()[:2] == ["r1", "Kept"]
    rows = json.loads(run(rolled, "history", "road", "-o", "json").stdout)
    assert [row["name"] for row in rows] == ["r2", "r1"]


def test_what_differs(rolled: Looma):
    done = run(rolled, "diff", "ais/road", "r1", "2")
    assert done.returncode == DIFFERS, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["PART", "r1", "r2"]
    assert ["*", "image", "engine:1", "engine:2"] in rows
    assert ["*", "config.A", "1"] in rows
    same = run(rolled, "diff", "road", "r1", "r1", "--output", "json")
    assert same.returncode == 0
    assert json.loads(same.stdout)["differs"] is False


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["status", "nobody"], NOT_FOUND, "there is no AIService nobody"),
        (["rollback", "road", "--to", "r9"], NOT_FOUND, "road keeps no revision r9"),
        (["diff", "road", "r9", "r1"], TROUBLE, "road keeps no revision r9"),
        (["diff", "nobody", "r1", "r2"], TROUBLE, "there is no AIService nobody"),
        (["retry", "road"], FAILED, "no rollout was given up"),
        (["dance"], 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_said(rolled: Looma, arguments, status, words):
    done = run(rolled, *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stderr


def test_without_a_cluster_it_says_where_to_find_one(rolled: Looma, tmp_path):
    done = subprocess.run(
        [str(BIN / "kubectl-looma"), "status"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KUBECONFIG": str(tmp_path / "none")},
    )
    assert done.returncode == FAILED
    assert "Set KUBECONFIG" in done.stderr


def test_a_rollback_writes_the_content_back_and_leaves_the_rest(rolled: Looma):
    rolled.plane.kubectl("-n", rolled.namespace, "scale", "ais", "road", "--replicas=3")
    done = run(rolled, "rollback", "road", "--reason", "too eager")
    assert done.returncode == 0, done.stderr
    assert "back from r2 to r1" in done.stdout
    rolled.play(lambda: rolled.status("road").get("stableRevision") == "r1", "r1 serves again")
    spec = rolled.get("road")["spec"]
    assert (spec["image"], spec["config"], spec["replicas"]) == ("engine:1", {"A": "1"}, 3)
    rolled.play(lambda: bool(rolled.status("road")["lastRollback"].get("completedAt")), "and is done")
    assert rolled.status("road")["lastRollback"]["reason"] == "too eager"
    assert "Last rollback: r2 to r1, done" in run(rolled, "status", "road").stdout
    again = run(rolled, "rollback", "road", "--to", "r1", "--watch", "--timeout", "20")
    assert again.returncode == 0
    assert "road asks for r1 already" in again.stdout


def test_watching_ends_when_time_is_up(looma: Looma):
    looma.apply("slow")
    looma.play(lambda: looma.status("slow").get("phase") == "Ready", "r1 serves")
    looma.apply("slow", image="engine:2")
    looma.until(lambda: looma.status("slow").get("targetRevision") == "r2", "r2 is asked for")
    # Nobody plays pods here, so r1 keeps serving and r2 never ends.
    done = run(looma, "rollback", "slow", "--to", "r2", "--watch", "--timeout", "2")
    assert done.returncode == TIMED_OUT, done.stdout + done.stderr
    assert "slow was not at r2 within 2 s" in done.stderr
    done = run(looma, "status", "slow", "--watch", "--timeout", "1")
    assert done.returncode == TIMED_OUT, done.stdout + done.stderr
    assert "slow was not at what its spec asks for within 1 s" in done.stderr


@pytest.mark.long
def test_watching_says_how_a_rollout_ended(looma: Looma):
    steps = {"strategy": "Canary", "steps": [{"setWeight": 50}, {"pause": {}}]}
    looma.apply("watched", replicas=2, rollout=steps)
    looma.play(lambda: looma.status("watched").get("phase") == "Ready", "r1 serves")
    looma.apply("watched", replicas=2, rollout=steps, image="engine:2")
    looma.play(
        lambda: "promote" in (looma.status("watched").get("canary") or {}).get("waits", ""),
        "the canary waits for somebody",
    )
    done = run(looma, "status", "watched", "--watch", "--timeout", "1")
    assert done.returncode == TIMED_OUT, done.stdout + done.stderr
    assert "step 2 of 2, waits for somebody to promote" in done.stdout
    assert run(looma, "abort", "watched", "--reason", "slow").returncode == 0
    looma.play(lambda: looma.status("watched").get("phase") == "Degraded", "it is aborted")
    done = run(looma, "status", "watched", "--watch", "--timeout", "20")
    assert done.returncode == FAILED, done.stdout + done.stderr
    assert "The rollout of r2 was aborted" in done.stderr
    looma.apply("watched", replicas=2, rollout=steps)
    looma.play(lambda: looma.status("watched").get("phase") == "Ready", "r1 is asked for again")
    done = run(looma, "status", "watched", "--watch", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"]["phase"] == "Ready"
    assert run(looma, "status", "nobody", "--watch").returncode == NOT_FOUND


def test_a_service_that_serves_what_is_asked_for_is_watched_no_longer(rolled: Looma):
    done = run(rolled, "status", "road", "--watch", "--timeout", "20")
    assert done.returncode == 0, done.stderr
    assert "Ready" in done.stdout
    assert run(rolled, "status", "--watch").returncode == 2


def test_a_restart_is_carried_out(rolled: Looma):
    done = run(rolled, "restart", "road", "--reason", "new certificate")
    assert done.returncode == 0, done.stderr
    assert "are replaced" in done.stdout


def test_definitions_are_applied_over_themselves(rolled: Looma):
    environment = {**os.environ, "KUBECONFIG": str(rolled.plane.kubeconfig)}
    done = subprocess.run(
        [str(BIN / "looma-operator"), "definitions", "apply"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert rolled.status("road"), "and what was there stays"
