"""`status.traffic` of AIServices: which revision gets which part of the requests here, as HAProxy gives it. Pure.

An operator that moves a rollout's weight waits until every gateway pod says that it moved. So what is told is what
was read back from HAProxy, never what was asked of it, and a rollout's entries are told again every two seconds: one
that is older than five counts as unknown.

While a rollout replaces pods, a Service has pods of two revisions. Each pod gets about as many requests as another, so
a revision's part of a Service is its part of the pods that take requests. Of which revision a pod is its name says:
the operator calls a revision's Deployment SERVICE-rN, and Kubernetes its pods after that.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from looma_engines.gateway.findings import Split
from looma_engines.gateway.model import WEIGHT_SCALE, DataPlane
from looma_engines.gateway.objects import AIService, Json

ROLLOUT_SECONDS = 2.0
REST_SECONDS = 240.0
"""Each entry is a new version of the AIService, in the way of whoever edits it: as seldom as FORGET_SECONDS allows."""
SLACK_SECONDS = 0.2
FORGET_SECONDS = 300.0
"""A gateway that said nothing for so long is gone, and its entries are taken away by the others."""
_OF_REVISION = re.compile(r"(?P<revision>r[1-9][0-9]*)-")
API_VERSION = "looma.dev/v1alpha1"

Pods = Mapping[str, Mapping[str, int]]
"""By backend: the pods that take requests, by their revision; empty for those of which nobody says."""
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


def pod_revision(service: str, pod: str) -> str:
    """The revision that a pod of an AIService is of, by its name, or empty.

    | service | pod                  | revision |
    | ------- | -------------------- | -------- |
    | resume  | resume-r3-7d9f-x2x4z | r3       |
    | resume  | resume-0             |          |
    | r       | resume-r3-7d9f-x2x4z |          |
    """
    match = _OF_REVISION.match(pod.removeprefix(f"{service}-")) if pod.startswith(f"{service}-") else None
    return match["revision"] if match else ""


def asked_pods(plane: DataPlane) -> Pods:
    """The pods that should take requests, by backend and revision."""
    return {
        backend.name: Counter(
            pod_revision(backend.service, endpoint.pod)
            for endpoint in backend.endpoints
            if not endpoint.draining
        )
        for backend in plane.backends
    }


def shares_of(ends: Sequence[int]) -> tuple[int, ...]:
    """The parts that cumulative thresholds give: 800, 1000 are 800 and 200."""
    return tuple(max(0, end - begin) for begin, end in zip((0, *ends), ends, strict=False))


def told(splits: Iterable[Split], *, actual: Shares, asked: Shares, up: Pods) -> list[Told]:
    """What to tell of each AIService with a route, by namespace and name.

    | HAProxy gives               | pods that are up            | told             |
    | --------------------------- | --------------------------- | ---------------- |
    | r1 1000                     | one of r1                   | r1 100           |
    | r1 1000                     | one of r1 and three of r2   | r1 25, r2 75     |
    | r1 1000                     | one of which nobody says    | r1 100           |
    | r1 800, r2 200              | some of both                | r1 80, r2 20     |
    | r1 800, r2 200              | r1's alone                  | r1 80, r2 0      |
    | r1 800, r1 200              | some of both                | r1 100           |
    | a rule r1 800, another 1000 | some of both                | r1 90, r2 10     |

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
                        for name, part in _parts(revision, up.get(backend) or {}):
                            sums[name] += share * part
        weights = tuple(
            Weight(revision, round(share / rules * 100 / WEIGHT_SCALE, 1))
            for revision, share in sorted(sums.items())
        )
        # A revision that was there before the weight came to it is a rollout that goes on.
        splits_now = len(weights) > 1 or any(
            len({backend for backend in split.backends if backend}) > 1 for split in items
        )
        made.append(
            Told(namespace=namespace, service=service, weights=weights, often=splits_now or not settled)
        )
    return made


def _parts(revision: str, up: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """The revisions of a backend's pods, each with its part of them; `revision` where no pod says one."""
    pods = sum(up.values())
    if not pods:
        yield revision, 0.0
        return
    for name, number in up.items():
        yield name or revision, number / pods


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
    # The operator asks before the first pod of a new revision is there.
    rollout = "canary" in (service.status or {})
    pause = ROLLOUT_SECONDS if rollout or (one is not None and one.often) else REST_SECONDS
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
