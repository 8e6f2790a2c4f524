"""People are told, by the operator's own process on a real API server and by real sockets.

Receivers are servers of the test: one of JSON without TLS, one robot of DingTalk with a certificate of the test's
authority. Pods are played.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from support.control_plane import ControlPlane, free_port
from support.operator_process import BIN, Looma, Replica, make
from support.sync_jobs import made
from support.webhook_receiver import Got, Webhook, write_receivers

pytestmark = pytest.mark.control_plane
Object = dict[str, Any]

TOKEN, SECRET = "a-token-that-nobody-else-may-see", "SEC-that-nobody-else-may-see"
CANARY = {"strategy": "Canary", "steps": [{"setWeight": 25}, {"pause": {}}]}
GOAL_SECONDS = 20  # People are told within this time of what happens; it takes a fraction of a second.


class Stand:
    """A namespace with receivers, in which tests start operators."""

    def __init__(self, looma: Looma, folder: Path) -> None:
        self.looma, self.folder = looma, folder
        self.ci, self.robot = Webhook().start(), Webhook()

    def tell(self, *, robot: bool = False, **limits: Any) -> None:
        """Write the settings as the chart mounts them."""
        receivers = [{"name": "ci", "type": "generic", "url": f"{self.ci.url}/hook?key={TOKEN}", **limits}]
        if robot:
            pki = self.looma.plane.pki
            self.robot.start(pki)
            receivers.append(
                {
                    "name": "oncall",
                    "type": "dingtalk",
                    "url": f"{self.robot.url}/robot/send?access_token={TOKEN}",
                    "signing-secret": SECRET,
                    "ca.crt": (pki.folder / "ca.crt").read_text(),
                    "language": "zh-CN",
                }
            )
        write_receivers(self.folder, *receivers, console_url="https://looma.example.com")

    def start(self) -> Replica:
        return self.looma.start(LOOMA_NOTIFICATIONS_DIR=str(self.folder))

    def stop(self) -> None:
        self.looma.stop()
        for receiver in (self.ci, self.robot):
            if receiver.hold is not None:
                receiver.hold.set()
            receiver.stop()

    def told(self, name: str) -> list[Object]:
        """What the receiver of JSON got about an object, as it came."""
        return [got.json for got in self.ci.got if got.json["object"]["name"] == name]

    def reasons(self, name: str) -> list[str]:
        return [said["type"] for said in self.told(name)]

    def apply(self, name: str, image: str, **more: Any) -> None:
        code, answer = self.looma.apply(name, image=image, **{"replicas": 4, "rollout": CANARY, **more})
        assert code in (200, 201), answer

    def ask(self, name: str, action: str, reason: str = "") -> None:
        text = json.dumps({"id": action, "action": action, "reason": reason})
        code, answer = self.looma.plane.request(
            "PATCH",
            self.looma.path("aiservices", name),
            {"metadata": {"annotations": {"looma.dev/request": text}}},
            content_type="application/merge-patch+json",
        )
        assert code == 200, answer

    def play(self, until: Callable[[], bool], sentence: str) -> None:
        self.looma.play(until, sentence)

    def serves(self, name: str, revision: str) -> bool:
        status = self.looma.status(name)
        return (status.get("stableRevision"), status.get("phase")) == (revision, "Ready")

    def waiting(self, name: str) -> list[Object]:
        """What status says is still to be told."""
        found: list[Object] = self.looma.status(name).get("notifications", [])
        return found

    def all_told(self, name: str) -> None:
        self.looma.until(lambda: not self.waiting(name), "everybody knows of everything")

    def count(self, replica: Replica, outcome: str, receiver: str) -> float:
        pattern = rf'looma_operator_notifications_total{{outcome="{outcome}",receiver="{receiver}",.*}} (\S+)'
        found = re.search(pattern, replica.get("/metrics"))
        return float(found[1]) if found else 0.0


@pytest.fixture
def stand(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Stand]:
    one = Stand(make(control_plane, tmp_path), tmp_path / "notifications")
    try:
        yield one
    finally:
        one.stop()
        logs = "".join(replica.log.read_text() for replica in one.looma.replicas)
        assert TOKEN not in logs
        assert SECRET not in logs


def signed(got: Got) -> bool:
    """Whether a robot's message has the signature that DingTalk would look for."""
    text = f"{got.query['timestamp']}\n{SECRET}".encode()
    wanted = base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha256).digest()).decode()
    return got.query["sign"] == wanted and abs(int(got.query["timestamp"]) / 1000 - got.at) < GOAL_SECONDS


