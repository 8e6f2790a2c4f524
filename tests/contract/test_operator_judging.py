"""Twenty canaries judged at once by a real Prometheus: ten that are as good as stable, and ten bad ones.

A tenth of `make judging`, whose pods and requests are real; here they are dice, so that it is a matter of seconds. Bad
are those that fail more, that are slower, whose answers are wrong (a score says so), and whose pods never answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.analysed import TOKEN, apply, keep_secret, rollout_of
from support.observed_metrics import Observed
from support.operator_process import Looma
from support.operator_routes import route, say

pytestmark = pytest.mark.control_plane

RUNS = 10
USUAL = {"bad": 0.01, "seconds": 0.02}
FAILING, SLOW = {"bad": 0.06, "seconds": 0.02}, {"bad": 0.01, "seconds": 0.06}
"""Five of a hundred more fail; three times as long."""
WRONG, CRASHING = "wrong answers", "never up"
BAD: list[dict[str, Any] | str] = [FAILING, SLOW, FAILING, WRONG, CRASHING]
CRASHES, NO_ANALYSIS = "engine:crashing", "given up without an analysis"
QUALITY = {
    "name": "quality",
    "http": {
        "pointer": "/results/0/score",
        "header": {"name": "Authorization", "secretKey": "quality"},
    },
    "min": 0.9,
}
ROLLOUT: dict[str, Any] = {
    "strategy": "Canary",
    "steps": [
        {"setWeight": 50},
        {
            "analysis": {
                "metrics": [
                    {"name": "errors", "compare": "errorRate"},
                    {"name": "latency", "compare": "latency"},
                ],
                "count": 3,
                "intervalSeconds": 4,
                "initialDelaySeconds": 12,
                "windowSeconds": 120,
                "minSamples": 500,
                "inconclusiveLimit": 50,
            }
        },
        {"pause": {}},
    ],
}
PAUSE, AS_GOOD = 2, "as good"
"""The step after the analysis: what got there was found to be as good, and has not taken over yet."""


def play_all(looma: Looma, names: list[str], until: Callable[[str], bool], sentence: str) -> None:
    """Play pods and the gateway of all of them, until something holds for each."""

    def step() -> bool:
        for name in names:
            if route(looma, name):
                say(looma, name)
        return all(until(name) for name in names)

    looma.play(step, sentence, seconds=180, broken=frozenset({CRASHES}))


def rollout_with(address: str, *, deadline: int) -> dict[str, Any]:
    """The rollout, with scores from that address, and so many seconds for pods to come."""
    first, judged, last = ROLLOUT["steps"]
    quality = QUALITY | {"http": QUALITY["http"] | {"url": f"{address}/$(SERVICE)/$(REVISION)"}}
    analysis = judged["analysis"] | {"metrics": [*judged["analysis"]["metrics"], quality]}
    return ROLLOUT | {"steps": [first, {"analysis": analysis}, last], "progressDeadlineSeconds": deadline}


def test_no_canary_that_is_as_good_is_given_up_and_none_that_is_bad_goes_on(
    analysed: Looma, observed: Observed, scores: tuple[str, dict[str, float]]
):
    address, by_path = scores
    keep_secret(analysed, "looma-analysis", quality=TOKEN)
    same = [f"same-{number}" for number in range(RUNS)]
    bad = {f"bad-{number}": BAD[number % len(BAD)] for number in range(RUNS)}
    names = [*same, *bad]
    # Only where no pod ever comes there is a deadline to wait for.
    rollouts = {
        name: rollout_with(address, deadline=20 if bad.get(name) == CRASHING else 600) for name in names
    }
    for seed, name in enumerate(names):
        observed.target.serve(name, "r1", **USUAL, seed=seed)
        apply(analysed, name, "engine:1", rollouts[name])
    play_all(analysed, names, lambda name: analysed.status(name).get("phase") == "Ready", "r1 serves")
    for seed, name in enumerate(names, start=len(names)):
        kind = bad.get(name, USUAL)
        by_path[f"/{name}/r2"] = 0.5 if kind == WRONG else 0.95
        if kind != CRASHING:
            observed.target.serve(name, "r2", **(USUAL if isinstance(kind, str) else kind), seed=seed)
        apply(analysed, name, CRASHES if kind == CRASHING else "engine:2", rollouts[name])

    ended: dict[str, str] = {}

    def judged(name: str) -> bool:
        rollout = rollout_of(analysed, name)
        if rollout.get("failed"):
            ended[name] = rollout.get("analysisFailure") or NO_ANALYSIS
        elif rollout.get("step") == PAUSE:
            ended[name] = AS_GOOD
        return name in ended

    play_all(analysed, names, judged, "all are judged")
    assert {name: ended[name] for name in same} == dict.fromkeys(same, AS_GOOD)
    # Why each bad one was given up: what it is bad at.
    signs = {WRONG: "quality", CRASHING: NO_ANALYSIS}
    for name, kind in bad.items():
        assert (signs[kind] if isinstance(kind, str) else "p =") in ended[name], (name, ended[name])
