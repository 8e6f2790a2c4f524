"""Where a Gateway is reached: at the one address, or at one of its own that a Service gives it.

All Gateways are served by the same pods. A Service in the gateway's namespace that names a Gateway is that one's
address, and its target ports are ports of the pods that take requests for it alone; every other Gateway is reached at
the one address, which they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from looma_engines.gateway.translate.index import Index, Name

ADDRESS_OF: Final = "looma.dev/address-of"
"""Annotation of a Service before the gateway's pods: the Gateway, as `NAMESPACE/NAME`, whose address it is."""
OWN_PORTS: Final = range(20000, 30000)
"""Ports of the pods that such Services may lead to: no other process of a pod has one of them."""
HTTP, HTTPS = "HTTP", "HTTPS"
USUAL: Final = {(80, HTTP), (443, HTTPS)}


@dataclass(frozen=True, kw_only=True)
class Address:
    """A Service, and the port of the pods behind each port and protocol that a listener may ask for."""

    service: Name
    ports: Mapping[tuple[int, str], int]

    def refusal(self, port: int, protocol: str) -> str:
        """Why a listener with a port that is not in `ports` is not taken, and what helps."""
        if set(self.ports) == USUAL:
            return f"Port {port} for {protocol}: write 80 for HTTP or 443 for HTTPS."
        namespace, name = self.service
        return (
            f"Port {port}: Service {namespace}/{name}, this Gateway's address, leads to it by no targetPort of its "
            f"own from {OWN_PORTS[0]} to {OWN_PORTS[-1]}."
        )


def shared(service: Name, *, http_port: int, https_port: int) -> Address:
    """The one address: port 80 for HTTP, 443 for HTTPS, as its Service says."""
    return Address(service=service, ports={(80, HTTP): http_port, (443, HTTPS): https_port})


def own(found: Index, namespace: str) -> dict[Name, Address]:
    """The Gateways with an address of their own, by namespace and name.

    | the Service                                        | is          |
    | -------------------------------------------------- | ----------- |
    | in another namespace than the gateway              | passed over |
    | for a Gateway that an earlier one (by name) is for | passed over |
    | with a target port that is not in `OWN_PORTS`      | without it  |
    | with a target port that an earlier one leads to    | without it  |
    """
    made: dict[Name, Address] = {}
    given: set[int] = set()
    for (place, name), service in sorted(found.services.items()):
        of = (service.metadata.annotations or {}).get(ADDRESS_OF, "")
        gateway_namespace, _, gateway = of.partition("/")
        if place != namespace or not gateway or (gateway_namespace, gateway) in made:
            continue
        ports: dict[tuple[int, str], int] = {}
        mine: set[int] = set()
        for port in service.spec.ports or ():
            target = port.target_port
            # By name it would be one of the ports that a pod has anyway, which are the one address's.
            if port.protocol != "TCP" or not isinstance(target, int) or target not in OWN_PORTS:
                continue
            if target in given | mine:
                continue
            mine.add(target)
            ports |= {(port.port, HTTP): target, (port.port, HTTPS): target}
        given |= mine
        made[gateway_namespace, gateway] = Address(service=(place, name), ports=ports)
    return made


def values(found: Index, service_name: Name) -> tuple[tuple[str, str], ...]:
    """Type and value of where a Service is reached: by its load balancer, else external, else cluster addresses."""
    service = found.services.get(service_name)
    if service is None:
        return ()
    balancer = service.status.load_balancer if service.status is not None else None
    known = [
        ("IPAddress", item.ip) if item.ip else ("Hostname", item.hostname)
        for item in (balancer.ingress if balancer is not None else None) or ()
        if item.ip or item.hostname
    ]
    known = known or [("IPAddress", address) for address in service.spec.external_ips or ()]
    if not known and service.spec.cluster_ip not in ("", "None"):
        known = [("IPAddress", service.spec.cluster_ip)]
    return tuple(sorted(set(known)))