def test_every_happening_is_told_once_to_everybody(stand: Stand):
    stand.tell(robot=True)
    replica = stand.start()
    stand.apply("resume", "engine:1")
    stand.play(lambda: stand.serves("resume", "r1"), "r1 serves")
    stand.apply("resume", "engine:2")
    stand.play(lambda: "RolloutWaiting" in stand.reasons("resume"), "somebody is told to look")
    stand.ask("resume", "promote", "it is well")
    stand.play(lambda: stand.serves("resume", "r2"), "r2 serves")
    stand.all_told("resume")
    assert stand.reasons("resume") == [
        *("RolloutStarted", "RolloutCompleted"),
        *("RolloutStarted", "RolloutWaiting", "RequestDone", "RolloutCompleted"),
    ]
    said = {item["type"]: item for item in stand.told("resume")[2:]}
    assert said["RolloutWaiting"] | {"id": "", "timestamp": ""} == {
        "version": 1,
        "id": "",
        "type": "RolloutWaiting",
        "timestamp": "",
        "severity": "info",
        "title": "Rollout waits for somebody",
        "message": "r2 waits for somebody to promote it, with 25 % of the requests",
        "cluster": None,
        "object": {"kind": "AIService", "namespace": stand.looma.namespace, "name": "resume"},
        "revision": {"from": "r1", "to": "r2"},
        "weight": 25,
        "phase": "Progressing",
        "requestedBy": "unknown (person)",
        "reason": None,
        "url": "https://looma.example.com/services/resume",
    }
    assert said["RequestDone"]["reason"] == "it is well"
    assert len({item["id"] for item in stand.told("resume")}) == 6
    for got in stand.ci.got:
        assert got.at - datetime.fromisoformat(got.json["timestamp"]).timestamp() < GOAL_SECONDS
    titles = [got.json["markdown"]["title"] for got in stand.robot.got]
    assert titles == [
        *("Looma 发布开始: resume", "Looma 发布完成: resume"),
        *("Looma 发布开始: resume", "Looma 发布等待人工确认: resume"),
        *("Looma 请求已执行: resume", "Looma 发布完成: resume"),
    ]
    assert all(signed(got) for got in stand.robot.got)
    assert stand.count(replica, "delivered", "ci") == stand.count(replica, "delivered", "oncall") == 6


def test_an_abort_and_a_rollback_are_told_with_who_and_why(stand: Stand):
    stand.tell(events=["RolloutAborted", "RollbackStarted", "RollbackCompleted"])
    stand.start()
    stand.apply("chat", "engine:1")
    stand.play(lambda: stand.serves("chat", "r1"), "r1 serves")
    stand.apply("chat", "engine:2")
    stand.play(lambda: stand.looma.status("chat").get("rollout", {}).get("step") == 1, "it waits")
    stand.ask("chat", "abort", "too slow")
    stand.play(lambda: "RolloutAborted" in stand.reasons("chat"), "the abort is told")
    stand.apply("chat", "engine:3", rollout={})
    stand.play(lambda: stand.serves("chat", "r3"), "r3 serves")
    stand.apply("chat", "engine:1", rollout={})
    stand.play(lambda: stand.serves("chat", "r1"), "r1 serves again")
    stand.all_told("chat")
    assert stand.reasons("chat") == ["RolloutAborted", "RollbackStarted", "RollbackCompleted"]
    aborted, started, completed = stand.told("chat")
    assert (aborted["severity"], aborted["reason"]) == ("warning", "too slow")
    assert (aborted["revision"], aborted["weight"]) == ({"from": "r1", "to": "r2"}, 0)
    assert started["revision"] == completed["revision"] == {"from": "r3", "to": "r1"}


