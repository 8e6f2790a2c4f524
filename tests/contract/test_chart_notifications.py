"""The chart's notifications: what the operator is told of receivers, where it finds their Secrets, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from looma_operator.plan.receivers import read_settings
from support.chart import HelmRefusedError, Object, pick, render

pytestmark = pytest.mark.control_plane

URL = {"secret": "looma-oncall", "key": "url"}
ONCALL = {
    "type": "dingtalk",
    "url": URL,
    "signingSecret": {"secret": "looma-oncall", "key": "secret"},
    "certificateAuthority": {"secret": "looma-ca", "key": "ca.crt"},
    "severity": "warning",
    "language": "zh-CN",
}
CI = {
    "type": "generic",
    "url": {"secret": "ci", "key": "hook"},
    "events": ["RunFailed"],
    "services": ["resume"],
}


def told(tmp_path: Path, **receivers: Any) -> list[Object]:
    notifications = {"receivers": receivers, "consoleUrl": "https://looma.example.com", "cluster": "prod"}
    return render(tmp_path, settings={"notifications": notifications, "secrets": {"create": False}})


def operator(objects: list[Object]) -> Object:
    template: Object = pick(objects, "Deployment", "looma-operator")["spec"]["template"]
    return template


def settings(objects: list[Object]) -> str:
    return str(pick(objects, "ConfigMap", "looma-notifications")["data"]["settings.json"])


def test_the_operator_reads_what_the_chart_writes(tmp_path: Path) -> None:
    objects = told(tmp_path, oncall=ONCALL, ci=CI)
    read = read_settings(settings(objects))
    assert (read.console_url, read.cluster) == ("https://looma.example.com", "prod")
    ci, oncall = read.receivers
    assert (ci.name, ci.type, ci.events, ci.services) == ("ci", "generic", ("RunFailed",), ("resume",))
    assert (oncall.name, oncall.type, oncall.severity) == ("oncall", "dingtalk", "warning")
    assert oncall.language == "zh-CN"


def test_secrets_are_files_by_receiver_and_none_keeps_the_operator_from_starting(tmp_path: Path) -> None:
    template = operator(told(tmp_path, oncall=ONCALL, ci=CI))
    (volume,) = [item for item in template["spec"]["volumes"] if item["name"] == "notifications"]
    (settings_file, *secrets) = volume["projected"]["sources"]
    assert settings_file == {"configMap": {"name": "looma-notifications"}}
    assert {
        (item["secret"]["name"], item["secret"]["items"][0]["key"], item["secret"]["items"][0]["path"])
        for item in secrets
    } == {
        ("looma-oncall", "url", "oncall/url"),
        ("looma-oncall", "secret", "oncall/signing-secret"),
        ("looma-ca", "ca.crt", "oncall/ca.crt"),
        ("ci", "hook", "ci/url"),
    }
    assert all(item["secret"]["optional"] for item in secrets)
    (container,) = template["spec"]["containers"]
    environment = {item["name"]: item.get("value") for item in container["env"]}
    mount = next(item for item in container["volumeMounts"] if item["name"] == "notifications")
    assert environment["LOOMA_NOTIFICATIONS_DIR"] == mount["mountPath"]
    assert mount["readOnly"]


def test_a_change_makes_new_pods(tmp_path: Path) -> None:
    def stamp(receiver: Any) -> str:
        return str(
            operator(told(tmp_path, ci=receiver))["metadata"]["annotations"]["looma.dev/notifications"]
        )

    assert stamp(CI) == stamp({**CI, "url": URL})
    assert stamp(CI) != stamp({**CI, "events": ["RolloutFailed"]})


@pytest.mark.parametrize("receivers", [{}, {"ci": None}])
def test_without_receivers_there_is_nothing_of_it(receivers: Any, tmp_path: Path) -> None:
    objects = told(tmp_path, **receivers)
    assert not [found for found in objects if found["metadata"]["name"] == "looma-notifications"]
    assert "annotations" not in operator(objects)["metadata"]
    assert "notifications" not in str(operator(objects))


@pytest.mark.parametrize(
    ("receiver", "says"),
    [
        ({**CI, "type": "slack"}, "/notifications/receivers/ci/type"),
        ({"type": "generic"}, "missing property 'url'"),
        ({**CI, "url": "https://example.com/key"}, "/notifications/receivers/ci/url"),
        ({**CI, "url": {"secret": "ci"}}, "missing property 'key'"),
        ({**CI, "events": ["RolloutFaild"]}, "/notifications/receivers/ci/events/0"),
        ({**CI, "severity": "error"}, "/notifications/receivers/ci/severity"),
        ({**CI, "token": "x"}, "additional properties 'token' not allowed"),
        (
            {**ONCALL, "type": "wecom"},
            "notifications.receivers.ci.signingSecret: WeCom's robots know no signature; leave it out",
        ),
    ],
)
def test_a_wrong_receiver_is_refused(receiver: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(HelmRefusedError) as refusal:
        told(tmp_path, ci=receiver)
    assert says in str(refusal.value)


def test_a_receivers_name_is_refused_that_no_folder_can_have(tmp_path: Path) -> None:
    with pytest.raises(HelmRefusedError, match=r"invalid propertyName '\.\./x'"):
        told(tmp_path, **{"../x": CI})
