"""Analyses on a real API server, by a real Prometheus that scrapes metrics like those of engines and gateways.

The gateway is not Looma's: it says that it serves each route, and requests are counted as if it did.
"""

from __future__ import annotations

import datetime as dt
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from looma_core.http.shadow.observing import Observer
from looma_core.metrics import Metrics
from looma_engines.gateway.metrics import GatewayMetrics
from looma_operator.plan import queries, saturation
from looma_operator.resources_analysis import Metric
from support.analysed import TOKEN, apply, begun, keep_secret, play, rollout_of
from support.control_plane import ControlPlane, free_port
from support.observed_metrics import Observed
from support.operator_process import Looma, make
from support.operator_routes import route

pytestmark = pytest.mark.control_plane
Object = dict[str, Any]

ALL = [
    {"name": "errors", "builtIn": "errorRate", "max": 5},
    {"name": "fails-more", "compare": "errorRate"},
    {"name": "slow", "builtIn": "latencyP95", "max": 0.5},
    {"name": "slower", "compare": "latency"},
    {
        "name": "own",
        "prometheus": {
            "query": 'sum(looma_http_request_seconds_count{revision="$(REVISION)",service="$(SERVICE)"})'
        },
        "min": 1,
    },
]
QUICK = {"intervalSeconds": 2, "initialDelaySeconds": 3, "minSamples": 20, "inconclusiveLimit": 50}


def in_a_step(metrics: list[Object] = ALL, **more: Any) -> Object:
    analysis = {"metrics": metrics, "count": 2, **QUICK, **more}
    return {"strategy": "Canary", "steps": [{"setWeight": 25}, {"analysis": analysis}, {"pause": {}}]}


def weights(looma: Looma, name: str) -> dict[str, int]:
    refs = route(looma, name)["spec"]["rules"][0]["backendRefs"]
    return {ref["name"].removeprefix(f"{name}-"): ref["weight"] for ref in refs}


def entries(looma: Looma, name: str) -> dict[str, Object]:
    return {entry["metric"]: entry for entry in looma.status(name).get("analysis", [])}


def condition(looma: Looma, name: str, kind: str) -> tuple[str, str]:
    found = next(item for item in looma.status(name)["conditions"] if item["type"] == kind)
    return found["status"], found["reason"]


def test_the_built_in_queries_ask_for_what_is_counted():
    gateway, engine = Metrics(service="gateway", revision="r1"), Metrics(service="resume", revision="r1")
    GatewayMetrics(gateway)
    engine.observe_request(route="/x", code=200, seconds=0.1)
    Observer(engine, service="resume")
    kept = {
        name.removesuffix("_total"): set(collector._labelnames)
        for metrics in (gateway, engine)
        for collector, names in metrics.registry._collector_to_names.items()
        for name in names
        if hasattr(collector, "_labelnames")
    }
    assert {"service", "revision", "code"} <= kept[queries.GATEWAY_ATTEMPTS.removesuffix("_total")]
    assert {"service", "revision"} <= kept[queries.GATEWAY_SECONDS]
    assert {"service", "revision", "code"} <= kept[queries.ENGINE_SECONDS]
    assert {"service", "shadow", "outcome"} <= kept[queries.SHADOW_REQUESTS.removesuffix("_total")]
    engines = engine.exposition().decode()
    for name in (*saturation.CPU_SERIES, *saturation.MEMORY_SERIES):
        assert f"# TYPE {name} " in engines


def test_a_counter_that_appears_is_counted_with_all_that_it_has(observed: Observed):
    """A new revision's first failures are all that it may have before it is given up."""
    scene = queries.Scene(
        namespace="new", service="new", engine="resume", revision="r2", stable="r1", routed=True, window=60
    )
    query = queries.resolve(Metric(name="errors", built_in="errorRate", max=5), scene)

    def counted() -> dict[str, float]:
        result = json.loads(observed.query(query))["data"]["result"]
        return {series["metric"]["code"]: float(series["value"][1]) for series in result}

    with observed.target.lock:
        observed.target.attempts.labels("new/new", "r2", "5xx", "false").inc(7)
        observed.target.attempts.labels("new/other", "r2", "5xx", "false").inc(100)
    deadline = time.monotonic() + 20
    while not counted() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert counted() == {"5xx": 7}
    with observed.target.lock:
        observed.target.attempts.labels("new/new", "r2", "2xx", "false").inc(3)
        observed.target.attempts.labels("new/new", "r2", "5xx", "true").inc(2)
    while counted() != {"5xx": 9, "2xx": 3} and time.monotonic() < deadline:
        time.sleep(0.1)
    assert counted() == {"5xx": 9, "2xx": 3}, "attempts that were repeated count as well"


