"""What a message is as a request, and what an answer to it means. Pure.

| type     | body                                    | beside it                                                     |
| -------- | --------------------------------------- | ------------------------------------------------------------- |
| generic  | JSON of our own, `version` 1            | the headers of Standard Webhooks, signed if there is a secret |
| wecom    | markdown, 4096 bytes at most            |                                                               |
| dingtalk | markdown                                | `timestamp` and `sign` in the address, if there is a secret   |
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from ..names import EventReason
from ..plan.receivers import AI_SERVICE, ROBOTS, Kind, Language
from ..resources import format_time
from ..resources_notifications import Notification

WECOM_BYTES = 4096
SENTENCE = 200  # Characters of the receiver's own words in a log line.
LONGEST_WAIT = 600.0
"""Seconds that an answer may ask to wait: DingTalk shuts a robot off for ten minutes."""
BUSY: Mapping[Kind, frozenset[int]] = {
    # The system is busy; too many messages a minute; too many at once.
    "wecom": frozenset({-1, 45009, 45033}),
    # The system is busy; too many messages a minute, as the robot and as its gateway say it.
    "dingtalk": frozenset({-1, 130101, 410100}),
}
"""`errcode` of robots that a later try may be without."""
SIGNING_PREFIX = "whsec_"

_TITLES: dict[str, tuple[str, str]] = {
    EventReason.REVISION_CREATED: ("New revision", "新版本已创建"),
    EventReason.ROLLOUT_STARTED: ("Rollout started", "发布开始"),
    EventReason.ROLLOUT_COMPLETED: ("Rollout completed", "发布完成"),
    EventReason.ROLLOUT_FAILED: ("Rollout failed", "发布失败"),
    EventReason.ROLLOUT_ABORTED: ("Rollout aborted", "发布已中止"),
    EventReason.ROLLOUT_STEP: ("Rollout at its next step", "发布进入下一步"),
    EventReason.ROLLOUT_WAITING: ("Rollout waits for somebody", "发布等待人工确认"),
    EventReason.ANALYSIS_SUCCEEDED: ("Analysis succeeded", "分析通过"),
    EventReason.ANALYSIS_FAILED: ("Analysis failed", "分析未通过"),
    EventReason.ANALYSIS_INCONCLUSIVE: ("Analysis inconclusive", "分析无结论"),
    EventReason.ROLLBACK_STARTED: ("Rollback started", "回滚开始"),
    EventReason.ROLLBACK_COMPLETED: ("Rollback completed", "回滚完成"),
    EventReason.REVISION_DELETED: ("Old revision deleted", "旧版本已删除"),
    EventReason.CHILD_REPAIRED: ("Change by hand undone", "手工改动已修复"),
    EventReason.CHILD_REFUSED: ("Object refused", "对象被拒绝"),
    EventReason.NAME_TAKEN: ("Name taken", "名称已被占用"),
    EventReason.MODEL_MISSING: ("Model cannot be used", "模型不可用"),
    EventReason.MODEL_REJECTED: ("Model refused", "模型被拒绝"),
    EventReason.PATH_CONFLICT: ("Path conflict", "路径冲突"),
    EventReason.NO_ROOM: ("No room for the new pods", "新 Pod 没有空间"),
    EventReason.REQUEST_DONE: ("Request carried out", "请求已执行"),
    EventReason.REQUEST_REFUSED: ("Request refused", "请求被拒绝"),
    EventReason.RUN_STARTED: ("Sync run started", "同步开始"),
    EventReason.RUN_SUCCEEDED: ("Sync run succeeded", "同步成功"),
    EventReason.RUN_FAILED: ("Sync run failed", "同步失败"),
    EventReason.RUN_CANCELED: ("Sync run canceled", "同步已取消"),
    EventReason.RUN_SKIPPED: ("Sync run skipped", "同步已跳过"),
}
_LABELS: dict[Language, dict[str, str]] = {
    "en": {
        "revision": "Revision",
        "weight": "Requests",
        "phase": "Phase",
        "who": "Asked for by",
        "why": "Reason",
        "time": "Time",
        "link": "Open in the console",
    },
    "zh-CN": {
        "revision": "版本",
        "weight": "流量",
        "phase": "状态",
        "who": "操作人",
        "why": "原因",
        "time": "时间",
        "link": "在控制台查看",
    },
}
# In markdown of strangers, what would be a tag, a mention or a link is only looked at.
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "[": "［", "]": "］", "\n": " ", "\r": " "})


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A message and what it is about, on its way to one receiver."""

    kind: str
    namespace: str
    name: str
    message: Notification
    link: str = ""
    cluster: str = ""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One POST; neither address nor headers are ever logged."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Outcome(StrEnum):
    """What became of one try."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    REFUSED = "refused"
    DROPPED = "dropped"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an answer means; `after` are seconds that the receiver asked to wait."""

    outcome: Outcome
    why: str = ""
    after: float | None = None


