"""HAProxy's counters, added up over its workers and read so that none of them ever falls. Pure.

Each worker counts from nothing: after a reload there are two, and the older one goes on with what it has begun. So
what each of them counted is kept by its process, and the sum of all that were ever seen is what is told. What a worker
counts between the last look at it and its end is not known; a look is taken right before each reload.

What HAProxy does not count is the difference of counters:

| what                        | from                                                                                |
| --------------------------- | ----------------------------------------------------------------------------------- |
| no pod could be asked       | the backend's failed connections, less those of its servers                         |
| attempts that were repeated | attempts of all servers, less the requests for which there was a pod                |
| attempts without an answer  | 5xx that callers got, less those that servers gave, less those without a pod; and   |
|                             | requests that ended without any answer, since HAProxy closed the caller's connection |

`wretr` is of no use: it counts a repetition once or twice, depending on what failed. Counters of several threads that
are read one after the other fit together only roughly while requests are under way. A difference therefore counts
once three looks in a row agree that it is at least so much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from looma_engines.gateway.haproxy.readback import BACKEND, CLASSES, Stat

LOOKS = 3
_SERVER_ERROR = CLASSES.index("5xx")
Answered = tuple[int, ...]
"""Attempts whose answer was passed on, by CLASSES of its status."""
_NONE: Answered = (0,) * len(CLASSES)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the requests to one backend.

    `unanswered` are last attempts that
    brought no answer, `retried` those that another attempt followed, `unserved` requests for which there was no pod.
    """

    answered: Answered = _NONE
    unanswered: int = 0
    retried: int = 0
    unserved: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(
            answered=plus(self.answered, other.answered),
            unanswered=self.unanswered + other.unanswered,
            retried=self.retried + other.retried,
            unserved=self.unserved + other.unserved,
        )

    def __sub__(self, other: Counts) -> Counts:
        """What came to `other` since."""
        return Counts(
            answered=minus(self.answered, other.answered),
            unanswered=self.unanswered - other.unanswered,
            retried=self.retried - other.retried,
            unserved=self.unserved - other.unserved,
        )

    @property
    def requests(self) -> int:
        """Requests that came to their end."""
        return sum(self.answered) + self.unanswered + self.unserved

    @property
    def failed(self) -> int:
        """Of these, those that ended with 5xx or without an answer."""
        return self.answered[_SERVER_ERROR] + self.unanswered + self.unserved


def plus(one: Answered, other: Answered) -> Answered:
    """Both together."""
    return tuple(a + b for a, b in zip(one, other, strict=True))


def minus(now: Answered, before: Answered) -> Answered:
    """What came to `before` since."""
    return tuple(a - b for a, b in zip(now, before, strict=True))


class Floor:
    """A number that never falls: the least of the last looks, where that is more than it was."""

    def __init__(self) -> None:
        """Begin with 0."""
        self.value = 0
        self._looks: tuple[int, ...] = ()

    def look(self, number: int) -> None:
        """Take the number as it was seen now."""
        self._looks = (*self._looks, number)[-LOOKS:]
        if len(self._looks) == LOOKS:
            self.value = max(self.value, min(self._looks))


class _Row:
    """One row's numbers since the worker was first seen."""

    def __init__(self) -> None:
        self.total = self.unconnected = self.sessions = 0
        self.answered = _NONE
        self._last: Stat | None = None

    def take(self, row: Stat, *, new: bool) -> None:
        """Add what came to it; a row that is `new` to a worker known before began with nothing."""
        before = self._last
        self._last, self.sessions = row, row.sessions
        if before is None and not new:
            return
        # A server that was removed and comes again begins anew.
        if before is None or row.total < before.total:
            before = Stat(proxy="", name="", status="", sessions=0, total=0)
        self.total += row.total - before.total
        self.unconnected += row.unconnected - before.unconnected
        self.answered = tuple(
            sum_ + now - was
            for sum_, now, was in zip(self.answered, row.answered, before.answered, strict=True)
        )


