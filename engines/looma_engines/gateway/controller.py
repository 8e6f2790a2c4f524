"""The loop: what changed in the cluster is translated, carried out by HAProxy, read back, and told.

    cluster ─┐                                   ┌─ HAProxy
             ├─> translate ─> hold? ─> apply ────┤
    keys ────┘                                   └─ read back ─> view ─> status

One task does all of it, so that steps never overlap; watches, keys and status are tasks of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from looma_core import logging
from looma_engines.gateway.applying import Applier, AwayError, Observation, RefusedError
from looma_engines.gateway.findings import Translation
from looma_engines.gateway.http import Health
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.model import DataPlane, Rule, TokenKey
from looma_engines.gateway.objects import Snapshot
from looma_engines.gateway.report import Applied
from looma_engines.gateway.telling import View
from looma_engines.gateway.traffic import shares_of
from looma_engines.gateway.translate import Here, translate
from looma_engines.gateway.waiting import FirstKeys, Missing

log = logging.get(__name__)

CommandT = TypeVar("CommandT")

TICK_SECONDS = 2.0
"""HAProxy is read back at least so often: a rollout's entries in status are told anew each time."""
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
REFUSED_SECONDS = 30.0
"""What HAProxy refused is tried again after so long, or once something else is asked for."""


class Source(Protocol):
    """What is known of the cluster; `kube.cluster.Cluster`, or a test's."""

    changed: asyncio.Event

    @property
    def waits_for(self) -> list[str]:
        """What was not read yet."""
        ...

    def snapshot(self) -> Snapshot:
        """All objects as they are known now."""
        ...


