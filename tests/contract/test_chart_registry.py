"""The chart's registry of models, or another one in its place. No server is needed, only helm."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.chart import HelmRefusedError, pick, pod_specs, render

pytestmark = pytest.mark.control_plane


def operator_settings(objects: list[dict]) -> dict[str, str]:
    (container,) = pod_specs(objects)["Deployment/looma-operator"]["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def test_dev_has_a_registry_that_the_operator_and_the_command_know(tmp_path: Path) -> None:
    objects = render(tmp_path, environment="dev")
    data = pick(objects, "ConfigMap", "looma-models")["data"]
    assert data == {"repository": "looma-registry.looma.svc:5000/models", "service": "looma-registry"}
    settings = operator_settings(objects)
    assert settings["LOOMA_PLAIN_HTTP_REGISTRY"] == data["repository"].partition("/")[0]
    engine = pick(objects, "AIService", "resume")["spec"]["image"]
    assert settings["LOOMA_MODEL_FETCH_IMAGE"] == engine
    service = pick(objects, "Service", data["service"])["spec"]
    assert [port["port"] for port in service["ports"]] == [5000]
    pods = pick(objects, "StatefulSet", "looma-registry")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= pods.items()
    policy = pick(objects, "NetworkPolicy", "looma-registry")["spec"]
    assert policy["egress"] == []
    (peer,) = policy["ingress"][0]["from"]
    assert peer["podSelector"] == {"matchLabels": {"app.kubernetes.io/part-of": "looma"}}


def test_pods_of_the_operators_other_namespaces_reach_it(tmp_path: Path) -> None:
    settings = {"registry": {"enabled": True}, "operator": {"namespaces": ["one", "two"]}}
    (peer,) = pick(render(tmp_path, settings=settings), "NetworkPolicy", "looma-registry")["spec"]["ingress"][
        0
    ]["from"]
    (wanted,) = peer["namespaceSelector"]["matchExpressions"]
    assert wanted["values"] == ["looma", "one", "two"]


def test_another_registry_is_spoken_to_by_https(tmp_path: Path) -> None:
    objects = render(tmp_path, settings={"registry": {"url": "registry.example.com/looma/models"}})
    data = pick(objects, "ConfigMap", "looma-models")["data"]
    assert data == {"repository": "registry.example.com/looma/models", "service": ""}
    assert "LOOMA_PLAIN_HTTP_REGISTRY" not in operator_settings(objects)
    assert "StatefulSet/looma-registry" not in pod_specs(objects)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_without_one_there_is_nothing_of_it(environment: str, tmp_path: Path) -> None:
    objects = render(tmp_path, environment=environment)
    names = {found["metadata"]["name"] for found in objects}
    assert not names & {"looma-registry", "looma-models"}


@pytest.mark.parametrize(
    "registry",
    [
        {"enabled": True, "url": "registry.example.com/models"},
        {"url": "https://registry.example.com/models"},
        {"url": "registry.example.com"},
        {"url": "registry.example.com/models/"},
    ],
)
def test_what_would_not_work_is_refused(registry: dict, tmp_path: Path) -> None:
    with pytest.raises(HelmRefusedError, match="registry"):
        render(tmp_path, settings={"registry": registry})
