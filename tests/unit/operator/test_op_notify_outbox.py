"""What waits to be told: it enters status with the look that makes it so, and leaves it when everybody knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from looma_operator.kube.read import parse_model
from looma_operator.names import EventReason
from looma_operator.plan.author import Author
from looma_operator.plan.children import Notice
from looma_operator.plan.outbox import (
    MOST,
    OLDEST,
    Outbox,
    Subject,
    decide_outbox,
    of_service,
    of_sync_job,
)
from looma_operator.plan.receivers import Receiver
from looma_operator.plan.records import ModelUse, decide_model_status, model_notices
from looma_operator.resources_notifications import Notification
from looma_operator.sync_resources import Run, SyncJobStatus
from support.operator_world import START, World, spec

SUBJECT = Subject(kind="AIService", namespace="looma", name="resume", uid="u1")
ONCALL = Receiver(name="oncall", type="wecom", severity="warning")
CI = Receiver(name="ci", type="generic")
FAILED = Notice(reason=EventReason.ROLLOUT_FAILED, note="no pod in time", warning=True)
STARTED = Notice(reason=EventReason.ROLLOUT_STARTED, note="r2 is rolled out")


def waiting(identity: str = "1", *, to: tuple[str, ...] = ("oncall", "ci"), **more: object) -> Notification:
    return Notification(id=identity, reason="RolloutFailed", at=START, to=to, **more)


def outbox(
    *before: Notification, news: tuple[Notice, ...] = (), told=(), receivers=(ONCALL, CI), later=0
) -> Outbox:
    now = START + timedelta(seconds=later)
    return decide_outbox(
        subject=SUBJECT,
        before=before,
        news=[
            (notice, Notification(id=f"new-{number}", reason=notice.reason, warning=notice.warning, at=now))
            for number, notice in enumerate(news)
        ],
        receivers=receivers,
        told=frozenset(told),
        now=now,
    )


def receivers_of(made: Outbox) -> dict[str, tuple[str, ...]]:
    return {item.id: item.to for item in made.waits}


def test_what_is_new_waits_for_those_who_want_it():
    made = outbox(news=(FAILED, STARTED))
    assert receivers_of(made) == {"new-0": ("oncall", "ci"), "new-1": ("ci",)}


def test_without_receivers_nothing_waits():
    assert outbox(news=(FAILED,), receivers=()) == Outbox(waits=())


def test_it_waits_for_those_who_do_not_know_yet():
    assert receivers_of(outbox(waiting(), told=[("1", "ci")])) == {"1": ("oncall",)}


def test_it_goes_when_all_know():
    assert outbox(waiting(), told=[("1", "ci"), ("1", "oncall")]) == Outbox(waits=())


def test_a_receiver_that_is_no_more_is_waited_for_no_more():
    assert receivers_of(outbox(waiting(), receivers=(CI,))) == {"1": ("ci",)}
    assert outbox(waiting(to=("oncall",)), receivers=(CI,)) == Outbox(waits=())


def test_nobody_is_told_of_what_is_too_old():
    day = OLDEST.total_seconds()
    assert receivers_of(outbox(waiting(), later=day)) == {"1": ("oncall", "ci")}
    assert outbox(waiting(), later=day + 1) == Outbox(waits=(), lost=("oncall", "ci"))
    assert outbox(waiting(), told=[("1", "ci")], later=day + 1) == Outbox(waits=(), lost=("oncall",))


def test_of_too_many_the_oldest_that_warn_of_nothing_go():
    many = [waiting(str(number), warning=number < 3) for number in range(MOST)]
    many = [msgspec.structs.replace(item, at=START + timedelta(seconds=int(item.id))) for item in many]
    made = outbox(*many, news=(FAILED, STARTED), later=60)
    assert [item.id for item in made.waits] == [
        *("0", "1", "2"),
        *(str(number) for number in range(5, MOST)),
        *("new-0", "new-1"),
    ]
    assert made.lost == ("oncall", "ci") * 2


def told_of(world: World, look=None) -> list[Notification]:
    """Messages of the world's next look, as `of_service` makes them."""
    before, number = world.read_status, len(world.notices)
    (look or world.look)()
    news = world.notices[number:]
    return [
        item for _, item in of_service(SUBJECT, news, before=before, status=world.read_status, now=world.now)
    ]


