"""Gateway API's definitions on a real API server: what `looma up` applies is taken, and then left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from looma_cluster import gateway_api, paths
from looma_cluster.kubernetes import Kubectl
from support.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane
ROUTES = "httproutes.gateway.networking.k8s.io"


@pytest.fixture
def kubectl(control_plane: ControlPlane, tmp_path: Path) -> Kubectl:
    """`looma`'s own kubectl, with the administrator's way in."""
    instance = paths.Instance(name="one", state=tmp_path)
    shutil.copy(control_plane.kubeconfig, instance.kubeconfig)
    return Kubectl(instance=instance)


def test_they_are_of_the_pinned_version_and_serve_what_the_chart_uses() -> None:
    found = {one["metadata"]["name"]: one for one in gateway_api.definitions(paths.cache())}
    assert {gateway_api.version(one) for one in found.values()} == {(1, 4, 1)}
    for plural in ("gatewayclasses", "gateways", "httproutes"):
        versions = found[f"{plural}.gateway.networking.k8s.io"]["spec"]["versions"]
        assert "v1" in [version["name"] for version in versions if version["served"]]


def test_older_ones_are_brought_up_to_date_and_then_nothing_is_left_to_do(
    kubectl: Kubectl, control_plane: ControlPlane
) -> None:
    ours = gateway_api.definitions(paths.cache())
    names = [one["metadata"]["name"] for one in ours]
    older = f"{gateway_api.VERSION_ANNOTATION}=v1.3.0"
    control_plane.kubectl("annotate", "crd", ROUTES, older, "--overwrite")
    lacking = gateway_api.wanted(ours, present=kubectl.definitions(names), may_replace=True)
    assert [one["metadata"]["name"] for one in lacking] == [ROUTES]
    gateway_api.apply(lacking, kubeconfig=kubectl.instance.kubeconfig, report=lambda text: None)
    assert gateway_api.wanted(ours, present=kubectl.definitions(names), may_replace=True) == []


def test_a_cluster_that_has_none_is_told_from_one_that_has_some(kubectl: Kubectl) -> None:
    assert kubectl.definitions(["cheeses.example.org"]) == []
    assert [one["metadata"]["name"] for one in kubectl.definitions(["cheeses.example.org", ROUTES])] == [
        ROUTES
    ]
