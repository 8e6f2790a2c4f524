"""Are canaries judged rightly: one that is as good as stable is never given up, a bad one never takes over.

Several services at once, each with a client of its own through the gateway; one canary after another, of all kinds by
turns:

| kind          | what its version does                                      | what ought to find it |
| ------------- | ---------------------------------------------------------- | --------------------- |
| same          | what stable does                                           | nothing               |
| errors        | answers 5 of 100 with 500                                  | compare: errorRate    |
| late          | takes three times as long                                  | compare: latency      |
| wrong answers | answers 200, in time, and something else than it should    | a probe set           |
| crash loop    | ends as soon as it begins                                  | progress deadline     |

Each runs until the service says how it ended, or that it waits for a person, who would then be asked: one that is the
same is judged wrongly then, a bad one is not let in. One of which nothing is said in time is judged wrongly. Given are
the number judged wrongly with the 95 % confidence bound of its rate (Clopper and Pearson, 1934, one-sided), how long it
took, and the share of all answers meanwhile that were bad.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from queue import Empty, SimpleQueue
from threading import Event

from bench.report import Row
from support.asking import Asked, at_rate
from support.canaries import REPLICAS, current
from support.cluster import Cluster, ExpectationError, Object
from support.probe_service import Probe, probing

RUNS = 100
"""Of each of the two: versions that are the same, and bad ones of all kinds together."""
AT_ONCE = 4
PER_SECOND = 40
MOST_SECONDS = 150
RIGHT: Object = {"seconds": 0.02, "spread": 0.5, "answer": {"score": 1}}
SAME = "same"
BAD: dict[str, Object] = {
    "errors": {"status": 500, "share": 0.05},
    "late": {"seconds": 0.06},
    "wrong answers": {"answer": {"score": 2}},
    "crash loop": {"crash": True},
}
PROBES = '[{"path": "/api/v1/judged", "method": "GET", "expect": {"/score": 1}}]'
ROLLOUT: Object = {
    "strategy": "Canary",
    "progressDeadlineSeconds": 45,
    "steps": [
        {"setWeight": 50},
        {
            "analysis": {
                "metrics": [
                    {"name": "errors", "compare": "errorRate"},
                    {"name": "latency", "compare": "latency"},
                    {"name": "answers", "probes": {"set": "judged"}, "min": 100},
                ],
                "initialDelaySeconds": 8,
                "intervalSeconds": 5,
                "count": 4,
                "windowSeconds": 60,
                "minSamples": 50,
            }
        },
    ],
}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How one canary ended: whether it took over, after so many seconds, with so many of all answers bad.

    `promoted` is None where it did not end in time.
    """

    kind: str
    promoted: bool | None
    seconds: float
    bad: int
    whole: int
    why: str

    @property
    def rightly(self) -> bool:
        """Whether it is as it should be."""
        return self.promoted == (self.kind == SAME)


def bound(wrong: int, of: int, confidence: float = 0.95) -> float:
    """The highest rate at which `wrong` or fewer of `of` are not less likely than 1 - `confidence`, in percent."""
    if wrong >= of:
        return 100.0
    low, high = wrong / of, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        likely = sum(math.comb(of, n) * rate**n * (1 - rate) ** (of - n) for n in range(wrong + 1))
        low, high = (rate, high) if likely > 1 - confidence else (low, rate)
    return 100 * high


def _ended(service: Object) -> bool:
    status = service.get("status", {})
    if not current(service):
        return False
    return bool(_took_over(status) or status.get("rollout", {}).get("failed") or _asks(status))


def _took_over(status: Object) -> bool:
    return bool(
        status.get("phase") == "Ready" and status.get("stableRevision") == status.get("targetRevision")
    )


def _asks(status: Object) -> str:
    """What is said while a person is waited for, or nothing."""
    waits = str(status.get("canary", {}).get("waits", ""))
    return waits if waits.startswith("somebody") else ""


def _is_bad(kind: str, version: str, asked: Asked) -> bool:
    """Of wrong and late versions every answer is bad; of the others what is no good answer."""
    return asked.status != 200 or (kind in ("late", "wrong answers") and asked.version == version)


