"""A SyncJob with a target on a real cluster: pods bring a file's records into the database, people the rest."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from support.cluster import Cluster, Object

pytestmark = [pytest.mark.cluster, pytest.mark.beside]
SHARDS, PEOPLE = 2, 40


def files(cluster: Cluster, name: str, rows: list[Object]) -> None:
    text = "\n".join(json.dumps(row) for row in rows)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-files"},
            "data": {"people.jsonl": text},
        }
    )


def apply(cluster: Cluster, name: str, **spec: Any) -> None:
    mount = {"name": "files", "mountPath": "/data", "readOnly": True}
    template = {
        "spec": {
            "containers": [{"name": "worker", "volumeMounts": [mount]}],
            "volumes": [{"name": "files", "configMap": {"name": f"{name}-files"}}],
        }
    }
    cluster.apply(
        {
            "apiVersion": "looma.dev/v1alpha1",
            "kind": "SyncJob",
            "metadata": {"name": name},
            "spec": {
                "source": {"type": "jsonl", "path": "people.jsonl"},
                "target": {"tenant": "demo", "entity": "talent"},
                "parallelism": SHARDS,
                "batchSize": 10,
                "podTemplate": template,
                **spec,
            },
        }
    )


def ended(cluster: Cluster, name: str, epoch: int) -> Object:
    """The run of that number, once it has ended."""

    def run_of(item: Object) -> Object:
        runs = item.get("status", {}).get("runs") or []
        return next((run for run in runs if run["epoch"] == epoch and run.get("endedAt")), {})

    item = cluster.watch(
        "syncjob", name, lambda item: bool(run_of(item)), sentence=f"run {epoch} of {name} ends", seconds=180
    )
    return run_of(item)


def test_given_a_file_of_people_when_it_is_synced_then_each_is_there_once_and_the_wrong_one_waits(
    cluster: Cluster,
) -> None:
    name, word = f"crm-{secrets.token_hex(3)}", f"Quill{secrets.token_hex(4)}"
    people = [
        {"id": f"p-{number}", "full_name": f"{word} {number}", "email": f"{number}@mail.example"}
        for number in range(PEOPLE)
    ]
    people[7]["email"] = "nobody"
    files(cluster, name, people)
    try:
        apply(cluster, name)
        run = ended(cluster, name, 1)
        assert run["result"] == "Succeeded", run
        assert run["worker"] == "records"
        progress = run["progress"]
        assert (progress["created"], progress["quarantined"], progress["failed"]) == (PEOPLE - 1, 1, 0)
        assert progress["verified"] == progress["total"] == progress["read"] == PEOPLE

        with cluster.api() as api:
            found = api.get("/api/v1/talents", params={"q": word, "limit": 100}).json()["items"]
            assert len(found) == PEOPLE - 1
            assert {item["source"]["type"] for item in found} == {"sync"}
            entries = api.get("/api/v1/quarantine", params={"job": f"looma/{name}"}).json()["items"]
            (entry,) = entries
            assert (entry["key"], [error["field"] for error in entry["errors"]]) == ("p-7", ["email"])
            draft = {"full_name": people[7]["full_name"], "email": "seven@mail.example"}
            put_right = api.post(
                f"/api/v1/quarantine/{entry['id']}/replay",
                json={"draft": draft},
                headers={"If-Match": f'"{entry["version"]}"'},
            )
            assert put_right.status_code == 200, put_right.text

            request = json.dumps({"id": "again", "action": "run"})
            cluster.kubectl("annotate", "sj", name, f"looma.dev/request={request}", "--overwrite")
            second = ended(cluster, name, 2)["progress"]
            assert (second["unchanged"], second["created"], second["quarantined"]) == (PEOPLE, 0, 0)
            assert second["verified"] == PEOPLE

            runs = api.get("/api/v1/sync-runs", params={"job": f"looma/{name}"}).json()["items"]
            assert [(run["epoch"], run["held"], run["ended"]) for run in runs] == [
                (2, PEOPLE, SHARDS),
                (1, PEOPLE, SHARDS),
            ]
            history = api.get(f"/api/v1/talents/{found[0]['id']}/history").json()["items"]
            assert [(item["action"], item["origin"]) for item in history] == [("create", "sync")]
    finally:
        cluster.kubectl("delete", "sj", name, "--ignore-not-found", "--wait=false")
        cluster.kubectl("delete", "configmap", f"{name}-files", "--ignore-not-found")


def test_given_people_when_their_relations_are_synced_by_the_sources_keys_then_a_circle_waits_and_the_rest_is_there(
    cluster: Cluster,
) -> None:
    people, ties = f"crm-{secrets.token_hex(3)}", f"ties-{secrets.token_hex(3)}"
    word = f"Quill{secrets.token_hex(4)}"
    rows = [
        {
            "id": str(number),
            "kind": "reports_to",
            "talent_id": f"p-{number}",
            "other_talent_id": f"p-{number + 1}",
        }
        for number in range(3)
    ]
    circle = {"id": "9", "kind": "reports_to", "talent_id": "p-3", "other_talent_id": "p-0"}
    stranger = {"id": "10", "kind": "knows", "talent_id": "p-0", "other_talent_id": "p-99"}
    files(cluster, people, [{"id": f"p-{number}", "full_name": f"{word} {number}"} for number in range(4)])
    files(cluster, ties, [*rows, circle, stranger])
    try:
        # Given
        apply(cluster, people)
        assert ended(cluster, people, 1)["result"] == "Succeeded"

        # When
        target = {"tenant": "demo", "entity": "relation"}
        apply(
            cluster,
            ties,
            target=target,
            references={"talent_id": people, "other_talent_id": people},
            parallelism=1,
        )
        run = ended(cluster, ties, 1)

        # Then
        progress = run["progress"]
        assert (run["result"], progress["created"], progress["quarantined"]) == ("Succeeded", 3, 2), run
        assert progress["verified"] == progress["total"] == 5
        with cluster.api() as api:
            (first,) = [
                item
                for item in api.get("/api/v1/talents", params={"q": word, "limit": 100}).json()["items"]
                if item["full_name"].endswith(" 0")
            ]
            (led,) = api.get("/api/v1/relations", params={"talent_id": first["id"]}).json()["items"]
            assert (led["other_talent_name"], led["source"]) == (
                f"{word} 1",
                {"type": "sync", "ref": f"{ties}:0"},
            )
            waiting = api.get("/api/v1/quarantine", params={"job": f"looma/{ties}"}).json()["items"]
            said = {entry["key"]: entry["errors"][0]["message"] for entry in waiting}
            assert said["9"].startswith("closes a circle of 4 people")
            assert said["10"] == f"{people} has brought no such record that is here"
    finally:
        for name in (ties, people):
            cluster.kubectl("delete", "sj", name, "--ignore-not-found", "--wait=false")
            cluster.kubectl("delete", "configmap", f"{name}-files", "--ignore-not-found")