def test_models_and_sync_jobs_are_told_of(stand: Stand):
    stand.tell(severity="warning")
    stand.start()
    looma = stand.looma
    model = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": "ner-1.0.0"},
        "spec": {
            "model": "ner",
            "version": "1.0.0",
            "format": "json",
            "artifact": {"uri": "oci://registry:5000/ner@sha256:" + "1" * 64},
            "evaluation": {"dataset": "people", "metric": "f1", "value": 0.5},
            "gates": {"minEvaluation": 0.9},
        },
    }
    code, answer = looma.plane.apply(looma.path("modelversions", "ner-1.0.0"), model, manager="person")
    assert code in (200, 201), answer
    looma.until(lambda: bool(stand.told("ner-1.0.0")), "the model's refusal is told")
    no_jobs(looma)
    made(looma, "crm")
    looma.until(lambda: bool(stand.told("crm")), "the run's failure is told")
    (refused,), (failed,) = stand.told("ner-1.0.0"), stand.told("crm")
    assert (refused["type"], refused["phase"]) == ("ModelRejected", "Rejected")
    assert "EvaluationTooLow" in refused["message"]
    assert (failed["type"], failed["phase"], failed["object"]["kind"]) == ("RunFailed", "Failed", "SyncJob")
    for plural, name in (("modelversions", "ner-1.0.0"), ("syncjobs", "crm")):
        looma.until(
            lambda plural=plural, name=name: (
                "notifications" not in looma.plane.request("GET", looma.path(plural, name))[1]["status"]
            ),
            f"nothing of {name} is left to tell",
        )
    looma.is_told("ner-1.0.0", "ModelRejected")
    (event,) = looma.events("ner-1.0.0")
    assert (event["reason"], event["type"]) == ("ModelRejected", "Warning")


def no_jobs(looma: Looma) -> None:
    """The API server makes no Job in the namespace from now on, so that a run fails at once."""
    hard = {"count/jobs.batch": "0"}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-jobs"},
        "spec": {"hard": hard},
    }
    path = looma.path("resourcequotas", "no-jobs", group="v1")
    looma.plane.apply(path, quota)
    state = {"status": {"hard": hard, "used": {"count/jobs.batch": "0"}}}
    looma.plane.request("PATCH", path + "/status", state, content_type="application/merge-patch+json")


def test_a_receiver_that_was_away_hears_of_everything_once(stand: Stand):
    stand.tell()
    stand.ci.stop()
    replica = stand.start()
    stand.apply("resume", "engine:1")
    stand.play(lambda: stand.serves("resume", "r1"), "r1 serves, whoever knows of it")
    assert [item["reason"] for item in stand.waiting("resume")] == ["RolloutStarted", "RolloutCompleted"]
    assert [item["to"] for item in stand.waiting("resume")] == [["ci"], ["ci"]]
    stand.looma.until(lambda: stand.count(replica, "retried", "ci") >= 2, "it was tried")
    stand.ci.start()
    stand.all_told("resume")
    assert stand.reasons("resume") == ["RolloutStarted", "RolloutCompleted"]


@pytest.mark.long
def test_no_look_waits_for_a_receiver(stand: Stand):
    stand.tell()
    stand.ci.hold = threading.Event()
    stand.start()
    stand.apply("resume", "engine:1")
    stand.looma.until(lambda: bool(stand.ci.got), "the receiver has the first message and says nothing")
    for number in range(1, 4):
        stand.apply("resume", f"engine:{number}", rollout={})
        revision = f"r{number}"
        stand.play(lambda revision=revision: stand.serves("resume", revision), f"{revision} serves")
    # All of that happened while the receiver still held the very first one.
    assert {got.json["id"] for got in stand.ci.got} == {stand.waiting("resume")[0]["id"]}
    stand.ci.hold.set()
    stand.all_told("resume")
    known = list(dict.fromkeys(item["id"] for item in stand.told("resume")))
    assert len(known) == 6