def by_reason(messages: list[Notification]) -> dict[str, Notification]:
    return {item.reason: item for item in messages}


def canary(**more: object):
    return spec(rollout={"strategy": "Canary", "steps": [{"setWeight": 25}, {"pause": {}}]}, route={}, **more)


def until_told(world: World, reason: str, rounds: int = 30) -> Notification:
    for _ in range(rounds):
        found = by_reason(told_of(world)).get(reason)
        if found is not None:
            return found
        world.tick()
    raise AssertionError(f"nobody was told {reason}: {world.status}")


def test_a_rollout_is_told_with_its_revisions_and_who_asked():
    world = World(spec=canary())
    world.settle()
    world.change(image="looma-engine:2")
    started = until_told(world, "RolloutStarted")
    assert (started.from_, started.revision, started.phase) == ("r1", "r2", "Progressing")
    assert (started.requested_by, started.why) == ("ada", "because")


def test_a_canary_that_waits_for_somebody_is_told_once():
    world = World(spec=canary())
    world.settle()
    world.change(image="looma-engine:2")
    waits = until_told(world, "RolloutWaiting")
    assert waits.note == "r2 waits for somebody to promote it, with 25 % of the requests"
    assert (waits.weight, waits.from_, waits.revision) == (25, "r1", "r2")
    again = [item.reason for _ in range(5) for item in (world.tick(), told_of(world))[1]]
    assert "RolloutWaiting" not in again


def test_each_pause_is_told_by_itself():
    steps = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
    world = World(spec=spec(rollout={"strategy": "Canary", "steps": steps}, route={}))
    world.settle()
    world.change(image="looma-engine:2")
    until_told(world, "RolloutWaiting")
    world.annotations["looma.dev/request"] = '{"id": "1", "action": "promote"}'
    promoted = until_told(world, "RequestDone")
    assert promoted.note == "promote: r2 goes on to its next step"
    assert until_told(world, "RolloutWaiting").weight == 50


def test_an_abort_is_told_once_with_who_and_why():
    world = World(spec=canary())
    world.settle()
    world.change(image="looma-engine:2")
    until_told(world, "RolloutWaiting")
    world.author = Author(name="ada", asked_by="grace")
    world.annotations["looma.dev/request"] = '{"id": "1", "action": "abort", "reason": "too slow"}'
    told = told_of(world)
    assert [item.reason for item in told] == ["RolloutAborted"]
    assert (told[0].requested_by, told[0].why, told[0].warning) == ("grace", "too slow", True)
    assert (told[0].from_, told[0].revision) == ("r1", "r2")


def test_a_rollback_is_told_from_where_to_where(running):
    running.change(image="looma-engine:2")
    running.settle()
    running.change(image="looma-engine:1")
    started = until_told(running, "RollbackStarted")
    assert (started.from_, started.revision, started.requested_by) == ("r2", "r1", "ada")
    completed = until_told(running, "RollbackCompleted")
    assert (completed.from_, completed.revision, completed.phase) == ("r2", "r1", "Ready")


def test_a_rollout_that_gets_no_further_is_a_warning(running):
    running.broken.add("looma-engine:2")
    running.change(image="looma-engine:2")
    failed = until_told(running, "RolloutFailed", rounds=100)
    assert failed.warning
    assert failed.phase == "Degraded"


