"""The frame of sync workers and the worker that counts, against an API server that knows epochs and versions."""

from __future__ import annotations

import gc
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from looma_core.api.syncjob import CONTRACT, ExitCode, ShardReport, Variable
from looma_engines.sync_worker import cluster, frame
from looma_engines.sync_worker import main as sync_main
from looma_engines.sync_worker.cluster import ClusterError, SyncJobInCluster
from looma_engines.sync_worker.counting import CountingWorker
from looma_engines.sync_worker.frame import Batch, Counts, run
from looma_engines.sync_worker.inputs import BadInputError, Inputs, read_inputs
from support.sync_server import Server, seen_by


def inputs(tmp_path: Path, **changes: Any) -> Inputs:
    values = {
        Variable.CONTRACT: CONTRACT,
        Variable.JOB: "people",
        Variable.NAMESPACE: "looma",
        Variable.RUN: "people-sync-1",
        Variable.EPOCH: "1",
        Variable.SHARD: "0",
        Variable.SHARDS: "1",
        Variable.SOURCE: '{"type":"jsonl","path":"people.jsonl"}',
        Variable.BATCH_SIZE: "2",
        Variable.DATA: str(tmp_path),
        **changes,
    }
    return read_inputs({name: value for name, value in values.items() if value is not None})


def people(tmp_path: Path, count: int, name: str = "people.jsonl") -> None:
    lines = [json.dumps({"id": number}) for number in range(count)]
    (tmp_path / name).write_text("\n".join(lines) + "\n")


def do(server: Server, given: Inputs, worker: frame.Worker | None = None) -> int:
    return run(worker or CountingWorker(), given, seen_by(server, given))


def test_a_shard_is_counted_reported_and_done(tmp_path: Path) -> None:
    people(tmp_path, 5)
    server = Server()
    assert do(server, inputs(tmp_path)) == ExitCode.DONE
    last = server.reports[-1]
    assert (last["state"], last["total"], last["read"], last["unchanged"]) == ("Succeeded", 5, 5, 5)
    assert (last["worker"], last["cursor"]) == ("counting", "5")
    assert "wrote nothing" in last["message"]


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_every_record_belongs_to_just_one_shard(tmp_path: Path, shards: int, kind: str) -> None:
    if kind == "csv":
        (tmp_path / "people.csv").write_text("id,name\n" + "".join(f"{n},Ada\n" for n in range(10)))
    else:
        people(tmp_path, 10)
    server = Server()
    for shard in range(shards):
        source = json.dumps({"type": kind, "path": f"people.{kind}"})
        changes = {
            Variable.SHARD: str(shard),
            Variable.SHARDS: str(shards),
            Variable.SOURCE: source,
        }
        assert do(server, inputs(tmp_path, **changes)) == ExitCode.DONE
    assert sum(entry["read"] for entry in server.shards.values()) == 10
    assert sum(entry["total"] for entry in server.shards.values()) == 10


def test_the_next_pod_goes_on_where_the_last_reported(tmp_path: Path) -> None:
    people(tmp_path, 7)
    server = Server()
    server.shards[0] = {"shard": 0, "epoch": 1, "state": "Running", "read": 4, "unchanged": 4, "cursor": "4"}
    worker = Recorder()
    assert do(server, inputs(tmp_path), worker) == ExitCode.DONE
    assert worker.written == [[4, 5], [6]]
    assert server.reports[-1]["read"] == 7


def test_what_an_earlier_epoch_reported_counts_for_nothing(tmp_path: Path) -> None:
    people(tmp_path, 3)
    server = Server(epoch=2)
    server.shards[0] = {"shard": 0, "epoch": 1, "state": "Running", "read": 2, "cursor": "2"}
    assert do(server, inputs(tmp_path, **{Variable.EPOCH: "2"})) == ExitCode.DONE
    assert server.reports[-1]["read"] == 3


class Recorder(CountingWorker):
    """Notes what it is to write; `then` happens after each batch."""

    def __init__(self, then: Any = lambda: None) -> None:
        self.written: list[list[int]] = []
        self._then = then

    def write(self, inputs: Inputs, batch: Batch) -> Counts:
        self.written.append([record["id"] for record in batch.records])
        self._then()
        return Counts(created=len(batch.records))


def test_a_run_that_is_over_writes_no_further_batch(tmp_path: Path) -> None:
    people(tmp_path, 6)
    server = Server()

    def newer() -> None:
        server.epoch = 2

    worker = Recorder(newer)
    assert do(server, inputs(tmp_path), worker) == ExitCode.FENCED
    assert worker.written == [[0, 1]]
    assert all(report["read"] == 0 for report in server.reports), "and reports nothing either"


def test_a_report_that_was_overtaken_by_a_newer_epoch_is_not_taken(tmp_path: Path) -> None:
    people(tmp_path, 1)
    server = Server()

    def overtaken() -> None:
        if len(server.reports) == 1:
            server.epoch, server.version = 2, server.version + 1

    server.before_patch = overtaken
    assert do(server, inputs(tmp_path)) == ExitCode.FENCED
    assert len(server.reports) == 1, "only the one before"


def test_a_report_is_sent_again_where_somebody_else_wrote(tmp_path: Path) -> None:
    people(tmp_path, 1)
    server = Server()
    left = [3]

    def busy() -> None:
        if left[0]:
            left[0] -= 1
            server.version += 1

    server.before_patch = busy
    assert do(server, inputs(tmp_path)) == ExitCode.DONE
    assert len(server.reports) == 2


