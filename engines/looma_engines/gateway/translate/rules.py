"""The rules of one attached HTTPRoute, each with the key by which rules are sorted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from looma_core.shadowing import is_service_name
from looma_engines.gateway.findings import Finding, Split
from looma_engines.gateway.model import Match, Policy, Redirect, Rule, Shadow, Target
from looma_engines.gateway.objects import AIService, HttpRoute, ReferenceGrant, RouteRule, ServiceRoute
from looma_engines.gateway.translate.hostnames import exactness
from looma_engines.gateway.translate.index import SERVICE_PORT, Index, backend_name, owner, port_of
from looma_engines.gateway.translate.parts import Steps, Unsupported, match, matches, steps
from looma_engines.gateway.translate.policy import STRICT, policy, timeout
from looma_engines.gateway.translate.precedence import Key, precedence
from looma_engines.gateway.translate.targets import Place, Targets, targets

_RESOLVED = Finding("ResolvedRefs", holds=True, reason="ResolvedRefs", message="All references are good.")

Hostnames = Mapping[str, Mapping[int, tuple[str, ...]]]
"""By hostname the pod's ports at which a route has it, each with the hostnames that it has not there."""


@dataclass(kw_only=True)
class Made:
    """What became of a route's rules."""

    rules: list[tuple[Key, Rule]] = field(default_factory=list)
    places: set[Place] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    splits: list[Split] = field(default_factory=list)
    resolved: Finding = _RESOLVED
    unsupported: list[Unsupported] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True, kw_only=True)
class Owned:
    """The AIService that a route is of: its name as limits and logs have it, and itself if it is known."""

    namespace: str = ""
    name: str = ""
    label: str = ""
    service: AIService | None = None


def owned_by(route: HttpRoute, found: Index, home: str) -> Owned | None:
    """The AIService that the route belongs to; None if it belongs to none."""
    reference = owner(route)
    if reference is None:
        return None
    namespace, (name, uid) = route.metadata.namespace, reference
    service = found.ai_services.get((namespace, name))
    # One that was deleted and made anew under the same name is another, whose wishes this route does not carry.
    if service is not None and service.metadata.uid != uid:
        service = None
    label = name if namespace == home else f"{namespace}_{name}"
    return Owned(namespace=namespace, name=name, label=label, service=service)


def _policy(rule: RouteRule, owned: Owned | None, found: Index, made: Made) -> Policy:
    if owned is None:
        return Policy(timeout_seconds=timeout(rule.timeouts, Policy().timeout_seconds))
    if owned.service is None:
        return STRICT
    route = owned.service.spec.route
    fallback = ""
    if route.fallback is not None:
        name = f"{route.fallback.service}-stable"
        service = found.services.get((owned.namespace, name))
        if service is not None and port_of(service, SERVICE_PORT) is not None:
            fallback = backend_name(owned.namespace, name, SERVICE_PORT)
            made.places.add((owned.namespace, name, SERVICE_PORT))
    return policy(route, timeouts=rule.timeouts, fallback=fallback, shadow=_shadow(owned, route, found))


def _shadow(owned: Owned, route: ServiceRoute, found: Index) -> Shadow | None:
    """Who gets copies; nobody where there is no such Service, or it would be the service itself.

    | shadow asks for | copies go to                                           |
    | --------------- | ------------------------------------------------------ |
    | a service       | the pods of its NAME-stable                            |
    | the canary      | the new revision's pods, until it took over or is given up |
    """
    asked = route.shadow
    if asked is None:
        return None
    revision = _rolled_out(owned.service) if asked.canary else ""
    if asked.canary:
        target, place = owned.name, f"{owned.name}-{revision}"
    else:
        target, place = asked.service, f"{asked.service}-stable"
    if (
        asked.canary != bool(revision)
        or (target == owned.name) != asked.canary
        or not is_service_name(target)
    ):
        return None
    service = found.services.get((owned.namespace, place))
    if service is None or port_of(service, SERVICE_PORT) is None:
        return None
    methods = Shadow(service="", percent=0).methods if asked.methods is None else tuple(asked.methods)
    return Shadow(
        service=target,
        revision=revision,
        spares=backend_name(owned.namespace, place, SERVICE_PORT) if revision else "",
        percent=asked.percent,
        methods=tuple(sorted(set(methods))),
        ignored=tuple(sorted(set(asked.ignore or ()))),
    )