def test_a_failed_run_is_told_with_who_asked_for_it():
    run = Run(
        epoch=3,
        job="crm-3",
        trigger="Request",
        requested_by="ada",
        reason="again",
        started_at=START,
        result="Failed",
    )
    failed = Notice(reason=EventReason.RUN_FAILED, note="Run 3 ended, Failed", warning=True)
    status = SyncJobStatus(phase="Failed", runs=(run,))
    ((_, told),) = of_sync_job(SUBJECT, [failed], status=status, now=START)
    assert (told.requested_by, told.why, told.phase) == ("ada", "again", "Failed")


def model(**more: object):
    return parse_model(
        {
            "metadata": {"name": "ner-1.0.0", "namespace": "looma"},
            "spec": {
                "model": "ner",
                "version": "1.0.0",
                "format": "json",
                "artifact": {"uri": "oci://registry:5000/ner@sha256:" + "1" * 64},
                "evaluation": {"dataset": "d", "metric": "f1", "value": 0.5},
                **more,
            },
        }
    )


def test_a_model_is_refused_once():
    bad = model(gates={"minEvaluation": 0.9})
    uses: list[ModelUse] = []
    status = decide_model_status(model=bad, uses=uses, now=START)
    (notice,) = model_notices(bad.status, status)
    assert (notice.reason, notice.warning) == (EventReason.MODEL_REJECTED, True)
    assert "EvaluationTooLow: " in notice.note
    again = decide_model_status(model=msgspec.structs.replace(bad, status=status), uses=uses, now=START)
    assert model_notices(status, again) == []


def test_a_good_model_is_not_told_of():
    good = model()
    assert model_notices(good.status, decide_model_status(model=good, uses=[], now=START)) == []


def test_the_same_look_again_says_the_same_id_and_a_later_one_another():
    def identity(later: int = 0, notice: Notice = FAILED) -> str:
        now = START + timedelta(seconds=later)
        status = World().read_status
        ((_, item),) = of_service(SUBJECT, [notice], before=status, status=status, now=now)
        return item.id

    assert identity() == identity()
    assert len({identity(), identity(1), identity(notice=STARTED)}) == 3


@dataclass
class Post:
    """A status with its outbox, and what receivers have got of it."""

    waits: tuple[Notification, ...] = ()
    told: set[tuple[str, str]] = field(default_factory=set)
    got: list[tuple[str, str]] = field(default_factory=list)
    made: int = 0

    def look(self, news: int, crash: bool) -> None:
        notices = [
            (FAILED, Notification(id=str(self.made + number), reason="RolloutFailed", at=START))
            for number in range(news)
        ]
        decided = decide_outbox(
            subject=SUBJECT,
            before=self.waits,
            news=notices,
            receivers=(ONCALL, CI),
            told=self.told,
            now=START,
        )
        if not crash:
            self.made += news
            self.waits = decided.waits
            self.told = {pair for pair in self.told if pair in self.pending()}

    def pending(self) -> set[tuple[str, str]]:
        return {(item.id, name) for item in self.waits for name in item.to}

    def deliver(self, most: int) -> None:
        for pair in sorted(self.pending() - self.told)[:most]:
            self.got.append(pair)
            self.told.add(pair)

    def restart(self) -> None:
        self.told = set()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["look", "crashing look", "deliver", "restart"]),
            st.integers(min_value=0, max_value=3),
        ),
        max_size=60,
    )
)
def test_every_receiver_is_told_of_everything_and_twice_only_around_a_restart(steps):
    post, restarts = Post(), 0
    for what, number in steps:
        if what == "deliver":
            post.deliver(number)
        elif what == "restart":
            restarts += len(post.told)
            post.restart()
        elif post.made + number <= MOST:
            post.look(number, crash=what != "look")
    post.deliver(1000)
    post.look(0, crash=False)
    assert post.waits == ()
    assert set(post.got) == {(str(number), name) for number in range(post.made) for name in ("oncall", "ci")}
    assert len(post.got) - len(set(post.got)) <= restarts
