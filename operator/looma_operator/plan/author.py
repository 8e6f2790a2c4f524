"""Who changed a spec and why, and who made a request, as far as it can be known.

The webhook writes who asked beside a digest of the spec that it saw. Where no webhook answered, the digest does not
fit the spec, and the answer is the field manager that wrote last instead of a person who did not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..names import CHANGE_REASON, CHANGED_BY, CHANGED_DIGEST, REQUEST
from ..resources import Json
from .content import digest
from .signatures import signed_by


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who changed the spec and why, and who made the request beside it; each may be empty."""

    name: str = ""
    reason: str = ""
    asked_by: str = ""


def spec_digest(spec: Mapping[str, Any]) -> str:
    """Digest of a spec without its replicas, which autoscalers change through another door."""
    return digest({name: value for name, value in spec.items() if name != "replicas"})


def decide_author(
    *,
    annotations: Mapping[str, str],
    spec: Mapping[str, Any],
    managed_fields: Sequence[Json],
    last_reason: str,
) -> Author:
    """Who changed the spec, and why; and who made the request that the annotations hold, whatever its age.

    last_reason is the reason of the change before: without the webhook, which removes a reason that is not renewed,
    the same text again is taken for what the earlier change left behind.

    | webhook noted this spec | reason annotation | answer                            |
    | ----------------------- | ----------------- | --------------------------------- |
    | yes                     | any               | changed-by, the reason            |
    | no                      | new               | "unknown (MANAGER)", the reason   |
    | no                      | as before         | "unknown (MANAGER)", no reason    |

    A request is of whom the webhook noted for it, else "unknown (MANAGER)" of who wrote the annotation last.
    """
    asked_by = ""
    if annotations.get(REQUEST):
        asked_by = signed_by(annotations) or _unknown(managed_fields, _writes_request)
    reason = annotations.get(CHANGE_REASON, "")
    if annotations.get(CHANGED_DIGEST) == spec_digest(spec):
        return Author(name=annotations.get(CHANGED_BY, ""), reason=reason, asked_by=asked_by)
    return Author(
        name=_unknown(managed_fields, _writes_spec),
        reason="" if reason == last_reason else reason,
        asked_by=asked_by,
    )


def _writes_spec(fields: Json) -> bool:
    return "f:spec" in fields


def _writes_request(fields: Json) -> bool:
    return f"f:{REQUEST}" in ((fields.get("f:metadata") or {}).get("f:annotations") or {})


def _unknown(managed_fields: Sequence[Json], writes: Callable[[Json], bool]) -> str:
    """The field manager that wrote last, instead of a person."""
    writers = [entry for entry in managed_fields if writes(entry.get("fieldsV1") or {})]
    writers.sort(key=lambda entry: str(entry.get("time", "")))
    manager = writers[-1].get("manager", "") if writers else ""
    return f"unknown ({manager})" if manager else "unknown"