def once(cluster: Cluster, probe: Probe, kind: str, version: str) -> Judged:
    """Apply one version and wait until it took over or was given up."""
    stop = Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        client = pool.submit(
            at_rate,
            f"{cluster.address}{probe.path}",
            per_second=PER_SECOND,
            seconds=MOST_SECONDS,
            kept=True,
            stop=stop,
        )
        try:
            began = time.monotonic()
            told = RIGHT | BAD.get(kind, {})
            probe.apply(replicas=REPLICAS, rollout=ROLLOUT, version=version, told=told)
            sentence = f"{probe.name}: {kind} took over or was given up"
            try:
                service = cluster.watch(
                    "aiservice", probe.name, _ended, sentence=sentence, seconds=MOST_SECONDS - 5
                )
            except ExpectationError:
                service = cluster.get("aiservice", probe.name)
            seconds = time.monotonic() - began
        finally:
            stop.set()
        asked = client.result()
    status = service["status"]
    rollout = status.get("rollout", {})
    said = str(rollout.get("analysisFailure") or rollout.get("failure") or _asks(status))
    return Judged(
        kind=kind,
        promoted=_took_over(status) if _ended(service) else None,
        seconds=seconds,
        bad=sum(_is_bad(kind, version, one) for one in asked),
        whole=len(asked),
        why=said or ("" if _ended(service) else f"not over after {MOST_SECONDS - 5} s"),
    )


def _kinds(runs: int) -> list[str]:
    """So many of the same and so many bad ones, by turns."""
    bad = islice(cycle(BAD), runs)
    return [kind for pair in zip([SAME] * runs, bad, strict=True) for kind in pair]


@contextmanager
def _services(cluster: Cluster) -> Iterator[list[Probe]]:
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "looma-probes"},
            "data": {"judged": PROBES},
        }
    )
    try:
        with ExitStack() as stack:
            probes = [stack.enter_context(probing(cluster, f"judged-{n + 1}")) for n in range(AT_ONCE)]
            for probe in probes:
                probe.apply(replicas=REPLICAS, version="0", told=RIGHT)
            for probe in probes:
                probe.wait(stable="r2", sentence="the first version serves")
            yield probes
    finally:
        cluster.kubectl("delete", "configmap", "looma-probes", "--ignore-not-found")


def judge(cluster: Cluster, *, runs: int = RUNS) -> list[Judged]:
    """`runs` versions that are the same and `runs` bad ones."""
    waiting: SimpleQueue[tuple[int, str]] = SimpleQueue()
    for turn in enumerate(_kinds(runs), start=1):
        waiting.put(turn)

    def some(probe: Probe) -> list[Judged]:
        found = []
        with suppress(Empty):
            while True:
                number, kind = waiting.get_nowait()
                found.append(once(cluster, probe, kind, str(number)))
        return found

    with _services(cluster) as probes, ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return [one for part in pool.map(some, probes) for one in part]


def _row(kind: str, found: Sequence[Judged]) -> Row:
    wrong = sum(not one.rightly for one in found)
    seconds = [one.seconds for one in found]
    share = 100 * sum(one.bad for one in found) / max(1, sum(one.whole for one in found))
    why = next((one.why for one in found if not one.rightly or one.why), "")
    return Row(
        what=f"{kind}: judged wrongly, of {len(found)}",
        value=wrong,
        unit="canaries",
        limit="0",
        note=f"rate below {bound(wrong, len(found)):.2g} % with 95 % confidence; "
        f"median {statistics.median(seconds):.0f} s, most {max(seconds):.0f} s to the verdict; "
        f"{share:.2g} % of all answers meanwhile were bad" + (f"; as: {why[:120]}" if why else ""),
    )


def run(cluster: Cluster, *, runs: int = RUNS) -> list[Row]:
    """Rows for an instance: one for each kind, one for all bad ones."""
    found = judge(cluster, runs=runs)
    parts = {kind: [one for one in found if one.kind == kind] for kind in (SAME, *BAD)}
    rows = [_row(kind, part) for kind, part in parts.items() if part]
    return [*rows, _row("all bad ones", [one for one in found if one.kind != SAME])]