@pytest.mark.long
def test_a_killed_operator_forgets_nobody_and_repeats_nothing_that_was_written_down(stand: Stand):
    stand.tell()
    first = stand.start()
    stand.apply("resume", "engine:1")
    stand.play(lambda: stand.serves("resume", "r1"), "r1 serves")
    stand.all_told("resume")
    stand.ci.stop()
    stand.apply("resume", "engine:2", rollout={})
    stand.play(lambda: stand.serves("resume", "r2"), "r2 serves, whoever knows of it")
    first.signal(signal.SIGKILL)
    first.process.wait(timeout=10)
    stand.ci.start()
    stand.start()
    stand.all_told("resume")
    assert stand.reasons("resume") == ["RolloutStarted", "RolloutCompleted"] * 2
    assert set(Counter(item["id"] for item in stand.told("resume")).values()) == {1}


@pytest.mark.long
def test_what_a_killed_operator_was_just_telling_comes_again_with_its_id(stand: Stand):
    stand.tell()
    stand.ci.hold = threading.Event()
    first = stand.start()
    stand.apply("resume", "engine:1")
    stand.looma.until(lambda: bool(stand.ci.got), "the receiver has it, and has not answered")
    first.signal(signal.SIGKILL)
    first.process.wait(timeout=10)
    stand.ci.hold.set()
    stand.ci.hold = None
    stand.start()
    stand.play(lambda: stand.serves("resume", "r1"), "r1 serves")
    stand.all_told("resume")
    assert stand.reasons("resume") == ["RolloutStarted", "RolloutStarted", "RolloutCompleted"]
    once, again, _ = stand.told("resume")
    assert once == again


def test_a_robot_that_is_busy_is_told_again_and_one_that_refuses_is_not(stand: Stand):
    stand.tell(robot=True)
    stand.robot.answers = [
        (200, '{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}', {}),
        (503, "", {}),
        (200, '{"errcode":0,"errmsg":"ok"}', {}),
        (200, '{"errcode":310000,"errmsg":"sign not match"}', {}),
    ]
    replica = stand.start()
    stand.apply("resume", "engine:1")
    stand.play(lambda: stand.serves("resume", "r1"), "r1 serves")
    stand.all_told("resume")
    titles = [got.json["markdown"]["title"] for got in stand.robot.got]
    assert titles == ["Looma 发布开始: resume"] * 3 + ["Looma 发布完成: resume"]
    counted = {
        outcome: stand.count(replica, outcome, "oncall") for outcome in ("delivered", "retried", "refused")
    }
    assert counted == {"delivered": 1, "retried": 2, "refused": 1}
    assert "will not be told of RolloutCompleted" in replica.log.read_text()
    assert "errcode 310000: sign not match" in replica.log.read_text()


def test_a_receiver_whose_secret_is_missing_stops_no_rollout_and_is_told_when_it_comes(stand: Stand):
    stand.tell()
    (stand.folder / "ci" / "url").unlink()
    replica = stand.start()
    stand.apply("resume", "engine:1")
    stand.play(lambda: stand.serves("resume", "r1"), "r1 serves")
    assert "receiver ci cannot be told yet: its address is not there" in replica.log.read_text()
    (stand.folder / "ci" / "url").write_text(f"{stand.ci.url}/hook?key={TOKEN}")
    stand.all_told("resume")
    assert stand.reasons("resume") == ["RolloutStarted", "RolloutCompleted"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            '{"receivers": [{"name": "a", "type": "slack"}]}',
            "Invalid enum value 'slack' - at `$.receivers[0].type`: write generic or wecom or dingtalk",
        ),
        ("", "settings.json"),
    ],
)
def test_wrong_settings_end_the_operator_with_what_to_write(settings: str, says: str, tmp_path: Path):
    if settings:
        (tmp_path / "settings.json").write_text(settings)
    done = subprocess.run(
        [str(BIN / "looma-operator"), "run"],
        env={"LOOMA_NOTIFICATIONS_DIR": str(tmp_path), "LOOMA_PORT": str(free_port()), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("looma-operator: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
