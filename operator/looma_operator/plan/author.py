"""Who changed a spec and why, as far as it can be known.

The webhook writes who asked beside a digest of the spec that it saw. Where no webhook answered, the digest does not
fit the spec, and the answer is the field manager that wrote last instead of a person who did not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..names import CHANGE_REASON, CHANGED_BY, CHANGED_DIGEST
from ..resources import Json
from .content import digest


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who and why; both may be empty."""

    name: str = ""
    reason: str = ""


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
    """Who changed the spec, and why.

    last_reason is the reason of the change before: without the webhook, which removes a reason that is not renewed,
    the same text again is taken for what the earlier change left behind.

    | webhook noted this spec | reason annotation | answer                            |
    | ----------------------- | ----------------- | --------------------------------- |
    | yes                     | any               | changed-by, the reason            |
    | no                      | new               | "unknown (MANAGER)", the reason   |
    | no                      | as before         | "unknown (MANAGER)", no reason    |
    """
    reason = annotations.get(CHANGE_REASON, "")
    if annotations.get(CHANGED_DIGEST) == spec_digest(spec):
        return Author(name=annotations.get(CHANGED_BY, ""), reason=reason)
    writers = [entry for entry in managed_fields if "f:spec" in entry.get("fieldsV1", {})]
    writers.sort(key=lambda entry: str(entry.get("time", "")))
    manager = writers[-1].get("manager", "") if writers else ""
    return Author(
        name=f"unknown ({manager})" if manager else "unknown", reason="" if reason == last_reason else reason
    )
