"""The whole road, as a newcomer walks it: a résumé, a new version, and the way back."""

from __future__ import annotations

import dataclasses
import json
import secrets

import pytest

from support.cluster import Cluster, Object, settled, settled_on
from support.resume_files import ADA, pdf_one_column
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.road]


def test_given_a_resume_when_it_is_uploaded_then_the_person_is_listed(cluster: Cluster) -> None:
    name = f"Rosalind Ash{''.join(secrets.choice('bcdfgmnprst') for _ in range(4))}"
    content = pdf_one_column(dataclasses.replace(ADA, name=name))
    with cluster.api() as api:
        answer = api.post("/api/v1/resumes", files={"file": ("cv.pdf", content, "application/pdf")})
        assert answer.status_code == 201, answer.text
        record = answer.json()
        assert record["parsed"]["contact"]["full_name"] == name
        assert len(record["parsed"]["experience"]) == 2

        found = api.get("/api/v1/talents", params={"q": name}).json()["items"]
        assert [talent["full_name"] for talent in found] == [name]

        with cluster.api(tenant="another") as stranger:
            assert stranger.get("/api/v1/talents", params={"q": name}).json()["items"] == []
            assert stranger.get(f"/api/v1/resumes/{record['id']}").status_code == 404

        assert api.delete(f"/api/v1/talents/{found[0]['id']}", headers={"If-Match": "*"}).status_code in {
            200,
            204,
        }


def test_given_a_new_version_when_it_is_applied_and_rolled_back_then_no_request_fails(
    cluster: Cluster, resume_service: Object
) -> None:
    first = resume_service["status"]["stableRevision"]
    with cluster.api() as api, Traffic(api, "/api/v1/resumes?limit=1") as traffic:
        traffic.wait_for_revision(first)

        # When a changed spec is applied, as a person does it
        changed = cluster.get("aiservice", "resume")
        changed["spec"]["podTemplate"] = {
            "metadata": {"annotations": {"example.org/note": secrets.token_hex(4)}}
        }
        traffic.mark("apply")
        cluster.apply(
            {key: changed[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "resume"}}
        )
        after = cluster.watch(
            "aiservice",
            "resume",
            lambda s: settled(s) and s["status"].get("stableRevision") != first,
            sentence="the new revision is rolled out",
        )
        second = after["status"]["stableRevision"]
        traffic.wait_for_revision(second)

        # And rolled back with a reason
        traffic.mark("rollback")
        cluster.kubectl_looma("rollback", "resume", "--reason", "the new one reads dates wrongly")
        back = cluster.watch(
            "aiservice", "resume", settled_on(first), sentence="the first revision serves again"
        )
        traffic.wait_for_revision(first)
        traffic.mark("end")

    # Then the answers came from the old pods, nothing failed, and who and why are recorded
    assert traffic.failures() == []
    rollback = back["status"]["lastRollback"]
    assert (rollback["from"], rollback["to"]) == (second, first)
    assert rollback["reason"] == "the new one reads dates wrongly"
    assert rollback["requestedBy"]
    assert rollback["completedAt"] >= rollback["startedAt"]


@pytest.mark.long
def test_given_an_older_file_when_it_is_applied_again_then_the_known_revision_returns(
    cluster: Cluster, resume_service: Object
) -> None:
    first = resume_service["status"]["stableRevision"]
    older = {"apiVersion": "looma.dev/v1alpha1", "kind": "AIService", "metadata": {"name": "resume"}}
    note = {"metadata": {"annotations": {"example.org/note": secrets.token_hex(4)}}}
    cluster.apply(older | {"spec": resume_service["spec"] | {"podTemplate": note}})
    cluster.watch(
        "aiservice",
        "resume",
        lambda s: settled(s) and s["status"].get("stableRevision") != first,
        sentence="the new revision is rolled out",
    )
    patch = [{"op": "replace", "path": "/spec", "value": resume_service["spec"]}]
    cluster.kubectl("patch", "aiservice", "resume", "--type", "json", "-p", json.dumps(patch))
    back = cluster.watch(
        "aiservice", "resume", settled_on(first), sentence="the older file's revision serves again"
    )
    assert back["status"]["lastRollback"]["to"] == first
