"""What a message is for each type of receiver, and what answers mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_operator.names import EventReason
from looma_operator.notifying.formats import (
    WECOM_BYTES,
    Letter,
    dingtalk_sign,
    document,
    judge,
    make_request,
    page_of,
    title,
    webhook_signature,
)
from looma_operator.resources_notifications import Notification

AT = datetime(2026, 11, 26, 1, 2, 3, 456000, tzinfo=UTC)
NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
ABORTED = Notification(
    id="0123456789abcdef01234567",
    reason="RolloutAborted",
    warning=True,
    note="r4 was given up, asked for by ada: too slow; r3 serves",
    at=AT,
    revision="r4",
    from_="r3",
    weight=0,
    phase="Degraded",
    requested_by="ada",
    why="too slow",
)
LETTER = Letter(
    kind="AIService",
    namespace="looma",
    name="resume",
    message=ABORTED,
    link="https://looma.example.com/services/resume",
    cluster="prod",
)
URL = "https://example.com/send?access_token=abc"


def request(kind: str, letter: Letter = LETTER, *, secret: str = "", language: str = "en"):
    return make_request(kind, letter, url=URL, secret=secret, language=language, now=NOW)


def test_generic_is_json_with_everything_that_is_known():
    made = request("generic")
    assert made.url == URL
    assert json.loads(made.body) == {
        "version": 1,
        "id": "0123456789abcdef01234567",
        "type": "RolloutAborted",
        "timestamp": "2026-11-26T01:02:03.456Z",
        "severity": "warning",
        "title": "Rollout aborted",
        "message": "r4 was given up, asked for by ada: too slow; r3 serves",
        "cluster": "prod",
        "object": {"kind": "AIService", "namespace": "looma", "name": "resume"},
        "revision": {"from": "r3", "to": "r4"},
        "weight": 0,
        "phase": "Degraded",
        "requestedBy": "ada",
        "reason": "too slow",
        "url": "https://looma.example.com/services/resume",
    }
    assert made.headers == {"webhook-id": "0123456789abcdef01234567", "webhook-timestamp": "1700000000"}


def test_generic_says_null_for_what_is_not_known():
    bare = Letter(
        kind="SyncJob",
        namespace="looma",
        name="crm",
        message=Notification(id="1", reason="RunFailed", note="Run 1", at=AT),
    )
    said = document(bare)
    assert {name for name, value in said.items() if value is None} == {
        *("cluster", "weight", "phase", "requestedBy", "reason", "url"),
    }
    assert said["revision"] == {"from": None, "to": None}
    assert said["severity"] == "info"


def test_wecom_is_markdown():
    body = json.loads(request("wecom").body)
    assert body["msgtype"] == "markdown"
    assert body["markdown"]["content"] == (
        '### <font color="warning">Looma (prod) Rollout aborted: resume</font>\n'
        "AIService looma/resume\n"
        "r4 was given up, asked for by ada: too slow; r3 serves\n"
        "> Revision: r3 → r4\n"
        "> Requests: 0 %\n"
        "> Phase: Degraded\n"
        "> Asked for by: ada\n"
        "> Reason: too slow\n"
        "> Time: 2026-11-26T01:02:03.456Z\n"
        "[Open in the console](https://looma.example.com/services/resume)"
    )


def test_dingtalk_is_markdown_with_a_title():
    body = json.loads(request("dingtalk", language="zh-CN").body)
    assert body["msgtype"] == "markdown"
    assert body["markdown"]["title"] == "Looma (prod) 发布已中止: resume"
    assert body["markdown"]["text"].split("\n\n") == [
        "### Looma (prod) 发布已中止: resume",
        "AIService looma/resume",
        "> r4 was given up, asked for by ada: too slow; r3 serves",
        "- 版本: r3 → r4",
        "- 流量: 0 %",
        "- 状态: Degraded",
        "- 操作人: ada",
        "- 原因: too slow",
        "- 时间: 2026-11-26T01:02:03.456Z",
        "[在控制台查看](https://looma.example.com/services/resume)",
    ]


def test_without_a_secret_dingtalk_is_asked_at_its_address():
    assert request("dingtalk").url == URL


def test_dingtalk_signs_the_moment_in_milliseconds():
    # The value is that of another implementation (the crate dingding 0.1.1).
    known = "OuzzJR5%2BxZ4%2FEYwqtNt6sMYZQMTa%2FHEGvc9miJe7XzY%3D"
    assert dingtalk_sign("secret", milliseconds=1700000000000) == known
    made = request("dingtalk", secret="secret")
    assert made.url == f"{URL}&timestamp=1700000000000&sign={known}"
    assert parse_qs(urlsplit(made.url).query)["sign"] == ["OuzzJR5+xZ4/EYwqtNt6sMYZQMTa/HEGvc9miJe7XzY="]


def test_generic_signs_as_standard_webhooks_does():
    # The value is that of its specification.
    made = webhook_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        identity="msg_p5jXN8AQM9LWM0D4loKWxJek",
        seconds="1614265330",
        body=b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    headers = request("generic", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").headers
    assert headers["webhook-signature"].startswith("v1,")


def test_a_signing_secret_that_is_none_is_told_without_being_said():
    with pytest.raises(ValueError, match="not base64") as refusal:
        request("generic", secret="whsec_my own secret!")
    assert "my own" not in str(refusal.value)


def test_what_strangers_write_is_no_mention_and_no_link():
    rude = Notification(
        id="1", reason="RolloutAborted", note="<@all> [win](https://evil.example)\n# now", at=AT, why="<@all>"
    )
    letter = Letter(kind="AIService", namespace="looma", name="resume", message=rude)
    for kind in ("wecom", "dingtalk"):
        text = json.loads(request(kind, letter).body)["markdown"]
        shown = text.get("content") or text["text"]
        assert "<@all>" not in shown
        assert "](" not in shown
        assert "\n# now" not in shown


@given(
    note=st.text(max_size=1000),
    why=st.text(max_size=500),
    who=st.text(max_size=3000),
    language=st.sampled_from(["en", "zh-CN"]),
)
def test_wecom_is_never_longer_than_it_takes(note, why, who, language):
    message = Notification(id="1", reason="RunFailed", note=note, at=AT, why=why, requested_by=who)
    letter = Letter(kind="SyncJob", namespace="n" * 63, name="x" * 253, message=message, link=LETTER.link)
    content = json.loads(request("wecom", letter, language=language).body)["markdown"]["content"]
    assert len(content.encode()) <= WECOM_BYTES
    assert content.endswith(f"({LETTER.link})")


def test_a_long_note_of_wecom_is_cut_and_the_rest_stays():
    message = Notification(
        id="1", reason="RunFailed", note="失" * 1000, at=AT, why="因" * 400, phase="Failed"
    )
    letter = Letter(kind="SyncJob", namespace="looma", name="crm", message=message)
    content = json.loads(request("wecom", letter).body)["markdown"]["content"]
    assert len(content.encode()) > WECOM_BYTES - 8
    assert "失…\n> Phase: Failed\n> Reason: " + "因" * 400 in content


@pytest.mark.parametrize("reason", list(EventReason))
def test_every_event_has_a_title_in_both_languages(reason):
    assert title(reason) != reason
    assert not title(reason, "zh-CN").isascii()


@pytest.mark.parametrize(
    ("kind", "namespace", "console", "page"),
    [
        ("AIService", "looma", "https://looma.example.com", "https://looma.example.com/services/resume"),
        ("AIService", "other", "https://looma.example.com", ""),
        ("SyncJob", "looma", "https://looma.example.com", ""),
        ("AIService", "looma", "", ""),
    ],
)
def test_a_link_leads_to_a_page_that_there_is(kind, namespace, console, page):
    assert page_of(console, kind=kind, namespace=namespace, name="resume", own_namespace="looma") == page


@pytest.mark.parametrize(
    ("kind", "status", "body", "outcome"),
    [
        ("generic", 200, "", "delivered"),
        ("generic", 204, "", "delivered"),
        ("generic", 200, '{"errcode":1}', "delivered"),
        ("generic", 302, "", "refused"),
        ("generic", 400, "", "refused"),
        ("generic", 404, "", "refused"),
        ("generic", 408, "", "retried"),
        ("generic", 425, "", "retried"),
        ("generic", 429, "", "retried"),
        ("generic", 500, "", "retried"),
        ("generic", 503, "", "retried"),
        ("wecom", 200, '{"errcode":0,"errmsg":"ok"}', "delivered"),
        ("wecom", 200, '{"errcode":45009,"errmsg":"api freq out of limit"}', "retried"),
        ("wecom", 200, '{"errcode":-1,"errmsg":"system busy"}', "retried"),
        ("wecom", 200, '{"errcode":93000,"errmsg":"invalid webhook url"}', "refused"),
        ("wecom", 200, "<html>a proxy's page</html>", "retried"),
        ("wecom", 200, "", "retried"),
        ("wecom", 500, '{"errcode":0}', "retried"),
        ("dingtalk", 200, '{"errcode":0,"errmsg":"ok"}', "delivered"),
        ("dingtalk", 200, '{"errcode":130101,"errmsg":"send too fast"}', "retried"),
        ("dingtalk", 200, '{"errcode":410100,"errmsg":"send too fast"}', "retried"),
        ("dingtalk", 200, '{"errcode":310000,"errmsg":"sign not match"}', "refused"),
        ("dingtalk", 200, '{"errcode":45009,"errmsg":"?"}', "refused"),
    ],
)
def test_what_an_answer_means(kind, status, body, outcome):
    assert judge(kind, status, body.encode()).outcome == outcome


@pytest.mark.parametrize(
    ("header", "after"), [("7", 7.0), ("100000", 600.0), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_a_receiver_may_ask_to_wait(header, after):
    assert judge("generic", 429, b"", retry_after=header).after == after
