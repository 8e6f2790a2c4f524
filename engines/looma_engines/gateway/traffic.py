"""`status.traffic` of AIServices: which revision gets which part of the requests here, as HAProxy gives it. Pure.

An operator that moves a rollout's weight waits until every gateway pod says that it moved. So what is told is what
was read back from HAProxy, never what was asked of it, and a rollout's entries are told again every two seconds: one
that is older than five counts as unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from looma_engines.gateway.findings import Split
from looma_engines.gateway.model import WEIGHT_SCALE
from looma_engines.gateway.objects import AIService, Json

ROLLOUT_SECONDS = 2.0
REST_SECONDS = 240.0
"""Each entry is a new version of the AIService, in the way of whoever edits it: as seldom as FORGET_SECONDS allows."""
SLACK_SECONDS = 0.2
FORGET_SECONDS = 300.0
"""A gateway that said nothing for so long is gone, and its entries are taken away by the others."""
API_VERSION = "looma.dev/v1alpha1"

Shares = Mapping[str, tuple[int, ...]]
"""By rule: the part of each target, in thousandths, as HAProxy has it."""


class Weight(msgspec.Struct, frozen=True, order=True):
    """A revision's part of an AIService's requests, in percent."""

    revision: str
    percent: float


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one AIService. `often` while its requests are split, or are not yet split as was asked."""

    namespace: str
    service: str
    weights: tuple[Weight, ...]
    often: bool


def shares_of(ends: Sequence[int]) -> tuple[int, ...]:
    """The parts that cumulative thresholds give: 800, 1000 are 800 and 200."""
    return tuple(max(0, end - begin) for begin, end in zip((0, *ends), ends, strict=False))


def told(splits: Iterable[Split], *, actual: Shares, asked: Shares, up: Mapping[str, int]) -> list[Told]:
    """What to tell of each AIService with a route, by namespace and name.

    | HAProxy gives               | backends with a pod that is up | told             |
    | --------------------------- | ------------------------------ | ---------------- |
    | r1 1000                     | both                           | r1 100           |
    | r1 800, r2 200              | both                           | r1 80, r2 20     |
    | r1 800, r2 200              | r1's alone                     | r1 80, r2 0      |
    | r1 800, r1 200              | both                           | r1 100           |
    | a rule r1 800, another 1000 | both                           | r1 90, r2 10     |

    A backend without a pod that is up gets nothing: its requests are answered by the gateway. Rules that differ, as
    for the moment between two commands, are told as their mean, which is nobody's wish and so never taken for one.
    """
    of: dict[tuple[str, str], list[Split]] = defaultdict(list)
    for split in splits:
        of[split.namespace, split.service].append(split)
    made = []
    for (namespace, service), items in sorted(of.items()):
        sums: dict[str, float] = defaultdict(float)
        rules = 0
        settled = True
        for split in items:
            for rule in split.rules:
                if rule not in actual:
                    settled = False
                    continue
                rules += 1
                settled = settled and actual[rule] == asked.get(rule)
                for backend, revision, share in zip(
                    split.backends, split.revisions, actual[rule], strict=False
                ):
                    if revision:
                        sums[revision] += share if up.get(backend, 0) else 0
        weights = tuple(
            Weight(revision, round(share / rules * 100 / WEIGHT_SCALE, 1))
            for revision, share in sorted(sums.items())
        )
        # A revision that was there before the weight came to it is a rollout that goes on.
        splits_now = any(len({backend for backend in split.backends if backend}) > 1 for split in items)
        made.append(
            Told(namespace=namespace, service=service, weights=weights, often=splits_now or not settled)
        )
    return made


def moment(now: datetime) -> str:
    """A moment in UTC, to the thousandth of a second."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def parse_moment(text: object) -> datetime | None:
    """A moment as the API has it; None if it is none."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def own_entries(service: AIService, gateway: str) -> list[Json]:
    """The entries of an AIService's status that this gateway pod wrote."""
    return [item for item in (service.status or {}).get("traffic") or () if item.get("gateway") == gateway]


class Written(msgspec.Struct, frozen=True):
    """What this process wrote last of one AIService."""

    weights: tuple[Weight, ...]
    at: datetime


def is_due(
    one: Told | None, service: AIService, *, gateway: str, now: datetime, last: Written | None
) -> bool:
    """Whether the entries must be written: they say something else, or were last written too long ago.

    `last` is what this process wrote: the status that is known here may be older.
    """
    wanted = () if one is None else one.weights
    entries = own_entries(service, gateway)
    there: tuple[Weight, ...] = tuple(
        sorted(Weight(str(item.get("revision")), float(item.get("weight") or 0)) for item in entries)
    )
    seen = max(
        (at for item in entries if (at := parse_moment(item.get("observedAt"))) is not None), default=None
    )
    if last is not None and (seen is None or last.at >= seen):
        there, seen = last.weights, last.at
    if wanted != there:
        return True
    if not wanted:
        return False
    pause = ROLLOUT_SECONDS if one is not None and one.often else REST_SECONDS
    # Ticks come a little early or late; one that is left out would make an entry twice as old.
    return seen is None or now - seen >= timedelta(seconds=pause - SLACK_SECONDS)


def document(namespace: str, service: str, one: Told | None, *, gateway: str, now: datetime) -> Json:
    """What this gateway pod applies to an AIService's status; without anything to tell, its entries go."""
    weights = () if one is None else one.weights
    return {
        "apiVersion": API_VERSION,
        "kind": "AIService",
        "metadata": {"name": service, "namespace": namespace},
        "status": {
            "traffic": [
                {
                    "gateway": gateway,
                    "revision": weight.revision,
                    "weight": int(weight.percent)
                    if weight.percent == int(weight.percent)
                    else weight.percent,
                    "observedAt": moment(now),
                }
                for weight in weights
            ]
        },
    }


def forgotten(service: AIService, *, now: datetime) -> list[dict[str, Any]]:
    """A JSON patch that takes away the entries of gateways that are gone; empty if there are none.

    Each removal is preceded by a test that the entry is still that one, so that pods which do it at the same time do
    not take away another's.
    """
    patch: list[dict[str, Any]] = []
    traffic = (service.status or {}).get("traffic") or ()
    for position in range(len(traffic) - 1, -1, -1):
        item = traffic[position]
        at = parse_moment(item.get("observedAt"))
        if at is not None and now - at >= timedelta(seconds=FORGET_SECONDS):
            path = f"/status/traffic/{position}"
            patch += [{"op": "test", "path": path, "value": item}, {"op": "remove", "path": path}]
    return patch
