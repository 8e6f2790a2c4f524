"""One look at one object: read, plan, write, tell. Called by the work queue, only where this replica leads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from .analysis.measuring import Measuring
from .kube import kinds
from .kube.client import ConflictError, Kube, NotFoundError, NotLeaderError
from .kube.fetches import read_uses
from .kube.read import find_foreign, parse_model, read_service
from .kube.write import carry_out, post_events, write_status
from .metrics import ANALYSIS_VERDICTS, CANARY_STEP, CANARY_WEIGHT, EVENTS, PHASE, RECONCILE_SECONDS
from .names import Phase
from .notifying.telling import Telling
from .plan.children import Apply, Notice
from .plan.models import Fetcher
from .plan.observed import Observed
from .plan.records import decide_model_status, model_notices
from .plan.service import Plan, conclude, plan
from .queueing import Key
from .reconcile_sync import look_at_sync_job
from .render.route import ParentGateway
from .resources import Canary, Metadata, own_status, to_json

_log = logging.getLogger(__name__)
REFUSED_SECONDS = 15.0  # A refused child may be taken later (a quota is raised, a name becomes free).
FETCHING_SECONDS = 3.0  # Pods are not watched: why one of them cannot fetch its models is heard of this late.
RESYNC_SECONDS = 300.0  # Should a watch ever miss an event, this is how late it is noticed.


def moment() -> datetime:
    """Now, to the millisecond, as it is written: what is read back equals what was meant."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Reconciler:
    """Looks at objects through one client; keeps nothing between looks."""

    def __init__(
        self,
        kube: Kube,
        *,
        instance: str,
        gateway: ParentGateway,
        measuring: Measuring,
        telling: Telling,
        fetcher: Fetcher,
        sync_image: str = "",
    ) -> None:
        """`instance` names this replica in the events that it posts; routes attach to `gateway`.

        New revisions fetch their models with `fetcher`; SyncJobs without an image of their own run `sync_image`.
        """
        self._kube = kube
        self._measuring = measuring
        self._telling = telling
        self._sync_image = sync_image
        self._gateway = gateway
        self._fetcher = fetcher
        self._instance = instance

    async def look(self, key: Key) -> float | None:
        """Reconcile one object; answers when to look again, in seconds.

        Raises:
            KubeError: if the API server does not answer; the queue tries again.
        """
        begun = time.monotonic()
        result = "done"
        try:
            if key.kind == kinds.AI_SERVICE.name:
                return await self._service(key)
            if key.kind == kinds.MODEL_VERSION.name:
                return await self._model(key)
            return await self._sync_job(key)
        except NotLeaderError as error:
            result = "fenced"
            _log.warning("%s %s/%s left to the leader: %s", key.kind, key.namespace, key.name, error)
            return None
        except ConflictError as error:
            # Somebody wrote in between: what was read is old, so read anew at once.
            result = "conflict"
            _log.info("%s %s/%s changed meanwhile: %s", key.kind, key.namespace, key.name, error.message)
            return 0.05
        except BaseException:
            result = "failed"
            raise
        finally:
            RECONCILE_SECONDS.labels(kind=key.kind, result=result).observe(time.monotonic() - begun)

    async def _service(self, key: Key) -> float | None:
        reading = await read_service(self._kube, key.namespace, key.name, gateway=self._gateway)
        if reading is None:
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

        made = make(observed)
        absent = [
            (action.kind, action.name)
            for action in made.actions
            if isinstance(action, Apply) and action.resource_version is None
        ]
        if absent:
            # Never taken over from somebody else, not even an empty Service of the same name.
            foreign = await find_foreign(self._kube, key.namespace, observed.service.metadata.uid, absent)
            if foreign:
                observed = replace(observed, foreign=foreign)
                made = make(observed)
        refusals = await carry_out(self._kube, key.namespace, made.actions)
        status, notices, wake = conclude(
            made=made, before=observed.service.status, refusals=refusals, now=now
        )
        waits = self._telling.of_service(
            observed.service.metadata, notices, before=observed.service.status, status=status, now=now
        )
        status = msgspec.structs.replace(status, notifications=waits)
        if status != observed.service.status:
            await write_status(
                self._kube,
                kinds.AI_SERVICE,
                observed.service.metadata,
                own_status(status),
                resource_version=reading.resource_version,
            )
        # What was measured is forgotten only now that status has it.
        self._measuring.order(key, made.orders)
        self._telling.order(key, waits)
        for metric, verdict in made.taken:
            ANALYSIS_VERDICTS.labels(metric, verdict).inc()
        await self._post(kinds.AI_SERVICE, observed.service.metadata, notices)
        for phase in Phase:
            PHASE.labels(namespace=key.namespace, name=key.name, phase=phase).set(status.phase == phase)
        _show_canary(key, status.canary)
        again = REFUSED_SECONDS if refusals or made.facts.refusals else RESYNC_SECONDS
        if reading.fetching:
            again = min(again, FETCHING_SECONDS)
        return again if wake is None else min(wake, again)

    async def _post(self, kind: kinds.Kind, metadata: Metadata, notices: Sequence[Notice]) -> None:
        await post_events(self._kube, kind=kind, metadata=metadata, notices=notices, instance=self._instance)
        for notice in notices:
            EVENTS.labels(notice.reason).inc()

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
        await self._post(kinds.MODEL_VERSION, model.metadata, notices)
        return FETCHING_SECONDS if any(use.fetching for use in uses) else RESYNC_SECONDS

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
        return None if refused is None else REFUSED_SECONDS if refused else RESYNC_SECONDS


async def all_keys(kube: Kube, namespace: str) -> list[Key]:
    """Every object of the three kinds in a namespace: what a new leader looks at first."""
    lists = await asyncio.gather(*(kube.list(kind, namespace) for kind in kinds.OWN))
    return [
        Key(kind.name, namespace, item["metadata"]["name"])
        for kind, items in zip(kinds.OWN, lists, strict=True)
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
