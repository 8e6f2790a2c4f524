"""One look at one object: read, plan, write, tell. Called by the work queue, only where this replica leads.

After writes to children the plan is asked once more, of the API server's answers to them, so that status is written
once; and again of that status. If it wants nothing more, the look is over, and hearing of these writes is no reason for
another (`echoes`). Where a service is new and others wait for their first look, its status is written after theirs.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from .analysis.measuring import Measuring
from .echoes import Echoes, Seen
from .kube import kinds
from .kube.afterwards import Answers, afterwards
from .kube.client import ConflictError, Kube, NotFoundError, NotLeaderError
from .kube.fetches import names_that_fetch, read_uses
from .kube.newcomers import Newcomers
from .kube.peers import Peers
from .kube.read import Reading, find_foreign, parse_model, parse_service, read_service
from .kube.write import carry_out, event_body, post_event, write_status
from .metrics import (
    ANALYSIS_VERDICTS,
    CANARY_STEP,
    CANARY_WEIGHT,
    EVENTS,
    PHASE,
    RECONCILE_SECONDS,
    ROLLOUT_SECONDS,
)
from .names import Phase
from .notifying.telling import Telling
from .plan.children import Action, Apply, Notice
from .plan.conditions import Refusal
from .plan.durations import Ended, rollout_ended
from .plan.metric import Order
from .plan.models import Fetcher
from .plan.observed import Observed
from .plan.records import decide_model_status, model_notices
from .plan.service import Plan, conclude, plan
from .posting import Posting
from .queueing import Key, Rest
from .reconcile_sync import look_at_sync_job
from .render.route import ParentGateway
from .resources import AIServiceStatus, Canary, Json, Metadata, own_status, to_json
from .resources_analysis import Verdict

_log = logging.getLogger(__name__)
REFUSED_SECONDS = 15.0  # A refused child may be taken later (a quota is raised, a name becomes free).
FETCHING_SECONDS = 3.0  # Pods are not watched: why one of them cannot fetch its models is heard of this late.
RESYNC_SECONDS = (
    300.0  # Should a watch ever miss an event, this is how late it is noticed, give or take a fifth.
)


_Answer = TypeVar("_Answer", bound="float | Rest | None")


def moment() -> datetime:
    """Now, to the millisecond, as it is written: what is read back equals what was meant."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def resync_seconds() -> float:
    """When an object that rests is looked at again: what was made at once is not looked at again at once."""
    return RESYNC_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret


@dataclass(frozen=True, kw_only=True)
class _Conclusion:
    """What a look has come to: all that is left is to write and tell it. It holds no children: many may wait.

    `status` is to be written where it is another than `before`; `again` is when to look again, in seconds.
    """

    metadata: Metadata
    resource_version: str
    before: AIServiceStatus
    status: AIServiceStatus
    notices: tuple[Notice, ...]
    orders: tuple[Order, ...]
    taken: tuple[tuple[str, Verdict], ...]
    ended: Ended | None
    again: float


