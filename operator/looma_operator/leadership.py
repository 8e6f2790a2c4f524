"""Leader election over a Lease, and the fence that stops a leader that slept.

`kubernetes.aio` brings an elector, which was read and not taken: a request that hangs outlasts its renew deadline,
a refused connection ends it, it measures with the wall clock, retries no faster than once a second, and never counts
`leaseTransitions`. Times here are of CLOCK_BOOTTIME, which goes on while a process is stopped or a machine sleeps.

    t0      the renewal is sent
    t0 + 3  the leader stops writing by itself (RENEW_DEADLINE, counted from the sending)
    t0 + 4  a standby may take over at the earliest (DURATION, counted from when it saw the renewal)

A standby looks every half second, so after SIGKILL another replica leads within 4 + 0.5 + 0.5 s. A leader that ends in
order gives the Lease back, and the next look takes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from looma_core.kube import REQUEST_SECONDS, KubeError

from .kube import kinds
from .kube.client import ConflictError, Kube, NotFoundError, NotLeaderError
from .metrics import FENCED, LEADER, LEADER_EPOCH
from .resources import Json

DURATION = 4.0
RENEW_DEADLINE = 3.0
RETRY_PERIOD = 0.5
RENEW_PERIOD = 0.7
ATTEMPT_SECONDS = 1.5
# A write that could begin now but not end before leadership does is not begun.
MIN_WRITE_SECONDS = 0.2

_log = logging.getLogger(__name__)
_entered: ContextVar[int | None] = ContextVar("epoch in which this task decided", default=None)


def clock() -> float:
    """Seconds that go on while the process is stopped or the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Step(Enum):
    """What a candidate does next about the Lease."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The Lease's holder and its resourceVersion, and since when (in `clock` seconds) it has been just that."""

    holder: str
    version: str
    since: float


def decide_step(*, lease: Json | None, seen: Seen | None, identity: str, now: float, duration: float) -> Step:
    """What to do about the Lease as it was read.

    Only the time since this candidate saw the Lease change counts, never the times written in it: clocks differ.

    | lease          | seen unchanged for | answer |
    | -------------- | ------------------ | ------ |
    | none           |                    | CREATE |
    | mine           | any                | RENEW  |
    | nobody's       | any                | TAKE   |
    | another's      | less than duration | WAIT   |
    | another's      | duration or more   | TAKE   |
    """
    if lease is None:
        return Step.CREATE
    holder = (lease.get("spec") or {}).get("holderIdentity") or ""
    if holder == identity:
        return Step.RENEW
    if not holder:
        return Step.TAKE
    if seen is None or seen.holder != holder or now - seen.since < duration:
        return Step.WAIT
    return Step.TAKE