def _rolled_out(service: AIService | None) -> str:
    """The revision that is rolled out, as status says; empty where none is, or it was given up."""
    rollout = ((service.status if service is not None else None) or {}).get("rollout")
    if not isinstance(rollout, dict) or rollout.get("failed") or not rollout.get("from"):
        return ""
    revision = rollout.get("revision")
    return revision if isinstance(revision, str) else ""


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Hostnames that go into one rule, at some ports, without some other hostnames."""

    hostnames: tuple[str, ...]
    ports: frozenset[int]
    without: tuple[str, ...]


def _groups(hostnames: Hostnames, apart: Collection[int]) -> list[_Group]:
    """Hostnames of the same precedence, ports and exceptions go together, so that as few rules as can be are made.

    A port in `apart` has rules of its own.
    """
    found: dict[tuple[tuple[int, int], tuple[int, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for hostname, ports in hostnames.items():
        together: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for port, without in sorted(ports.items()):
            if port in apart:
                found[exactness(hostname), (port,), without].append(hostname)
            else:
                together[without].append(port)
        for without, some in together.items():
            found[exactness(hostname), tuple(some), without].append(hostname)
    return [
        _Group(hostnames=tuple(sorted(names)), ports=frozenset(ports), without=without)
        for (_, ports, without), names in sorted(found.items())
    ]


def _on(ports: frozenset[int], open_ports: frozenset[int], made: Match) -> Match:
    """The match, held to the ports that the route is attached to: the data plane has one list of rules for all."""
    return made if ports >= open_ports else msgspec.structs.replace(made, ports=tuple(sorted(ports)))


def _redirect(made: Redirect | None, ports: frozenset[int], unusual: Mapping[int, int]) -> Redirect | None:
    """The redirect, with the listener's port where nothing else says which, and it is not the scheme's own."""
    if made is None or made.port is not None or made.scheme:
        return made
    known = [unusual[port] for port in ports if port in unusual]
    return msgspec.structs.replace(made, port=known[0]) if known else made


def _parts(rule: RouteRule, made: Made) -> tuple[tuple[Match, ...], Steps | None]:
    """Matches and steps; without steps the rule's requests get 500, and those of a match that cannot be made 404."""
    try:
        found = matches(rule)
    except Unsupported as error:
        made.unsupported.append(error)
        return _possible(rule), None
    try:
        return found, steps(rule, found)
    except Unsupported as error:
        made.unsupported.append(error)
        return found, None


def _possible(rule: RouteRule) -> tuple[Match, ...]:
    found = []
    for item in rule.matches or ():
        try:
            found.append(match(item))
        except Unsupported:
            continue
    return tuple(found)


def make_rules(
    route: HttpRoute,
    *,
    hostnames: Hostnames,
    open_ports: frozenset[int],
    unusual: Mapping[int, int],
    found: Index,
    grants: Iterable[ReferenceGrant],
    home: str,
) -> Made:
    """The rules of a route that is attached for `hostnames`, one for each match and group of hostnames.

    `open_ports` are all that pods listen on; `unusual` has the listener's port for those where it is not the
    protocol's own.

    A rule of an HTTPRoute becomes several where its matches differ in precedence: another route's may lie between.
    """
    made = Made()
    namespace, owned = route.metadata.namespace, owned_by(route, found, home)
    groups = _groups(hostnames, unusual)
    if owned is not None and owned.service is None:
        made.missing.add(f"AIService {namespace}/{owned.name}")
    for number, rule in enumerate(route.spec.rules or ()):
        made.count += 1
        possible, done = _parts(rule, made)
        aims = Targets(targets=(Target(backend=""),))
        if done is not None:
            aims = targets(rule, namespace=namespace, found=found, grants=grants)
            made.places.update(aims.places)
            made.missing |= aims.missing
            if aims.wrong is not None and made.resolved.holds:
                made.resolved = aims.wrong
        held = _policy(rule, owned, found, made)
        names = []
        for position, item in enumerate(possible):
            for order, group in enumerate(groups):
                name = f"{namespace}_{route.metadata.name}_{number}_{position}" + (
                    f"_{order}" if order else ""
                )
                names.append(name)
                does = done or Steps()
                key = precedence(group.hostnames[0], item, route, number, position)
                made.rules.append(
                    (
                        key,
                        Rule(
                            name=name,
                            service="" if owned is None else owned.label,
                            hostnames=tuple(host for host in group.hostnames if host),
                            other_hostnames=group.without,
                            matches=(_on(group.ports, open_ports, item),),
                            targets=aims.targets,
                            request_headers=does.request_headers,
                            response_headers=does.response_headers,
                            redirect=_redirect(does.redirect, group.ports, unusual),
                            rewrite_hostname=does.rewrite_hostname,
                            rewrite_path=does.rewrite_path,
                            policy=held,
                        ),
                    )
                )
        # Requests that ask for a revision by a header say nothing of the part that it gets of all the others.
        for_all = any(not item.headers for item in possible)
        if owned is not None and done is not None and names and aims.targets and for_all:
            made.splits.append(
                Split(
                    namespace=owned.namespace,
                    service=owned.name,
                    rules=tuple(names),
                    backends=tuple(target.backend for target in aims.targets),
                    revisions=aims.revisions or ("",) * len(aims.targets),
                )
            )
    return made
