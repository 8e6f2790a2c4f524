"""The pages about models: versions in their order, why one was refused, and who has them."""

from __future__ import annotations

import threading

import pytest
import yaml

from looma_console.cluster.api import KubernetesError
from looma_console.cluster.models import by_model, meant_by, pinned_in, read_model_version, references
from looma_console.models import messages
from looma_console.web.permissions import Role
from support.cluster import ROOT
from support.console_parts import model_document, service_document

REJECTED = {
    "phase": "Rejected",
    "conditions": [
        {
            "type": "GatesPassed",
            "status": "False",
            "reason": "EvaluationTooLow",
            "message": "f1 0.8 is below 0.85",
        },
        {
            "type": "Verified",
            "status": "Unknown",
            "reason": "NotFetched",
            "message": "No pod has fetched it yet",
        },
        {"type": "Retired", "status": "False", "reason": "NotRetired"},
    ],
}


def revision(service: str, number: int, *models: str) -> dict:
    return {
        "metadata": {"labels": {"app.kubernetes.io/instance": service, "looma.dev/revision": f"r{number}"}},
        "revision": number,
        "data": {"engine": "resume", **({"models": [{"name": name} for name in models]} if models else {})},
    }


def test_versions_come_by_model_the_highest_first() -> None:
    names = ["ner-1.9.0", "ner-1.10.0", "ner-1.10.0-rc.1", "skills-0.1.0"]
    models = by_model([model_document(name) for name in names])
    assert [(model.name, [item.version for item in model.versions]) for model in models] == [
        ("ner", ["1.10.0", "1.10.0-rc.1", "1.9.0"]),
        ("skills", ["0.1.0"]),
    ]


def test_a_version_that_is_none_fails_no_page() -> None:
    models = by_model([model_document("ner-1.0.0"), model_document("ner-x", version="?")])
    assert [item.name for item in models[0].versions] == ["ner-1.0.0", "ner-x"]


@pytest.mark.parametrize(
    ("kind", "status", "reason", "good"),
    [
        ("Verified", "True", "Verified", True),
        ("Verified", "Unknown", "NotFetched", True),
        ("Verified", "Unknown", "FetchFailed", False),
        ("Verified", "False", "DigestMismatch", False),
        ("GatesPassed", "False", "EvaluationTooLow", False),
        ("GatesPassed", "True", "NoGates", True),
        ("Retired", "True", "Retired", True),
    ],
)
def test_which_conditions_refuse_a_version(kind: str, status: str, reason: str, good: bool) -> None:
    condition = {"type": kind, "status": status, "reason": reason, "message": "x"}
    found = read_model_version(model_document(status={"conditions": [condition]}))
    assert (found.refusals == ()) is good


def test_who_means_a_version() -> None:
    services = [
        service_document("a", spec={"modelRefs": [{"name": "ner-1.0.0"}]}),
        service_document("b", spec={"modelRefs": [{"model": "ner", "channel": "stable"}]}),
        service_document("c", spec={"modelRefs": [{"model": "skills", "channel": "stable"}]}),
        service_document("d"),
    ]
    refs = references(services)
    stable = read_model_version(model_document(labels={"looma.dev/channel": "stable"}))
    assert [(ref.service, ref.channel) for ref in meant_by(stable, refs)] == [("a", ""), ("b", "stable")]
    assert [ref.service for ref in meant_by(read_model_version(model_document()), refs)] == ["a"]


def test_which_revisions_hold_a_version() -> None:
    kept = [revision("b", 1, "ner-1.0.0"), revision("a", 9, "ner-1.0.0"), revision("a", 10, "x", "ner-1.0.0")]
    found = pinned_in([*kept, revision("a", 11, "ner-2.0.0"), revision("c", 1)], "ner-1.0.0")
    assert [(use.service, use.revision) for use in found] == [("a", "r10"), ("a", "r9"), ("b", "r1")]


def test_every_phase_of_the_definition_has_words_and_a_tone() -> None:
    definition = yaml.safe_load((ROOT / "crds" / "modelversion.yaml").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"][
        "properties"
    ]
    assert set(schema["phase"]["enum"]) == set(messages.PHASES) == set(messages.TONES)