class Reconciler:
    """Looks at objects through one client; keeps nothing between looks that a restart would miss."""

    def __init__(
        self,
        kube: Kube,
        *,
        instance: str,
        gateway: ParentGateway,
        measuring: Measuring,
        telling: Telling,
        fetcher: Fetcher,
        peers: Peers,
        newcomers: Newcomers,
        posting: Posting,
        echoes: Echoes,
        sync_image: str = "",
        crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        """`instance` names this replica in the events that it posts; routes attach to `gateway`.

        `echoes` hears of what was written, `posting` of what there is to tell; `crowded` while others wait for a look.
        New revisions fetch their models with `fetcher`; SyncJobs without an image of their own run `sync_image`.
        """
        self._kube = kube
        self._measuring = measuring
        self._telling = telling
        self._peers = peers
        self._newcomers = newcomers
        self._posting = posting
        self._echoes = echoes
        self._sync_image = sync_image
        self._gateway = gateway
        self._fetcher = fetcher
        self._instance = instance
        self._crowded = crowded

    async def look(self, key: Key) -> float | Rest | None:
        """Reconcile one object; answers when to look again, in seconds, or what may wait of it.

        Raises:
            KubeError: if the API server does not answer; the queue tries again.
        """
        return await self._guarded(key, self._look(key))

    async def _look(self, key: Key) -> float | Rest | None:
        if key.kind == kinds.AI_SERVICE.name:
            return await self._service(key)
        if key.kind == kinds.MODEL_VERSION.name:
            return await self._model(key)
        return await self._sync_job(key)

    async def _guarded(self, key: Key, work: Coroutine[Any, Any, _Answer]) -> _Answer | float | None:
        begun = time.monotonic()
        try:
            answer = await work
        except NotLeaderError as error:
            result = "fenced"
            self._echoes.forget(key)
            _log.warning("%s %s/%s left to the leader: %s", key.kind, key.namespace, key.name, error)
            return None
        except ConflictError as error:
            # Somebody wrote in between: what was read is old, so read anew at once.
            result = "conflict"
            _log.info("%s %s/%s changed meanwhile: %s", key.kind, key.namespace, key.name, error.message)
            return 0.05
        except BaseException:
            result = "failed"
            self._echoes.forget(key)
            raise
        else:
            result = "postponed" if isinstance(answer, Rest) else "done"
            return answer
        finally:
            RECONCILE_SECONDS.labels(kind=key.kind, result=result).observe(time.monotonic() - begun)

    async def _service(self, key: Key, *, suppose_new: bool = True) -> float | Rest | None:
        reading = await read_service(
            self._kube,
            key.namespace,
            key.name,
            gateway=self._gateway,
            peers=self._peers,
            suppose_new=suppose_new,
            heard=self._newcomers.take(key.namespace, key.name) if suppose_new else None,
        )
        if reading is None:
            self._echoes.forget(key)
            _forget_phase(key)
            _show_canary(key, None)
            self._measuring.order(key, ())
            self._telling.order(key, ())
            return None
        observed, now = reading.observed, moment()
        observed = replace(observed, measured=self._measuring.answers(key))

        def make(seen: Observed) -> Plan:
            return plan(
                observed=seen, author=reading.author, now=now, gateway=self._gateway, fetcher=self._fetcher
            )

        try:
            observed, made, answers, refusals = await self._children(
                key, observed, make, supposed=reading.supposed
            )
        except ConflictError as error:
            if not reading.supposed:
                raise
            _log.info("%s %s/%s has children already: %s", key.kind, key.namespace, key.name, error.message)
            return await self._service(key, suppose_new=False)
        conclusion = self._conclude(observed, made, make, answers, refusals, reading=reading, now=now)
        if reading.supposed and self._crowded():
            decided = time.monotonic()
            return Rest(lambda: self._guarded(key, self._finish(key, conclusion, decided=decided)))
        return await self._finish(key, conclusion)

    def _conclude(
        self,
        observed: Observed,
        made: Plan,
        make: Callable[[Observed], Plan],
        answers: Answers,
        refusals: list[Refusal],
        *,
        reading: Reading,
        now: datetime,
    ) -> _Conclusion:
        """What is left to write and to tell after writes to children, and when to look again."""
        before = observed.service.status
        status, notices, wake = conclude(made=made, before=before, refusals=refusals, now=now)
        last = made
        if answers.changed:
            # What was just written may be all that status waits for: then it is written once.
            then = make(afterwards(observed, answers, status=status))
            if not then.actions:
                last = then
                status, more, wake = conclude(made=then, before=status, refusals=refusals, now=now)
                notices = (*notices, *more)
        waits = self._telling.of_service(
            observed.service.metadata, notices, before=before, status=status, now=now
        )
        status = msgspec.structs.replace(status, notifications=waits)
        orders, fetching, unfinished = last.orders, reading.fetching, False
        if answers.changed or status != before:
            seen = afterwards(observed, answers, status=status)
            last = make(seen)
            after, _, wake = conclude(made=last, before=status, refusals=refusals, now=now)
            unfinished = bool(last.actions) or msgspec.structs.replace(after, notifications=waits) != status
            orders = orders if unfinished else last.orders
            fetching = bool(names_that_fetch(seen.revisions, seen.pods))
        refused = bool(refusals or made.facts.refusals)
        again = min(
            REFUSED_SECONDS if refused else resync_seconds(),
            FETCHING_SECONDS if fetching else math.inf,
            math.inf if wake is None else wake,
        )
        return _Conclusion(
            metadata=observed.service.metadata,
            resource_version=reading.resource_version,
            before=before,
            status=status,
            notices=tuple(notices),
            orders=orders,
            taken=made.taken,
            ended=rollout_ended(before, status, now=now),
            again=0.0 if unfinished else again,
        )

    async def _finish(self, key: Key, conclusion: _Conclusion, *, decided: float | None = None) -> float:
        """Write and tell what a look has come to; answers when to look again, in seconds.

        `decided` is when that was, on the monotonic clock, where it waited.
        """
        status = conclusion.status
        as_meant = True
        if status != conclusion.before:
            raw = await write_status(
                self._kube,
                kinds.AI_SERVICE,
                conclusion.metadata,
                own_status(status),
                resource_version=conclusion.resource_version,
            )
            self._wrote(key, raw, conclusion.resource_version)
            as_meant = parse_service(raw).status == status
        # What was measured is forgotten only now that status has it.
        self._measuring.order(key, conclusion.orders)
        self._telling.order(key, status.notifications)
        for metric, verdict in conclusion.taken:
            ANALYSIS_VERDICTS.labels(metric, verdict).inc()
        if (ended := conclusion.ended) is not None:
            ROLLOUT_SECONDS.labels(ended.strategy, ended.result).observe(ended.seconds)
        await self._tell(kinds.AI_SERVICE, conclusion.metadata, conclusion.notices)
        for phase in Phase:
            PHASE.labels(namespace=key.namespace, name=key.name, phase=phase).set(status.phase == phase)
        _show_canary(key, status.canary)
        if not as_meant:
            return 0.0
        waited = 0.0 if decided is None else time.monotonic() - decided
        return max(0.0, conclusion.again - waited)

    async def _children(
        self, key: Key, observed: Observed, make: Callable[[Observed], Plan], *, supposed: bool
    ) -> tuple[Observed, Plan, Answers, list[Refusal]]:
        """Bring the children to the plan; answers both as they were then, and what the API server said.

        What is another's is never taken over, not even an empty Service: where no children are `supposed` to be there
        each write says so itself, else they are asked for by their names.

        Raises:
            ConflictError: if something changed meanwhile, or if there is a child against what is supposed.
        """
        made = make(observed)
        absent = [
            (action.kind, action.name)
            for action in made.actions
            if isinstance(action, Apply) and action.resource_version is None
        ]
        if absent and not supposed:
            foreign = await find_foreign(self._kube, key.namespace, observed.service.metadata.uid, absent)
            if foreign:
                observed = replace(observed, foreign=foreign)
                made = make(observed)
        answers = Answers()
        refusals = await carry_out(
            self._kube,
            key.namespace,
            made.actions,
            answered=partial(self._answered, key, answers),
            absent=supposed,
        )
        return observed, made, answers, refusals

    def _answered(self, key: Key, answers: Answers, action: Action, raw: Json | None) -> None:
        if raw is None:
            answers.gone.add((action.kind, action.name))
            answers.changed = True
            return
        answers.children[action.kind, action.name] = raw
        if self._wrote(key, raw, action.resource_version if isinstance(action, Apply) else None):
            answers.changed = True

    async def _tell(self, kind: kinds.Kind, metadata: Metadata, notices: Sequence[Notice]) -> None:
        """Events of what was done."""
        for notice in notices:
            body = event_body(kind=kind, metadata=metadata, notice=notice, instance=self._instance)
            await self._posting.add(partial(post_event, self._kube, body))
            EVENTS.labels(notice.reason).inc()

    def _wrote(self, key: Key, raw: Json, before: str | None) -> bool:
        """Note an answer to a write; answers whether the write changed the object."""
        meta = raw["metadata"]
        changed = bool(meta["resourceVersion"] != before)
        if changed:
            self._echoes.wrote(key, Seen(raw["kind"], meta["name"], meta["resourceVersion"]))
        return changed

    async def _model(self, key: Key) -> float | None:
        try:
            raw = await self._kube.get(kinds.MODEL_VERSION, key.namespace, key.name)
        except NotFoundError:
            self._telling.order(key, ())
            return None
        model, now = parse_model(raw), moment()
        uses = await read_uses(self._kube, key.namespace, model)
        status = decide_model_status(model=model, uses=uses, now=now)
        notices = model_notices(model.status, status)
        waits = self._telling.of_model(model.metadata, notices, before=model.status, status=status, now=now)
        status = msgspec.structs.replace(status, notifications=waits)
        if status != model.status:
            await write_status(
                self._kube,
                kinds.MODEL_VERSION,
                model.metadata,
                to_json(status),
                resource_version=model.metadata.resource_version,
            )
        self._telling.order(key, waits)
        await self._tell(kinds.MODEL_VERSION, model.metadata, notices)
        return FETCHING_SECONDS if any(use.fetching for use in uses) else resync_seconds()

    async def _sync_job(self, key: Key) -> float | None:
        refused = await look_at_sync_job(
            self._kube,
            key.namespace,
            key.name,
            default_image=self._sync_image,
            instance=self._instance,
            telling=self._telling,
            now=moment(),
        )
        return None if refused is None else REFUSED_SECONDS if refused else resync_seconds()


async def all_keys(kube: Kube, namespace: str) -> list[Key]:
    """Every object of the three kinds in a namespace: what a new leader looks at first."""
    return [
        Key(kind.name, namespace, item["metadata"]["name"])
        for kind in kinds.OWN
        async for items, _ in kube.pages(kind, namespace)
        for item in items
    ]


def _show_canary(key: Key, canary: Canary | None) -> None:
    if canary is not None and canary.step is not None:
        CANARY_STEP.labels(key.namespace, key.name).set(canary.step)
    else:
        with contextlib.suppress(KeyError):
            CANARY_STEP.remove(key.namespace, key.name)
    weights = (
        {} if canary is None else {"requested": canary.weight.requested, "achieved": canary.weight.achieved}
    )
    for kind in ("requested", "achieved"):
        value = weights.get(kind)
        if value is not None:
            CANARY_WEIGHT.labels(key.namespace, key.name, kind).set(value)
            continue
        with contextlib.suppress(KeyError):
            CANARY_WEIGHT.remove(key.namespace, key.name, kind)


def _forget_phase(key: Key) -> None:
    for phase in Phase:
        try:
            PHASE.remove(key.namespace, key.name, phase)
        except KeyError:
            continue
