"""Carries a data plane out: files and a reload, or commands at run time; then reads back what HAProxy really does.

What HAProxy is believed to run is kept beside its configuration, so that a controller that starts anew goes on from
there. It is kept only while it is sure: before files are written for a reload, or commands are sent, it is forgotten,
and without it the next step is a reload. So whatever breaks off, and wherever, ends in a configuration that is whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from looma_core import logging
from looma_engines.gateway.files import read_all, remove_others, write_all, write_atomically
from looma_engines.gateway.model import DataPlane, Rule
from looma_engines.gateway.traffic import Pods

log = logging.get(__name__)

CommandT = TypeVar("CommandT")

CONFIGURATION = "haproxy.cfg"
BELIEVED = "running.json"
TAKEN = "taken.json"


class RefusedError(Exception):
    """HAProxy read the configuration and does not take it; what ran before goes on. The message is HAProxy's."""


class AwayError(Exception):
    """HAProxy does not answer."""


class DisagreedError(Exception):
    """HAProxy answered, and does something else than was believed."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What HAProxy does, as read back from it.

    `ends` are the cumulative thresholds of each rule with more than one target; `up` counts the pods of each backend
    that take requests, by their revision; `differences` names what is not as the data plane that was asked about.
    """

    ends: Mapping[str, tuple[int, ...]]
    up: Pods
    differences: tuple[str, ...] = ()


class Haproxy(Protocol[CommandT]):
    """HAProxy, as the controller needs it. Every method raises AwayError where it does not answer."""

    def render(self, plane: DataPlane) -> Mapping[str, str]:
        """Its files, by their path in the folder."""
        ...

    def plan(self, running: DataPlane, desired: DataPlane) -> Sequence[CommandT] | None:
        """Commands that lead from one to the other; None if a reload does."""
        ...

    async def reload(self) -> None:
        """Read the files anew.

        Raises:
            RefusedError: if it does not take them.
        """
        ...

    async def run(self, commands: Sequence[CommandT]) -> None:
        """Carry commands out.

        Raises:
            DisagreedError: if one of them was not taken.
        """
        ...

    async def observe(self, plane: DataPlane) -> Observation:
        """What it does, compared with what it should do."""
        ...


class Step(msgspec.Struct, frozen=True):
    """What was done to come to a data plane: a reload or not, and what changed (see `changes_between`)."""

    reloaded: bool
    changes: frozenset[str]


def changes_between(running: DataPlane | None, desired: DataPlane) -> frozenset[str]:
    """What differs: `weights`, `endpoints`, or `shape` for all the rest.

    | differs                              | answer    |
    | ------------------------------------ | --------- |
    | weights of the same targets          | weights   |
    | endpoints of the same backends       | endpoints |
    | anything else, or nothing was known  | shape     |
    """
    if running is None:
        return frozenset({"shape"})
    found = set()
    if {item.name: item.endpoints for item in running.backends} != {
        item.name: item.endpoints for item in desired.backends
    }:
        found.add("endpoints")
    if {item.name: item.targets for item in running.rules} != {
        item.name: item.targets for item in desired.rules
    }:
        found.add("weights")
    if flow_of(running, desired) != desired:
        return frozenset({"shape"})
    return frozenset(found)


def flow_of(running: DataPlane, desired: DataPlane) -> DataPlane:
    """The shape that runs, with endpoints and weights as they are asked for where they fit that shape.

    For when the shape that is asked for is refused: pods come and go all the same.
    """
    backends = {backend.name: backend for backend in desired.backends}
    targets = {(rule.name, _leads_to(rule)): rule.targets for rule in desired.rules}
    moved = [
        # The weight of a single target is shape: there is nothing to choose.
        msgspec.structs.replace(rule, targets=targets.get((rule.name, _leads_to(rule)), rule.targets))
        if len(rule.targets) > 1
        else rule
        for rule in running.rules
    ]
    return msgspec.structs.replace(
        running,
        rules=tuple(moved),
        backends=tuple(
            msgspec.structs.replace(backend, endpoints=backends[backend.name].endpoints)
            if backend.name in backends
            else backend
            for backend in running.backends
        ),
    )


def _leads_to(rule: Rule) -> tuple[str, ...]:
    return tuple(target.backend for target in rule.targets)


