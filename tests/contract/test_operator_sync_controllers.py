"""SyncJobs with Kubernetes' own controllers of Jobs and CronJobs; only the kubelet is played.

A pod is played by running Looma's worker with the pod's environment and its account's rights, and writing the exit code
into the pod's status, as a kubelet does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_core.api.syncjob import ExitCode
from looma_engines.sync_worker.counting import CountingWorker
from looma_engines.sync_worker.frame import Batch, Counts, run
from looma_engines.sync_worker.inputs import Inputs
from support.job_controllers import ends, wait_pods
from support.operator_process import Looma
from support.sync_jobs import EPOCH, Object, ask, job, jobs, made, people, phase, shard, status

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("job_controllers")]


def index_of(pod: Object) -> int:
    return int(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"])


class Crashing(CountingWorker):
    """Crashes before a batch, once so many are written."""

    def __init__(self, after: int | None = None) -> None:
        self.written: list[str] = []
        self._after = after

    def write(self, inputs: Inputs, batch: Batch) -> Counts:
        if len(self.written) == self._after:
            raise RuntimeError("crash")
        self.written.append(batch.cursor)
        return super().write(inputs, batch)


def test_each_shard_is_a_pod_and_the_run_ends_with_the_last(looma: Looma, tmp_path: Path):
    people(tmp_path, 10)
    made(looma, "whole", parallelism=2)
    found = wait_pods(looma, "whole-sync-1", 2)
    assert sorted(map(index_of, found)) == [0, 1]
    names = {item["name"] for item in found[0]["spec"]["containers"][0]["env"]}
    assert {"JOB_COMPLETION_INDEX", "LOOMA_SYNC_RUN", "LOOMA_SYNC_EPOCH"} <= names
    for pod in found:
        assert pod["metadata"]["annotations"][EPOCH] == "1"
        ends(looma, pod, run(CountingWorker(), *shard(looma, "whole-sync-1", tmp_path, index_of(pod))))
    phase(looma, "whole", "Succeeded")
    assert status(looma, "whole")["progress"]["read"] == 10


def test_bad_input_is_not_tried_again(looma: Looma, tmp_path: Path):
    made(looma, "wrong", parallelism=1, backoffLimit=5)
    (pod,) = wait_pods(looma, "wrong-sync-1", 1)
    code = run(CountingWorker(), *shard(looma, "wrong-sync-1", tmp_path))
    assert code == ExitCode.BAD_INPUT
    ends(looma, pod, code)
    phase(looma, "wrong", "Failed")
    assert (
        "bad input, not tried again: source.path people.csv" in status(looma, "wrong")["runs"][0]["message"]
    )
    assert job(looma, "wrong-sync-1")["status"]["failed"] == 1


def test_a_pod_that_crashed_is_followed_by_one_that_goes_on_where_it_was(looma: Looma, tmp_path: Path):
    people(tmp_path, 8)
    made(looma, "crashed", batchSize=2)
    (pod,) = wait_pods(looma, "crashed-sync-1", 1)
    first = Crashing(after=3)
    ends(looma, pod, run(first, *shard(looma, "crashed-sync-1", tmp_path)))
    (following,) = wait_pods(looma, "crashed-sync-1", 1)
    assert following["metadata"]["uid"] != pod["metadata"]["uid"]
    second = Crashing()
    ends(looma, following, run(second, *shard(looma, "crashed-sync-1", tmp_path)))
    phase(looma, "crashed", "Succeeded")
    assert (first.written, second.written) == (["2", "4", "6"], ["8"])
    assert status(looma, "crashed")["progress"]["read"] == 8
    assert status(looma, "crashed")["epoch"] == 1


def test_a_run_whose_tries_are_used_up_has_failed(looma: Looma):
    made(looma, "tried", backoffLimit=0)
    (pod,) = wait_pods(looma, "tried-sync-1", 1)
    ends(looma, pod, 1)
    phase(looma, "tried", "Failed")
    assert "FailedIndexes" in status(looma, "tried")["runs"][0]["message"]


def test_suspended_it_has_no_pods_and_then_has_them_again(looma: Looma, tmp_path: Path):
    people(tmp_path, 4)
    made(looma, "paused")
    (before,) = wait_pods(looma, "paused-sync-1", 1)
    made(looma, "paused", suspend=True)
    wait_pods(looma, "paused-sync-1", 0)
    phase(looma, "paused", "Suspended")
    made(looma, "paused", suspend=False)
    (pod,) = wait_pods(looma, "paused-sync-1", 1)
    assert pod["metadata"]["uid"] != before["metadata"]["uid"]
    assert pod["metadata"]["annotations"][EPOCH] == "1"
    ends(looma, pod, run(CountingWorker(), *shard(looma, "paused-sync-1", tmp_path)))
    phase(looma, "paused", "Succeeded")


@pytest.mark.long
def test_a_run_that_is_too_slow_has_failed(looma: Looma):
    made(looma, "slow", activeDeadlineSeconds=3)
    wait_pods(looma, "slow-sync-1", 1)
    phase(looma, "slow", "Failed")
    assert "DeadlineExceeded" in status(looma, "slow")["runs"][0]["message"]


@pytest.mark.long
def test_at_its_minute_the_cron_jobs_job_is_let_in(looma: Looma, tmp_path: Path):
    people(tmp_path, 4)
    made(looma, "minutely", schedule={"cron": "* * * * *"})
    looma.until(lambda: bool(status(looma, "minutely").get("activeJob")), "its minute comes", seconds=120)
    name = status(looma, "minutely")["activeJob"]
    (pod,) = wait_pods(looma, name, 1)
    assert pod["metadata"]["annotations"][EPOCH] == "1"
    ends(looma, pod, run(CountingWorker(), *shard(looma, name, tmp_path)))
    looma.until(lambda: status(looma, "minutely")["runs"][0]["result"] == "Succeeded", "it succeeded")
    assert status(looma, "minutely")["runs"][0]["trigger"] == "Schedule"
    made(looma, "minutely", suspend=True, schedule={"cron": "* * * * *"})
    phase(looma, "minutely", "Suspended")


def test_a_canceled_run_has_no_pods_left(looma: Looma):
    made(looma, "stopped")
    wait_pods(looma, "stopped-sync-1", 1)
    assert ask(looma, "stopped", "cancel")[0] == 200
    phase(looma, "stopped", "Canceled")
    wait_pods(looma, "stopped-sync-1", 0)
    assert jobs(looma, "stopped") == {}
