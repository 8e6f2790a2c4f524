"""The smaller decisions, each by the table in its own docstring."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_operator.names import revision_name, revision_number
from looma_operator.plan.author import Author, decide_author, spec_digest
from looma_operator.plan.content import canonical, content_of, digest
from looma_operator.plan.drift import differs, parse_quantity
from looma_operator.plan.history import decide_deletions
from looma_operator.plan.observed import Peer, Pods, StoredRevision
from looma_operator.plan.requests import KEPT, decide_request, parse_request, remember
from looma_operator.plan.rollback import RollbackDecision, decide_rollback
from looma_operator.plan.routes import find_conflicts
from looma_operator.resources import (
    AIServiceSpec,
    Artifact,
    Metadata,
    ModelVersion,
    ModelVersionSpec,
    RequestRecord,
    RolloutStatus,
    format_time,
    parse_time,
)
from support.operator_world import START


def revisions(*by_activity: str) -> list[StoredRevision]:
    """Revisions, the first the latest active."""
    return [
        StoredRevision(
            number=revision_number(name),
            hash=name,
            content={"image": name},
            created_at=START,
            activated_at=START - timedelta(hours=age),
        )
        for age, name in enumerate(by_activity)
    ]


@pytest.mark.parametrize(
    ("left", "asked", "activity", "window", "expected"),
    [
        ("r2", None, "r2 r1", 3, None),
        ("r2", "r2", "r2 r1", 3, None),
        ("", "r1", "r1", 3, None),
        ("r2", "r1", "r2 r1", 3, ("r2", "r1", True)),
        ("r4", "r1", "r4 r3 r2 r1", 3, ("r4", "r1", True)),
        ("r4", "r1", "r4 r3 r2 r1", 2, ("r4", "r1", False)),
        ("r2", "r1", "r2 r1", 0, ("r2", "r1", False)),
    ],
)
def test_what_is_a_rollback(left, asked, activity, window, expected):
    known = revisions(*activity.split())
    target = next((item for item in known if item.name == asked), None)
    answer = decide_rollback(previous_target=left, target=target, revisions=known, window=window)
    wanted = expected and RollbackDecision(
        from_revision=expected[0], to_revision=expected[1], direct=expected[2]
    )
    assert answer == wanted


@pytest.mark.parametrize(
    ("activity", "in_use", "limit", "with_pods", "deleted"),
    [
        ("r4 r3 r2 r1", "r4", 2, "", "r1"),
        ("r4 r3 r2 r1", "r4", 2, "r1", ""),
        ("r1 r4 r3 r2", "r1", 1, "", "r3 r2"),
    ],
)
def test_which_revisions_are_deleted(activity, in_use, limit, with_pods, deleted):
    answer = decide_deletions(
        revisions=revisions(*activity.split()),
        in_use={in_use},
        pods={name: Pods(spec=0, total=1) for name in with_pods.split()},
        limit=limit,
    )
    assert [item.name for item in answer] == deleted.split()


def test_of_two_services_of_the_same_second_the_first_by_name_keeps_the_path():
    peers = [Peer(name="b", created_at=START, path_prefixes=("/api/v1/x",))]
    ask = {"created_at": START, "path_prefixes": ["/api/v1/x", "/api/v1/y"], "peers": peers}
    assert find_conflicts(name="a", **ask) == ()
    (conflict,) = find_conflicts(name="c", **ask)
    assert (conflict.path, conflict.owner) == ("/api/v1/x", "b")


FIRST = RolloutStatus(revision="r1", started_at=START, progressed_at=START)
ROLLING = RolloutStatus(revision="r2", from_="r1", started_at=START, progressed_at=START)
STEPPING = msgspec.structs.replace(ROLLING, strategy="Canary")
FAILED = msgspec.structs.replace(STEPPING, failed=True)
PAUSED = msgspec.structs.replace(STEPPING, paused=True)
DONE = RequestRecord(id="1", action="restart", result="Done", at=START)


@pytest.mark.parametrize(
    ("annotation", "rollout", "expected"),
    [
        ("", None, None),
        ({"id": "1", "action": "restart"}, None, None),
        ({"id": "2", "action": "restart"}, None, ("Done", "restart")),
        ({"id": "2", "action": "retry"}, FAILED, ("Done", "retry")),
        ({"id": "2", "action": "retry"}, None, ("Refused", None)),
        ({"id": "2", "action": "retry"}, STEPPING, ("Refused", None)),
        ({"id": "2", "action": "promote"}, STEPPING, ("Done", "promote")),
        ({"id": "2", "action": "promote-full"}, STEPPING, ("Done", "promote-full")),
        ({"id": "2", "action": "promote"}, ROLLING, ("Refused", None)),
        ({"id": "2", "action": "promote"}, FAILED, ("Refused", None)),
        ({"id": "2", "action": "abort"}, STEPPING, ("Done", "abort")),
        ({"id": "2", "action": "abort"}, ROLLING, ("Done", "abort")),
        ({"id": "2", "action": "abort"}, FIRST, ("Refused", None)),
        ({"id": "2", "action": "abort"}, FAILED, ("Refused", None)),
        ({"id": "2", "action": "pause"}, ROLLING, ("Done", "pause")),
        ({"id": "2", "action": "pause"}, PAUSED, ("Refused", None)),
        ({"id": "2", "action": "pause"}, None, ("Refused", None)),
        ({"id": "2", "action": "resume"}, PAUSED, ("Done", "resume")),
        ({"id": "2", "action": "resume"}, ROLLING, ("Refused", None)),
        ({"id": "2", "action": "abort"}, PAUSED, ("Done", "abort")),
        ("not json", None, None),
    ],
)
def test_what_a_request_leads_to(annotation, rollout, expected):
    text = annotation if isinstance(annotation, str) else json.dumps(annotation)
    answer = decide_request(
        annotation=text, requested_by="ada", done=[DONE], target="r2", rollout=rollout, now=START
    )
    assert (answer and (answer.record.result, answer.does)) == expected


def test_a_request_before_the_first_revision_is_refused():
    answer = decide_request(
        annotation='{"id":"1","action":"restart"}',
        requested_by="",
        done=[],
        target="",
        rollout=None,
        now=START,
    )
    assert answer is not None
    assert answer.record.result == "Refused"


def test_the_last_twenty_requests_are_kept():
    records: tuple[RequestRecord, ...] = ()
    for number in range(30):
        records = remember(records, RequestRecord(id=str(number), action="restart", result="Done", at=START))
    assert [record.id for record in records] == [str(number) for number in range(30 - KEPT, 30)]


def test_a_request_that_cannot_be_read_says_what_to_write():
    with pytest.raises(ValueError, match=r'looma.dev/request: .*write \{"id"'):
        parse_request('{"id": "x", "action": "dance"}')


@pytest.mark.parametrize(
    ("wanted", "actual", "path"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b"),
        ({"a": []}, {}, None),
        ({"a": {}}, {}, None),
        ({"a": {"b": 1}}, {}, "a"),
        ([{"name": "x", "v": 1}], [{"name": "y"}, {"name": "x", "v": 1}], None),
        ([{"name": "x", "v": 1}], [{"name": "x", "v": 2}], "[x].v"),
        ([{"name": "x"}], [{"name": "y"}], "[x]"),
        ([1, 2], [2, 1], "[0]"),
        ([1], [1, 2], ""),
        ({"a": 0}, {}, None),
        ({"a": ""}, {}, None),
        ({"a": None}, {"a": 3}, None),
        ({"limits": {"cpu": "1000m"}}, {"limits": {"cpu": "1"}}, None),
        ({"requests": {"memory": "1024Mi"}}, {"requests": {"memory": "1Gi"}}, None),
        ({"requests": {"example.org/gpu": 1}}, {"requests": {"example.org/gpu": "1"}}, None),
        ({"emptyDir": {"sizeLimit": "1024Mi"}}, {"emptyDir": {"sizeLimit": "1Gi"}}, None),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "limits.cpu"),
        ({"limits": {"cpu": "9e999999999"}}, {"limits": {"cpu": "8e999999999"}}, "limits.cpu"),
        # Labels and annotations are no quantities, however much they look like one.
        ({"hash": "3365447e9803"}, {"hash": "3365447e9803"}, None),
        ({"hash": "3365447e9803"}, {"hash": "1365447e9803"}, "hash"),
        ({"hash": "012000000000"}, {"hash": "12000000000"}, "hash"),
        ({"version": "1.0"}, {"version": "1"}, "version"),
        ({"a": "text"}, {"a": "other"}, "a"),
        ({"a": [1]}, {"a": {"b": 1}}, "a"),
    ],
)
def test_drift(wanted, actual, path):
    assert differs(wanted, actual) == path


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("250m", "0.250"),
        ("1Gi", str(2**30)),
        ("1k", "1000"),
        (3, "3"),
        ("1.5", "1.5"),
        ("2M", "2000000"),
        ("5n", "5E-9"),
    ],
)
def test_quantities(text, number):
    assert parse_quantity(text) == type(parse_quantity(1))(number)


@pytest.mark.parametrize("text", ["", "much", "1Q", "Gi", "1e9803", "1" * 65, "1e", "1 ", "."])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


@given(
    st.sampled_from(["labels", "annotations", "limits", "requests"]),
    st.from_regex(r"[0-9a-fE+.-]{1,12}[kMGi]{0,2}", fullmatch=True),
    st.from_regex(r"[0-9]{1,9}[eE][+-]?[0-9]{1,9}", fullmatch=True),
)
def test_no_text_stops_the_comparison_and_only_quantities_are_the_same_in_two_forms(above, one, other):
    for wanted, actual in ((one, other), (other, one), (one, one)):
        found = differs({above: {"a": wanted}}, {above: {"a": actual}})
        if wanted == actual:
            assert found is None
        elif above in ("labels", "annotations"):
            assert found == f"{above}.a"


SPEC = {"image": "a", "replicas": 1}
NOTED = {"looma.dev/changed-by": "ada", "looma.dev/changed-digest": spec_digest(SPEC)}
FIELDS = [
    {"manager": "old", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}},
    {"manager": "kubectl", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:spec": {}}},
    {"manager": "looma", "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:status": {}}},
]


@pytest.mark.parametrize(
    ("annotations", "last_reason", "expected"),
    [
        ({**NOTED, "looma.dev/change-reason": "why"}, "why", Author(name="ada", reason="why")),
        ({"looma.dev/change-reason": "why"}, "", Author(name="unknown (kubectl)", reason="why")),
        ({"looma.dev/change-reason": "why"}, "why", Author(name="unknown (kubectl)")),
        ({**NOTED, "looma.dev/changed-digest": "other"}, "", Author(name="unknown (kubectl)")),
    ],
)
def test_who_and_why(annotations, last_reason, expected):
    answer = decide_author(annotations=annotations, spec=SPEC, managed_fields=FIELDS, last_reason=last_reason)
    assert answer == expected


ASKED = {"looma.dev/request": '{"id": "one", "action": "promote"}'}
WRITERS = [
    *FIELDS,
    {
        "manager": "kubectl-annotate",
        "time": "2026-01-01T12:00:00Z",
        "fieldsV1": {"f:metadata": {"f:annotations": {"f:looma.dev/request": {}}}},
    },
]


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, ""),
        ({**ASKED, "looma.dev/requested-by": '{"id": "one", "by": "grace"}'}, "grace"),
        ({**ASKED, "looma.dev/requested-by": '{"id": "two", "by": "grace"}'}, "unknown (kubectl-annotate)"),
        ({**ASKED, "looma.dev/requested-by": "grace"}, "unknown (kubectl-annotate)"),
        (ASKED, "unknown (kubectl-annotate)"),
    ],
)
def test_who_asked_is_not_who_changed_the_spec(annotations, expected):
    answer = decide_author(annotations=NOTED | annotations, spec=SPEC, managed_fields=WRITERS, last_reason="")
    assert (answer.name, answer.asked_by) == ("ada", expected)


def test_scaling_does_not_unsign_a_change():
    assert spec_digest(SPEC) == spec_digest({**SPEC, "replicas": 9})
    assert decide_author(annotations={}, spec=SPEC, managed_fields=[], last_reason="").name == "unknown"


MODEL = ModelVersion(
    metadata=Metadata(name="ner", generation=2),
    spec=ModelVersionSpec(
        model="ner", version="1.0.0", artifact=Artifact(uri="oci://r/n@sha256:abc"), format="spacy"
    ),
)


def test_content_is_the_same_however_it_is_written():
    plain = AIServiceSpec(engine="custom", image="a", config={"b": 1, "a": 2})
    other = AIServiceSpec(engine="custom", image="a", config={"a": 2, "b": 1}, pod_template={}, replicas=5)
    assert digest(content_of(spec=plain, models={})) == digest(content_of(spec=other, models={}))
    assert canonical({"b": 1, "a": "é"}) == '{"a":"é","b":1}'


def test_the_digest_is_part_of_the_artifact():
    assert MODEL.spec.artifact.digest == "sha256:abc"


def test_times_and_names_survive_being_written():
    assert parse_time(format_time(START)) == START
    assert parse_time("2026-01-01T12:00:00") == START
    assert parse_time("nonsense") is None
    assert parse_time(None) is None
    assert revision_number(revision_name(12)) == 12
    assert revision_number("12") == 12