def test_the_list_shows_gates_digests_channels_and_users(parts, signed_in) -> None:
    page = signed_in(Role.OPERATOR)
    assert "The cluster has not answered yet" in page.get("/models").get_data(as_text=True)
    parts.model_watch.replace([])
    assert "No model is in this namespace yet" in page.get("/models").get_data(as_text=True)
    refused = model_document(
        "ner-2.0.0",
        evaluation={"dataset": "held-out", "metric": "f1", "value": 0.8},
        gates={"minEvaluation": 0.85},
        status=REJECTED,
    )
    serving = model_document(
        labels={"looma.dev/channel": "stable"},
        status={"phase": "Serving", "servedBy": [{"name": "resume", "revision": "r2"}]},
    )
    parts.model_watch.replace([serving, refused])
    parts.service_watch.replace(
        [service_document(spec={"modelRefs": [{"model": "ner", "channel": "stable"}]})]
    )
    text = page.get("/models").get_data(as_text=True)
    assert text.index("ner-2.0.0") < text.index("ner-1.0.0")
    for said in (
        "Rejected",
        '<span class="bad breaks">f1 0.8 is below 0.85</span>',
        "f1 0.8 on held-out, at least 0.85 wanted",
        "not evaluated",
        "sha256:aaaaaaaaaaaa…",
        '<a href="/services/resume">resume</a> r2',
        "resume: follows stable",
        '<td data-label="Channel">stable</td>',
    ):
        assert said in text, said
    assert "No pod has fetched it yet" not in text, "that nobody wanted it is no refusal"


def test_the_page_of_a_version_shows_kept_revisions_as_the_person_may_see_them(
    parts, signed_in, cluster_fake
) -> None:
    parts.model_watch.replace([model_document(status=REJECTED)])
    parts.service_watch.replace([service_document(spec={"modelRefs": [{"name": "ner-1.0.0"}]})])
    cluster_fake.kept = [revision("resume", 4, "ner-1.0.0"), revision("other", 1, "ner-2.0.0")]
    browser = signed_in(Role.OPERATOR)
    text = browser.get("/models/ner-1.0.0").get_data(as_text=True)
    for said in (
        "sha256:" + "a" * 64,
        "1.2 kB",
        "f1 0.8 is below 0.85",
        "names it",
        '<a href="/services/resume">resume</a> r4',
    ):
        assert said in text, said
    assert "/services/other" not in text
    assert "more revisions than were looked at" not in text
    assert [person.login for person, *_ in cluster_fake.read] == ["the-operator"]
    cluster_fake.complete = False
    assert "more revisions than were looked at" in browser.get("/models/ner-1.0.0").get_data(as_text=True)
    cluster_fake.error = KubernetesError(403, "Forbidden", "cannot list controllerrevisions")
    answer = browser.get("/models/ner-1.0.0")
    assert answer.status_code == 200, "the rest is known all the same"
    assert "cannot list controllerrevisions" in answer.get_data(as_text=True)
    assert browser.get("/models/ner-9.0.0").status_code == 404


@pytest.mark.parametrize(("where", "blocks"), [("/models/live", 2), ("/models/ner-1.0.0/live", 3)])
def test_a_verdict_reaches_an_open_page(parts, signed_in, where: str, blocks: int) -> None:
    parts.model_watch.replace([model_document()])
    answer = signed_in(Role.OPERATOR).get(where, buffered=False)
    chunks = answer.iter_encoded()
    assert b"event: " in [next(chunks) for _ in range(blocks)][-1]
    timer = threading.Timer(0.1, lambda: parts.model_watch.apply("MODIFIED", model_document(status=REJECTED)))
    timer.start()
    assert b"f1 0.8 is below 0.85" in next(chunks)
    answer.close()
    timer.join()


def test_recruiters_see_no_models(parts, signed_in) -> None:
    parts.model_watch.replace([model_document()])
    browser = signed_in(Role.RECRUITER)
    for path in ("/models", "/models/live", "/models/ner-1.0.0", "/models/ner-1.0.0/live"):
        assert browser.get(path).status_code == 403, path
