"""How long a login must wait after failures: pure."""

from __future__ import annotations

import datetime as dt

# Five slips are human; after that each further failure doubles the wait.
FREE_FAILURES = 5
# From anywhere together: high enough that one stranger cannot lock a person out for good by five requests.
FREE_FAILURES_ANYWHERE = 50
FIRST_WAIT = dt.timedelta(seconds=5)
LONGEST_WAIT = dt.timedelta(minutes=15)
# A quiet spell of this length forgives.
FORGIVEN_AFTER = dt.timedelta(hours=1)


def wait_after(failures: int, last_at: dt.datetime, now: dt.datetime, *, free: int) -> dt.timedelta:
    """How long from `now` until another try is allowed; zero if it is allowed now.

    | failures | free | since the last | answer            |
    | -------- | ---- | -------------- | ----------------- |
    | 4        | 5    | 0 s            | 0 s               |
    | 5        | 5    | 0 s            | 5 s               |
    | 7        | 5    | 0 s            | 20 s              |
    | 7        | 5    | 15 s           | 5 s               |
    | 60       | 5    | 0 s            | 900 s             |
    | 60       | 5    | 1 h            | 0 s               |
    """
    since = now - last_at
    if failures < free or since >= FORGIVEN_AFTER:
        return dt.timedelta(0)
    doublings = min(failures - free, 20)
    wait = min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)
    return max(wait - since, dt.timedelta(0))


def keys_of(login: str, address: str) -> dict[str, int]:
    """The counters that one try touches, each with its allowance."""
    return {f"{login}@{address}": FREE_FAILURES, f"{login}@": FREE_FAILURES_ANYWHERE}
