"""Children as manifests: restricted pods, and a user's template laid over ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looma_operator.render.overlay import lay_over, merge
from support.operator_world import World, spec


def pod(**changes: Any) -> dict[str, Any]:
    world = World(spec=spec(**changes))
    world.look()
    return world.children["Deployment", "resume-r1"]["spec"]["template"]


def container(template: dict[str, Any], name: str = "engine") -> dict[str, Any]:
    return next(item for item in template["spec"]["containers"] if item["name"] == name)


def test_pods_pass_the_restricted_level():
    template = pod()
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    assert template["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert template["spec"]["automountServiceAccountToken"] is False
    assert container(template)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_an_engine_gets_its_settings():
    template = pod(config={"maxPages": 7})
    engine = container(template)
    env = {item["name"]: item["value"] for item in engine["env"]}
    assert env["LOOMA_SERVICE"] == "resume"
    assert env["LOOMA_REVISION"] == "r1"
    assert env["LOOMA_NAMESPACE"] == "looma"
    assert json.loads(env["LOOMA_CONFIG"]) == {"maxPages": 7}
    assert engine["command"] == ["looma-engine", "resume"]
    assert {next(iter(source)) for source in engine["envFrom"]} == {"configMapRef", "secretRef"}
    assert engine["lifecycle"]["preStop"]["sleep"]["seconds"] > 0


def test_a_custom_image_runs_as_it_is_and_gets_no_secret():
    engine = container(pod(engine="custom"))
    assert "command" not in engine
    assert "envFrom" not in engine


def test_the_engine_that_keeps_people_alone_has_the_keys():
    template = pod(engine="talent-sync", config={})
    engine = container(template)
    (volume,) = [item for item in template["spec"]["volumes"] if item["name"] == "key-ring"]
    assert volume["secret"] == {"secretName": "looma-key-ring", "optional": True, "defaultMode": 0o440}
    (mount,) = [item for item in engine["volumeMounts"] if item["name"] == "key-ring"]
    assert mount["readOnly"]
    env = {item["name"]: item["value"] for item in engine["env"]}
    assert env["LOOMA_KEY_RING_FILE"] == f"{mount['mountPath']}/ring.json"
    for other in ("resume", "custom"):
        assert "key-ring" not in json.dumps(pod(engine=other, config={}))


def test_a_user_template_is_laid_over():
    template = pod(
        podTemplate={
            "metadata": {
                "labels": {"app.kubernetes.io/instance": "stolen", "team": "a"},
                "annotations": {"x": "y"},
            },
            "spec": {
                "nodeSelector": {"disk": "ssd"},
                "containers": [
                    {
                        "name": "engine",
                        "env": [{"name": "LOOMA_REVISION", "value": "r9"}, {"name": "EXTRA", "value": "1"}],
                        "readinessProbe": {"exec": {"command": ["true"]}},
                        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                    },
                    {"name": "helper", "image": "helper:1"},
                ],
                "volumes": [{"name": "cache", "emptyDir": {}}],
            },
        }
    )
    assert template["metadata"]["labels"]["app.kubernetes.io/instance"] == "resume", "selectors depend on it"
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["annotations"] == {"x": "y"}
    assert template["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert [item["name"] for item in template["spec"]["containers"]] == ["engine", "helper"]
    assert [item["name"] for item in template["spec"]["volumes"]] == ["tmp", "cache"]
    engine = container(template)
    assert engine["image"] == "looma-engine:1"
    assert [item["mountPath"] for item in engine["volumeMounts"]] == ["/tmp", "/cache"]  # noqa: S108
    env = {item["name"]: item["value"] for item in engine["env"]}
    assert env["EXTRA"] == "1"
    assert engine["readinessProbe"]["exec"] == {"command": ["true"]}
    assert "httpGet" not in engine["readinessProbe"], "a probe has one kind of action"


@pytest.mark.parametrize(
    ("base", "over", "field", "expected"),
    [
        ({"a": 1}, {"b": 2}, "", {"a": 1, "b": 2}),
        ({"a": {"x": 1}}, {"a": {"y": 2}}, "", {"a": {"x": 1, "y": 2}}),
        ([1, 2], [3], "args", [3]),
        ([{"name": "a", "v": 1}], [{"name": "a", "v": 2}], "env", [{"name": "a", "v": 2}]),
        ([{"name": "a"}], [{"name": "b"}], "env", [{"name": "a"}, {"name": "b"}]),
        ([{"name": "a"}], "text", "env", "text"),
    ],
)
def test_merging(base, over, field, expected):
    assert merge(base, over, field) == expected


def test_neither_side_is_changed_by_merging():
    ours, theirs = (
        {"spec": {"containers": [{"name": "engine", "env": []}]}},
        {"spec": {"containers": [{"name": "x"}]}},
    )
    before = json.dumps([ours, theirs])
    lay_over(ours, theirs)
    assert json.dumps([ours, theirs]) == before


def test_one_replica_does_not_block_a_drain():
    world = World(spec=spec(replicas=1))
    world.look()
    assert world.children["PodDisruptionBudget", "resume"]["spec"]["maxUnavailable"] == "25%"


def test_only_looma_calls_the_service():
    world = World()
    world.look()
    rule = world.children["NetworkPolicy", "resume"]["spec"]["ingress"][0]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "looma"}}}]
