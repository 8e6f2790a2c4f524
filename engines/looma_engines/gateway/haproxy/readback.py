"""What HAProxy says of itself, as values: parsers of its commands' answers. Pure.

Whatever HAProxy adds to its answers in a later version is passed over; what is missing raises `Unreadable`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

import msgspec

_MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20
_DRAIN = 0x08 | 0x10
_VALUE = re.compile(r"(?P<name>[a-z_0-9]+)(?:\((?P<at>[^)]*)\))?=(?P<value>\d+)")
_KEY = re.compile(r"^\S+: key=(?P<key>\S+) ")
_WORKER = re.compile(r"^(?P<number>\d+)\s+worker\s", re.MULTILINE)
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
BACKEND = "BACKEND"
"""Name of the row of `show stat` that speaks of a whole backend."""


class Unreadable(ValueError):
    """An answer of HAProxy that does not have the form that it has in version 3.0."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `show servers state`. `weight` is what it was given, without what warming up takes off."""

    backend: str
    name: str
    address: str
    port: int
    weight: int
    up: bool
    maintenance: bool


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `show stat`: a frontend, a backend or a server, with what is under way and what there was.

    `total` of a backend are requests, of a server attempts. `answered` are answers that were passed on, by CLASSES: of
    a server those that it gave, of a backend those that callers got. `unconnected` are requests that ended without a
    connection: of a backend also those for which there was no server.
    """

    proxy: str
    name: str
    status: str
    sessions: int
    total: int
    answered: tuple[int, ...] = (0,) * len(CLASSES)
    unconnected: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a stick table; `values` by name, arrays by `name0`, `name1` and so on."""

    key: str
    values: dict[str, int]


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """A backend's circuit: open from a failure too many until it was tried with success.

    `opened` is when, in tenths of a second as `circuit_breakers` counts them, 0 while it is closed. `epoch` counts
    changes, `openings` those that opened it, `refused` the requests that found it open.
    """

    backend: str
    opened: int
    epoch: int
    openings: int = 0
    refused: int = 0

    @property
    def open(self) -> bool:
        """Whether it is not closed."""
        return self.opened > 0


def parse_servers(text: str) -> tuple[Server, ...]:
    """Servers by `show servers state`. Raises Unreadable."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or lines[0].strip() != "1":
        raise Unreadable(f"not the servers' state in version 1: {text[:80]!r}")
    names: list[str] = []
    found = []
    for line in lines[1:]:
        if line.startswith("#"):
            names = line.removeprefix("#").split()
            continue
        fields = dict(zip(names, line.split(), strict=False))
        try:
            admin = int(fields["srv_admin_state"])
            found.append(
                Server(
                    backend=fields["be_name"],
                    name=fields["srv_name"],
                    address=fields["srv_addr"],
                    port=int(fields["srv_port"]),
                    weight=0 if admin & _DRAIN else int(fields["srv_uweight"]),
                    up=int(fields["srv_op_state"]) > 0,
                    maintenance=bool(admin & _MAINTENANCE),
                )
            )
        except (KeyError, ValueError) as error:
            raise Unreadable(f"not a server's state: {line!r}") from error
    return tuple(found)


def carried_states(text: str) -> str:
    """What a new worker is to know of the servers, of `show servers state`: which are up, and how sure that is.

    A worker that knows nothing believes that all are up, and takes each out at its first failed check, not at the
    second: after a reload, a machine that is busy for a moment would lose pods that are well, and those that are down
    would get requests. What the files say goes before what was so: weights are the new files', and a server that was
    in maintenance or draining begins anew.

    Raises:
        Unreadable: the answer has another form.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or lines[0].strip() != "1" or not lines[1].startswith("#"):
        raise Unreadable(f"not the servers' state in version 1: {text[:80]!r}")
    names = lines[1].split()[1:]
    kept = lines[:2]
    for line in lines[2:]:
        try:
            server = dict(zip(names, line.split(), strict=True))
            admin = int(server["srv_admin_state"])
            # HAProxy keeps a weight that was changed as long as the file's is the one of before.
            server["srv_uweight"] = server["srv_iweight"]
        except (KeyError, ValueError) as error:
            raise Unreadable(f"not a server's state: {line!r}") from error
        if not admin & (_MAINTENANCE | _DRAIN):
            kept.append(" ".join(server.values()))
    return "\n".join(kept) + "\n"


def parse_map(text: str) -> dict[str, str]:
    """A map's entries by `show map`: a reference, a key and a value on each line. Raises Unreadable."""
    found = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        parts = line.split(maxsplit=2)
        if len(parts) != 3 or not parts[0].startswith("0x"):
            raise Unreadable(f"not an entry of a map: {line!r}")
        found[parts[1]] = parts[2]
    return found


def parse_stat(text: str) -> tuple[Stat, ...]:
    """Counters by `show stat` (CSV). Raises Unreadable."""
    if not text.startswith("# "):
        raise Unreadable(f"not statistics: {text[:80]!r}")
    head, *rows = csv.reader(io.StringIO(text.removeprefix("# ").strip()))
    try:
        # By position: there are a hundred columns, and all rows are read each second.
        proxy, name, status = (head.index(column) for column in ("pxname", "svname", "status"))
        sessions, total, unconnected = (head.index(column) for column in ("scur", "stot", "econ"))
        answered = [head.index(f"hrsp_{kind}") for kind in CLASSES]
        return tuple(
            Stat(
                proxy=row[proxy],
                name=row[name],
                status=row[status],
                sessions=int(row[sessions] or 0),
                total=int(row[total] or 0),
                answered=tuple(int(row[column] or 0) for column in answered),
                unconnected=int(row[unconnected] or 0),
            )
            for row in rows
        )
    except (ValueError, IndexError) as error:
        raise Unreadable(f"not statistics: {error}") from error


def parse_workers(text: str) -> tuple[int, ...]:
    """Process ids of the workers by the master's `show proc`: the one that takes requests, then those that leave.

    Raises Unreadable.
    """
    if not text.startswith("#<PID>"):
        raise Unreadable(f"not a list of processes: {text[:80]!r}")
    return tuple(int(match["number"]) for match in _WORKER.finditer(text))


def parse_table(text: str) -> tuple[Entry, ...]:
    """Entries of a stick table by `show table NAME`. Raises Unreadable."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or not lines[0].startswith("# table:"):
        raise Unreadable(f"not a table: {text[:80]!r}")
    found = []
    for line in lines[1:]:
        key = _KEY.match(line)
        if key is None:
            raise Unreadable(f"not an entry of a table: {line!r}")
        values = {match["name"]: int(match["value"]) for match in _VALUE.finditer(line[key.end() :])}
        found.append(Entry(key=key["key"], values=values))
    return tuple(found)


def breakers_of(entries: Iterable[Entry]) -> tuple[Breaker, ...]:
    """Circuits by the entries of the table that `circuit_breakers.STATE` names."""
    return tuple(
        Breaker(
            backend=entry.key,
            opened=entry.values.get("gpt0", 0),
            epoch=entry.values.get("gpt1", 0),
            openings=entry.values.get("gpt2", 0),
            refused=entry.values.get("gpc0", 0),
        )
        for entry in entries
    )
