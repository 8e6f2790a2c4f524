"""Models on a real cluster: pushed, fetched by pods, rolled out by channel, refused where they are wrong.

The service is the probe's few lines of Python. What its pods have is read in them: the file at the path that
LOOMA_MODELS tells them says its version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.cluster import Cluster, Object
from support.probe_service import Probe, probing
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.road]
MODEL = "probe-model"
CHANNEL = [{"model": MODEL, "channel": "stable"}]


def push(cluster: Cluster, folder: Path, version: str, **options: str) -> Object:
    """Push a file that says its version, and apply the ModelVersion that `looma model push` wrote."""
    file = folder / f"{version}.json"
    file.write_text(json.dumps({"version": version}))
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    written = cluster.looma(
        *("model", "push", str(file), "--model", MODEL, "--version", version, "--format", "json", *words)
    )
    cluster.apply(written)
    made: Object = yaml.safe_load(written)
    return made


def phase(cluster: Cluster, version: str, wanted: str, *, seconds: float = 60) -> Object:
    """Wait until the ModelVersion is in a phase."""
    return cluster.watch(
        "modelversion",
        f"{MODEL}-{version}",
        lambda found: found.get("status", {}).get("phase") == wanted,
        sentence=f"{version} is {wanted}",
        seconds=seconds,
    )


def read_model(cluster: Cluster, revision: str) -> Object:
    """What a pod of the revision has at the path that LOOMA_MODELS tells it, and whether it may write there."""
    selector = f"app.kubernetes.io/instance=modelled,looma.dev/revision={revision}"
    pod = next(
        item["metadata"]["name"]
        for item in cluster.list("pods", selector)
        if not item["metadata"].get("deletionTimestamp")
    )
    script = (
        "import json, os; m = json.loads(os.environ['LOOMA_MODELS'])[0];"
        "print(json.dumps({**json.load(open(m['path'])), 'name': m['name'],"
        "'writable': os.access(os.path.dirname(m['path']), os.W_OK)}))"
    )
    found: Object = json.loads(cluster.kubectl("exec", pod, "-c", "engine", "--", "python3", "-c", script))
    return found


@pytest.fixture
def modelled(cluster: Cluster, tmp_path: Path) -> Iterator[Probe]:
    """A probe that follows the channel `stable`, at r2 with version 1.0.0."""
    push(cluster, tmp_path, "1.0.0", channel="stable")
    try:
        with probing(cluster, "modelled") as probe:
            probe.apply(modelRefs=CHANNEL)
            probe.wait(stable="r2", sentence="it serves with the first version")
            yield probe
    finally:
        for found in cluster.list("modelversions"):
            if found["spec"]["model"] == MODEL:
                cluster.kubectl("delete", "modelversion", found["metadata"]["name"], "--wait=false")


@pytest.mark.long
def test_given_a_service_that_follows_a_channel_when_a_version_is_pushed_then_it_rolls_out_and_no_request_fails(
    cluster: Cluster, modelled: Probe, tmp_path: Path
):
    assert read_model(cluster, "r2") == {"version": "1.0.0", "name": f"{MODEL}-1.0.0", "writable": False}
    phase(cluster, "1.0.0", "Serving")
    with cluster.api() as api, Traffic(api, modelled.path) as traffic:
        traffic.wait_for_revision("r2")
        push(cluster, tmp_path, "1.1.0", channel="stable")
        modelled.wait(stable="r3", sentence="the second version serves")
        traffic.wait_for_revision("r3")
    assert traffic.failures() == []
    assert read_model(cluster, "r3")["version"] == "1.1.0"
    served = phase(cluster, "1.1.0", "Serving")["status"]["servedBy"]
    assert served == [{"name": "modelled", "revision": "r3"}]
    phase(cluster, "1.0.0", "Verified")

    shown = cluster.kubectl_looma("diff", "ais/modelled", "r2", "r3", check=False)
    (row,) = [line.split() for line in shown.splitlines() if f"model.{MODEL}" in line]
    assert row[:4] == ["*", f"model.{MODEL}", "1.0.0", f"{MODEL}-1.0.0"]
    assert row[5:7] == ["1.1.0", f"{MODEL}-1.1.0"]

    # Going back pins the version: the channel would lead forward again.
    cluster.kubectl_looma("rollback", "modelled", "--to", "r2")
    service = modelled.wait(stable="r2", sentence="the first version serves again")
    assert service["spec"]["modelRefs"] == [{"name": f"{MODEL}-1.0.0"}]


@pytest.mark.long
def test_given_versions_that_are_too_bad_or_wrong_when_they_come_then_none_ever_serves(
    cluster: Cluster, modelled: Probe, tmp_path: Path
):
    with cluster.api() as api, Traffic(api, modelled.path) as traffic:
        traffic.wait_for_revision("r2")
        traffic.mark("first")
        # Below its gate: no pod is made for it.
        push(cluster, tmp_path, "2.0.0", channel="stable", evaluation="held-out:f1=0.5", min_evaluation="0.8")
        phase(cluster, "2.0.0", "Rejected")
        # A digest that the registry does not have: the channel goes back to the version before.
        wrong = push(cluster, tmp_path, "1.2.0")
        cluster.kubectl("delete", "modelversion", f"{MODEL}-1.2.0", "--wait")
        uri = wrong["spec"]["artifact"]["uri"].partition("@")[0] + "@sha256:" + "0" * 64
        wrong["spec"]["artifact"]["uri"] = uri
        wrong["metadata"]["labels"] = {"looma.dev/channel": "stable"}
        cluster.apply(wrong)
        refused = phase(cluster, "1.2.0", "Rejected", seconds=120)
        verified = {item["type"]: item for item in refused["status"]["conditions"]}["Verified"]
        assert (verified["status"], verified["reason"]) == ("False", "ArtifactMissing")
        service = modelled.wait(stable="r2", sentence="the version before serves on")
        ready = {item["type"]: item for item in service["status"]["conditions"]}["ModelsReady"]
        assert f"{MODEL}-1.2.0 of channel stable is rejected" in ready["message"]
        assert f"{MODEL}-2.0.0 of channel stable is rejected: f1 0.5" in ready["message"]
        # By name it is tried, and no request reaches it.
        modelled.apply(modelRefs=[{"name": f"{MODEL}-1.2.0"}])
        cluster.watch(
            "aiservice",
            "modelled",
            lambda found: any(
                item["type"] == "ModelsReady" and item["reason"] == "ModelRejected"
                for item in found["status"]["conditions"]
            ),
            sentence="the name of a rejected version is told to be one",
        )
    assert traffic.failures() == []
    assert set(traffic.revisions("first")) == {"r2"}


@pytest.mark.long
def test_given_a_named_version_with_a_wrong_digest_when_it_is_asked_for_then_the_rollout_is_given_up_with_the_reason(
    cluster: Cluster, modelled: Probe, tmp_path: Path
):
    wrong = push(cluster, tmp_path, "1.3.0")
    cluster.kubectl("delete", "modelversion", f"{MODEL}-1.3.0", "--wait")
    wrong["spec"]["artifact"]["uri"] = (
        wrong["spec"]["artifact"]["uri"].partition("@")[0] + "@sha256:" + "1" * 64
    )
    cluster.apply(wrong)
    modelled.apply(modelRefs=[{"name": f"{MODEL}-1.3.0"}], rollout={"progressDeadlineSeconds": 30})
    service = modelled.wait_phase("Degraded", sentence="the rollout is given up", seconds=120)
    degraded = {item["type"]: item for item in service["status"]["conditions"]}["Degraded"]
    assert degraded["reason"] == "ProgressDeadlineExceeded"
    assert "has no manifests/sha256:1111" in degraded["message"]
    assert service["status"]["stableRevision"] == "r2"