def test_a_canary_that_is_well_goes_on_and_status_says_why(analysed: Looma, observed: Observed):
    observed.target.serve("well", "r1")
    begun(analysed, "well", in_a_step())
    play(analysed, "well", lambda: rollout_of(analysed, "well").get("step") == 1, "the analysis begins")
    observed.target.serve("well", "r2")
    play(analysed, "well", lambda: rollout_of(analysed, "well").get("step") == 2, "it goes on")
    found = entries(analysed, "well")
    assert {name: entry["verdict"] for name, entry in found.items()} == dict.fromkeys(
        ["errors", "fails-more", "slow", "slower", "own"], "Successful"
    )
    last = found["fails-more"]["measurements"][-1]
    assert (last["value"], last["baseline"]) == (0, 0)
    assert last["samples"] >= 20
    assert 0 < found["slow"]["measurements"][-1]["value"] <= 0.025
    assert f'service="{analysed.namespace}/well",revision=~"r2|r1"' in found["errors"]["query"]
    assert 'revision="r2",service="well"' in found["own"]["query"]
    metrics = analysed.replicas[-1].get("/metrics")
    assert 'looma_operator_analysis_verdicts_total{metric="compareLatency",verdict="Successful"}' in metrics
    analysed.is_told("well", "AnalysisSucceeded")


@pytest.mark.parametrize(
    ("name", "metric", "ill"),
    [
        ("fails", ALL[0], {"bad": 0.2}),
        pytest.param("fails-more", ALL[1], {"bad": 0.2}, marks=pytest.mark.long),
        pytest.param("slow", ALL[2], {"seconds": 0.9}, marks=pytest.mark.long),
        pytest.param("slower", ALL[3], {"seconds": 0.06}, marks=pytest.mark.long),
    ],
)
def test_a_canary_that_is_ill_is_given_up(analysed: Looma, observed: Observed, name, metric, ill):
    observed.target.serve(name, "r1")
    begun(analysed, name, in_a_step([metric]))
    play(analysed, name, lambda: rollout_of(analysed, name).get("step") == 1, "the analysis begins")
    # Its first failures come with the counter that has them: nothing was there before.
    observed.target.serve(name, "r2", **ill)
    play(analysed, name, lambda: rollout_of(analysed, name).get("failed", False), "it is given up")
    play(analysed, name, lambda: weights(analysed, name) == {"r1": 100}, "r1 has everything")
    play(analysed, name, lambda: analysed.counts(name) == {"r1": 4, "r2": 0}, "r2 has no pods")
    assert condition(analysed, name, "Degraded") == ("True", "AnalysisFailed")
    assert entries(analysed, name)[metric["name"]]["verdict"] == "Failed"
    analysed.is_told(name, "AnalysisFailed", "RolloutFailed")


FULL = {"name": "full", "builtIn": "saturation", "max": 80}
OTHERWISE = {"name": "otherwise", "builtIn": "shadowDifference", "max": 5}
LIMITED = {"limits": {"cpu": "500m", "memory": "1Gi"}}


def limited(looma: Looma, name: str, image: str, rollout: Object, **shadow: Any) -> None:
    code, answer = looma.apply(
        name,
        engine="resume",
        image=image,
        replicas=4,
        resources=LIMITED,
        rollout=rollout,
        route={"pathPrefixes": [f"/api/v1/{name}"], **shadow},
    )
    assert code in (200, 201), answer