class Applier(Generic[CommandT]):
    """Brings one HAProxy to a data plane.

    Attributes:
        running: what HAProxy is known to run; None if that is not sure.
    """

    def __init__(
        self, haproxy: Haproxy[CommandT], folder: Path, *, on_step: Callable[[Step], None] = lambda _: None
    ) -> None:
        """Go on from what an earlier process kept in `folder`."""
        self._haproxy = haproxy
        self._folder = folder
        self._on_step = on_step
        self._restore()
        self.running: DataPlane | None = self._kept()
        self._good = self.running

    def _kept(self) -> DataPlane | None:
        try:
            return msgspec.json.decode((self._folder / BELIEVED).read_bytes(), type=DataPlane)
        except (OSError, msgspec.MsgspecError):
            return None

    def _believe(self, plane: DataPlane) -> None:
        write_atomically(self._folder / BELIEVED, msgspec.json.encode(plane))
        self.running = plane

    def _doubt(self) -> None:
        """From here on it is not sure what runs, for this process and for one that comes after it."""
        self.running = None
        (self._folder / BELIEVED).unlink(missing_ok=True)

    async def apply(self, desired: DataPlane) -> None:
        """Bring HAProxy to the data plane by the least that leads there.

        Raises:
            RefusedError: HAProxy does not take it; it goes on with the shape that it had, and the flow that is asked.
            AwayError: HAProxy does not answer; its files are those that it took last, for when it comes back.
            OSError: the files cannot be written.
        """
        running = self.running
        if running == desired:
            return
        commands = None if running is None else self._haproxy.plan(running, desired)
        if running is not None and commands is not None:
            try:
                await self._move(desired, commands)
            except DisagreedError as error:
                log.warning("HAProxy is not as was believed; reloading", error=str(error))
            else:
                return
        await self._reload(running, desired)

    async def _move(self, desired: DataPlane, commands: Sequence[CommandT]) -> None:
        if commands:
            before = self.running
            self.running = None
            try:
                await self._haproxy.run(commands)
            except BaseException:
                self._doubt()
                raise
            self.running = before
        changes = changes_between(self.running, desired)
        # A crash before this line leaves the older files and the older belief, which the next look at HAProxy corrects.
        self._write(desired)
        self._believe(desired)
        self._on_step(Step(False, changes))

    async def _reload(self, running: DataPlane | None, desired: DataPlane) -> None:
        self._doubt()
        files = self._haproxy.render(desired)
        # A HAProxy that starts anew must find files that it took once; these it may never take.
        write_atomically(self._folder / TAKEN, msgspec.json.encode(read_all(self._folder, files)))
        try:
            write_all(self._folder, files, last=CONFIGURATION)
            await self._haproxy.reload()
        except (RefusedError, AwayError, OSError) as error:
            self._restore()
            if isinstance(error, RefusedError):
                await self._return_to(running, desired)
            raise
        (self._folder / TAKEN).unlink(missing_ok=True)
        remove_others(self._folder, files)
        self._believe(desired)
        self._good = desired
        self._on_step(Step(True, changes_between(running, desired)))

    def _restore(self) -> None:
        """Put back the files that were there before those of a reload that was refused, or broke off."""
        try:
            files = msgspec.json.decode((self._folder / TAKEN).read_bytes(), type=dict[str, bytes])
        except (OSError, msgspec.MsgspecError):
            return
        write_all(self._folder, files, last=CONFIGURATION)
        (self._folder / TAKEN).unlink(missing_ok=True)

    async def _return_to(self, running: DataPlane | None, desired: DataPlane) -> None:
        """After a refusal: the shape that HAProxy took last, with the flow that is asked for."""
        if running is not None:
            self._believe(running)
            moved = flow_of(running, desired)
            commands = None if moved == running else self._haproxy.plan(running, moved)
            if commands is not None:
                with contextlib.suppress(DisagreedError):
                    await self._move(moved, commands)
        elif self._good is not None:
            # What runs is not sure, so that it is loaded as well.
            moved = flow_of(self._good, desired)
            self._write(moved)
            await self._haproxy.reload()
            self._believe(moved)

    def _write(self, plane: DataPlane) -> None:
        write_all(self._folder, self._haproxy.render(plane), last=CONFIGURATION)

    @property
    def can_return(self) -> bool:
        """Whether a shape is known that HAProxy took."""
        return self._good is not None

    async def observe(self) -> Observation | None:
        """What HAProxy does; None if it is not what was believed, and the next `apply` reloads.

        Raises:
            AwayError: HAProxy does not answer.
        """
        running = self.running
        if running is None:
            return None
        found = await self._haproxy.observe(running)
        if found.differences:
            log.warning("HAProxy is not as was believed", differences=list(found.differences[:10]))
            self._doubt()
            return None
        return found


def write_first(haproxy: Haproxy[CommandT], folder: Path, *, pod: str) -> bool:
    """Write the configuration that HAProxy begins with, if there is none: no routes, and not ready.

    Raises:
        OSError: if it cannot be written.
    """
    if (folder / CONFIGURATION).exists():
        return False
    plane = DataPlane(ready=False, pod=pod)
    write_all(folder, haproxy.render(plane), last=CONFIGURATION)
    write_atomically(folder / BELIEVED, msgspec.json.encode(plane))
    return True
