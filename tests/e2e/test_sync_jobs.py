"""SyncJobs on a real cluster: workers in real pods, which are killed, stopped, cut off by a deadline, and fenced."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from support.cluster import Cluster, ExpectationError, Object

pytestmark = [pytest.mark.cluster, pytest.mark.beside]
RECORDS = 60

# A worker of the tests' own in the frame of Looma's: slow, and it says on its output what it writes. A stubborn one
# does not end when it is told to, as one on a node that was cut off.
SLOW = """
import os, signal, sys, time
from looma_engines.sync_worker.counting import CountingWorker
from looma_engines.sync_worker.main import start
class Slow(CountingWorker):
    name = "slow"
    def write(self, inputs, batch):
        if os.environ.get("STUBBORN"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("wrote", *(record["id"] for record in batch.records), flush=True)
        time.sleep(float(os.environ["PACE"]))
        return super().write(inputs, batch)
sys.exit(start(lambda _: Slow()))
"""


class Sync:
    """A SyncJob of a test's own."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def apply(self, *, slow: bool = False, pace: float = 0.5, stubborn: bool = False, **spec: Any) -> None:
        """Apply it; its files are those of a ConfigMap."""
        container: Object = {
            "name": "worker",
            "volumeMounts": [{"name": "files", "mountPath": "/data", "readOnly": True}],
        }
        if slow:
            container["command"] = ["python3", "-c", SLOW]
            container["env"] = [
                {"name": "PACE", "value": str(pace)},
                *([{"name": "STUBBORN", "value": "yes"}] if stubborn else []),
            ]
        template = {
            "spec": {
                "containers": [container],
                "volumes": [{"name": "files", "configMap": {"name": f"{self.name}-files"}}],
            }
        }
        manifest = {
            "apiVersion": "looma.dev/v1alpha1",
            "kind": "SyncJob",
            "metadata": {"name": self.name},
            "spec": {
                "source": {"type": "jsonl", "path": "people.jsonl"},
                "batchSize": 1,
                "podTemplate": template,
                **spec,
            },
        }
        self.cluster.apply(manifest)

    @property
    def status(self) -> Object:
        """Its status now."""
        found: Object = self.cluster.get("syncjob", self.name).get("status", {})
        return found

    def wait(self, until: Any, sentence: str, seconds: float = 120) -> Object:
        """The status for which it holds."""
        found = self.cluster.watch(
            "syncjob",
            self.name,
            lambda item: until(item.get("status", {})),
            sentence=sentence,
            seconds=seconds,
        )
        status: Object = found["status"]
        return status

    def wait_phase(self, phase: str, seconds: float = 120) -> Object:
        """The status once it has that phase."""
        return self.wait(lambda found: found.get("phase") == phase, f"{self.name} is {phase}", seconds)

    def wait_read(self, count: int) -> Object:
        """The status once so many records were read."""
        return self.wait(
            lambda found: (found.get("progress") or {}).get("read", 0) >= count, f"{count} records are read"
        )

    def pods(self) -> list[Object]:
        """Pods of its runs."""
        label = f"app.kubernetes.io/name=sync-job,app.kubernetes.io/instance={self.name}"
        return self.cluster.list("pods", label)

    def patch(self, **spec: Any) -> None:
        """Change its spec."""
        self.cluster.kubectl("patch", "sj", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))


@pytest.fixture
def sync(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Sync]:
    """A SyncJob that the test applies, with files to read."""
    lines = "\n".join(json.dumps({"id": number}) for number in range(RECORDS))
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{request.param}-files"},
            "data": {
                "people.jsonl": lines,
                "few.jsonl": lines[: lines.index("\n")],
                "bad.jsonl": '{"id": 1}\nno record\n',
            },
        }
    )
    made = Sync(cluster, str(request.param))
    yield made
    cluster.kubectl(
        "delete", f"sj/{made.name}", f"cm/{made.name}-files", "--ignore-not-found", "--wait=false"
    )