def test_a_second_pod_of_a_shard_that_is_done_does_not_say_that_it_runs(tmp_path: Path) -> None:
    given, server = inputs(tmp_path), Server()
    seen = seen_by(server, given)
    done = ShardReport(shard=given.shard, epoch=given.epoch, state="Succeeded", read=9, cursor="9")
    seen.report(done)
    seen.report(msgspec.structs.replace(done, state="Running", read=4, cursor="4"))
    assert [(entry["state"], entry["read"]) for entry in server.reports] == [("Succeeded", 9)]
    # One that does all of it once more may say so; in the next run of the SyncJob all begins anew.
    seen.report(done)
    server.epoch += 1
    later = inputs(tmp_path, **{Variable.EPOCH: str(server.epoch)})
    seen_by(server, later).report(ShardReport(shard=later.shard, epoch=server.epoch, read=1))
    assert [entry["epoch"] for entry in server.reports] == [given.epoch, given.epoch, server.epoch]


def test_a_syncjob_that_is_gone_has_nobody_to_report_to(tmp_path: Path) -> None:
    people(tmp_path, 1)
    server = Server()
    server.gone = True
    assert do(server, inputs(tmp_path)) == ExitCode.FENCED


def test_an_api_server_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    people(tmp_path, 1)
    server = Server()
    server.trouble = [503, 429, 500]
    assert do(server, inputs(tmp_path)) == ExitCode.DONE


def test_what_the_api_server_forbids_is_tried_again_by_another_pod(tmp_path: Path) -> None:
    people(tmp_path, 1)
    server = Server()
    server.trouble = [403]
    assert do(server, inputs(tmp_path)) == frame.FAILED


def test_an_api_server_that_stays_away_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0.0)

    def away(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    given = inputs(tmp_path)
    client = httpx.Client(transport=httpx.MockTransport(away), base_url="https://cluster")
    with pytest.raises(ClusterError, match="does not answer"):
        SyncJobInCluster(client, given, sleep=lambda _seconds: None).check()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('{"id": 1}\nnone\n', "line 2: no JSON object"),
        ("[1]\n", "line 1: no JSON object"),
        (None, "cannot be read"),
    ],
)
def test_bad_input_is_said_and_not_tried_again(tmp_path: Path, lines: str | None, words: str) -> None:
    if lines is not None:
        (tmp_path / "people.jsonl").write_text(lines)
    server = Server()
    assert do(server, inputs(tmp_path)) == ExitCode.BAD_INPUT
    assert server.reports[-1]["state"] == "Failed"
    assert words in server.reports[-1]["message"]


def test_an_error_of_the_worker_is_tried_again_and_its_words_stay_in_the_log(tmp_path: Path) -> None:
    people(tmp_path, 4)

    def fail() -> None:
        raise RuntimeError("Ada Lovelace has no address")

    server = Server()
    assert do(server, inputs(tmp_path), Recorder(fail)) == frame.FAILED
    assert (server.reports[-1]["state"], server.reports[-1]["read"]) == ("Running", 0)
    assert server.reports[-1]["message"] == "RuntimeError, see the pod's log"


def test_a_pod_that_is_told_to_stop_leaves_its_cursor(tmp_path: Path) -> None:
    people(tmp_path, 6)
    count = [0]

    def stop() -> None:
        count[0] += 1
        if count[0] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    before, usual = signal.getsignal(signal.SIGTERM), gc.get_threshold()
    server = Server()
    assert do(server, inputs(tmp_path), Recorder(stop)) == 143
    assert (server.reports[-1]["state"], server.reports[-1]["cursor"]) == ("Running", "2")
    assert signal.getsignal(signal.SIGTERM) == before
    assert gc.get_threshold() == usual


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (Variable.CONTRACT, "2", "keeps version 1 of the contract, the operator '2'"),
        (Variable.JOB, None, "LOOMA_SYNC_JOB is missing"),
        (Variable.EPOCH, "0", "expected a whole number from 1"),
        (Variable.SHARD, "1", "is none of 1 shards"),
        (Variable.BATCH_SIZE, "many", "expected a whole number"),
        (Variable.SOURCE, '{"type":"ldap","path":"x"}', "LOOMA_SYNC_SOURCE"),
    ],
)
def test_inputs_that_are_wrong_are_named(tmp_path: Path, name: str, value: str | None, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        inputs(tmp_path, **{name: value})


def test_a_cursor_of_another_worker_is_bad_input(tmp_path: Path) -> None:
    people(tmp_path, 1)
    server = Server()
    server.shards[0] = {"shard": 0, "epoch": 1, "state": "Running", "cursor": "page-7"}
    assert do(server, inputs(tmp_path)) == ExitCode.BAD_INPUT


def test_the_command_ends_with_bad_input_where_it_was_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LOOMA_SYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sync_main.logging, "configure", lambda **_named: None)
    assert sync_main.start(lambda _: CountingWorker()) == ExitCode.BAD_INPUT


def test_reports_are_what_the_definition_knows() -> None:
    import yaml

    from looma_core.api.syncjob import ShardReport

    root = Path(__file__).resolve().parents[3]
    crd = yaml.safe_load((root / "crds" / "syncjob.yaml").read_text())
    status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    known = set(status["shards"]["items"]["properties"])
    assert {field.encode_name for field in msgspec.structs.fields(ShardReport)} == known


def test_the_contract_is_in_the_docs() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "sync-workers.md").read_text()
    for name in (value for key, value in vars(Variable).items() if key.isupper()):
        assert f"| `{name}` |" in text
    for code in ExitCode:
        assert f"| {code.value} |" in text
    assert f"version\n`{CONTRACT}` of the contract" in text
