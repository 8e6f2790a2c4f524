"""Which models a service's references pin, what becomes of a ModelVersion, and what pods get of them."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.models import FetchFailure, parse_failure
from looma_core.api.semver import precedence
from looma_core.kube import KubeError
from looma_operator.handlers import RouteBook
from looma_operator.kube.fetches import failure_of, read_failures, use_of
from looma_operator.kube.read import parse_model
from looma_operator.names import Reason
from looma_operator.plan.content import content_of, digest
from looma_operator.plan.models import (
    Fetcher,
    ModelsMissing,
    choose,
    is_rejected,
    note_fetching,
    passed_over,
    pin,
    unusable,
)
from looma_operator.plan.records import ModelUse, decide_model_status
from looma_operator.queueing import Key
from looma_operator.render.models import size_limit
from looma_operator.resources import AIServiceSpec, ModelRef, ModelVersion
from support.operator_world import START, World

STABLE = ModelRef(model="ner", channel="stable")
FETCHER = Fetcher(image="looma-engine:9", plain_http_registry="registry:5000")


def raw(version: str, *, channel: str | None = "stable", letter: str = "a", name: str = "", **spec) -> dict:
    """A ModelVersion of `ner` as the API server stores it."""
    return {
        "metadata": {
            "name": name or f"ner-{version}",
            "namespace": "looma",
            "labels": {"looma.dev/channel": channel} if channel else {},
        },
        "spec": {
            "model": "ner",
            "version": version,
            "format": "json",
            "artifact": {"uri": "oci://registry:5000/models/ner@sha256:" + letter * 64},
            **spec,
        },
    }


def refused(found: dict, reason: str = "DigestMismatch") -> dict:
    """The same after a pod found it wrong."""
    condition = {
        "type": "Verified",
        "status": "False",
        "reason": reason,
        "message": "the file has sha256:b, not sha256:a",
        "lastTransitionTime": "2026-01-01T12:00:00Z",
    }
    return {**found, "status": {"conditions": [condition]}}


def models(*found: dict) -> dict[str, ModelVersion]:
    return {item["metadata"]["name"]: parse_model(item) for item in found}


TOO_LOW = {
    "evaluation": {"dataset": "held-out", "metric": "f1", "value": 0.7},
    "gates": {"minEvaluation": 0.8},
}


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.9.0", "1.10.0"),
        ("1.0.0-rc.1", "1.0.0"),
        ("1.0.0-rc.2", "1.0.0-rc.10"),
        ("1.0.0-1", "1.0.0-alpha"),
        ("1.0.0-alpha", "1.0.0-alpha.1"),
        # The row of Semantic Versioning 2.0.0, section 11, from end to end.
        ("1.0.0-alpha.1", "1.0.0-alpha.beta"),
        ("1.0.0-alpha.beta", "1.0.0-beta"),
        ("1.0.0-beta", "1.0.0-beta.2"),
        ("1.0.0-beta.2", "1.0.0-beta.11"),
        ("1.0.0-beta.11", "1.0.0-rc.1"),
    ],
)
def test_versions_are_in_the_order_that_semver_says(lower, higher):
    assert precedence(lower) < precedence(higher)


NUMBERS = st.integers(0, 30)
IDENTIFIERS = st.one_of(NUMBERS.map(str), st.sampled_from(["alpha", "beta", "rc", "x-1", "-"]))
VERSIONS = st.builds(
    lambda numbers, pre, build: (
        ".".join(map(str, numbers)) + ("-" + ".".join(pre) if pre else "") + (f"+{build}" if build else "")
    ),
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.lists(IDENTIFIERS, max_size=3),
    st.sampled_from(["", "5", "b1"]),
)


@given(VERSIONS, VERSIONS)
def test_a_release_is_above_its_pre_releases_and_builds_are_equal(one, other):
    core = one.partition("+")[0].partition("-")[0]
    assert precedence(one) <= precedence(core)
    assert precedence(one.partition("+")[0]) == precedence(one)
    # A total order: just one of the three holds.
    assert (
        sum(
            [
                precedence(one) < precedence(other),
                precedence(one) == precedence(other),
                precedence(one) > precedence(other),
            ]
        )
        == 1
    )


@given(st.lists(st.tuples(VERSIONS, st.booleans(), st.booleans(), st.booleans()), max_size=8))
def test_the_highest_of_the_channel_that_may_be_used_is_chosen(drawn):
    found = models(
        *(
            {
                **raw(
                    version,
                    name=f"ner-{index}",
                    channel="stable" if stable else "beta",
                    retire=retired,
                    **(TOO_LOW if low else {}),
                )
            }
            for index, (version, stable, retired, low) in enumerate(drawn)
        )
    )
    chosen = choose(STABLE, found)
    usable = [version for version, stable, retired, low in drawn if stable and not retired and not low]
    if not usable:
        assert chosen is None
    else:
        assert chosen is not None
        assert precedence(chosen.spec.version) == max(map(precedence, usable))
        assert chosen.metadata.labels["looma.dev/channel"] == "stable"
        assert not chosen.spec.retire
        assert not is_rejected(chosen)
        # The same whatever the order in which the API server lists them.
        assert choose(STABLE, dict(reversed(found.items()))) == chosen


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([raw("1.0.0"), raw("2.0.0", channel="beta")], "ner-1.0.0"),
        ([raw("1.0.0"), raw("2.0.0", channel=None)], "ner-1.0.0"),
        ([raw("1.0.0"), raw("2.0.0", retire=True)], "ner-1.0.0"),
        ([raw("1.0.0"), raw("2.0.0", **TOO_LOW)], "ner-1.0.0"),
        ([raw("1.0.0"), refused(raw("2.0.0"))], "ner-1.0.0"),
        ([raw("1.0.0"), raw("2.0.0")], "ner-2.0.0"),
        ([raw("1.0.0", retire=True)], None),
        ([], None),
    ],
)
def test_a_channel_leaves_out_what_may_not_be_used(found, expected):
    chosen = choose(STABLE, models(*found))
    assert (chosen.metadata.name if chosen else None) == expected


def test_an_evaluation_at_the_gate_passes():
    at = {**TOO_LOW, "gates": {"minEvaluation": 0.7}}
    assert not is_rejected(parse_model(raw("1.0.0", **at)))
    assert is_rejected(parse_model(raw("1.0.0", **TOO_LOW)))


def test_what_means_nothing_is_said_by_its_kind():
    found = models(raw("1.0.0", retire=True))
    assert pin([STABLE], found) == ModelsMissing(
        reason=Reason.CHANNEL_EMPTY, names=("ner in channel stable",)
    )
    assert pin([ModelRef(name="nobody")], found) == ModelsMissing(
        reason=Reason.MODEL_MISSING, names=("nobody",)
    )
    spec = AIServiceSpec(engine="custom", image="a", model_refs=(ModelRef(name="ner-1.0.0"),))
    assert unusable(spec=spec, models=found).reason is Reason.MODEL_RETIRED
    assert unusable(spec=spec, models=models(refused(raw("1.0.0")))).reason is Reason.MODEL_REJECTED


def test_a_channel_and_a_name_that_mean_one_version_pin_it_once():
    found = models(raw("1.0.0"))
    both = pin([STABLE, ModelRef(name="ner-1.0.0")], found)
    assert [model.metadata.name for model in both] == ["ner-1.0.0"]


def test_what_was_passed_over_is_told_down_to_what_was_chosen():
    spec = AIServiceSpec(engine="custom", image="a", model_refs=(STABLE,))
    found = models(raw("0.9.0", **TOO_LOW), raw("1.0.0"), raw("2.0.0", retire=True), raw("3.0.0", **TOO_LOW))
    assert passed_over(spec=spec, models=found) == (
        "ner-3.0.0 of channel stable is rejected: f1 0.7 on held-out is below gates.minEvaluation 0.8"
    )


# Hashes of revisions as they were before models were fetched: an operator's upgrade must find its revisions again.
BEFORE = {
    "plain": "746b0ee44683",
    "with a model": "232788bce7b4",
}


def test_content_and_hash_of_revisions_are_as_they_were_before():
    plain = AIServiceSpec(engine="resume", image="looma-engine:1")
    named = msgspec.structs.replace(plain, model_refs=(ModelRef(name="ner-1.0.0"),))
    found = models(raw("1.0.0", artifact={"uri": "oci://r/n@sha256:" + "a" * 64, "sizeBytes": 7}))
    assert digest(content_of(spec=plain, models={})) == BEFORE["plain"]
    assert digest(content_of(spec=named, models=found)) == BEFORE["with a model"]


def test_how_models_are_fetched_is_noted_once_and_not_for_gateways_or_without_an_image():
    found = models(raw("1.0.0", artifact={"uri": "oci://r/n@sha256:" + "a" * 64, "sizeBytes": 7}))
    content = content_of(
        spec=AIServiceSpec(engine="custom", image="a", model_refs=(ModelRef(name="ner-1.0.0"),)), models=found
    )
    assert json.loads(note_fetching(fetcher=FETCHER, content=content, models=found)) == {
        "image": "looma-engine:9",
        "plainHttpRegistry": "registry:5000",
        "sizes": {"ner-1.0.0": 7},
    }
    for fetcher, changed in (
        (Fetcher(), content),
        (FETCHER, {**content, "engine": "gateway"}),
        (FETCHER, {}),
    ):
        assert note_fetching(fetcher=fetcher, content=changed, models=found) == ""


@pytest.mark.parametrize(
    ("sizes", "count", "expected"),
    [
        ({"a": 1024, "b": 1}, 2, {"sizeLimit": "16386Ki"}),
        ({"a": 1024}, 2, {}),
        ({}, 1, {}),
    ],
)
def test_the_volume_holds_no_more_than_the_models_need(sizes, count, expected):
    assert size_limit(sizes, count) == expected


# What becomes of a ModelVersion.

USE = ModelUse(service="resume", revision="r2", verifies=True)
WRONG = FetchFailure(reason="DigestMismatch", name="ner-1.0.0", message="it is another")
AWAY = FetchFailure(reason="FetchFailed", name="ner-1.0.0", message="no answer")


@pytest.mark.parametrize(
    ("found", "uses", "phase", "verified"),
    [
        (raw("1.0.0"), [], "Pending", ("Unknown", "NotFetched")),
        (raw("1.0.0"), [replace(USE, fetching=True)], "Pending", ("Unknown", "NotFetched")),
        (raw("1.0.0"), [replace(USE, available=1)], "Serving", ("True", "Verified")),
        # A revision of before models were fetched serves it, and nobody has looked at its digest.
        (raw("1.0.0"), [replace(USE, available=1, verifies=False)], "Serving", ("Unknown", "NotFetched")),
        (raw("1.0.0"), [replace(USE, fetching=True, failure=WRONG)], "Rejected", ("False", "DigestMismatch")),
        (raw("1.0.0"), [replace(USE, fetching=True, failure=AWAY)], "Pending", ("Unknown", "FetchFailed")),
        (refused(raw("1.0.0")), [], "Rejected", ("False", "DigestMismatch")),
        (refused(raw("1.0.0")), [replace(USE, available=1)], "Serving", ("True", "Verified")),
        (raw("1.0.0", **TOO_LOW), [], "Rejected", ("Unknown", "NotFetched")),
        (raw("1.0.0", retire=True), [replace(USE, available=1)], "Retired", ("True", "Verified")),
    ],
)
def test_what_a_model_version_says_of_itself(found, uses, phase, verified):
    status = decide_model_status(model=parse_model(found), uses=uses, now=START)
    condition = next(item for item in status.conditions if item.type == "Verified")
    assert (status.phase, (condition.status, condition.reason)) == (phase, verified)
    assert [item.name for item in status.served_by] == ["resume" for use in uses if use.available]


def test_what_was_verified_once_stays_so_when_one_pod_gets_wrong_bytes():
    model = parse_model(raw("1.0.0"))
    status = decide_model_status(model=model, uses=[replace(USE, available=1)], now=START)
    later = decide_model_status(
        model=msgspec.structs.replace(model, status=status), uses=[replace(USE, failure=WRONG)], now=START
    )
    assert later.phase == "Verified"


def test_the_gate_is_told():
    status = decide_model_status(model=parse_model(raw("1.0.0", **TOO_LOW)), uses=[], now=START)
    gate = next(item for item in status.conditions if item.type == "GatesPassed")
    assert (gate.status, gate.reason) == ("False", "EvaluationTooLow")
    assert gate.message == "f1 0.7 on held-out is below gates.minEvaluation 0.8"


# What pods say.


def test_a_failure_is_read_back_as_it_was_written():
    assert parse_failure(f"some line before\n{WRONG}\n") == WRONG
    assert parse_failure("Killed") is None


@pytest.mark.parametrize("when", ["state", "lastState"])
def test_the_last_words_of_the_init_container_are_read(when):
    status = {"name": "fetch-models", when: {"terminated": {"exitCode": 1, "message": str(WRONG)}}}
    pod = {"metadata": {"name": "p"}, "status": {"initContainerStatuses": [status]}}
    assert failure_of(pod) == WRONG
    other = {**status, "name": "somebody-elses"}
    assert failure_of({**pod, "status": {"initContainerStatuses": [other]}}) is None
    assert failure_of({"metadata": {"name": "p"}}) is None


# In the plan.


@pytest.fixture
def following() -> World:
    """A service that follows the channel, at rest at ner 1.0.0."""
    world = World(fetcher=FETCHER)
    world.models["ner-1.0.0"] = raw("1.0.0")
    world.change(modelRefs=[{"model": "ner", "channel": "stable"}])
    world.settle()
    assert world.counts == {"r1": 4}
    return world


def pod_of(world: World, revision: str) -> dict:
    return world.children["Deployment", f"resume-{revision}"]["spec"]["template"]["spec"]


def test_pods_fetch_before_the_engine_starts_and_the_engine_may_only_read(following):
    pod = pod_of(following, "r1")
    (fetching,), (engine,) = pod["initContainers"], pod["containers"]
    assert (fetching["image"], fetching["command"]) == ("looma-engine:9", ["looma-model-fetch"])
    told = {item["name"]: item["value"] for item in engine["env"]}["LOOMA_MODELS"]
    assert json.loads(told)[0]["path"] == "/var/lib/looma/models/ner-1.0.0/model.json"
    mounts = {
        container["name"]: next(m for m in container["volumeMounts"] if m["name"] == "models")
        for container in (fetching, engine)
    }
    assert mounts["engine"]["readOnly"] is True
    assert "readOnly" not in mounts["fetch-models"]
    assert fetching["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_new_version_in_the_channel_rolls_out_by_itself_and_says_that_nobody_asked(following):
    following.models["ner-2.0.0"] = raw("2.0.0", letter="b")
    following.settle()
    assert following.counts == {"r1": 0, "r2": 4}
    row = next(item for item in following.status["revisions"] if item["name"] == "r2")
    assert (row["changedBy"], row["reason"]) == ("looma", "A model's channel moved")


def test_a_version_below_its_gate_is_never_pinned_and_that_is_told(following):
    following.models["ner-2.0.0"] = raw("2.0.0", letter="b", **TOO_LOW)
    following.settle()
    assert following.counts == {"r1": 4}
    found = next(item for item in following.status["conditions"] if item["type"] == "ModelsReady")
    assert found["status"] == "True"
    assert "ner-2.0.0 of channel stable is rejected: f1 0.7" in found["message"]


def test_a_version_that_pods_refuse_is_left_for_the_one_before(following):
    following.models["ner-2.0.0"] = raw("2.0.0", letter="b")
    following.look()
    assert following.status["targetRevision"] == "r2"
    following.models["ner-2.0.0"] = refused(following.models["ner-2.0.0"])
    following.settle()
    assert (following.status["targetRevision"], following.status["stableRevision"]) == ("r1", "r1")
    assert following.counts == {"r1": 4, "r2": 0}


def test_a_channel_that_becomes_empty_holds_what_runs(following):
    following.models["ner-1.0.0"] = {**following.models["ner-1.0.0"], "metadata": {"name": "ner-1.0.0"}}
    following.settle()
    assert following.counts == {"r1": 4}
    assert following.condition("ModelsReady") == ("False", "ChannelEmpty")
    assert following.status["phase"] == "Ready"


def test_a_named_version_that_pods_refuse_is_told_with_its_reason(following):
    following.models["ner-2.0.0"] = raw("2.0.0", letter="b", channel=None)
    following.change(modelRefs=[{"name": "ner-2.0.0"}])
    following.broken.add("looma-engine:1")
    following.look()
    following.models["ner-2.0.0"] = refused(following.models["ner-2.0.0"])
    for _ in range(100):
        following.look()
        following.tick()
    degraded = next(item for item in following.status["conditions"] if item["type"] == "Degraded")
    assert degraded["reason"] == "ProgressDeadlineExceeded"
    assert (
        "ModelVersion ner-2.0.0: DigestMismatch, the file has sha256:b, not sha256:a" in degraded["message"]
    )
    assert following.condition("ModelsReady") == ("False", "ModelRejected")
    assert following.status["stableRevision"] == "r1"


def test_an_operator_that_fetches_leaves_revisions_of_before_as_they_are():
    world = World()
    world.models["ner-1.0.0"] = raw("1.0.0")
    world.change(modelRefs=[{"name": "ner-1.0.0"}])
    world.settle()
    before = json.dumps(pod_of(world, "r1"), sort_keys=True)
    assert "initContainers" not in before
    assert "path" not in before.replace("/readyz", "").partition("LOOMA_MODELS")[2].partition("}")[0]
    world.fetcher = FETCHER
    writes = world.writes
    world.settle()
    assert json.dumps(pod_of(world, "r1"), sort_keys=True) == before
    assert world.writes == writes
    # And another operator image changes nothing of those that fetch.
    world.change(image="looma-engine:2")
    world.settle()
    before = json.dumps(pod_of(world, "r2"), sort_keys=True)
    world.fetcher = replace(FETCHER, image="looma-engine:10")
    world.settle()
    assert json.dumps(pod_of(world, "r2"), sort_keys=True) == before


def test_a_deployment_says_which_models_its_pods_use(following):
    deployment = following.children["Deployment", "resume-r1"]
    model = parse_model(raw("1.0.0"))
    assert use_of(deployment, model) == ModelUse(
        service="resume", revision="r1", available=4, verifies=True, fetching=False
    )
    assert use_of(deployment, parse_model(raw("1.0.0", letter="c"))) is None
    assert use_of({**deployment, "metadata": {"name": "x"}}, model) is None


def test_a_change_of_a_version_wakes_who_names_it_and_who_follows_its_model():
    book = RouteBook()
    follower, namer, other = (Key("AIService", "looma", name) for name in ("follower", "namer", "other"))
    book.note(follower, {"modelRefs": [{"model": "ner", "channel": "stable"}]})
    book.note(namer, {"modelRefs": [{"name": "ner-1.0.0"}]})
    book.note(other, {"modelRefs": [{"model": "skills", "channel": "stable"}]})
    assert book.users_of("looma", "ner-1.0.0", "ner") == {follower, namer}
    assert book.users_of("looma", "ner-2.0.0", "ner") == {follower}
    assert book.users_of("elsewhere", "ner-1.0.0", "ner") == frozenset()
    # Which versions a follower has left or taken shows in its revisions: all of the model are looked at again.
    models, _ = book.note(
        follower, {"modelRefs": [{"model": "ner", "channel": "stable"}]}, "r2/r1/Progressing"
    )
    assert models == {"ner-1.0.0", "ner-2.0.0"}
    book.note(follower, None)
    assert book.users_of("looma", "ner-2.0.0", "ner") == frozenset()


class Listing:
    """Answers every list with an error of that code."""

    def __init__(self, code: int) -> None:
        self.code = code

    async def list(self, *_path: object, **_options: object) -> list[dict]:
        raise KubeError(self.code, "no")


async def test_where_pods_may_not_be_listed_a_rollout_goes_on_without_what_they_say():
    assert await read_failures(Listing(403), "looma", "") == {}
    with pytest.raises(KubeError):
        await read_failures(Listing(500), "looma", "")
