"""The least change that leads from one `DataPlane` to another. Pure.

What HAProxy can change while it runs is the flow: weights, and which pods a backend has. Everything else is shape,
and needs a reload. Commands come in an order in which no request finds less than before: pods are added first and
taken out last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from looma_engines.gateway.haproxy import last_resort, shares
from looma_engines.gateway.haproxy.backends import SERVER_OPTIONS, unique_endpoints, weight
from looma_engines.gateway.haproxy.text import server_name, socket_address
from looma_engines.gateway.model import Backend, DataPlane, Endpoint, Rule, Target

RUN_FOLDER = Path("/run/looma")
REMOVAL_WAIT_MS = 100
"""How long a command waits for a server to be without connections. What is not removed then is `leaving`."""


class Reload(msgspec.Struct, frozen=True):
    """Run-time commands do not lead there."""


class Command(msgspec.Struct, frozen=True):
    """One line for the worker's socket.

    `expects` begins the answer if it worked. A command that is `optional` may be refused: a server that still has
    connections cannot be removed, and is tried again at the next change.
    """

    text: str
    expects: str = ""
    optional: bool = False


ServerKey = tuple[str, str]
"""Names of a backend and of a server in it."""


def plan_changes(
    running: DataPlane,
    desired: DataPlane,
    *,
    folder: Path = RUN_FOLDER,
    leaving: Collection[ServerKey] = (),
) -> Reload | tuple[Command, ...]:
    """Return what to do so that HAProxy, which is as `running` says, becomes as `desired` says.

    | what differs                        | answer                                                      |
    | ----------------------------------- | ----------------------------------------------------------- |
    | nothing, or only the pods' names    | no command                                                  |
    | weights of a rule's targets         | `set map`, one for each threshold that moves                |
    | which pods take requests            | and `set map`, for those asked as a last resort             |
    | an endpoint is new                  | `add server`, `enable health`, `enable server`, `health up` |
    | an endpoint drains, or no more      | `set server ... weight`                                     |
    | an endpoint is gone                 | `set server ... state maint`, and `del server` if it can be |
    | anything else                       | Reload                                                      |

    Args:
        running: what was applied last.
        desired: what should be.
        folder: where HAProxy sees its files.
        leaving: servers in maintenance that an earlier change could not remove yet.
    """
    if shape(running) != shape(desired):
        return Reload()
    before = {backend.name: _servers(backend) for backend in running.backends}
    after = {backend.name: _servers(backend) for backend in desired.backends}
    added: list[Command] = []
    changed: list[Command] = []
    removed: list[Command] = []
    for name, servers in sorted(after.items()):
        had = before[name]
        for server, endpoint in servers.items():
            if server not in had:
                back = (name, server) in leaving
                added += _bring_back(name, endpoint) if back else _add(name, endpoint)
            elif weight(endpoint) != weight(had[server]):
                changed.append(_weigh(name, endpoint))
        for server in had:
            if server not in servers:
                removed.append(Command(f"set server {name}/{server} state maint"))
                removed.append(
                    Command(f"wait {REMOVAL_WAIT_MS}ms srv-removable {name}/{server}", "Done.", True)
                )
                removed.append(_delete(name, server))
    for name, server in sorted(leaving):
        if server not in after.get(name, {}) and server not in before.get(name, {}):
            removed.append(_delete(name, server))
    # A pod that is no longer drained is there before one that begins to be.
    changed.sort(key=lambda command: command.text.endswith(" weight 0"))
    maps = [
        command
        for module in (shares, last_resort)
        for command in _moved(folder / module.MAP, module.map_entries(running), module.map_entries(desired))
    ]
    return (*added, *maps, *changed, *removed)


def shape(plane: DataPlane) -> DataPlane:
    """The plane without what moves at run time: equal for two planes that commands can lead between."""
    return msgspec.structs.replace(
        plane,
        rules=tuple(
            msgspec.structs.replace(rule, targets=tuple(_unweighted(rule, target) for target in rule.targets))
            for rule in plane.rules
        ),
        backends=tuple(
            sorted(
                (msgspec.structs.replace(backend, endpoints=()) for backend in plane.backends),
                key=lambda backend: backend.name,
            )
        ),
    )


def _unweighted(rule: Rule, target: Target) -> Target:
    # A single target has no threshold: only whether it has any weight is in the configuration.
    kept = 1 if shares.is_shared(rule) else min(target.weight, 1)
    return msgspec.structs.replace(target, weight=kept)


def _servers(backend: Backend) -> dict[str, Endpoint]:
    return {server_name(endpoint): endpoint for endpoint in unique_endpoints(backend)}


def _moved(path: Path, had: Mapping[str, object], wanted: Mapping[str, object]) -> Iterator[Command]:
    """One command for each entry of a map that is another now; both have the same keys, as these are shape."""
    for entry, value in wanted.items():
        if had[entry] != value:
            yield Command(f"set map {path} {entry} {value}")


def _add(backend: str, endpoint: Endpoint) -> list[Command]:
    server = f"{backend}/{server_name(endpoint)}"
    where = socket_address(endpoint.address, endpoint.port)
    line = f"add server {server} {where} weight {weight(endpoint)} {SERVER_OPTIONS}"
    return [
        Command(line, "New server registered."),
        Command(f"enable health {server}"),
        Command(f"enable server {server}"),
        believe(backend, server_name(endpoint)),
    ]


def _bring_back(backend: str, endpoint: Endpoint) -> list[Command]:
    server = f"{backend}/{server_name(endpoint)}"
    return [
        _weigh(backend, endpoint),
        Command(f"enable health {server}"),
        Command(f"set server {server} state ready"),
        believe(backend, server_name(endpoint)),
    ]


def believe(backend: str, server: str) -> Command:
    """Kubernetes says that it is ready; HAProxy by itself would take it out at its first failed check."""
    return Command(f"set server {backend}/{server} health up")


def _weigh(backend: str, endpoint: Endpoint) -> Command:
    return Command(f"set server {backend}/{server_name(endpoint)} weight {weight(endpoint)}")


def _delete(backend: str, server: str) -> Command:
    return Command(f"del server {backend}/{server}", "Server deleted.", True)
