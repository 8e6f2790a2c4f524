"""A HAProxy of the test's own: files that are whole data planes, and faults at the moments that a test names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import json

from looma_engines.gateway.applying import (
    CONFIGURATION,
    AwayError,
    DisagreedError,
    Observation,
    RefusedError,
    flow_of,
)
from looma_engines.gateway.haproxy.shares import thresholds
from looma_engines.gateway.model import DataPlane
from looma_engines.gateway.traffic import asked_pods


class Crash(BaseException):
    """The controller's process ends here."""


class FakeHaproxy:
    """Runs what its file says; a plane with a rule called `bad` is one that it does not take.

    Attributes:
        faults: what goes wrong next, by method: `away`, `disagree`, `crash` before it is done or `crash-after`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: DataPlane | None = None
        self.reloads = 0
        self.commands: list[DataPlane] = []
        self.faults: dict[str, str] = {}

    def start(self) -> None:
        """Start anew by the file that is there.

        Raises:
            RefusedError: if it cannot be taken.
        """
        plane = json.decode((self.folder / CONFIGURATION).read_bytes(), type=DataPlane)
        self.running = None
        self._check(plane)
        self.running = plane

    def _check(self, plane: DataPlane) -> None:
        if any(rule.name == "bad" for rule in plane.rules):
            raise RefusedError("line 1: bad")

    def render(self, plane: DataPlane) -> Mapping[str, str]:
        return {CONFIGURATION: json.encode(plane).decode(), "keys/k.pem": plane.tokens.issuer}

    def plan(self, running: DataPlane, desired: DataPlane) -> Sequence[DataPlane] | None:
        return [desired] if flow_of(running, desired) == desired else None

    def _fault(self, method: str) -> str:
        fault = self.faults.pop(method, "")
        if fault == "away" or (self.running is None and not fault):
            raise AwayError(method)
        if fault == "crash":
            raise Crash(method)
        return fault

    async def reload(self) -> None:
        fault = self._fault("reload")
        plane = json.decode((self.folder / CONFIGURATION).read_bytes(), type=DataPlane)
        self._check(plane)
        self.running = plane
        self.reloads += 1
        if fault:
            raise Crash("reload")

    async def run(self, commands: Sequence[DataPlane]) -> None:
        fault = self._fault("run")
        if fault == "disagree":
            raise DisagreedError("no such server")
        for command in commands:
            self.running = command
            self.commands.append(command)
        if fault:
            raise Crash("run")

    async def observe(self, plane: DataPlane) -> Observation:
        self._fault("observe")
        running = self.running
        assert running is not None
        return Observation(
            ends={rule.name: thresholds(rule.targets) for rule in running.rules if len(rule.targets) > 1},
            up=asked_pods(running),
            differences=() if running == plane else ("something else runs",),
        )