class Leadership:
    """Whether this replica leads, until when, and for which epoch; the fence of every write."""

    def __init__(self, *, now: Callable[[], float] = clock) -> None:
        """Begin as a standby."""
        self._now = now
        self._until = 0.0
        self.epoch = 0
        self.stretch = 0
        """Counts the times without a gap in them: what was woken, or wanted to write, in a gap was left undone."""

    @property
    def leads(self) -> bool:
        """Whether this replica may write at this moment."""
        return self._now() < self._until

    def enter(self) -> None:
        """Bind what runs from here on, in this task, to the epoch of this moment."""
        _entered.set(self.epoch)

    def check(self) -> float:
        """Seconds for which this replica may still write.

        Raises:
            NotLeaderError: if there are too few for one write, or if leadership was lost and won again since `enter`.
        """
        left = self._until - self._now()
        entered = _entered.get()
        if entered is not None and entered != self.epoch:
            FENCED.inc()
            raise NotLeaderError(f"decided in epoch {entered}, which ended; this is epoch {self.epoch}")
        if left < MIN_WRITE_SECONDS:
            FENCED.inc()
            raise NotLeaderError(f"leadership of epoch {self.epoch} ran out {-left:.1f} s ago")
        return min(left, REQUEST_SECONDS)

    def hold(self, *, until: float, epoch: int) -> None:
        """Lead until `until` (in `clock` seconds); a new stretch where writes were refused until now.

        That is so in a new epoch, and where the answer to a renewal comes after the deadline before it.
        """
        if epoch != self.epoch or self._until - self._now() < MIN_WRITE_SECONDS:
            self.stretch += 1
        self._until = until
        self.epoch = epoch
        LEADER.set(1)
        LEADER_EPOCH.set(epoch)

    def drop(self) -> None:
        """Stop leading."""
        self._until = 0.0
        LEADER.set(0)


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Elector:
    """Keeps one candidate in the election; `kube` should have connections of its own, so that nothing delays it."""

    def __init__(
        self,
        *,
        kube: Kube,
        namespace: str,
        name: str,
        identity: str,
        leadership: Leadership,
        on_started: Callable[[], Awaitable[None]],
        now: Callable[[], float] = clock,
    ) -> None:
        """`on_started` is awaited each time leadership begins."""
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._leadership = leadership
        self._on_started = on_started
        self._now = now
        self._seen: Seen | None = None
        self._led = False
        self._begun: int | None = None
        self._held: Json | None = None

    async def run(self) -> None:
        """Stay in the election until cancelled; then give the Lease back."""
        try:
            while True:
                renewed = await self._once()
                await asyncio.sleep(RENEW_PERIOD if renewed else RETRY_PERIOD)
        finally:
            with contextlib.suppress(KubeError, TimeoutError):
                await asyncio.shield(self._release())

    async def _once(self) -> bool:
        renewed = False
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                held = renewed = await self._attempt()
        except (KubeError, TimeoutError) as error:
            _log.warning("the lease could not be read or renewed: %s", error or "no answer in time")
            # An unanswered renewal may have been taken; either way this replica leads only until its old deadline.
            held = self._leadership.leads
        if held and (not self._led or self._begun != self._leadership.stretch):
            # Also where leadership ran out for a moment and nobody took over: what was left undone is looked at anew.
            self._led = True
            self._begun = self._leadership.stretch
            _log.info("leading since epoch %d as %s", self._leadership.epoch, self._identity)
            await self._on_started()
        elif not held and self._led:
            self._led = False
            self._held = None
            self._leadership.drop()
            _log.warning("not leading any more: %s", self._identity)
        return renewed

    async def _attempt(self) -> bool:
        # As it was last written, in one request. A conflict says that somebody else wrote meanwhile, or this replica's
        # own renewal whose answer did not come: then it is read.
        if self._held is not None and self._leadership.leads and await self._claim(Step.RENEW, self._held):
            return True
        try:
            lease: Json | None = await self._kube.get(kinds.LEASE, self._namespace, self._name)
        except NotFoundError:
            lease = None
        now = self._now()
        self._observe(lease, now)
        step = decide_step(lease=lease, seen=self._seen, identity=self._identity, now=now, duration=DURATION)
        if step is Step.WAIT:
            return False
        if step is Step.RENEW and not self._leadership.leads:
            # Slept past the deadline, and nobody took over: a new epoch, so that the sleep can be seen.
            step = Step.TAKE
        return await self._claim(step, lease)

    def _observe(self, lease: Json | None, now: float) -> None:
        if lease is None:
            self._seen = None
            return
        holder = (lease.get("spec") or {}).get("holderIdentity") or ""
        version = lease["metadata"].get("resourceVersion", "")
        if self._seen is None or (self._seen.holder, self._seen.version) != (holder, version):
            self._seen = Seen(holder=holder, version=version, since=now)

    async def _claim(self, step: Step, lease: Json | None) -> bool:
        before: Json = (lease or {}).get("spec") or {}
        transitions = int(before.get("leaseTransitions") or 0)
        taking = step is not Step.RENEW
        stamp = _timestamp()
        spec: Json = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": stamp if taking else before.get("acquireTime", stamp),
            "renewTime": stamp,
            "leaseTransitions": transitions + 1 if step is Step.TAKE else transitions,
        }
        sent = self._now()
        try:
            if lease is None:
                body: Json = {"metadata": {"name": self._name, "namespace": self._namespace}, "spec": spec}
                written = await self._kube.request(
                    "POST", kinds.LEASE.path(self._namespace), body=body, seconds=ATTEMPT_SECONDS
                )
            else:
                written = await self._kube.replace(
                    kinds.LEASE, self._namespace, self._name, {**lease, "spec": spec}, seconds=ATTEMPT_SECONDS
                )
        except ConflictError:
            self._held = None
            return False
        self._held = written
        self._leadership.hold(until=sent + RENEW_DEADLINE, epoch=int(spec["leaseTransitions"]))
        return True

    async def _release(self) -> None:
        if not self._leadership.leads:
            return
        self._leadership.drop()
        lease = await self._kube.get(kinds.LEASE, self._namespace, self._name)
        if (lease.get("spec") or {}).get("holderIdentity") != self._identity:
            return
        lease["spec"] = {
            **lease["spec"],
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": _timestamp(),
        }
        await self._kube.replace(kinds.LEASE, self._namespace, self._name, lease, seconds=ATTEMPT_SECONDS)
