"""SyncJobs: which runs begin, what becomes of them, and that there is never more than one."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looma_core.api.syncjob import Reading, ShardReport, Target, WriteBack
from looma_operator.names import REQUEST, REQUESTED_BY, EventReason, SyncPhase
from looma_operator.plan.conditions import Refusal
from looma_operator.plan.signatures import sign
from looma_operator.plan.sync import refuse_run
from looma_operator.plan.sync_observed import RunJob
from looma_operator.plan.sync_requests import decide_sync_request, parse_sync_request
from looma_operator.plan.sync_runs import end_run, keep, stand, sum_up, told
from looma_operator.plan.sync_schedule import next_run_time
from looma_operator.plan.sync_status import decide_sync_phase
from looma_operator.render.sync import render_run
from looma_operator.resources import RequestRecord, parse_time, to_json
from looma_operator.sync_resources import Run, SyncJobSpec, SyncSchedule
from support.operator_world import START
from support.sync_world import SyncWorld, spec

NIGHTLY = {"cron": "0 3 * * *", "timeZone": "Etc/UTC"}
SOURCE = {"type": "jsonl", "path": "people.jsonl"}


def run(epoch: int = 1, **changes) -> Run:
    base = {"epoch": epoch, "job": f"people-sync-{epoch}", "trigger": "Request", "started_at": START}
    return Run(**{**base, **changes})


def ended(epoch: int, result: str = "Succeeded") -> Run:
    return run(epoch, uid=f"u{epoch}", result=result, ended_at=START)


def job(name: str = "people-sync-1", uid: str = "u1", **changes) -> RunJob:
    return RunJob(name=name, uid=uid, resource_version="1", created_at=START, **{"epoch": 1, **changes})


def report(shard: int = 0, epoch: int = 1, **said) -> ShardReport:
    return ShardReport(shard=shard, epoch=epoch, **said)


def condition(world: SyncWorld, kind: str) -> tuple[str, str]:
    found = next(item for item in world.status["conditions"] if item["type"] == kind)
    return found["status"], found["reason"]


# The smaller decisions, each by the table in its own docstring.


@pytest.mark.parametrize(
    ("jobs", "uid", "states", "again", "result"),
    [
        ([job()], "", [], False, "Running"),
        ([job()], "u1", [], False, "Running"),
        ([job(ended="Complete")], "u1", [], False, "Succeeded"),
        ([job(ended="Failed", reason="BackoffLimitExceeded")], "", [], False, "Failed"),
        ([], "", [], True, "Running"),
        ([], "u1", ["Succeeded"], False, "Succeeded"),
        ([], "u1", ["Running"], False, "Failed"),
        ([job(uid="u2")], "u1", [], False, "Failed"),
    ],
)
def test_how_a_run_stands(jobs, uid, states, again, result):
    shards = [report(state=state) for state in states]
    answer = stand(run(uid=uid), jobs=jobs, shards=shards, now=START)
    assert (answer.again, answer.run.result) == (again, result)
    assert (answer.run.ended_at is None) == (result == "Running")


@pytest.mark.parametrize(
    ("message", "said", "words"),
    [
        ("Container worker for pod a/b failed with exit code 65 matching", "line 3: no JSON", "bad input"),
        ("Container worker for pod a/b failed with exit code 79 matching", "", "a newer epoch runs"),
        ("Job was active longer than specified deadline", "", "DeadlineExceeded: Job was active"),
    ],
)
def test_why_a_run_failed(message, said, words):
    failed = job(ended="Failed", reason="DeadlineExceeded", message=message)
    shards = [report(state="Failed", message=said)] if said else []
    told = stand(run(), jobs=[failed], shards=shards, now=START).run.message
    assert words in told
    assert said in told


@pytest.mark.parametrize(
    ("shards", "total", "read"),
    [
        ([report(0, total=10, read=3), report(1, total=10, read=4)], 20, 7),
        ([report(0, total=10, read=3), report(1)], None, 3),
        ([report(0, total=10, read=3)], None, 3),
        ([report(0, epoch=9, total=10, read=3), report(1, epoch=9, total=1, read=1)], None, 0),
        ([report(0, total=1, read=1), report(1, total=1, read=1), report(2, total=1, read=1)], 2, 2),
    ],
)
def test_shards_of_the_epoch_are_summed_up(shards, total, read):
    found = sum_up(shards, run(shards=2))
    assert (found.total, found.read) == (total, read)


def test_a_run_keeps_what_its_workers_read():
    changed = Reading(mode="incremental", since=START, full_in=2)
    mine = [report(0), report(1, reading=changed), report(2, epoch=9, reading=Reading(mode="full"))]
    begun = told(run(shards=2), mine)
    assert begun.reading == changed
    over = end_run(begun, result="Succeeded", message="", at=START, shards=[])
    assert over.reading == changed, "the workers' entries are of the next run by then"
    assert to_json(over)["reading"] == {
        "mode": "incremental",
        "since": START.isoformat().replace("+00:00", "Z"),
        "fullIn": 2,
    }
    assert told(run(), [report()]).reading is None


def test_a_rate_is_of_workers_that_go_on():
    shards = [report(0, rate_per_second=2.5), report(1, rate_per_second=9, state="Succeeded")]
    assert sum_up(shards, run(shards=2)).rate_per_second == 2.5
    assert sum_up(shards, run(shards=2, ended_at=START)).rate_per_second == 0


@pytest.mark.parametrize(
    ("suspend", "runs", "schedule", "phase"),
    [
        (True, [run()], True, "Suspended"),
        (False, [run()], True, "Running"),
        (False, [ended(1, "Failed")], True, "Failed"),
        (False, [ended(1, "Canceled")], False, "Canceled"),
        (False, [ended(1, "Canceled")], True, "Scheduled"),
        (False, [ended(1)], False, "Succeeded"),
        (False, [ended(1)], True, "Scheduled"),
        (False, [], False, "Pending"),
        (False, [], True, "Scheduled"),
    ],
)
def test_the_phase(suspend, runs, schedule, phase):
    wanted = SyncJobSpec(
        source=SOURCE, suspend=suspend, schedule=SyncSchedule(cron="@daily") if schedule else None
    )
    assert decide_sync_phase(spec=wanted, runs=runs) == SyncPhase(phase)


def test_so_many_ended_runs_are_kept_and_the_one_that_goes_on():
    runs = [ended(1), ended(2), ended(3), run(4)]
    assert [item.epoch for item in keep(runs, 2)] == [2, 3, 4]
    assert [item.epoch for item in keep(runs[:3], 3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("cron", "zone", "expected"),
    [
        ("0 3 * * *", "Etc/UTC", "2026-01-02T03:00:00Z"),
        ("0 3 * * *", "Asia/Shanghai", "2026-01-01T19:00:00Z"),
        ("@hourly", "Etc/UTC", "2026-01-01T13:00:00Z"),
        ("0 3 30 2 *", "Etc/UTC", None),
        ("61 3 * * *", "Etc/UTC", None),
        ("0 3 * * *", "Mars/Olympus", None),
    ],
)
def test_when_the_next_run_begins(cron, zone, expected):
    wanted = SyncJobSpec(source=SOURCE, schedule=SyncSchedule(cron=cron, time_zone=zone))
    assert next_run_time(spec=wanted, now=START) == parse_time(expected)


def test_nothing_is_next_while_suspended():
    wanted = SyncJobSpec(source=SOURCE, schedule=SyncSchedule(cron="@hourly"), suspend=True)
    assert next_run_time(spec=wanted, now=START) is None


@pytest.mark.parametrize(
    ("annotation", "known", "active", "suspended", "obstacle", "expected"),
    [
        (None, False, False, False, "", None),
        ("run", True, False, False, "", None),
        ("no JSON", False, False, False, "", None),
        ("run", False, False, False, "", ("Done", "run")),
        ("run", False, True, False, "", ("Refused", None)),
        ("run", False, False, True, "", ("Refused", None)),
        ("run", False, False, False, "no image", ("Refused", None)),
        ("cancel", False, True, True, "no image", ("Done", "cancel")),
        ("cancel", False, False, False, "", ("Refused", None)),
    ],
)
def test_what_a_request_asks_for(  # noqa: PLR0917 - a table
    annotation, known, active, suspended, obstacle, expected
):
    text = json.dumps({"id": "one", "action": annotation}) if annotation in ("run", "cancel") else annotation
    done = [RequestRecord(id="one", action="run", result="Done", at=START)] if known else []
    answer = decide_sync_request(
        annotations={REQUEST: text} if text else {},
        done=done,
        active=run() if active else None,
        suspended=suspended,
        obstacle=obstacle,
        now=START,
    )
    assert (answer and (answer.record.result, answer.does)) == expected


def test_a_request_that_is_none_says_what_to_write():
    for text in (
        "{",
        '{"id": "1", "action": "restart"}',
        '{"id": "", "action": "run"}',
        '{"id": "1", "x": 1}',
    ):
        with pytest.raises(ValueError, match=r"one of run, cancel"):
            parse_sync_request(text)


def test_nobody_signs_a_request_for_somebody_else():
    text = json.dumps({"id": "one", "action": "run"})
    signature = sign(
        annotations={REQUEST: text, REQUESTED_BY: '{"id":"one","by":"eve"}'}, before={}, who="ada"
    )
    assert signature is not None
    assert json.loads(signature) == {"id": "one", "by": "ada"}
    kept = sign(annotations={REQUEST: text}, before={REQUEST: text, REQUESTED_BY: signature}, who="bob")
    assert kept == signature, "who changes something else has not asked"
    forged = {REQUEST: json.dumps({"id": "two", "action": "run"}), REQUESTED_BY: signature}
    answer = decide_sync_request(
        annotations=forged, done=[], active=None, suspended=False, obstacle="", now=START
    )
    assert answer is not None
    assert answer.record.requested_by == "unknown", "the signature is of another request"


# Whole courses.


def test_without_a_schedule_it_runs_once_and_says_how_it_went():
    world = SyncWorld()
    world.look()
    assert world.running == ["people-sync-1"]
    assert (world.status["phase"], world.status["epoch"]) == ("Running", 1)
    assert {key for key, _ in world.children} == {"ServiceAccount", "Role", "RoleBinding"}
    world.report(
        epoch=1, total=4, read=4, unchanged=4, worker="counting", state="Succeeded", message="counted"
    )
    world.end("people-sync-1")
    world.settle()
    assert (world.status["phase"], world.status["epoch"]) == ("Succeeded", 1)
    assert condition(world, "Succeeded") == ("True", "RunSucceeded")
    assert world.status["progress"]["read"] == 4
    (last,) = world.status["runs"]
    assert (last["result"], last["trigger"], last["worker"]) == ("Succeeded", "Created", "counting")
    assert "lastSuccessTime" in world.status
    world.tick(3600)
    world.settle()
    assert len(world.status["runs"]) == 1, "and not again by itself"
    assert [notice.reason for notice in world.notices] == [EventReason.RUN_STARTED, EventReason.RUN_SUCCEEDED]


def test_workers_may_read_their_own_syncjob_and_write_its_status_and_nothing_else():
    world = SyncWorld()
    world.look()
    rules = world.children["Role", "people-sync"]["rules"]
    assert {(rule["resources"][0], *rule["verbs"], *rule["resourceNames"]) for rule in rules} == {
        ("syncjobs", "get", "people"),
        ("syncjobs/status", "patch", "people"),
    }


def test_a_scheduled_run_is_let_in_with_an_epoch_and_one_that_comes_meanwhile_is_skipped():
    world = SyncWorld(spec=spec(schedule=NIGHTLY))
    world.settle()
    assert world.jobs == {}, "with a schedule it waits for its time"
    assert world.status["phase"] == "Scheduled"
    assert world.status["nextRunTime"].startswith("2026-01-02T03:00")
    cron = world.children["CronJob", "people-sync"]["spec"]
    assert (cron["concurrencyPolicy"], cron["jobTemplate"]["spec"]["suspend"]) == ("Forbid", True)
    first = world.cron_fires()
    assert world.running == [], "its Job begins suspended"
    world.settle()
    assert world.running == [first]
    assert world.status["runs"][0]["trigger"] == "Schedule"
    second = world.cron_fires()
    world.settle()
    assert world.running == [first]
    assert second not in world.jobs
    assert world.notices[-1].reason == EventReason.RUN_SKIPPED
    world.end(first)
    by_hand = world.cron_fires(by_hand=True)
    world.settle()
    assert (world.running, world.status["epoch"]) == ([by_hand], 2)
    assert world.status["runs"][-1]["trigger"] == "Manual"


def test_run_now_is_refused_while_a_scheduled_run_goes_on():
    world = SyncWorld(spec=spec(schedule=NIGHTLY))
    world.settle()
    world.ask("run", "now")
    world.settle()
    assert world.running == ["people-sync-1"]
    world.ask("run", "again")
    world.settle()
    assert [item["result"] for item in world.status["requests"]] == ["Done", "Refused"]
    assert "only one at a time" in world.status["requests"][1]["message"]
    assert world.running == ["people-sync-1"]


def test_a_canceled_run_is_fenced_at_once_and_its_job_goes():
    world = SyncWorld()
    world.look()
    world.look()
    world.ask("cancel")
    world.settle()
    assert world.jobs == {}
    assert (world.status["phase"], world.status["epoch"]) == ("Canceled", 2)
    assert condition(world, "Succeeded") == ("False", "RunCanceled")
    world.report(epoch=1, read=99)
    world.settle()
    assert world.status["progress"]["read"] == 0


def test_a_scheduled_run_that_was_canceled_before_it_was_let_in_never_runs():
    world = SyncWorld(spec=spec(schedule=NIGHTLY, suspend=False))
    world.settle()
    name = world.cron_fires()
    world.look(crash_after=1)
    assert world.status["activeJob"] == name, "the status is written, its Job still waits"
    world.ask("cancel")
    world.look(crash_after=1)
    assert name in world.jobs, "killed before the deletion"
    world.settle()
    assert name not in world.jobs
    assert world.seen == set()


def test_a_run_begins_only_once_the_job_of_the_one_before_is_gone():
    world = SyncWorld()
    world.settle()
    world.ask("cancel", "one")
    world.look(crash_after=1)
    world.jobs["people-sync-1"]["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    world.ask("run", "two")
    world.settle()
    assert world.running == ["people-sync-1"], "its pods end"
    assert [item["id"] for item in world.status["requests"]] == ["one"], "the request waits as well"
    del world.jobs["people-sync-1"]
    world.settle()
    assert world.running == ["people-sync-3"]
    assert [item["result"] for item in world.status["requests"]] == ["Done", "Done"]


def test_where_the_status_was_lost_no_epoch_comes_twice():
    world = SyncWorld()
    world.settle()
    world.status = {}
    world.settle()
    assert world.jobs == {}, "nobody knows the run of that Job any more"
    assert world.status["epoch"] == 1
    world.ask("run")
    world.settle()
    assert world.running == ["people-sync-2"]


def test_suspend_stops_the_pods_and_keeps_the_epoch():
    world = SyncWorld()
    world.settle()
    world.spec["suspend"] = True
    world.settle()
    assert world.running == []
    assert world.status["phase"] == "Suspended"
    assert condition(world, "Running") == ("False", "Suspended")
    world.spec["suspend"] = False
    world.settle()
    assert world.running == ["people-sync-1"]
    assert world.status["epoch"] == 1


def test_nothing_begins_while_suspended():
    world = SyncWorld(spec=spec(suspend=True))
    world.settle()
    assert world.jobs == {}
    world.ask("run")
    world.settle()
    assert world.status["requests"][0]["result"] == "Refused"
    world.spec["suspend"] = False
    world.settle()
    assert world.running == ["people-sync-1"]


def test_a_job_that_is_deleted_by_hand_fails_the_run_and_its_pods_are_fenced():
    world = SyncWorld()
    world.settle()
    del world.jobs["people-sync-1"]
    world.settle()
    assert (world.status["phase"], world.status["epoch"]) == ("Failed", 2)
    assert world.jobs == {}
    assert "was deleted before it ended" in world.status["runs"][0]["message"]


def test_a_job_that_cannot_be_found_never_gets_its_epoch_twice():
    world = SyncWorld()
    world.look()
    del world.jobs["people-sync-1"]
    world.settle()
    assert world.running == ["people-sync-2"]
    assert {epoch for epoch, _ in world.seen} == {1, 2}
    assert len(world.status["runs"]) == 1


def test_history_is_bounded_with_its_jobs():
    world = SyncWorld(spec=spec(historyLimit=2))
    world.settle()
    for number in range(1, 6):
        world.end(f"people-sync-{number}")
        world.tick()
        world.ask("run", f"r{number}")
        world.settle()
    assert [item["epoch"] for item in world.status["runs"]] == [4, 5, 6]
    assert sorted(world.jobs) == ["people-sync-4", "people-sync-5", "people-sync-6"]


def test_without_a_schedule_the_cron_job_goes_but_not_before_its_run_ends():
    world = SyncWorld(spec=spec(schedule=NIGHTLY))
    world.settle()
    name = world.cron_fires()
    world.settle()
    del world.spec["schedule"]
    world.settle()
    assert ("CronJob", "people-sync") in world.children
    world.end(name)
    world.settle()
    assert ("CronJob", "people-sync") not in world.children
    assert world.status["phase"] == "Succeeded"


def test_what_belongs_to_somebody_else_is_left_alone_and_nothing_begins():
    world = SyncWorld(foreign=frozenset({("Role", "people-sync")}))
    world.settle()
    assert ("Role", "people-sync") not in world.children
    assert world.jobs == {}
    assert condition(world, "Ready") == ("False", "NameTaken")
    world.foreign = frozenset()
    world.settle()
    assert world.running == ["people-sync-1"]


def test_where_a_child_is_refused_nothing_begins_and_it_says_why():
    refusal = Refusal(kind="CronJob", name="people-sync", reason="ChildRefused", message="no such time zone")
    made = SyncWorld(spec=spec(schedule=NIGHTLY)).plan(refusals=(refusal,))
    assert made.then == ()
    ready = next(item for item in made.status.conditions if item.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "ChildRefused")
    assert "no such time zone" in ready.message


def test_without_an_image_nothing_begins_and_it_says_so():
    world = SyncWorld(image="")
    world.settle()
    assert condition(world, "Ready") == ("False", "NoImage")
    assert world.jobs == {}


def test_a_refused_job_ends_its_run():
    world = SyncWorld()
    world.look(crash_after=4)
    refusal = Refusal(kind="Job", name="people-sync-1", reason="ChildRefused", message="quota exceeded")
    answer = refuse_run(job=world.job, refusals=[refusal], default_image="i:1", now=START)
    assert answer is not None
    status, last = answer
    assert (status.phase, last.result) == ("Failed", "Failed")
    assert "quota exceeded" in last.message
    assert refuse_run(job=SyncWorld().job, refusals=[refusal], default_image="i:1", now=START) is None


def test_a_pod_template_cannot_set_the_epoch_and_may_add_what_it_needs():
    template = {
        "metadata": {"annotations": {"looma.dev/epoch": "99", "team": "hr"}},
        "spec": {
            "containers": [{"name": "worker", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    }
    world = SyncWorld(spec=spec(podTemplate=template, schedule=NIGHTLY))
    world.settle()
    cron = world.children["CronJob", "people-sync"]["spec"]["jobTemplate"]["spec"]["template"]
    assert cron["metadata"]["annotations"] == {"team": "hr"}
    pod = render_run(world.job, "i:1", 7)["spec"]["template"]
    assert pod["metadata"]["annotations"] == {"looma.dev/epoch": "7", "team": "hr"}
    assert {item["name"] for item in pod["spec"]["volumes"]} == {"tmp", "data"}


def test_a_worker_that_brings_people_in_has_the_keys():
    target = {"tenant": "demo", "entity": "talent"}
    pod = render_run(SyncWorld(spec=spec(target=target)).job, "i:1", 1)["spec"]["template"]["spec"]
    (mount,) = [item for item in pod["containers"][0]["volumeMounts"] if item["name"] == "key-ring"]
    env = {item["name"]: item.get("value") for item in pod["containers"][0]["env"]}
    assert env["LOOMA_KEY_RING_FILE"] == f"{mount['mountPath']}/ring.json"
    assert [item["secret"]["secretName"] for item in pod["volumes"] if item["name"] == "key-ring"] == [
        "looma-key-ring"
    ]
    for other in ({}, {"target": target, "image": "mine:1"}):
        assert "key-ring" not in json.dumps(render_run(SyncWorld(spec=spec(**other)).job, "i:1", 1))


def test_an_image_of_ones_own_has_its_own_entry_point():
    container = render_run(SyncWorld(spec=spec(image="mine:1")).job, "mine:1", 1)["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert (container["image"], "command" in container) == ("mine:1", False)


@pytest.mark.parametrize("schedule", [False, True])
@pytest.mark.parametrize("crash_after", range(8))
def test_killed_between_any_two_writes_it_comes_to_the_same(schedule, crash_after):
    world = SyncWorld(spec=spec(schedule=NIGHTLY) if schedule else spec())
    if schedule:
        world.settle()
        world.cron_fires()
    world.look(crash_after=crash_after)
    world.settle()
    assert len(world.running) == 1
    assert len(world.status["runs"]) == 1
    assert len({epoch for epoch, _ in world.seen}) == len(world.seen)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("look"), st.one_of(st.none(), st.integers(0, 6))),
        st.tuples(st.just("cron"), st.booleans()),
        st.tuples(st.just("ask"), st.sampled_from(["run", "cancel"])),
        st.tuples(st.just("end"), st.sampled_from(["Complete", "Failed"])),
        st.tuples(st.just("delete"), st.integers(0, 3)),
        st.tuples(st.just("suspend"), st.booleans()),
        st.tuples(st.just("schedule"), st.booleans()),
        st.tuples(st.just("parallelism"), st.integers(1, 4)),
    ),
    max_size=40,
)


def happen(world: SyncWorld, what: str, value, *, request: str) -> None:
    if what == "look":
        world.look(crash_after=value)
    elif what == "cron" and ("CronJob", "people-sync") in world.children:
        world.cron_fires(by_hand=value)
    elif what == "ask":
        world.ask(value, request)
    elif what == "end":
        for name in world.running:
            world.end(name, value)
    elif what == "delete" and world.jobs:
        world.jobs.pop(sorted(world.jobs)[value % len(world.jobs)])
    elif what == "suspend":
        world.spec["suspend"] = value
    elif what == "schedule":
        world.spec = spec(suspend=world.spec["suspend"], **({"schedule": NIGHTLY} if value else {}))
    elif what == "parallelism":
        world.spec["parallelism"] = value


@settings(deadline=timedelta(seconds=5))
@given(ACTIONS)
def test_whatever_happens_one_run_goes_on_at_most_and_no_epoch_comes_twice(actions):
    world = SyncWorld(spec=spec(schedule=NIGHTLY))
    for number, (what, value) in enumerate(actions):
        world.tick(60)
        happen(world, what, value, request=f"request-{number}")
        current = world.status.get("epoch", 0)
        may_write = [
            name
            for name in world.running
            if int(world.jobs[name]["spec"]["template"]["metadata"]["annotations"]["looma.dev/epoch"])
            == current
        ]
        assert len(may_write) <= 1, "of two Jobs with pods one at most has the current epoch"
        active = [item for item in world.status.get("runs", []) if "endedAt" not in item]
        assert len(active) <= 1
        assert len(world.status.get("runs", [])) <= world.spec["historyLimit"] + 1
    assert world.epochs == sorted(world.epochs), "it only grows"
    epochs = [epoch for epoch, _ in world.seen]
    assert len(epochs) == len(set(epochs)), "no two Jobs had one epoch"
    world.spec["suspend"] = False
    world.settle()
    world.settle()
    assert len(world.running) <= 1, "what was left over is gone"
    assert list(world.running) == ([world.read.active.job] if world.read.active else [])
    for name in world.running:
        world.end(name)
    world.settle()
    if not world.running:
        world.ask("run", "at last")
        world.settle()
    assert len(world.running) == 1, "and a run can always begin"


def test_workers_see_the_secret_of_a_source_as_files_and_nobody_reads_it_in_the_job():
    source = {
        "type": "postgresql",
        "url": "postgresql://crm.example/crm",
        "table": "people",
        "credentials": {"secretRef": {"name": "crm"}},
    }
    world = SyncWorld(spec=spec(source=source))
    world.look()
    pod = world.jobs["people-sync-1"]["spec"]["template"]["spec"]
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "looma-source")
    assert volume["secret"] == {"secretName": "crm", "defaultMode": 0o440}
    (worker,) = pod["containers"]
    (mount,) = (mount for mount in worker["volumeMounts"] if mount["name"] == "looma-source")
    environment = {item["name"]: item.get("value") for item in worker["env"]}
    assert (mount["mountPath"], mount["readOnly"]) == (environment["LOOMA_SYNC_CREDENTIALS"], True)
    assert json.loads(environment["LOOMA_SYNC_SOURCE"]) == source


def test_a_source_without_credentials_mounts_nothing_of_them():
    world = SyncWorld()
    world.look()
    pod = world.jobs["people-sync-1"]["spec"]["template"]["spec"]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]
    assert "LOOMA_SYNC_CREDENTIALS" not in {item["name"] for item in pod["containers"][0]["env"]}


def target_told(entity, **more):
    """What a worker is told of its target: as JSON, and as it reads that."""
    job = SyncWorld(spec=spec(target={"tenant": "demo", "entity": entity}, **more)).job
    (worker,) = render_run(job, "i:1", 1)["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item.get("value") for item in worker["env"]}
    told = environment["LOOMA_SYNC_TARGET"]
    return json.loads(told), msgspec.json.decode(told, type=Target)


@pytest.mark.parametrize("write_back", [None, {"creations": True, "deletions": "mark", "mark": "gone"}])
def test_a_worker_is_told_what_it_writes_back_where_anything_is_said_of_it(write_back):
    more = {} if write_back is None else {"direction": "twoWay", "writeBack": write_back}
    told, target = target_told("talent", **more)
    assert told.get("writeBack") == write_back
    expected = WriteBack() if write_back is None else WriteBack(creations=True, deletions="mark", mark="gone")
    assert target.write_back == expected


@pytest.mark.parametrize("references", [None, {"talent_id": "people", "company_id": "crm.companies"}])
def test_a_worker_is_told_of_whose_keys_values_are_where_anything_is_said_of_it(references):
    more = {} if references is None else {"references": references}
    told, target = target_told("relation", **more)
    assert told.get("references") == references
    assert target.references == (references or {})
