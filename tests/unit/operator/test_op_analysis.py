"""Analyses of a rollout, asked again and again: what goes on, what stays, and what is given up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looma_operator.names import EventReason
from looma_operator.plan.judging import Reading, Sample
from looma_operator.plan.metric import Order, verdict_of
from looma_operator.resources_analysis import Analysis, MetricStatus, Verdict
from support.operator_world import World, ask, reasons, spec, turn, weights

GOOD, BAD, LITTLE, DOWN = "good", "bad", "little", "down"
HARDLY = "hardly by chance"
METRIC = {"name": "errors", "builtIn": "errorRate", "max": 5}
ANALYSIS = {"metrics": [METRIC], "intervalSeconds": 10, "count": 3, "inconclusiveLimit": 1}
STEPS = [{"setWeight": 25}, {"analysis": ANALYSIS}, {"setWeight": 50}, {"pause": {}}]
INLINE = {"strategy": "Canary", "steps": STEPS, "progressDeadlineSeconds": 60}
BACKGROUND = {
    "strategy": "Canary",
    "steps": [{"setWeight": 25}, {"pause": {"seconds": 60}}, {"setWeight": 50}, {"pause": {}}],
    "analysis": {"metrics": [METRIC], "intervalSeconds": 10, "inconclusiveLimit": 1},
    "progressDeadlineSeconds": 60,
}
COMPARED = {"name": "errors", "compare": "errorRate"}
SUSPECTED = INLINE | {
    "steps": [STEPS[0], {"analysis": ANALYSIS | {"metrics": [COMPARED], "suspicionLimit": 4}}, *STEPS[2:]]
}


def says(what: str) -> Reading:
    """What Prometheus answers about the canary, r2 or later; stable is well."""

    def of(revision: str, ok: float, bad: float) -> list[Sample]:
        return [
            Sample(value=ok, labels={"revision": revision, "code": "2xx"}),
            Sample(value=bad, labels={"revision": revision, "code": "5xx"}),
        ]

    if what == DOWN:
        return Reading(error="not reached: no such host")
    numbers = {GOOD: (200.0, 0.0), BAD: (100.0, 100.0), LITTLE: (5.0, 0.0), HARDLY: (198.0, 2.0)}[what]
    samples = [sample for n in range(2, 60) for sample in of(f"r{n}", *numbers)]
    return Reading(samples=(*of("r1", 900.0, 0.0), *samples))


def begun(rollout: dict, what: str = GOOD) -> World:
    """A service of four pods at r1 whose spec has just asked for another image."""
    world = World(spec=spec(rollout=rollout))
    turn(world, rounds=12)
    assert world.status["phase"] == "Ready"
    assert "analysis" not in world.status
    world.answer = lambda _: says(what)
    world.change(image="looma-engine:2")
    return world


def found(world: World, run: str = "step-1", metric: str = "errors") -> dict:
    return next(
        entry for entry in world.status["analysis"] if (entry["run"], entry["metric"]) == (run, metric)
    )


def until(world: World, holds, rounds: int = 200) -> None:
    for _ in range(rounds):
        if holds():
            return
        turn(world)
    raise AssertionError(f"not within {rounds} rounds: {json.dumps(world.status, indent=1)}")


def step(world: World) -> int:
    return (world.status.get("rollout") or {}).get("step", -1)


def failed(world: World) -> bool:
    return bool((world.status.get("rollout") or {}).get("failed"))


def test_a_step_goes_on_after_as_many_good_measurements_as_it_asks_for():
    world = begun(INLINE)
    until(world, lambda: step(world) == 1)
    begin = world.now
    turn(world, rounds=5)
    assert world.status["canary"]["waits"] == "its analysis"
    assert weights(world) == {"r1": 75, "r2": 25}
    until(world, lambda: step(world) > 1)
    assert timedelta(seconds=28) <= world.now - begin <= timedelta(seconds=40), "three of ten seconds each"
    entry = found(world)
    assert (entry["verdict"], entry["successful"]) == ("Successful", 3)
    assert [item["value"] for item in entry["measurements"]] == [0, 0, 0]
    assert entry["measurements"][-1]["samples"] == 200
    assert "looma_gateway_attempts_total" in entry["query"]
    assert EventReason.ANALYSIS_SUCCEEDED in reasons(world)
    until(world, lambda: step(world) == 3)
    assert weights(world) == {"r1": 50, "r2": 50}


def test_a_step_that_fails_gives_everything_back():
    world = begun(INLINE, BAD)
    until(world, lambda: failed(world))
    assert weights(world)["r1"] == 100
    assert world.condition("Degraded") == ("True", "AnalysisFailed")
    assert world.condition("Progressing") == ("False", "AnalysisFailed")
    assert "50 % of 200 requests failed, more than 5" in world.status["rollout"]["analysisFailure"]
    assert {EventReason.ANALYSIS_FAILED, EventReason.ROLLOUT_FAILED} <= set(reasons(world))
    turn(world, rounds=8)
    assert world.counts == {"r1": 4, "r2": 0}
    assert found(world)["verdict"] == "Failed", "it can be read afterwards"
    # A second try begins with nothing of the first.
    world.answer = lambda _: says(GOOD)
    ask(world, "retry")
    turn(world)
    assert "analysis" not in world.status
    until(world, lambda: not failed(world) and step(world) == 3)
    assert found(world)["verdict"] == "Successful"


def test_a_failure_outranks_who_promotes_it():
    world = begun(INLINE, BAD)
    until(world, lambda: bool(world.measured))
    ask(world, "promote-full")
    world.look()
    assert world.status["rollout"]["failed"] is True
    assert weights(world)["r1"] == 100


def test_a_step_with_too_little_to_judge_by_stays_until_somebody_promotes():
    world = begun(INLINE, LITTLE)
    until(world, lambda: found_verdict(world) == "Inconclusive")
    turn(world, rounds=120)
    assert step(world) == 1, "no deadline ends it: it waits for people"
    assert "somebody to promote or abort it" in world.status["canary"]["waits"]
    assert "5 requests of r2, 20 are needed" in world.status["canary"]["waits"]
    assert EventReason.ANALYSIS_INCONCLUSIVE in reasons(world)
    assert weights(world) == {"r1": 75, "r2": 25}
    assert not world.orders, "it is measured no more"
    ask(world, "promote")
    until(world, lambda: step(world) == 3)
    assert weights(world) == {"r1": 50, "r2": 50}


def found_verdict(world: World, run: str = "step-1") -> str:
    entries = [entry for entry in world.status.get("analysis", []) if entry["run"] == run]
    return entries[0]["verdict"] if entries else ""


def test_a_step_that_is_suspicious_measures_on_until_it_is_good():
    world = begun(SUSPECTED, HARDLY)
    until(world, lambda: found_number(world, "suspicious") == 3)
    assert found(world)["verdict"] == "Running"
    assert "more requests must tell" in found(world)["message"]
    world.answer = lambda _: says(GOOD)
    until(world, lambda: step(world) == 3)
    entry = found(world)
    assert (entry["verdict"], entry["successful"], entry["suspicious"]) == ("Successful", 3, 3)
    assert entry.get("consecutiveSuspicious", 0) == 0
    verdicts = [one["verdict"] for one in entry["measurements"]]
    assert verdicts == ["Suspicious"] * 3 + ["Successful"] * 3


def test_a_step_that_stays_suspicious_asks_somebody():
    world = begun(SUSPECTED, HARDLY)
    until(world, lambda: found_verdict(world) == "Inconclusive")
    assert (found(world)["suspicious"], found(world)["successful"]) == (5, 0)
    assert "somebody to promote or abort it" in world.status["canary"]["waits"]
    assert "1 % of 200 requests failed, 0 % of 900" in world.status["canary"]["waits"]
    turn(world, rounds=60)
    assert weights(world) == {"r1": 75, "r2": 25}
    ask(world, "promote")
    until(world, lambda: step(world) == 3)


def test_a_suspicious_step_that_gets_worse_is_given_up():
    world = begun(SUSPECTED, HARDLY)
    until(world, lambda: found_number(world, "suspicious") == 2)
    world.answer = lambda _: says(BAD)
    until(world, lambda: failed(world))
    assert weights(world)["r1"] == 100
    assert world.condition("Degraded") == ("True", "AnalysisFailed")


def test_a_canary_does_not_take_over_while_its_background_is_suspicious():
    analysis = {"metrics": [COMPARED], "intervalSeconds": 10, "suspicionLimit": 5}
    world = begun(BACKGROUND | {"steps": [{"setWeight": 25}, {"pause": {}}], "analysis": analysis})
    for number in range(1, 9):
        world.answer = lambda _, number=number: says(HARDLY if number % 2 else GOOD)
        until(world, lambda number=number: found_measured(world) == number)
    assert found_verdict(world, "background") == "Running", "four of eight, and never two in a row"
    world.answer = lambda _: says(HARDLY)
    until(world, lambda: found_measured(world) == 9)
    ask(world, "promote")
    turn(world, rounds=12)
    assert "its analysis" in world.status["canary"]["waits"]
    assert world.status["stableRevision"] == "r1"
    world.answer = lambda _: says(GOOD)
    until(world, lambda: world.status["stableRevision"] == "r2")


def test_a_background_that_is_suspicious_many_times_in_a_row_asks_somebody():
    analysis = {"metrics": [COMPARED], "intervalSeconds": 10, "suspicionLimit": 2}
    world = begun(BACKGROUND | {"analysis": analysis}, HARDLY)
    until(world, lambda: found_verdict(world, "background") == "Inconclusive")
    assert found(world, "background")["suspicious"] == 3
    assert "somebody to promote or abort it" in world.status["canary"]["waits"]


def found_number(world: World, field: str) -> int:
    entries = world.status.get("analysis", [])
    return entries[0].get(field, 0) if entries else 0


def found_measured(world: World) -> int:
    return found_number(world, "successful") + found_number(world, "suspicious")


def test_an_inconclusive_step_can_be_aborted():
    world = begun(INLINE, LITTLE)
    until(world, lambda: found_verdict(world) == "Inconclusive")
    ask(world, "abort")
    world.look()
    assert weights(world)["r1"] == 100
    assert world.condition("Degraded") == ("True", "Aborted")


def test_a_prometheus_that_is_down_fails_closed_after_the_limit():
    world = begun(INLINE, DOWN)
    until(world, lambda: step(world) == 1)
    begin = world.now
    until(world, lambda: failed(world))
    assert timedelta(seconds=48) <= world.now - begin <= timedelta(seconds=62), "five of ten seconds each"
    assert (found(world)["verdict"], found(world)["errors"]) == ("Error", 5)
    assert world.condition("Degraded") == ("True", "AnalysisFailed")
    assert "not reached" in world.status["rollout"]["analysisFailure"]


def test_a_prometheus_that_comes_back_in_time_spoils_nothing():
    world = begun(INLINE, DOWN)
    until(world, lambda: found_number(world, "errors") == 3)
    world.answer = lambda _: says(GOOD)
    until(world, lambda: step(world) == 3)
    assert (found(world)["verdict"], found(world)["consecutiveErrors"]) == ("Successful", 0)


def test_it_begins_when_the_pods_answer_and_the_deadline_holds_until_then():
    rollout = INLINE | {"steps": [{"analysis": ANALYSIS}, {"setWeight": 50}, {"pause": {}}]}
    world = begun(rollout)
    world.broken = {"looma-engine:2"}
    turn(world, rounds=30)
    assert world.status["canary"]["waits"] == "1 of its pods to answer"
    assert "analysis" not in world.status
    until(world, lambda: failed(world))
    assert world.condition("Degraded") == ("True", "ProgressDeadlineExceeded")


def test_what_was_measured_and_not_written_down_is_measured_again():
    world = begun(INLINE)
    until(world, lambda: bool(world.measured))
    world.look(crash_after=99)
    assert found(world)["successful"] == 0
    turn(world, rounds=2)
    assert found(world)["successful"] == 1


def test_an_answer_to_an_older_question_is_left_aside():
    world = begun(INLINE)
    until(world, lambda: bool(world.measured))
    world.change(
        rollout=INLINE | {"steps": [STEPS[0], {"analysis": ANALYSIS | {"metrics": [METRIC | {"max": 1}]}}]}
    )
    world.look()
    assert found(world)["successful"] == 0, "the answer was to another metric"
    world.tick()
    world.look()
    assert found(world)["successful"] == 1


def test_a_pause_stops_an_analysis_of_a_step():
    world = begun(INLINE)
    until(world, lambda: found_verdict(world) == "Running")
    ask(world, "pause")
    turn(world, rounds=60)
    assert found(world)["verdict"] == "Running"
    assert found(world)["successful"] <= 1
    ask(world, "resume")
    until(world, lambda: step(world) == 3)


def test_one_in_the_background_ends_a_canary_in_whatever_step_it_is():
    world = begun(BACKGROUND)
    until(world, lambda: step(world) == 3)
    assert found_verdict(world, "background") == "Running"
    assert weights(world) == {"r1": 50, "r2": 50}
    world.answer = lambda _: says(BAD)
    until(world, lambda: failed(world), rounds=15)
    assert weights(world)["r1"] == 100
    assert world.condition("Degraded") == ("True", "AnalysisFailed")


@pytest.mark.parametrize("how", ["request", "spec"])
def test_one_in_the_background_ends_a_canary_that_is_paused(how):
    world = begun(BACKGROUND)
    until(world, lambda: step(world) == 3)
    if how == "request":
        ask(world, "pause")
    else:
        world.change(paused=True)
    turn(world, rounds=3)
    assert world.status["phase"] == "Paused"
    world.answer = lambda _: says(BAD)
    until(world, lambda: failed(world), rounds=15)
    assert weights(world)["r1"] == 100


def test_one_in_the_background_that_is_inconclusive_holds_the_canary_where_it_is():
    world = begun(BACKGROUND, LITTLE)
    until(world, lambda: found_verdict(world, "background") == "Inconclusive")
    assert step(world) == 1
    turn(world, rounds=100)
    assert step(world) == 1, "its pause of 60 s is over, and it stays"
    assert "somebody to promote or abort it" in world.status["canary"]["waits"]
    world.answer = lambda _: says(GOOD)
    ask(world, "promote")
    turn(world)
    assert found_verdict(world, "background") == "Running", "it begins anew"
    until(world, lambda: step(world) == 3)


def test_a_canary_takes_over_only_when_the_background_has_seen_something_good():
    rollout = BACKGROUND | {"steps": [{"setWeight": 50}], "analysis": {"metrics": [METRIC]}}
    world = begun(rollout)
    until(world, lambda: "its analysis" in (world.status.get("canary") or {}).get("waits", ""))
    assert weights(world) == {"r1": 0, "r2": 100}
    assert world.status["stableRevision"] == "r1"
    begin = world.now
    until(world, lambda: world.status["stableRevision"] == "r2")
    assert world.now - begin <= timedelta(seconds=32)
    assert found_verdict(world, "background") == "Successful"
    turn(world, rounds=10)
    assert found_verdict(world, "background") == "Successful", "it can be read afterwards"


def test_a_rollback_inside_the_window_asks_nobody():
    world = begun(BACKGROUND)
    until(world, lambda: step(world) == 3)
    ask(world, "promote-full")
    until(world, lambda: world.status["stableRevision"] == "r2")
    world.answer = lambda _: says(DOWN)
    world.change(image="looma-engine:1")
    until(world, lambda: world.status["stableRevision"] == "r1")
    assert "analysis" not in world.status


BLUE_GREEN = {"strategy": "BlueGreen", "autoPromote": True, "progressDeadlineSeconds": 60}


@pytest.mark.parametrize("what", [BAD, DOWN])
def test_blue_green_is_given_up_before_it_gets_anything(what):
    world = begun(BLUE_GREEN | {"prePromotionAnalysis": ANALYSIS}, what)
    until(world, lambda: (world.status.get("rollout") or {}).get("step") == 0)
    for _ in range(90):
        turn(world)
        assert weights(world).get("r2", 0) == 0
    assert world.status["rollout"]["failed"] is True
    assert found_verdict(world, "prePromotion") == ("Failed" if what == BAD else "Error")
    assert world.counts == {"r1": 4, "r2": 0}


def test_blue_green_takes_over_when_it_was_well_before():
    world = begun(BLUE_GREEN | {"prePromotionAnalysis": ANALYSIS})
    until(world, lambda: found_verdict(world, "prePromotion") == "Running")
    assert world.counts == {"r1": 4, "r2": 4}, "all of its pods answer first"
    until(world, lambda: world.status["stableRevision"] == "r2")
    assert found_verdict(world, "prePromotion") == "Successful"


def test_blue_green_that_fails_afterwards_gives_everything_back_at_once():
    world = begun(BLUE_GREEN | {"postPromotionAnalysis": ANALYSIS})
    until(world, lambda: weights(world).get("r2") == 100)
    until(world, lambda: found_verdict(world, "postPromotion") == "Running")
    assert world.status["stableRevision"] == "r1"
    assert world.counts == {"r1": 4, "r2": 4}
    world.answer = lambda _: says(BAD)
    until(world, lambda: failed(world))
    assert weights(world)["r1"] == 100
    turn(world, rounds=10)
    assert world.counts == {"r1": 4, "r2": 0}


def test_blue_green_that_is_well_afterwards_is_stable_then():
    world = begun(BLUE_GREEN | {"postPromotionAnalysis": ANALYSIS})
    until(world, lambda: world.status["stableRevision"] == "r2")
    assert found_verdict(world, "postPromotion") == "Successful"
    assert world.status["retained"]["revision"] == "r1"


def test_many_steps_leave_a_bounded_status():
    quick = ANALYSIS | {
        "count": 1,
        "intervalSeconds": 2,
        "metrics": [METRIC | {"name": f"m{n}"} for n in range(8)],
    }
    steps = [{"setWeight": 25}, *({"analysis": quick} for _ in range(12)), {"pause": {}}]
    world = begun(INLINE | {"steps": steps})
    until(world, lambda: step(world) == 13)
    assert len(world.status["analysis"]) == 48
    assert world.status["analysis"][-1]["run"] == "step-12"


NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
numbers = st.integers(0, 8)


@given(
    successful=numbers,
    failed=numbers,
    suspicious=numbers,
    inconclusive=numbers,
    errors=numbers,
    in_a_row=numbers,
    failures=numbers,
    suspicions=numbers,
    unsure=numbers,
    down=numbers,
    count=st.one_of(st.none(), numbers),
)
def test_success_takes_good_measurements_and_bad_ones_never_help(  # noqa: PLR0917 - drawn by name
    successful, failed, suspicious, inconclusive, errors, in_a_row, failures, suspicions, unsure, down, count
):
    analysis = Analysis(
        failure_limit=failures,
        suspicion_limit=suspicions,
        inconclusive_limit=unsure,
        consecutive_error_limit=down,
    )

    def verdict(**more: int) -> Verdict:
        counted = {
            "successful": successful,
            "failed": failed,
            "suspicious": suspicious,
            "consecutive_suspicious": min(in_a_row, suspicious),
            "inconclusive": inconclusive,
            "errors": errors,
            "consecutive_errors": min(in_a_row, errors),
        } | more
        entry = MetricStatus(run="step-1", metric="m", revision="r2", started_at=NOW, **counted)
        return verdict_of(entry, spec=analysis, count=count)

    now = verdict()
    if now is Verdict.SUCCESSFUL:
        assert count is not None
        assert successful >= max(1, count)
        assert failed <= failures
        assert inconclusive <= unsure
        assert suspicious <= suspicions
    worse = verdict(failed=failed + 1)
    if now is not Verdict.SUCCESSFUL:
        assert worse is not Verdict.SUCCESSFUL
        assert verdict(suspicious=suspicious + 1) is not Verdict.SUCCESSFUL
    assert verdict(successful=0) is not Verdict.SUCCESSFUL


CHANGES = ["new", "back", "promote", "abort", "retry", "pause", "resume", "crash"]
events = st.lists(
    st.sampled_from([GOOD, BAD, LITTLE, DOWN, HARDLY, "look", "look", "look", *CHANGES]),
    min_size=5,
    max_size=30,
)
BLUE = {"strategy": "BlueGreen", "prePromotionAnalysis": ANALYSIS, "postPromotionAnalysis": ANALYSIS}


@settings(max_examples=settings().max_examples // 5)
@given(
    events=events,
    rollout=st.sampled_from([INLINE, SUSPECTED, BACKGROUND, BLUE | {"progressDeadlineSeconds": 60}]),
)
def test_whatever_happens_weights_are_whole_and_all_ends(events, rollout):
    world = World(spec=spec(rollout=rollout), answer=lambda _: says(GOOD))
    turn(world, rounds=12)
    for number, event in enumerate(events):
        match event:
            case "good" | "bad" | "little" | "down" | "hardly by chance":
                world.answer = lambda _, event=event: says(event)
            case "new":
                world.change(image=f"looma-engine:{number + 10}")
            case "back":
                world.change(image="looma-engine:1")
            case "crash":
                world.look(crash_after=number % 3)
            case "promote" | "abort" | "retry" | "pause" | "resume":
                ask(world, event, number)
        turn(world, rounds=4, seconds=3)
        parts = weights(world)
        assert sum(parts.values()) == 100
        for name, weight in parts.items():
            assert not weight or world.counts.get(name, 0) > 0
        for entry in world.status.get("analysis", []):
            assert len(entry.get("measurements", [])) <= 10
            assert entry["verdict"] != "Successful" or entry["successful"] >= 1
    world.answer = lambda _: says(GOOD)
    world.change(image="looma-engine:1")
    ask(world, "retry", 999)
    turn(world, rounds=80)
    ask(world, "promote-full", 1000)
    turn(world, rounds=60)
    assert world.status["phase"] == "Ready"


def test_a_look_between_two_measurements_writes_nothing():
    world = begun(INLINE)
    until(world, lambda: found_verdict(world) == "Running")
    turn(world)
    before = world.writes
    world.now += timedelta(milliseconds=20)
    world.look()
    assert world.writes == before


def test_an_order_is_the_same_while_its_window_moves():
    world = begun(INLINE)
    seen: list[Order] = []
    until(world, lambda: bool(world.orders))
    seen += world.orders
    world.now += timedelta(seconds=1)
    world.measured = ()
    world.look()
    seen += world.orders
    assert len({order.identity for order in seen}) == 1
