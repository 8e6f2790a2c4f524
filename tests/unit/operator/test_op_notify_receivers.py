"""Who is told of what: settings that are refused, and which events a receiver wants."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from looma_operator.names import EventReason
from looma_operator.notifying.files import UnusableError, load_settings, read_address
from looma_operator.plan.children import Notice
from looma_operator.plan.receivers import USUAL, NotificationSettings, Receiver, read_settings, wants

ROOT = Path(__file__).resolve().parents[3]
FAILED = Notice(reason=EventReason.ROLLOUT_FAILED, note="no pod", warning=True)
STARTED = Notice(reason=EventReason.ROLLOUT_STARTED, note="r2")
STEP = Notice(reason=EventReason.ROLLOUT_STEP, note="step 2")


def one(**more: object) -> str:
    return json.dumps({"receivers": [{"name": "oncall", "type": "wecom", **more}]})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "truncated"),
        ('{"receivers": [{"name": "a"}]}', "missing required field `type`"),
        (one(type="slack"), "write generic or wecom or dingtalk"),
        (one(severity="error"), "write info or warning"),
        (one(language="fr"), "write en or zh-CN"),
        (one(events=["RolloutFaild"]), "one of RevisionCreated, RolloutStarted"),
        (one(event=["RolloutFailed"]), "unknown field `event`"),
        (one(name="On call"), "write a name of a-z, 0-9 and -"),
        (one(name="../../etc"), "write a name of a-z, 0-9 and -"),
        (json.dumps({"receivers": [json.loads(one())["receivers"][0]] * 2}), "'oncall' is there twice"),
        (
            json.dumps({"receivers": [{"name": f"r{n}", "type": "generic"} for n in range(21)]}),
            "at most 20",
        ),
        ('{"consoleUrl": "looma.example.com"}', "write an address as https://looma.example.com"),
    ],
)
def test_wrong_settings_are_refused_with_what_to_write(text, says, tmp_path):
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(ValueError, match=r"settings\.json") as refusal:
        load_settings(tmp_path)
    assert says in str(refusal.value)


def test_a_folder_without_settings_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"LOOMA_NOTIFICATIONS_DIR: .*settings\.json cannot be read"):
        load_settings(tmp_path)


def test_without_a_folder_nobody_is_told():
    assert load_settings(None) == NotificationSettings()


def test_right_settings_are_read():
    text = json.dumps(
        {
            "consoleUrl": "https://looma.example.com/",
            "cluster": "prod",
            "receivers": [{"name": "ci", "type": "generic", "events": ["RunFailed"], "services": ["resume"]}],
        }
    )
    ci = Receiver(name="ci", type="generic", events=(EventReason.RUN_FAILED,), services=("resume",))
    assert read_settings(text) == NotificationSettings(
        receivers=(ci,), console_url="https://looma.example.com", cluster="prod"
    )


@pytest.mark.parametrize(
    ("limits", "notice", "told"),
    [
        ({}, FAILED, True),
        ({}, STARTED, True),
        ({}, STEP, False),
        ({"events": (EventReason.ROLLOUT_STEP,)}, STEP, True),
        ({"events": (EventReason.ROLLOUT_STEP,)}, FAILED, False),
        ({"severity": "warning"}, FAILED, True),
        ({"severity": "warning"}, STARTED, False),
        ({"namespaces": ("looma",)}, FAILED, True),
        ({"namespaces": ("other",)}, FAILED, False),
        ({"services": ("resume", "chat")}, FAILED, True),
        ({"services": ("chat",)}, FAILED, False),
    ],
)
def test_a_receiver_is_told_of_what_it_wants(limits, notice, told):
    receiver = Receiver(name="oncall", type="generic", **limits)
    assert wants(receiver, notice, kind="AIService", namespace="looma", name="resume") is told


def test_limited_to_services_it_is_told_of_no_other_kind_of_that_name():
    receiver = Receiver(name="oncall", type="generic", services=("resume",))
    failed = Notice(reason=EventReason.RUN_FAILED, note="failed", warning=True)
    assert not wants(receiver, failed, kind="SyncJob", namespace="looma", name="resume")


def test_the_usual_events_are_known_and_told_in_the_docs():
    text = (ROOT / "docs" / "notifications.md").read_text()
    assert len(set(USUAL)) == len(USUAL)
    for reason in USUAL:
        assert f"`{reason}`" in text


def test_the_chart_knows_just_the_events_that_there_are():
    schema = json.loads((ROOT / "charts" / "looma" / "values.schema.json").read_text())
    receiver = schema["properties"]["notifications"]["properties"]["receivers"]["additionalProperties"]
    assert receiver["properties"]["events"]["items"]["enum"] == [str(reason) for reason in EventReason]


def an_address(tmp_path: Path, kind: str, url: str | None) -> str:
    folder = tmp_path / "oncall"
    folder.mkdir()
    if url is not None:
        (folder / "url").write_text(url)
    return read_address(tmp_path, Receiver(name="oncall", type=kind)).url


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("generic", "http://ci.looma.svc:8080/hook?key=secret-value"),
        ("generic", "  https://example.com/\n"),
        ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=secret-value"),
    ],
)
def test_an_address_is_read_without_what_surrounds_it(kind, url, tmp_path):
    assert an_address(tmp_path, kind, url) == url.strip()


@pytest.mark.parametrize(
    ("kind", "url", "says"),
    [
        ("generic", None, "not there"),
        ("generic", "\n", "not there"),
        ("generic", "secret-value", "https://HOST/PATH"),
        ("generic", "ftp://secret-value/", "https://HOST/PATH"),
        ("generic", "https://secret-value/ x", "https://HOST/PATH"),
        ("generic", "https://[secret-value/", "cannot be read"),
        ("generic", "https://secret-value:99999/", "cannot be read"),
        ("generic", "https://secret-value/#part", "https://HOST/PATH"),
        ("dingtalk", "http://secret-value/", "without TLS"),
    ],
)
def test_an_address_of_no_use_is_told_without_being_said(kind, url, says, tmp_path):
    with pytest.raises(UnusableError, match=says) as refusal:
        an_address(tmp_path, kind, url)
    assert "secret-value" not in str(refusal.value)
    assert refusal.value.__cause__ is None