def title(reason: str, language: Language = "en") -> str:
    """A happening in a few words; an unknown reason is its own title."""
    english, chinese = _TITLES.get(reason, (reason, reason))
    return chinese if language == "zh-CN" else english


def page_of(console_url: str, *, kind: str, namespace: str, name: str, own_namespace: str) -> str:
    """The console's page of an object, empty where it has none: it shows the services of the release's namespace."""
    if not console_url or kind != AI_SERVICE or namespace != own_namespace:
        return ""
    return f"{console_url}/services/{quote(name)}"


def make_request(
    kind: Kind, letter: Letter, *, url: str, secret: str, language: Language, now: datetime
) -> Request:
    """A letter as the receiver's type takes it.

    Raises:
        ValueError: if the secret is none of that type; the message does not have it.
    """
    if kind == "wecom":
        return Request(
            url=url, body=_encode({"msgtype": "markdown", "markdown": {"content": _wecom(letter, language)}})
        )
    if kind == "dingtalk":
        text = {"title": _headline(letter, language), "text": _dingtalk(letter, language)}
        address = _with_sign(url, secret, milliseconds=int(now.timestamp() * 1000)) if secret else url
        return Request(url=address, body=_encode({"msgtype": "markdown", "markdown": text}))
    body = _encode(document(letter))
    return Request(url=url, body=body, headers=_webhook_headers(letter.message.id, body, secret, now))


def document(letter: Letter) -> dict[str, Any]:
    """The body of the type generic; what is not known or does not apply is null."""
    message = letter.message
    return {
        "version": 1,
        "id": message.id,
        "type": message.reason,
        "timestamp": format_time(message.at),
        "severity": "warning" if message.warning else "info",
        "title": title(message.reason),
        "message": message.note,
        "cluster": letter.cluster or None,
        "object": {"kind": letter.kind, "namespace": letter.namespace, "name": letter.name},
        "revision": {"from": message.from_ or None, "to": message.revision or None},
        "weight": message.weight,
        "phase": message.phase or None,
        "requestedBy": message.requested_by or None,
        "reason": message.why or None,
        "url": letter.link or None,
    }


def _encode(body: object) -> bytes:
    return msgspec.json.encode(body)


def _headline(letter: Letter, language: Language) -> str:
    where = f"({letter.cluster}) " if letter.cluster else ""
    # "Looma" in every message is what DingTalk's robots with a keyword are set to.
    return f"Looma {where}{title(letter.message.reason, language)}: {letter.name}".translate(_HARMLESS)


def _facts(letter: Letter, language: Language) -> list[str]:
    message, labels = letter.message, _LABELS[language]
    revision = f"{message.from_} → {message.revision}" if message.from_ else message.revision
    rows = (
        ("revision", revision),
        ("weight", f"{message.weight} %" if message.weight is not None else ""),
        ("phase", message.phase),
        ("who", message.requested_by),
        ("why", message.why),
        ("time", format_time(message.at)),
    )
    return [f"{labels[name]}: {value.translate(_HARMLESS)}" for name, value in rows if value]


def _link(letter: Letter, language: Language) -> list[str]:
    return [f"[{_LABELS[language]['link']}]({letter.link})"] if letter.link else []


def _wecom(letter: Letter, language: Language) -> str:
    """Markdown of WeCom; where it is too long, what is left out is the end of the note, then of the facts."""
    message = letter.message
    color = "warning" if message.warning else "info"
    head = f'### <font color="{color}">{_headline(letter, language)}</font>'
    head += f"\n{letter.kind} {letter.namespace}/{letter.name}"
    foot = "".join(f"\n{line}" for line in _link(letter, language))
    facts = "".join(f"\n> {line}" for line in _facts(letter, language))
    facts = _fit(facts, WECOM_BYTES - len((head + foot).encode()))
    note = f"\n{message.note.translate(_HARMLESS)}"
    return head + _fit(note, WECOM_BYTES - len((head + facts + foot).encode())) + facts + foot


