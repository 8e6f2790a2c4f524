"""The engines' calls about applications and stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from looma_console.engines import Caller, EngineClient

AnswerT = TypeVar("AnswerT")


def look_at(
    engines: EngineClient, caller: Caller, path: str, kind: type[AnswerT], query: Mapping[str, str]
) -> AnswerT:
    """What there is at a path below `/api/v1`. Raises EngineError."""
    asked = {name: value for name, value in query.items() if value}
    return engines.ask(caller, "GET", f"/api/v1/{path}", kind, params=asked)


def change_at(
    engines: EngineClient,
    caller: Caller,
    path: str,
    kind: type[AnswerT],
    document: object,
    *,
    version: int | None,
) -> AnswerT:
    """Send a change of version `version`; raises EngineError (412 if it was changed meanwhile)."""
    headers = {"Content-Type": "application/json"}
    if version is not None:
        headers["If-Match"] = f'"{version}"'
    body = msgspec.json.encode(document)
    return engines.ask(caller, "POST", f"/api/v1/{path}", kind, headers=headers, content=body)
