"""When a schedule begins its next run, for people to read: the CronJob's controller decides when it really does."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ..sync_resources import SyncJobSpec

# What the CronJob's controller means by them.
_NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def next_run_time(*, spec: SyncJobSpec, now: datetime) -> datetime | None:
    """The first time after `now`, in UTC; None without a schedule, while suspended, and for what cannot be read.

    | cron      | time zone     | now (UTC)        | answer (UTC)     |
    | --------- | ------------- | ---------------- | ---------------- |
    | 0 3 * * * | Etc/UTC       | 2026-01-01 12:00 | 2026-01-02 03:00 |
    | 0 3 * * * | Asia/Shanghai | 2026-01-01 12:00 | 2026-01-01 19:00 |
    | @hourly   | Etc/UTC       | 2026-01-01 12:00 | 2026-01-01 13:00 |
    | 0 3 30 2 * | Etc/UTC      | any              | None             |
    """
    if spec.schedule is None or spec.suspend:
        return None
    try:
        zone = ZoneInfo(spec.schedule.time_zone)
        times = CronSim(_NAMES.get(spec.schedule.cron, spec.schedule.cron), now.astimezone(zone))
        return next(times).astimezone(UTC)
    except (CronSimError, StopIteration, LookupError, ValueError, OSError):
        return None