def _fit(text: str, size: int) -> str:
    """The beginning of a text that has at most so many bytes, with an ellipsis where something was cut."""
    encoded = text.encode()
    if len(encoded) <= size:
        return text
    kept = encoded[: max(0, size - len("…".encode()))].decode(errors="ignore")
    return f"{kept}…" if kept else ""


def _dingtalk(letter: Letter, language: Language) -> str:
    """Markdown of DingTalk, whose lines end with an empty one."""
    message = letter.message
    lines = [
        f"### {_headline(letter, language)}",
        f"{letter.kind} {letter.namespace}/{letter.name}",
        f"> {message.note.translate(_HARMLESS)}",
        *(f"- {line}" for line in _facts(letter, language)),
        *_link(letter, language),
    ]
    return "\n\n".join(lines)


def dingtalk_sign(secret: str, *, milliseconds: int) -> str:
    """DingTalk's signature of a moment, as it stands in an address."""
    digest = hmac.new(secret.encode(), f"{milliseconds}\n{secret}".encode(), hashlib.sha256).digest()
    return quote_plus(base64.b64encode(digest))


def _with_sign(url: str, secret: str, *, milliseconds: int) -> str:
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}timestamp={milliseconds}&sign={dingtalk_sign(secret, milliseconds=milliseconds)}"


def _webhook_headers(identity: str, body: bytes, secret: str, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: id, time, and with a secret the signature over both and the body."""
    seconds = str(int(now.timestamp()))
    headers = {"webhook-id": identity, "webhook-timestamp": seconds}
    if secret:
        headers["webhook-signature"] = webhook_signature(
            secret, identity=identity, seconds=seconds, body=body
        )
    return headers


def webhook_signature(secret: str, *, identity: str, seconds: str, body: bytes) -> str:
    """The signature of Standard Webhooks with the scheme v1 (HMAC-SHA256).

    Raises:
        ValueError: if the secret is not base64, perhaps after `whsec_`.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
    except binascii.Error:
        # Without its cause, which may have the secret's characters.
        raise ValueError(
            "the signing secret is not base64: write whsec_ and 24 to 64 random bytes in base64"
        ) from None
    signed = f"{identity}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class _Answer(msgspec.Struct, frozen=True):
    errcode: int
    errmsg: str = ""


def judge(kind: Kind, status: int, body: bytes, *, retry_after: str = "") -> Verdict:
    """What an answer means.

    | type    | HTTP                 | errcode          | outcome   |
    | ------- | -------------------- | ---------------- | --------- |
    | any     | 408, 425, 429, 5xx   |                  | retried   |
    | any     | other than 2xx       |                  | refused   |
    | generic | 2xx                  |                  | delivered |
    | robots  | 2xx                  | 0                | delivered |
    | robots  | 2xx                  | one of `BUSY`    | retried   |
    | robots  | 2xx                  | any other        | refused   |
    | robots  | 2xx                  | no such document | retried   |
    """
    if status in (408, 425, 429) or status >= 500:
        after = min(float(retry_after), LONGEST_WAIT) if retry_after.isdecimal() else None
        return Verdict(outcome=Outcome.RETRIED, why=f"HTTP {status}", after=after)
    if not 200 <= status < 300:
        moved = ": redirects are not followed" if 300 <= status < 400 else ""
        return Verdict(outcome=Outcome.REFUSED, why=f"HTTP {status}{moved}")
    if kind not in ROBOTS:
        return Verdict(outcome=Outcome.DELIVERED)
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Verdict(outcome=Outcome.RETRIED, why=f"HTTP {status}, but no answer of a robot")
    if answer.errcode == 0:
        return Verdict(outcome=Outcome.DELIVERED)
    why = f"errcode {answer.errcode}: {answer.errmsg[:SENTENCE]}"
    busy = answer.errcode in BUSY[kind]
    return Verdict(outcome=Outcome.RETRIED if busy else Outcome.REFUSED, why=why)