class Controller(Generic[CommandT]):
    """Keeps HAProxy true to the cluster."""

    def __init__(
        self,
        *,
        cluster: Source,
        applier: Applier[CommandT],
        here: Here,
        keys: Callable[[], Sequence[TokenKey]],
        ends: Callable[[Rule], Sequence[int]],
        tell: Callable[[View], None],
        health: Health,
        metrics: GatewayMetrics,
        keyless: Callable[[], Sequence[str]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ends` gives the thresholds that a rule asks for, `tell` takes each new view.

        `keys` are those of all issuers, `keyless` the addresses of issuers of which no key is known.
        """
        self._cluster = cluster
        self._applier = applier
        self._here = here
        self._keys = keys
        self._keyless = keyless
        self._ends = ends
        self._tell = tell
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._translation: Translation | None = None
        self._snapshot = Snapshot()
        self._missing = Missing()
        self._first_keys = FirstKeys()
        self._refused: tuple[DataPlane, str, float] | None = None
        self._failures = 0
        self._known = False

    async def run(self) -> None:
        """Work until cancelled; whatever goes wrong is tried again."""
        pause = 0.0
        while True:
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the news.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._cluster.changed.wait()
            try:
                pause = await self.step()
            except AwayError as error:
                pause = await self._later("HAProxy does not answer", error)
            except Exception as error:  # noqa: BLE001 - a loop that ends serves yesterday's pods for ever
                pause = await self._later("a step failed", error)

    async def _later(self, event: str, error: Exception) -> float:
        """Say what is wrong, and pause: news must not make a step that fails a busy loop."""
        pause = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        if self._failures in (0, len(RETRY_SECONDS)):
            log.warning(event, error=str(error)[:500], kind=type(error).__name__)
        self._failures += 1
        self._health.waits_for = [event]
        await asyncio.sleep(pause)
        return 0.0

    async def step(self) -> float:
        """Do what there is to do now; answers after how many seconds to look again at the latest.

        Raises:
            AwayError: HAProxy does not answer.
            OSError: its files cannot be written.
        """
        waits_for = [] if self._known else self._cluster.waits_for
        if waits_for:
            # What runs already goes on as it is: a controller that starts anew knows less than HAProxy.
            self._cluster.changed.clear()
            self._health.waits_for = waits_for
            return TICK_SECONDS
        # From here on a picture that is late is better than none.
        self._known = True
        begun = self._clock()
        # Statuses change without waking anybody, and are compared with newer ones each time.
        self._snapshot = self._cluster.snapshot()
        if self._cluster.changed.is_set() or self._translation is None:
            self._cluster.changed.clear()
            self._translation = translate(self._snapshot, here=self._here, keys=self._keys())
        translation = self._translation
        held = self._missing.hold(translation.missing, begun)
        if held > 0:
            # Kept for the next look, which takes a newer picture as well.
            self._translation = None
            return held
        keyless = self._awaited_keys(translation.plane)
        held = self._first_keys.hold(begun) if keyless else 0.0
        if held > 0:
            self._translation = None
            self._health.waits_for = [f"keys of {issuer}" for issuer in keyless]
            return held
        if keyless:
            log.warning("serving without keys of an issuer", issuers=list(keyless))
        applied = await self._apply(translation.plane, begun)
        observed = await self._applier.observe()
        if observed is None and applied.holds:
            # It does something else than was believed: once more, which is a reload now.
            applied = await self._apply(translation.plane, begun)
            observed = await self._applier.observe()
        self._failures = 0
        if observed is not None:
            self._publish(translation, applied, observed)
        self._health.waits_for = [] if applied.holds and observed is not None else ["HAProxy"]
        return TICK_SECONDS

    def _awaited_keys(self, plane: DataPlane) -> Sequence[str]:
        """Issuers without a key, if HAProxy serves nobody yet and would have to refuse whoever has a token."""
        running = self._applier.running
        serves = running is None or running.ready
        if serves or not any(rule.policy.auth.asks for rule in plane.rules):
            return ()
        return self._keyless()

    async def _apply(self, desired: DataPlane, begun: float) -> Applied:
        """Bring HAProxy there, if it did not refuse just this a moment ago."""
        refused = self._refused
        if (
            refused is not None
            and refused[0] == desired
            and (self._applier.running is not None or not self._applier.can_return)
            and self._clock() - refused[2] < REFUSED_SECONDS
        ):
            return Applied(False, refused[1])
        if self._applier.running == desired:
            self._refused = None
            return Applied()
        try:
            await self._applier.apply(desired)
        except RefusedError as error:
            if refused is None or refused[1] != str(error):
                log.error("HAProxy refused the configuration; the last one goes on", error=str(error))  # noqa: TRY400
            self._metrics.reloads.labels("refused").inc()
            self._refused = (desired, str(error), self._clock())
            return Applied(False, str(error))
        except (AwayError, OSError):
            self._metrics.reloads.labels("failed").inc()
            raise
        self._refused = None
        self._metrics.apply_seconds.observe(self._clock() - begun)
        return Applied()

    def _publish(self, translation: Translation, applied: Applied, observed: Observation) -> None:
        running = self._applier.running
        asked = self._shares(translation.plane)
        actual: dict[str, tuple[int, ...]] = {}
        if running is not None:
            # Thresholds of rules with one target are not kept by HAProxy: that the rule runs says enough.
            read = {name: shares_of(ends) for name, ends in observed.ends.items()}
            targets = {rule.name: _backends(rule) for rule in translation.plane.rules}
            ours = self._shares(running)
            actual = {
                rule.name: read.get(rule.name, ours.get(rule.name, ()))
                for rule in running.rules
                if targets.get(rule.name) == _backends(rule)
            }
            self._metrics.show_endpoints(running, observed.up)
        self._tell(
            View(
                translation=translation,
                snapshot=self._snapshot,
                applied=applied,
                actual=actual,
                asked=asked,
                up=observed.up,
            )
        )

    def _shares(self, plane: DataPlane) -> dict[str, tuple[int, ...]]:
        return {rule.name: shares_of(self._ends(rule)) for rule in plane.rules}


def _backends(rule: Rule) -> list[str]:
    return [target.backend for target in rule.targets]
