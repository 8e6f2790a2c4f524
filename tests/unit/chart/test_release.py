"""Installing: what Helm and kubectl are asked for, and when nothing is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from looma_cluster import helmfile, paths, release
from looma_cluster.chartfile import Release
from looma_cluster.commands import CommandError
from looma_cluster.images import Image
from looma_cluster.release import ReleaseError

PROGRAM = """#!/bin/sh
printf '%s %s\\n' "$(basename "$0")" "$*" >> "{folder}/asked"
file="{folder}/answers/$(basename "$0")-$1"
if [ -f "$file-fails" ]; then cat "$file-fails" >&2; exit 1; fi
if [ -f "$file" ]; then cat "$file"; fi
for word in "$@"; do case "$word" in *looma-*values.yaml) cp "$word" "{folder}/overlay";; esac; done
"""
IMAGES = [Image(name="looma-engine", reference="localhost/looma-engine:0123", archive=Path("x.tar"))]
OURS = {"app.kubernetes.io/managed-by": "Helm"}
READY = {
    "kind": "Job",
    "metadata": {"name": "a", "labels": OURS},
    "status": {"conditions": [{"type": "Complete", "status": "True"}]},
}


class Stand:
    """Helm and kubectl that write down what they are asked for and answer as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "answers").mkdir()
        for name in ("helm", "kubectl"):
            program = folder / name
            program.write_text(PROGRAM.format(folder=folder))
            program.chmod(0o755)
        self.answer("kubectl-get", json.dumps({"items": [READY]}))

    def answer(self, call: str, text: str) -> None:
        (self.folder / "answers" / call).write_text(text)

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def call(self, start: str) -> str:
        return next(line for line in self.asked if line.startswith(start))


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    stand = Stand(tmp_path)
    monkeypatch.setattr(release.binaries, "path", lambda name: tmp_path / name)
    monkeypatch.setattr(release, "POLL_SECONDS", 0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return stand


def install(settings: dict[str, Any] | None = None) -> list[str]:
    said: list[str] = []
    release.install(
        kubeconfig=Path("kube"), environment="dev", images=IMAGES, settings=settings or {}, report=said.append
    )
    return said


def test_a_new_release_gets_its_namespace_its_chart_and_its_values(stand: Stand) -> None:
    said = install({"console": {"replicas": 3}})
    assert said == ["preparing the namespace", "installing the chart"]
    assert "namespace.yaml" in stand.call("kubectl apply")
    upgrade = stand.call("helm upgrade")
    assert "--install looma" in upgrade
    assert f"--values {paths.ROOT}/charts/looma/environments/dev.yaml --values" in upgrade
    assert "--namespace looma --kubeconfig kube" in upgrade
    assert yaml.safe_load((stand.folder / "overlay").read_text()) == {
        "image": {"registry": "localhost", "tags": {"engine": "0123"}},
        "console": {"replicas": 3},
    }


def test_a_release_in_the_same_state_is_left_alone(stand: Stand) -> None:
    stand.answer("helm-list", "looma\n")
    assert install() == []
    assert [line for line in stand.asked if line.startswith(("helm upgrade", "kubectl apply"))] == []


def test_the_state_is_of_values_and_images(stand: Stand) -> None:
    install()
    install({"log": {"level": "debug"}})
    labels = {word for line in stand.asked for word in line.split() if word.startswith(release.DIGEST_LABEL)}
    # Of each of the two: the question by selector, and the label that is set.
    assert len(labels) == 2


def test_an_interrupted_operation_is_forgotten_before_the_next(stand: Stand) -> None:
    install()
    forgotten = [line for line in stand.asked if line.startswith("kubectl delete secret")]
    assert any("status=pending-upgrade" in line for line in forgotten)
    assert stand.asked.index(forgotten[-1]) < stand.asked.index(stand.call("helm upgrade"))


def test_what_is_waited_for_is_told(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = {"kind": "Job", "metadata": {"name": "looma-migrate-1", "labels": OURS}, "status": {}}
    stand.answer("kubectl-get", json.dumps({"items": [waiting]}))
    monkeypatch.setattr(
        release.time, "sleep", lambda _: stand.answer("kubectl-get", json.dumps({"items": [READY]}))
    )
    assert install()[-1] == "waiting for Job looma-migrate-1"


def test_a_pod_that_never_starts_ends_the_wait_with_its_last_words(stand: Stand) -> None:
    waiting = {"reason": "ErrImageNeverPull", "message": "not here"}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "resume-r1-x"},
        "status": {
            "phase": "Pending",
            "containerStatuses": [{"ready": False, "state": {"waiting": waiting}}],
        },
    }
    job = {"kind": "Job", "metadata": {"name": "looma-migrate-1", "labels": OURS}, "status": {}}
    stand.answer("kubectl-get", json.dumps({"items": [pod, job]}))
    stand.answer("kubectl-logs", "the cause")
    with pytest.raises(
        ReleaseError, match=r"(?s)resume-r1-x: ErrImageNeverPull not here.*not done.*the cause"
    ):
        release.wait(kubeconfig=Path("kube"), namespace="looma", seconds=60, report=lambda _: None)