@pytest.mark.parametrize(
    ("name", "uses", "said"),
    [
        pytest.param(
            "roomy",
            {"cores": 0.1, "memory": 2**28},
            "Successful: memory 25 % used (cpu",
            marks=pytest.mark.long,
        ),
        ("busy", {"cores": 0.9, "memory": 2**28}, "Failed: cpu 1"),
        pytest.param(
            "large",
            {"cores": 0.1, "memory": 950 << 20},
            "Failed: memory 92.8 % used",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_canary_that_is_too_full_is_given_up(analysed: Looma, observed: Observed, name, uses, said):
    rollout = in_a_step([FULL])
    observed.target.serve(name, "r1")
    limited(analysed, name, "engine:1", rollout)
    play(analysed, name, lambda: analysed.status(name).get("phase") == "Ready", "r1 serves")
    limited(analysed, name, "engine:2", rollout)
    play(analysed, name, lambda: rollout_of(analysed, name).get("step") == 1, "the analysis begins")
    observed.target.serve(name, "r2", **uses)
    verdict = said.partition(":")[0]
    play(
        analysed,
        name,
        lambda: entries(analysed, name).get("full", {}).get("verdict") == verdict,
        f"it is {verdict}",
    )
    last = entries(analysed, name)["full"]["measurements"][-1]
    assert f"{verdict}: {last['message']}".startswith(said)
    assert last["samples"] >= 20


@pytest.mark.parametrize(
    ("name", "otherwise", "verdict"),
    [("alike", 0, "Successful"), ("unlike", 1, "Failed")],
)
@pytest.mark.long
def test_a_canary_that_answers_copies_otherwise_is_given_up(
    analysed: Looma, observed: Observed, name, otherwise, verdict
):
    rollout = {
        "strategy": "Canary",
        "steps": [
            {"setWeight": 0},
            {"analysis": {"metrics": [OTHERWISE], "count": 2, **QUICK}},
            {"pause": {}},
        ],
    }
    shadow = {"shadow": {"canary": True, "percent": 50}}
    observed.target.serve(name, "r1")
    limited(analysed, name, "engine:1", rollout, **shadow)
    play(analysed, name, lambda: analysed.status(name).get("phase") == "Ready", "r1 serves")
    assert condition(analysed, name, "RouteTargetsFound") == ("True", "NoTargets")
    limited(analysed, name, "engine:2", rollout, **shadow)
    observed.target.copy(name, "r1", to="r2", otherwise=otherwise)
    play(
        analysed,
        name,
        lambda: entries(analysed, name).get("otherwise", {}).get("verdict") == verdict,
        f"it is {verdict}",
    )
    found = entries(analysed, name)["otherwise"]
    assert f'shadow="{name}/r2"' in found["query"]
    assert found["measurements"][-1]["value"] == pytest.approx(10 * otherwise, abs=3)
    if otherwise:
        play(analysed, name, lambda: rollout_of(analysed, name).get("failed", False), "it is given up")


@pytest.mark.long
def test_a_canary_without_requests_is_never_promoted_by_itself(analysed: Looma, observed: Observed):
    observed.target.serve("quiet", "r1")
    begun(analysed, "quiet", in_a_step(ALL[:1], inconclusiveLimit=1))
    play(
        analysed,
        "quiet",
        lambda: entries(analysed, "quiet").get("errors", {}).get("verdict") == "Inconclusive",
        "it is inconclusive",
    )
    analysed.until(
        lambda: "promote or abort" in analysed.status("quiet")["canary"]["waits"], "it waits for people"
    )
    assert "no data" in entries(analysed, "quiet")["errors"]["message"]
    assert rollout_of(analysed, "quiet")["step"] == 1
    assert weights(analysed, "quiet") == {"r1": 75, "r2": 25}


@pytest.mark.long
def test_a_query_that_is_wrong_says_so_in_prometheus_own_words(analysed: Looma):
    wrong = {"name": "own", "prometheus": {"query": "sum(rate(x[5m])"}, "max": 1}
    begun(analysed, "wrong", in_a_step([wrong], consecutiveErrorLimit=1))
    play(analysed, "wrong", lambda: rollout_of(analysed, "wrong").get("failed", False), "it is given up")
    assert "parse error" in rollout_of(analysed, "wrong")["analysisFailure"]


@pytest.mark.long
def test_an_operator_that_is_killed_in_the_middle_goes_on(analysed: Looma, observed: Observed):
    observed.target.serve("killed", "r1")
    begun(analysed, "killed", in_a_step(ALL[:2]))
    play(analysed, "killed", lambda: rollout_of(analysed, "killed").get("step") == 1, "the analysis begins")
    observed.target.serve("killed", "r2", bad=0.3)
    analysed.replicas[-1].signal(signal.SIGKILL)
    analysed.start(wait=False, LOOMA_PROMETHEUS_URL=observed.url)
    play(analysed, "killed", lambda: rollout_of(analysed, "killed").get("failed", False), "it is given up")
    assert weights(analysed, "killed")["r1"] == 100


@pytest.mark.long
def test_a_prometheus_that_hangs_delays_no_abort(analysed: Looma, observed: Observed):
    observed.target.serve("hangs", "r1")
    begun(analysed, "hangs", in_a_step(ALL[:1]))
    play(analysed, "hangs", lambda: rollout_of(analysed, "hangs").get("step") == 1, "the analysis begins")
    observed.process.send_signal(signal.SIGSTOP)
    try:
        # Longer than to its first measurement, which now has no answer for ten seconds.
        play(analysed, "hangs", lambda: _age(analysed, "hangs") > 4, "it is asked")
        assert entries(analysed, "hangs")["errors"].get("errors", 0) == 0
        request = {"metadata": {"annotations": {"looma.dev/request": '{"id":"1","action":"abort"}'}}}
        place = analysed.path("aiservices", "hangs")
        merge = "application/merge-patch+json"
        assert analysed.plane.request("PATCH", place, request, content_type=merge)[0] == 200
        analysed.until(lambda: weights(analysed, "hangs")["r1"] == 100, "all went back", seconds=5)
    finally:
        observed.process.send_signal(signal.SIGCONT)


def _age(looma: Looma, name: str) -> float:
    """Seconds that the analysis has run."""
    begun = entries(looma, name).get("errors", {}).get("startedAt")
    if begun is None:
        return 0.0
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(begun)).total_seconds()


@pytest.mark.long
def test_a_prometheus_that_is_down_and_one_that_nobody_named_are_no_success(
    control_plane: ControlPlane, tmp_path: Path
):
    for number, variables in enumerate(({}, {"LOOMA_PROMETHEUS_URL": f"http://127.0.0.1:{free_port()}"})):
        folder = tmp_path / str(number)
        folder.mkdir()
        looma = make(control_plane, folder)
        try:
            looma.start(**variables)
            begun(looma, "down", in_a_step(ALL[:1], consecutiveErrorLimit=1))
            play(
                looma, "down", lambda looma=looma: rollout_of(looma, "down").get("failed", False), "given up"
            )
            assert condition(looma, "down", "Degraded") == ("True", "AnalysisFailed")
            why = rollout_of(looma, "down")["analysisFailure"]
            assert ("not reached" if variables else "prometheus.url") in why
            assert entries(looma, "down")["errors"]["verdict"] == "Error"
        finally:
            looma.stop()


def quality(address: str) -> Object:
    return {
        "name": "quality",
        "http": {
            "url": f"{address}/$(SERVICE)/$(REVISION)",
            "pointer": "/results/0/score",
            "header": {"name": "Authorization", "secretKey": "quality"},
        },
        "min": 0.9,
    }


@pytest.mark.long
def test_blue_green_asks_an_address_before_and_after_and_its_token_is_nowhere(analysed: Looma, scores):
    address, by_path = scores
    keep_secret(analysed, "looma-analysis", quality=TOKEN)
    gate = {"metrics": [quality(address)], "count": 1, **QUICK, "initialDelaySeconds": 0}
    rollout = {
        "strategy": "BlueGreen",
        "autoPromote": True,
        "prePromotionAnalysis": gate,
        "postPromotionAnalysis": gate | {"count": 2},
    }
    by_path["/blue/r2"] = 0.95
    begun(analysed, "blue", rollout)
    play(analysed, "blue", lambda: weights(analysed, "blue").get("r2") == 100, "it has all requests")
    assert analysed.status("blue")["stableRevision"] == "r1"
    play(analysed, "blue", lambda: analysed.status("blue")["stableRevision"] == "r2", "it is stable")
    verdicts = {entry["run"]: entry["verdict"] for entry in analysed.status("blue")["analysis"]}
    assert verdicts == {"prePromotion": "Successful", "postPromotion": "Successful"}

    by_path["/blue/r3"] = 0.5
    apply(analysed, "blue", "engine:3", rollout)
    play(analysed, "blue", lambda: rollout_of(analysed, "blue").get("failed", False), "it is given up")
    assert weights(analysed, "blue").get("r3", 0) == 0
    assert "0.5, less than 0.9" in rollout_of(analysed, "blue")["analysisFailure"]
    told = json.dumps([analysed.get("blue"), analysed.events("blue")])
    logs = "".join(replica.log.read_text() for replica in analysed.replicas)
    assert TOKEN not in told + logs


def test_the_operator_reads_no_other_secret(analysed: Looma):
    keep_secret(analysed, "looma-console", key="x")
    user = f"{analysed.namespace}-operator-0"

    def may(verb: str, what: str) -> str:
        said = analysed.plane.kubectl(
            "-n", analysed.namespace, "auth", "can-i", verb, what, "--as", user, check=False
        )
        return said.splitlines()[0]

    assert may("get", "secrets/looma-analysis") == "yes"
    assert may("get", "secrets/looma-console") == "no"
    assert may("list", "secrets") == "no"
    assert may("get", "configmaps/looma-probes") == "yes"
    assert may("get", "configmaps/kube-root-ca.crt") == "no"
