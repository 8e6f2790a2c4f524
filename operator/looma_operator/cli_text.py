"""What `kubectl looma` says of a service: a line, or a page. No client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .resources import Json

HEADER = ["NAME", "ENGINE", "PHASE", "READY", "STABLE", "TARGET", "IMAGE"]


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str = "-") -> str:
    """Columns as wide as their widest cell; what is empty is shown as `empty`."""
    cells = [[str(cell) if cell not in (None, "") else empty for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def service_row(service: Json) -> list[Any]:
    """The service's line, under HEADER."""
    status, spec = service.get("status") or {}, service["spec"]
    return [
        service["metadata"]["name"],
        spec["engine"],
        status.get("phase"),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("stableRevision"),
        status.get("targetRevision"),
        spec["image"],
    ]


def share(canary: Json) -> str:
    """A new revision's part of the requests: `20 % asked for, 18.5 % given`."""
    weight = canary["weight"]
    given = (
        f"{weight['achieved']:g} % given" if "achieved" in weight else f"unknown: {canary.get('message', '')}"
    )
    return f"{weight['requested']:g} % asked for, {given}"


def describe(service: Json) -> str:
    """The page about one service: its conditions, its canary, its analyses and its last rollback."""
    status = service.get("status") or {}
    lines = [table(HEADER, [service_row(service)]), ""]
    conditions = [
        [item["type"], item["status"], item["reason"], item.get("message", "")]
        for item in status.get("conditions", [])
    ]
    lines.append(table(["CONDITION", "STATUS", "REASON", "MESSAGE"], conditions))
    if canary := status.get("canary"):
        lines += ["", f"Share of {canary['revision']}: {share(canary)}"]
        steps = len((service["spec"].get("rollout") or {}).get("steps") or [])
        if "step" in canary:
            where = (
                f"step {canary['step'] + 1} of {steps}" if canary["step"] < steps else "after its last step"
            )
            lines.append(f"  {where}" + (f", waits for {canary['waits']}" if canary.get("waits") else ""))
    if analysis := status.get("analysis"):
        rows = [
            [item["run"], item["metric"], item.get("verdict"), item.get("message", "")] for item in analysis
        ]
        lines += ["", table(["ANALYSIS", "METRIC", "VERDICT", "MESSAGE"], rows)]
    back = status.get("lastRollback")
    if back:
        done = f"done {back['completedAt']}" if back.get("completedAt") else "under way"
        lines += [
            "",
            f"Last rollback: {back['from']} to {back['to']}, {done}",
            f"  asked for by {back.get('requestedBy') or 'unknown'} at {back['startedAt']}",
            f"  reason: {back.get('reason') or '-'}",
        ]
    return "\n".join(lines)
