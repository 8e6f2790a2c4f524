"""Twenty canaries judged at once by a real Prometheus: ten that are as good as stable, and ten bad ones.

A tenth of `make judging`, whose pods and requests are real; here they are dice, so that it is a matter of seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.analysed import apply, rollout_of
from support.observed_metrics import Observed
from support.operator_process import Looma
from support.operator_routes import route, say

pytestmark = pytest.mark.control_plane

RUNS = 10
USUAL = {"bad": 0.01, "seconds": 0.02}
BAD: list[dict[str, Any]] = [{"bad": 0.06, "seconds": 0.02}, {"bad": 0.01, "seconds": 0.06}]
"""Five of a hundred more fail; three times as long."""
ROLLOUT = {
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

    looma.play(step, sentence, seconds=180)


def test_no_canary_that_is_as_good_is_given_up_and_none_that_is_bad_goes_on(
    analysed: Looma, observed: Observed
):
    same = [f"same-{number}" for number in range(RUNS)]
    bad = {f"bad-{number}": BAD[number % len(BAD)] for number in range(RUNS)}
    names = [*same, *bad]
    for seed, name in enumerate(names):
        observed.target.serve(name, "r1", **USUAL, seed=seed)
        apply(analysed, name, "engine:1", ROLLOUT)
    play_all(analysed, names, lambda name: analysed.status(name).get("phase") == "Ready", "r1 serves")
    for seed, name in enumerate(names, start=len(names)):
        observed.target.serve(name, "r2", **bad.get(name, USUAL), seed=seed)
        apply(analysed, name, "engine:2", ROLLOUT)

    ended: dict[str, str] = {}

    def judged(name: str) -> bool:
        rollout = rollout_of(analysed, name)
        if rollout.get("failed"):
            ended[name] = rollout.get("analysisFailure", "given up without an analysis")
        elif rollout.get("step") == PAUSE:
            ended[name] = AS_GOOD
        return name in ended

    play_all(analysed, names, judged, "all are judged")
    assert {name: ended[name] for name in same} == dict.fromkeys(same, AS_GOOD)
    assert {name: said for name, said in ended.items() if name in bad and "p =" not in said} == {}
