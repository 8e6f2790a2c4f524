"""Two revisions side by side on the console."""

from __future__ import annotations

import pytest

from looma_console.cluster.actions import UnknownRevision
from looma_console.cluster.api import KubernetesError
from looma_console.cluster.model import read_service
from looma_console.services.comparing import choose_sides
from looma_console.web.permissions import Role
from support.console_parts import service_document

OLD = {
    "engine": "resume",
    "image": "engine:1",
    "config": {"maxPages": 3, "prompt": "first <b>\nsecond"},
    "models": [
        {
            "name": "ner-1.0.0",
            "model": "ner",
            "version": "1.0.0",
            "format": "json",
            "uri": "oci://registry/models/ner@sha256:" + "a" * 64,
        }
    ],
}
NEW = {"engine": "resume", "image": "engine:2", "config": {"maxPages": 5}}


@pytest.mark.parametrize(
    ("target", "before", "after", "sides"),
    [
        ("r2", "r1", "r2", ("r1", "r2")),
        ("r2", "r2", "r1", ("r2", "r1")),
        ("r2", "r1", "", ("r1", "r2")),
        ("r2", "", "r1", ("r2", "r1")),
        ("r2", "", "", ("r1", "r2")),
        ("r1", "", "", ("r2", "r1")),
        ("r2", "r9", "", None),
        ("r2", "", "r9", None),
    ],
)
def test_which_revisions_are_compared(
    target: str, before: str, after: str, sides: tuple[str, str] | None
) -> None:
    found = choose_sides(read_service(service_document(targetRevision=target)), before=before, after=after)
    assert (found and (found.before.name, found.after.name)) == sides


def test_what_differs_stands_side_by_side_and_the_rest_below(signed_in, cluster_fake) -> None:
    cluster_fake.contents = {"r1": OLD, "r2": NEW}
    text = signed_in(Role.OPERATOR).get("/services/resume/diff").get_data(as_text=True)
    differences, same = text.split('<details class="same">')
    for said in (
        "4 parts differ",
        '<td data-label="r1"><span class="value">engine:1</span></td>',
        '<td data-label="r2"><span class="value">engine:2</span></td>',
        "1.0.0 ner-1.0.0 sha256:" + "a" * 64,
        "config.maxPages",
        "first &lt;b&gt;\nsecond",
        '<option value="r1" selected>',
    ):
        assert said in differences, said
    assert "1 part is the same" in same
    assert ">engine</th>" in same
    # The cluster decides who may read what a revision holds.
    assert {(person.login, service) for person, service, _ in cluster_fake.read} == {
        ("the-operator", "resume")
    }
    assert [revision for _, _, revision in cluster_fake.read] == ["r1", "r2"]


def test_two_that_are_the_same_are_said_to_be(signed_in, cluster_fake) -> None:
    cluster_fake.contents = {"r1": NEW, "r2": NEW}
    text = signed_in(Role.OPERATOR).get("/services/resume/diff?from=r1&to=r2").get_data(as_text=True)
    assert "Nothing differs" in text


def test_a_service_with_one_revision_has_nothing_to_compare_with(parts, signed_in, cluster_fake) -> None:
    document = service_document()
    document["status"]["revisions"].pop()
    parts.service_watch.replace([document])
    answer = signed_in(Role.OPERATOR).get("/services/resume/diff")
    assert answer.status_code == 200
    assert "no second revision" in answer.get_data(as_text=True)
    assert cluster_fake.read == []


@pytest.mark.parametrize(
    ("query", "error", "status", "words"),
    [
        ("from=r9", None, 404, "r9 is not kept any more"),
        ("from=r1&to=r8", None, 404, "r8 is not kept any more"),
        ("from=r1&to=r2", UnknownRevision("r1"), 404, "r1 is not kept any more"),
        ("", KubernetesError(403, "Forbidden", "cannot get controllerrevisions"), 403, "cannot get"),
        ("", KubernetesError(0, "Unreachable", "x"), 502, "does not answer"),
    ],
)
def test_what_cannot_be_compared_is_explained(  # noqa: PLR0917 - a table
    signed_in, cluster_fake, query: str, error: Exception | None, status: int, words: str
) -> None:
    cluster_fake.error = error
    answer = signed_in(Role.OPERATOR).get(f"/services/resume/diff?{query}")
    assert answer.status_code == status
    assert words in answer.get_data(as_text=True)


def test_the_history_leads_to_the_comparison_with_what_serves(parts, signed_in) -> None:
    parts.service_watch.replace([service_document(stableRevision="r1", targetRevision="r2")])
    text = signed_in(Role.OPERATOR).get("/services/resume").get_data(as_text=True)
    assert 'id="compare-r2" href="/services/resume/diff?from=r1&amp;to=r2"' in text, "forward, to the new one"
    assert 'id="compare-r1"' not in text
    parts.service_watch.replace([service_document()])
    text = signed_in(Role.ADMIN).get("/services/resume").get_data(as_text=True)
    assert 'id="compare-r1" href="/services/resume/diff?from=r1&amp;to=r2"' in text


def test_recruiters_compare_nothing(signed_in) -> None:
    assert signed_in(Role.RECRUITER).get("/services/resume/diff").status_code == 403