def test_a_refusal_of_helm_is_passed_on(stand: Stand) -> None:
    stand.answer("helm-upgrade-fails", "values don't meet the specifications")
    with pytest.raises(ReleaseError, match="values don't meet the specifications"):
        install()


def test_uninstalling_asks_helm_to_wait(stand: Stand) -> None:
    release.uninstall(kubeconfig=Path("kube"), environment="dev", report=lambda _: None)
    assert "uninstall looma --ignore-not-found --wait" in stand.call("helm uninstall")


def test_a_failing_uninstall_is_an_error(stand: Stand) -> None:
    stand.answer("helm-uninstall-fails", "no")
    with pytest.raises(CommandError):
        release.uninstall(kubeconfig=Path("kube"), environment="dev", report=lambda _: None)


@pytest.mark.parametrize(
    ("lower", "upper", "merged"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({}, {"a": 1}, {"a": 1}),
    ],
)
def test_values_are_laid_over_values_as_helm_does(
    lower: dict[str, Any], upper: dict[str, Any], merged: dict[str, Any]
) -> None:
    assert release.merge(lower, upper) == merged


def test_identity_is_name_chart_and_values() -> None:
    found = Release(name="n", namespace="s", chart=Path("c"), values=(Path("a"), Path("b")), timeout=1)
    words = [str(word) for word in release.identity(found, Path("o"))]
    assert words == ["n", "c", "--values", "a", "--values", "b", "--values", "o"]


SERVICE = {"kind": "Service", "metadata": {"name": "a"}, "spec": {"type": "ClusterIP"}}
SECRET = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "x"}}


def test_two_roads_are_compared_without_what_is_drawn_by_lot() -> None:
    other = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "y"}}
    ours, theirs = helmfile.comparable([SERVICE, SECRET, None]), helmfile.comparable([other, SERVICE])
    assert helmfile.difference(ours, theirs) == []


def test_every_difference_of_the_roads_is_told() -> None:
    changed = {"kind": "Service", "metadata": {"name": "a"}, "spec": {"type": "NodePort"}}
    more_keys = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "x", "user": "y"}}
    lines = helmfile.difference(
        helmfile.comparable([SERVICE, SECRET]), helmfile.comparable([changed, more_keys])
    )
    assert "-  type: ClusterIP" in lines
    assert "+  type: NodePort" in lines
    assert "+  user: drawn by lot" in lines
    only = helmfile.difference({}, helmfile.comparable([SERVICE]))
    assert only == ["only helmfile makes Service /a"]


def test_the_temporary_values_are_gone_after_the_installation(stand: Stand) -> None:
    install()
    assert list(stand.folder.glob("looma-*")) == []
