"""SyncJobs on a real API server: Jobs, CronJob, rights and fences; the Jobs' controller and the workers are played."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from looma_core.api.syncjob import ExitCode
from looma_engines.sync_worker import cluster
from looma_engines.sync_worker.counting import CountingWorker
from looma_engines.sync_worker.frame import Batch, Counts, run
from looma_engines.sync_worker.inputs import Inputs
from support.operator_process import BIN, Looma
from support.sync_jobs import (
    BATCH,
    EPOCH,
    apply,
    ask,
    end,
    get,
    job,
    jobs,
    made,
    people,
    phase,
    runs,
    shard,
    status,
)

pytestmark = pytest.mark.control_plane
RBAC = "rbac.authorization.k8s.io/v1"
Object = dict[str, Any]


def test_it_runs_once_and_says_how_it_went(looma: Looma):
    made(looma, "once", parallelism=3, activeDeadlineSeconds=60, ttlSecondsAfterFinished=600)
    looma.until(lambda: "once-sync-1" in runs(looma, "once"), "its Job runs")
    spec = job(looma, "once-sync-1")["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert (spec["backoffLimitPerIndex"], spec["activeDeadlineSeconds"]) == (3, 60)
    assert spec["template"]["metadata"]["annotations"][EPOCH] == "1"
    assert looma.child("roles", "once-sync", RBAC)[0] == 200
    assert looma.child("rolebindings", "once-sync", RBAC)[0] == 200
    phase(looma, "once", "Running")
    end(looma, "once-sync-1")
    phase(looma, "once", "Succeeded")
    found = status(looma, "once")
    assert [(run["epoch"], run["result"], run["trigger"]) for run in found["runs"]] == [
        (1, "Succeeded", "Created")
    ]
    assert found["lastSuccessTime"] == "2026-01-01T12:00:00Z"
    looma.is_told("once", "RunStarted", "RunSucceeded")
    assert "finalizers" not in get(looma, "once")["metadata"]
    runs_total = f'sync_runs_total{{name="once",namespace="{looma.namespace}",result="Succeeded"}} 1.0'
    looma.until(lambda: runs_total in looma.replicas[0].get("/metrics"), "the run is counted")


def test_asked_for_by_a_person_it_runs_again_and_only_one_at_a_time(looma: Looma):
    made(looma, "asked", schedule={"cron": "0 3 1 1 *"})
    phase(looma, "asked", "Scheduled")
    assert jobs(looma, "asked") == {}
    assert ask(looma, "asked", "run", request="one")[0] == 200
    looma.until(lambda: "asked-sync-1" in runs(looma, "asked"), "it runs")
    assert ask(looma, "asked", "run", request="two")[0] == 200
    looma.until(lambda: len(status(looma, "asked").get("requests", [])) == 2, "both are recorded")
    first, second = status(looma, "asked")["requests"]
    assert (first["result"], first["requestedBy"], first["reason"]) == ("Done", "admin", "because")
    assert second["result"] == "Refused"
    assert "only one at a time" in second["message"]
    assert set(jobs(looma, "asked")) == {"asked-sync-1"}
    assert ask(looma, "asked", "cancel", request="three")[0] == 200
    phase(looma, "asked", "Scheduled")
    looma.until(lambda: jobs(looma, "asked") == {}, "its Job is gone")
    assert status(looma, "asked")["runs"][-1]["result"] == "Canceled"
    assert status(looma, "asked")["epoch"] == 2, "pods that still end are fenced"


def test_a_job_of_the_cron_job_is_let_in_with_its_epoch(looma: Looma):
    made(looma, "timed", schedule={"cron": "30 2 * * 1-5", "timeZone": "Asia/Shanghai"})
    looma.until(lambda: looma.child("cronjobs", "timed-sync", BATCH)[0] == 200, "there is a CronJob")
    cron = looma.child("cronjobs", "timed-sync", BATCH)[1]["spec"]
    assert (cron["concurrencyPolicy"], cron["timeZone"]) == ("Forbid", "Asia/Shanghai")
    assert cron["jobTemplate"]["spec"]["suspend"] is True
    assert status(looma, "timed")["nextRunTime"]
    create = ("-n", looma.namespace, "create", "job", "--from=cronjob/timed-sync")
    looma.plane.kubectl(*create, "first")
    looma.until(lambda: "first" in runs(looma, "timed"), "it is let in")
    template = job(looma, "first")["spec"]["template"]
    assert template["metadata"]["annotations"][EPOCH] == "1"
    assert (status(looma, "timed")["activeJob"], status(looma, "timed")["epoch"]) == ("first", 1)
    looma.plane.kubectl(*create, "second")
    looma.until(lambda: "second" not in jobs(looma, "timed"), "one that comes meanwhile is left out")
    looma.until(lambda: "RunSkipped" in looma.reasons("timed"), "and it is told")
    end(looma, "first")
    phase(looma, "timed", "Scheduled")
    looma.plane.kubectl(*create, "third")
    looma.until(lambda: "third" in runs(looma, "timed"), "the next is let in")
    assert job(looma, "third")["spec"]["template"]["metadata"]["annotations"][EPOCH] == "2"


def test_suspend_stops_a_run_and_lets_it_go_on(looma: Looma):
    made(looma, "held")
    looma.until(lambda: "held-sync-1" in runs(looma, "held"), "it runs")
    made(looma, "held", suspend=True)
    phase(looma, "held", "Suspended")
    looma.until(lambda: runs(looma, "held") == {}, "its Job is suspended")
    made(looma, "held", suspend=False, parallelism=2)
    looma.until(lambda: "held-sync-1" in runs(looma, "held"), "it goes on, in the shards that it had")
    assert job(looma, "held-sync-1")["spec"]["parallelism"] == 1
    assert status(looma, "held")["epoch"] == 1


def test_bad_input_is_said_in_the_workers_words(looma: Looma):
    made(looma, "bad")
    looma.until(lambda: "bad-sync-1" in runs(looma, "bad"), "it runs")
    worker(looma, "bad", epoch=1, state="Failed", message="people.csv, line 3: no record", worker="w")
    end(
        looma,
        "bad-sync-1",
        "Failed",
        reason="PodFailurePolicy",
        message="Container worker for pod a/b failed with exit code 65 matching FailJob rule at index 0",
    )
    phase(looma, "bad", "Failed")
    message = status(looma, "bad")["runs"][-1]["message"]
    assert message == "bad input, not tried again: people.csv, line 3: no record"


def worker(looma: Looma, name: str, *, epoch: int, shard: int = 0, version: str = "", **said: Any) -> int:
    """A worker's report; answers the API server's code."""
    entry = {"shard": shard, "epoch": epoch, "state": "Running", **said}
    body = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "SyncJob",
        "metadata": {"name": name, **({"resourceVersion": version} if version else {})},
        "status": {"shards": [entry]},
    }
    path = looma.path("syncjobs", name) + "/status"
    return looma.plane.apply(path, body, manager=f"looma-worker-{shard}")[0]


def test_progress_is_the_sum_of_the_epochs_shards_and_an_old_state_is_no_ground_to_report_on(looma: Looma):
    made(looma, "sum", parallelism=2)
    phase(looma, "sum", "Running")
    before = get(looma, "sum")["metadata"]["resourceVersion"]
    worker(looma, "sum", epoch=1, shard=0, total=10, read=3, created=2, unchanged=1)
    worker(looma, "sum", epoch=1, shard=1, total=10, read=4, updated=4)
    looma.until(lambda: (status(looma, "sum").get("progress") or {}).get("read") == 7, "both count")
    progress = status(looma, "sum")["progress"]
    assert (progress["total"], progress["created"], progress["updated"]) == (20, 2, 4)
    assert worker(looma, "sum", epoch=1, shard=0, read=9, version=before) == 409, "what was read is old"
    managers = {entry["manager"] for entry in get(looma, "sum")["metadata"]["managedFields"]}
    assert {"looma", "looma-worker-0", "looma-worker-1"} <= managers
    assert len(status(looma, "sum")["shards"]) == 2, "and the operator takes none of them away"


def test_workers_may_report_and_nothing_else(looma: Looma):
    made(looma, "least")
    phase(looma, "least", "Running")

    def may(verb: str, resource: str) -> bool:
        who = f"system:serviceaccount:{looma.namespace}:least-sync"
        return (
            looma.plane.kubectl(
                "-n", looma.namespace, "auth", "can-i", verb, resource, f"--as={who}", check=False
            ).strip()
            == "yes"
        )

    assert may("get", "syncjobs/least")
    assert may("patch", "syncjobs/least") is False
    for verb, resource in (
        ("get", "syncjobs/once"),
        ("list", "syncjobs"),
        ("get", "secrets"),
        ("create", "jobs"),
        ("patch", "aiservices"),
    ):
        assert not may(verb, resource), (verb, resource)


class Watched(CountingWorker):
    """Counts, and lets the test do something after each batch."""

    def __init__(self, then: Any) -> None:
        self.batches_written = 0
        self._then = then

    def write(self, inputs: Inputs, batch: Batch) -> Counts:
        self.batches_written += 1
        self._then()
        return super().write(inputs, batch)


def test_two_workers_with_their_accounts_rights_report_all_records(looma: Looma, tmp_path: Path):
    people(tmp_path, 9)
    made(looma, "real", parallelism=2, batchSize=2)
    looma.until(lambda: "real-sync-1" in runs(looma, "real"), "it runs")
    for index in range(2):
        assert run(CountingWorker(), *shard(looma, "real-sync-1", tmp_path, index)) == ExitCode.DONE
    end(looma, "real-sync-1")
    phase(looma, "real", "Succeeded")
    found = status(looma, "real")
    assert (found["progress"]["read"], found["progress"]["total"]) == (9, 9)
    assert found["runs"][0]["worker"] == "counting"
    succeeded = next(item for item in found["conditions"] if item["type"] == "Succeeded")
    assert "wrote nothing: this worker only counts" in succeeded["message"]


def test_a_worker_comes_in_by_its_pods_own_token(
    looma: Looma, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    people(tmp_path, 3)
    made(looma, "token")
    looma.until(lambda: "token-sync-1" in runs(looma, "token"), "it runs")
    account = tmp_path / "account"
    account.mkdir()
    code, answer = looma.plane.request(
        "POST", looma.path("serviceaccounts", "token-sync", group="v1") + "/token", {"spec": {}}
    )
    assert code == 201, answer
    (account / "token").write_text(answer["status"]["token"])
    (account / "ca.crt").write_bytes((looma.plane.pki.folder / "ca.crt").read_bytes())
    monkeypatch.setattr(cluster, "ACCOUNT", account)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(looma.plane.port))
    inputs, _ = shard(looma, "token-sync-1", tmp_path)
    with cluster.connect() as client:
        assert run(CountingWorker(), inputs, cluster.SyncJobInCluster(client, inputs)) == ExitCode.DONE
        other = f"/apis/looma.dev/v1alpha1/namespaces/{looma.namespace}/syncjobs/once"
        assert client.get(other).status_code == 403, "it sees no other SyncJob"
        assert client.delete(other).status_code == 403
    assert status(looma, "token")["shards"][0]["read"] == 3


def test_a_worker_of_a_run_that_was_canceled_writes_and_reports_nothing_more(looma: Looma, tmp_path: Path):
    people(tmp_path, 20)
    made(looma, "fenced", batchSize=2, schedule={"cron": "@yearly"})
    phase(looma, "fenced", "Scheduled")
    ask(looma, "fenced", "run", request="one")
    looma.until(lambda: "fenced-sync-1" in runs(looma, "fenced"), "it runs")
    inputs, view = shard(looma, "fenced-sync-1", tmp_path)

    def cancel_and_run_again() -> None:
        ask(looma, "fenced", "cancel", request="two")
        looma.until(lambda: status(looma, "fenced").get("epoch") == 2, "the epoch rises")
        ask(looma, "fenced", "run", request="three")
        looma.until(lambda: "fenced-sync-3" in runs(looma, "fenced"), "another run goes on")

    worker = Watched(cancel_and_run_again)
    assert run(worker, inputs, view) == ExitCode.FENCED
    assert worker.batches_written == 1
    assert all(entry["read"] == 0 for entry in status(looma, "fenced")["shards"])
    assert run(CountingWorker(), *shard(looma, "fenced-sync-3", tmp_path)) == ExitCode.DONE
    assert status(looma, "fenced")["shards"][0]["epoch"] == 3


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"schedule": {"cron": "61 3 * * *"}}, "spec.schedule: no CronJob could be made of it"),
        ({"schedule": {"cron": "@daily", "timeZone": "Mars/Olympus"}}, "unknown time zone Mars/Olympus"),
        (
            {"podTemplate": {"spec": {"restartPolicy": "Always"}}},
            "spec.podTemplate: no Job could be made of it",
        ),
    ],
)
def test_what_no_job_can_be_made_of_is_refused(looma: Looma, spec: Object, words: str):
    code, answer = apply(looma, "refused", **spec)
    assert code >= 400, answer
    assert words in answer["message"]


def test_a_request_that_is_none_is_refused(looma: Looma):
    made(looma, "unknown", suspend=True)
    code, answer = ask(looma, "unknown", "restart")
    assert code == 400
    assert "one of run, cancel" in answer["message"]


def test_a_job_that_the_api_server_refuses_fails_the_run_once(looma: Looma):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-jobs"},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    path = looma.path("resourcequotas", "no-jobs", group="v1")
    looma.plane.apply(path, quota)
    state = {"status": {"hard": {"count/jobs.batch": "0"}, "used": {"count/jobs.batch": "0"}}}
    looma.plane.request("PATCH", path + "/status", state, content_type="application/merge-patch+json")
    try:
        made(looma, "full")
        phase(looma, "full", "Failed")
        assert "exceeded quota" in status(looma, "full")["runs"][0]["message"]
        assert status(looma, "full")["epoch"] == 1
    finally:
        looma.plane.request("DELETE", path)
    ask(looma, "full", "run", request="again")
    looma.until(lambda: "full-sync-2" in runs(looma, "full"), "asked again, it runs")


@pytest.mark.long
def test_from_the_command_line_it_runs_is_followed_and_is_refused(looma: Looma):
    made(looma, "typed", schedule={"cron": "@yearly"})
    phase(looma, "typed", "Scheduled")
    code, said = kubectl_looma(looma, "sync", "typed", "--reason", "because")
    assert (code, said) == (0, "typed: a run begins\n")
    code, said = kubectl_looma(looma, "sync", "typed")
    assert code == 1
    assert "only one at a time" in said
    assert kubectl_looma(looma, "sync", "typed", "--cancel")[0] == 0
    assert kubectl_looma(looma, "sync", "nobody")[0] == 3
    following = subprocess.Popen(
        [BIN / "kubectl-looma", "sync", "typed", "--watch", "-n", looma.namespace],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KUBECONFIG": str(looma.plane.kubeconfig)},
    )
    looma.until(lambda: len(runs(looma, "typed")) == 1, "it runs again")
    (name,) = runs(looma, "typed")
    end(looma, name, "Failed", reason="BackoffLimitExceeded", message="no more tries")
    said, _ = following.communicate(timeout=60)
    assert following.returncode == 1
    assert "Failed: 0 records read" in said


def kubectl_looma(looma: Looma, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [BIN / "kubectl-looma", *words, "-n", looma.namespace],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KUBECONFIG": str(looma.plane.kubeconfig)},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.long
def test_an_operator_that_is_killed_makes_no_second_run(looma: Looma):
    made(looma, "killed", schedule={"cron": "@yearly"})
    phase(looma, "killed", "Scheduled")
    for number in range(1, 3):
        assert ask(looma, "killed", "run", request=f"r{number}")[0] == 200
        looma.replicas[-1].signal(signal.SIGKILL)
        looma.start(webhook=False, wait=False)
        looma.until(lambda: len(runs(looma, "killed")) == 1, "it runs", seconds=90)
        (name,) = runs(looma, "killed")
        looma.until(lambda name=name: status(looma, "killed").get("activeJob") == name, "status knows it")
        end(looma, name)
        phase(looma, "killed", "Scheduled")
        assert len(status(looma, "killed")["runs"]) == number
    epochs = [run["epoch"] for run in status(looma, "killed")["runs"]]
    assert epochs == sorted(set(epochs))
