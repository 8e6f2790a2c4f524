"""What a SyncJob's plan is made from: the Jobs of its runs in the fewest values that the decisions need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..resources import Json
from ..sync_resources import SyncJob


@dataclass(frozen=True, kw_only=True)
class RunJob:
    """A Job of the SyncJob.

    `epoch` is 0 where it was not let in yet; `ended` is the condition that ended it, Complete or Failed, and empty
    while it goes on; `going` is true once its deletion began. `scheduled` is true where the CronJob's controller made
    it for its time, `from_cron` where the CronJob owns it, which `kubectl create job --from` brings about as well.
    """

    name: str
    uid: str
    resource_version: str
    created_at: datetime
    epoch: int = 0
    suspended: bool = False
    ended: str = ""
    reason: str = ""
    message: str = ""
    ended_at: datetime | None = None
    going: bool = False
    from_cron: bool = False
    scheduled: bool = False

    @property
    def waits(self) -> bool:
        """Whether it is there to be let in."""
        return not self.epoch and self.suspended and not self.ended and not self.going


@dataclass(frozen=True, kw_only=True)
class SyncObserved:
    """Everything that was read for one SyncJob.

    `children` has what it owns beside its Jobs, by (kind, name); `foreign` has names among those that it would use
    which belong to somebody else.
    """

    job: SyncJob
    jobs: tuple[RunJob, ...] = ()
    children: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    foreign: frozenset[tuple[str, str]] = frozenset()