class _Backend:
    """One backend at one worker."""

    def __init__(self) -> None:
        self.whole = _Row()
        self.servers: dict[str, _Row] = defaultdict(_Row)
        self._unserved, self._retried, self._unanswered = Floor(), Floor(), Floor()

    def look(self) -> None:
        """Take the differences as they are now."""
        whole, servers = self.whole, self.servers.values()
        unserved = whole.unconnected - sum(row.unconnected for row in servers)
        made = whole.answered[_SERVER_ERROR] - sum(row.answered[_SERVER_ERROR] for row in servers) - unserved
        closed = whole.total - sum(whole.answered) - whole.sessions
        self._unserved.look(unserved)
        self._retried.look(sum(row.total for row in servers) - whole.total + unserved)
        self._unanswered.look(made + closed)

    @property
    def counts(self) -> Counts:
        """What is sure."""
        return Counts(
            answered=tuple(
                sum(each) for each in zip(*(row.answered for row in self.servers.values()), strict=True)
            )
            or _NONE,
            unanswered=self._unanswered.value,
            retried=self._retried.value,
            unserved=self._unserved.value,
        )


class Tally:
    """Adds up what all workers count, from the first look on: what was before it, an earlier process told."""

    def __init__(self) -> None:
        """Begin without a worker."""
        self._workers: dict[int, dict[str, _Backend]] | None = None
        self._gone: dict[str, Counts] = defaultdict(Counts)
        self._answered_by_gone: dict[str, dict[str, Answered]] = defaultdict(dict)

    def take(self, workers: Mapping[int, Iterable[Stat]]) -> None:
        """Take the rows of `show stat` of each worker that there is, by its process id."""
        first = self._workers is None
        known = self._workers or {}
        for number in known.keys() - workers.keys():
            for name, backend in known[number].items():
                self._gone[name] += backend.counts
                _add(self._answered_by_gone[name], backend)
        self._workers = {
            number: _taken(known.get(number, {}), rows, new=not first) for number, rows in workers.items()
        }

    @property
    def counts(self) -> dict[str, Counts]:
        """All that was counted, by backend."""
        sums = defaultdict(Counts, self._gone)
        for backends in (self._workers or {}).values():
            for name, backend in backends.items():
                sums[name] += backend.counts
        return dict(sums)

    @property
    def answered(self) -> dict[str, dict[str, Answered]]:
        """What the servers answered, by backend and server: together it is what `counts` has as answered."""
        sums = defaultdict(dict, {name: dict(servers) for name, servers in self._answered_by_gone.items()})
        for backends in (self._workers or {}).values():
            for name, backend in backends.items():
                _add(sums[name], backend)
        return dict(sums)


def _add(sums: dict[str, Answered], backend: _Backend) -> None:
    for server, row in backend.servers.items():
        sums[server] = plus(sums.get(server, _NONE), row.answered)


def _taken(backends: dict[str, _Backend], rows: Iterable[Stat], *, new: bool) -> dict[str, _Backend]:
    for row in rows:
        backend = backends.setdefault(row.proxy, _Backend())
        (backend.whole if row.name == BACKEND else backend.servers[row.name]).take(row, new=new)
    for backend in backends.values():
        backend.look()
    return backends


class Kept:
    """A counter that HAProxy keeps in a table, which a new worker gets from the old one a moment after it began.

    Until then it seems to have fallen, and then to have jumped. So a fall counts once it lasted for PATIENCE looks.
    """

    PATIENCE = 10

    def __init__(self, first: int) -> None:
        """Begin: what was counted before, an earlier process told."""
        self.value = 0
        self._last = first
        self._fallen = 0

    def look(self, number: int) -> None:
        """Take the number as it was seen now."""
        if number >= self._last:
            self.value += number - self._last
            self._last, self._fallen = number, 0
            return
        self._fallen += 1
        if self._fallen >= self.PATIENCE:
            self.value += number
            self._last, self._fallen = number, 0