def named(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sync", [name], indirect=True)


@named("sync-once")
def test_given_a_file_when_a_syncjob_is_made_then_all_shards_count_it_and_it_can_be_asked_again(sync: Sync):
    sync.apply(parallelism=3, batchSize=7)
    status = sync.wait_phase("Succeeded")
    assert (status["progress"]["read"], status["progress"]["total"]) == (RECORDS, RECORDS)
    assert sorted(shard["read"] for shard in status["shards"]) == [20, 20, 20]
    succeeded = next(item for item in status["conditions"] if item["type"] == "Succeeded")
    assert "this worker only counts" in succeeded["message"]
    said = sync.cluster.kubectl_looma("sync", sync.name, "--reason", "once more", "--watch")
    assert f"run 2 Succeeded: {RECORDS} of {RECORDS} records read, 0 failed (worker counting)" in said
    run = sync.status["runs"][-1]
    assert (run["trigger"], run["reason"]) == ("Request", "once more")
    assert run["requestedBy"] not in ("", "unknown")


@named("sync-timed")
@pytest.mark.long
def test_given_a_schedule_when_its_minute_comes_then_a_run_is_let_in(sync: Sync):
    sync.apply(source={"type": "jsonl", "path": "few.jsonl"}, schedule={"cron": "* * * * *"})
    first = sync.wait(
        lambda found: any(run["result"] == "Succeeded" for run in found.get("runs", [])),
        "a scheduled run succeeds",
        seconds=180,
    )
    assert first["runs"][0]["trigger"] == "Schedule"
    assert first["nextRunTime"] > first["runs"][0]["startedAt"]
    second = sync.wait(
        lambda found: sum(run["result"] == "Succeeded" for run in found.get("runs", [])) >= 2,
        "and the next one",
        seconds=180,
    )
    epochs = [run["epoch"] for run in second["runs"]]
    assert epochs == sorted(set(epochs))


@named("sync-killed")
@pytest.mark.long
def test_given_a_run_when_its_pod_is_killed_then_the_next_pod_goes_on_where_it_was(sync: Sync):
    sync.apply(slow=True, pace=0.3)
    sync.wait_read(10)
    (pod,) = sync.pods()
    sync.cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    status = sync.wait_phase("Succeeded")
    assert (status["epoch"], status["progress"]["read"]) == (1, RECORDS)
    (last,) = [item for item in sync.pods() if item["status"]["phase"] == "Succeeded"]
    written = _written(sync.cluster.kubectl("logs", last["metadata"]["name"]))
    assert written[-1] == RECORDS - 1
    assert written[0] >= 5, "what was reported is not done again"


@named("sync-held")
@pytest.mark.long
def test_given_a_run_when_it_is_suspended_then_its_pods_end_and_it_goes_on_later(sync: Sync):
    sync.apply(slow=True, pace=0.3)
    sync.wait_read(5)
    sync.patch(suspend=True)
    sync.wait_phase("Suspended")
    label = f"app.kubernetes.io/name=sync-job,app.kubernetes.io/instance={sync.name}"
    sync.cluster.kubectl("wait", "--for=delete", "pod", "-l", label, "--timeout=60s", timeout=90)
    read = sync.status["progress"]["read"]
    assert 5 <= read < RECORDS
    sync.patch(suspend=False)
    status = sync.wait_phase("Succeeded")
    assert (status["epoch"], status["progress"]["read"]) == (1, RECORDS)
    assert len(status["runs"]) == 1


@named("sync-late")
@pytest.mark.long
def test_given_a_deadline_when_it_passes_then_the_run_has_failed(sync: Sync):
    sync.apply(slow=True, pace=5, activeDeadlineSeconds=8)
    status = sync.wait_phase("Failed")
    assert "DeadlineExceeded" in status["runs"][0]["message"]
    with pytest.raises(ExpectationError, match="DeadlineExceeded"):
        sync.cluster.kubectl_looma("sync", sync.name, "--watch")


@named("sync-bad")
@pytest.mark.long
def test_given_bad_input_then_the_run_fails_in_the_workers_words_and_is_not_tried_again(sync: Sync):
    sync.apply(source={"type": "jsonl", "path": "bad.jsonl"}, backoffLimit=5)
    status = sync.wait_phase("Failed")
    assert "bad.jsonl, line 2: no JSON object" in status["runs"][0]["message"]
    assert len(sync.pods()) == 1


@named("sync-fenced")
@pytest.mark.long
def test_given_a_worker_that_does_not_end_when_another_run_begins_then_it_writes_nothing_more(sync: Sync):
    sync.apply(slow=True, pace=1, stubborn=True, schedule={"cron": "0 0 29 2 *"})
    sync.wait_phase("Scheduled")
    sync.cluster.kubectl_looma("sync", sync.name)
    sync.wait_read(3)
    (pod,) = sync.pods()
    command = [
        *(str(sync.cluster.kubectl_path), "-n", sync.cluster.namespace),
        *("logs", "-f", pod["metadata"]["name"]),
    ]
    environment = {**os.environ, "KUBECONFIG": str(sync.cluster.kubeconfig)}
    log = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    sync.cluster.kubectl_looma("sync", sync.name, "--cancel", "--reason", "wrong file")
    before = sync.status["epoch"]
    sync.cluster.kubectl_looma("sync", sync.name)
    said, _ = log.communicate(timeout=60)
    assert "epoch" in said.splitlines()[-1], said
    assert "this worker is of epoch 1" in said
    sync.wait_read(1)
    status = sync.status
    assert status["epoch"] == before + 1
    assert {shard["epoch"] for shard in status["shards"]} == {status["epoch"]}
    assert [run["result"] for run in status["runs"]] == ["Canceled", "Running"]
    old = status["runs"][0]["progress"]["read"]
    assert len(_written(said)) <= old + 4, "after the fence there is not one batch more than was under way"


def _written(log: str) -> list[int]:
    return [int(line.split()[1]) for line in log.splitlines() if line.startswith("wrote ")]
