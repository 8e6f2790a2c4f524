"""Who made a request by annotation, as the admission webhook notes it beside the request.

The webhook knows who asks, and signs the request's id: a later change of anything else by somebody else is no request,
and a request that the webhook never saw has nobody's name.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..names import REQUEST, REQUESTED_BY


class _Named(msgspec.Struct, frozen=True):
    """A request of any kind of resource, as far as it is signed."""

    id: str


class _Signed(msgspec.Struct, frozen=True, kw_only=True):
    """Who made a request, as the webhook notes it: by whom, and the id that it saw."""

    id: str
    by: str


def sign(*, annotations: Mapping[str, str], before: Mapping[str, str], who: str) -> str | None:
    """The annotation that says who made the request: that of before, unless the request is new."""
    text = annotations.get(REQUEST, "")
    if text == before.get(REQUEST, ""):
        return before.get(REQUESTED_BY)
    try:
        request = msgspec.json.decode(text, type=_Named)
    except msgspec.MsgspecError:
        return None
    return msgspec.json.encode(_Signed(id=request.id, by=who)).decode()


def signed_by(annotations: Mapping[str, str]) -> str:
    """Who made the request that the annotations hold; empty where no webhook saw it."""
    try:
        request = msgspec.json.decode(annotations.get(REQUEST, ""), type=_Named)
        signed = msgspec.json.decode(annotations.get(REQUESTED_BY, ""), type=_Signed)
    except msgspec.MsgspecError:
        return ""
    return signed.by if signed.id == request.id else ""
