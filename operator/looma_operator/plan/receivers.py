"""Who is told of what: receivers as the operator's settings name them, and which events they want. Pure."""

from __future__ import annotations

import re
from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

from ..names import EventReason
from .children import Notice

Kind = Literal["generic", "wecom", "dingtalk"]
Language = Literal["en", "zh-CN"]
Severity = Literal["info", "warning"]
ROBOTS: tuple[Kind, ...] = ("wecom", "dingtalk")
"""Group robots: they answer 200 whatever becomes of a message, and take 20 of them a minute."""
MOST_RECEIVERS = 20
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
AI_SERVICE = "AIService"

USUAL: tuple[EventReason, ...] = (
    EventReason.ROLLOUT_STARTED,
    EventReason.ROLLOUT_WAITING,
    EventReason.ROLLOUT_COMPLETED,
    EventReason.ROLLOUT_FAILED,
    EventReason.ROLLOUT_ABORTED,
    EventReason.ROLLBACK_STARTED,
    EventReason.ROLLBACK_COMPLETED,
    EventReason.REQUEST_DONE,
    EventReason.MODEL_MISSING,
    EventReason.MODEL_REJECTED,
    EventReason.RUN_FAILED,
)
"""Told to a receiver that names no events: what somebody waits for, or has to do something about."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings: a name that is not known is a mistake."""


class Receiver(_Struct, frozen=True, kw_only=True):
    """One address that is told; empty lists limit nothing, but `events`, which then are the usual ones."""

    name: str
    type: Kind
    events: tuple[EventReason, ...] = ()
    severity: Severity = "info"
    namespaces: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    language: Language = "en"


class NotificationSettings(_Struct, frozen=True, kw_only=True):
    """Receivers, and what messages say beside the happening itself.

    `console_url` is where people open the console, without a slash at its end, empty where that is not known;
    `cluster` names the cluster to people who look after several.
    """

    receivers: tuple[Receiver, ...] = ()
    console_url: str = ""
    cluster: str = ""


NONE = NotificationSettings()
"""Nobody is told."""


def read_settings(text: bytes | str) -> NotificationSettings:
    """Settings from their JSON.

    Raises:
        ValueError: if they are wrong, with a message that names the place and what to write.
    """
    try:
        settings = msgspec.json.decode(text, type=NotificationSettings)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{error}{_hint(str(error))}") from error
    names = [receiver.name for receiver in settings.receivers]
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"receiver {name!r}: write a name of a-z, 0-9 and -, at most 63 of them")
        if names.count(name) > 1:
            raise ValueError(f"receiver {name!r} is there twice: give each a name of its own")
    if len(names) > MOST_RECEIVERS:
        raise ValueError(f"{len(names)} receivers: at most {MOST_RECEIVERS} can be told")
    url = settings.console_url
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise ValueError(f"consoleUrl: write an address as https://looma.example.com, not {url!r}")
    return msgspec.structs.replace(settings, console_url=url.rstrip("/"))


def _hint(error: str) -> str:
    """What may be written, where the error is about a word that is not among a few."""
    choices: dict[str, tuple[str, ...]] = {
        ".type`": get_args(Kind),
        ".severity`": get_args(Severity),
        ".language`": get_args(Language),
        ".events": tuple(EventReason),
    }
    found = next((words for place, words in choices.items() if place in error), ())
    return (
        f": write {' or '.join(found) if len(found) < 4 else 'one of ' + ', '.join(found)}" if found else ""
    )


def wants(receiver: Receiver, notice: Notice, *, kind: str, namespace: str, name: str) -> bool:
    """Whether a receiver is told of a notice about the object of that kind and name.

    | receiver's           | the notice is                              | told |
    | -------------------- | ------------------------------------------ | ---- |
    | events: none         | among the usual ones                       | yes  |
    | events: none         | any other                                  | no   |
    | events: some         | not among them                             | no   |
    | severity: warning    | no warning                                 | no   |
    | namespaces: some     | of another namespace                       | no   |
    | services: some       | of another AIService, or no AIService's    | no   |
    """
    if notice.reason not in (receiver.events or USUAL):
        return False
    if receiver.severity == "warning" and not notice.warning:
        return False
    if receiver.namespaces and namespace not in receiver.namespaces:
        return False
    return not receiver.services or (kind == AI_SERVICE and name in receiver.services)
