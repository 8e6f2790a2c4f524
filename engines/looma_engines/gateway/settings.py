"""What the gateway's processes read from their environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from looma_core.settings import CoreSettings
from looma_engines.gateway.translate import Here


class GatewaySettings(CoreSettings, frozen=True, kw_only=True):
    """What `looma-engine gateway` and `looma-engine gateway-init` read beside `CoreSettings`."""

    pod: Annotated[str, Meta(min_length=1, description="Name of the gateway's pod.")] = "gateway-0"
    pod_address: Annotated[
        str, Meta(description="IP address of the pod; without one no counters are shared with other pods.")
    ] = ""
    namespaces: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9, -]*$",
            description="Namespaces whose routes are served, with commas between; empty for `LOOMA_NAMESPACE`.",
        ),
    ] = ""
    gateway_class: Annotated[
        str, Meta(min_length=1, description="Name of the GatewayClass that is served.")
    ] = "looma"
    gateway_service: Annotated[
        str,
        Meta(description="Service before the gateway's pods; its addresses are told in Gateways' status."),
    ] = "looma-gateway"
    gateway_folder: Annotated[
        str, Meta(min_length=1, description="Folder that the gateway's containers share.")
    ] = "/run/looma"
    gateway_http_port: Annotated[
        int, Meta(ge=1, le=65535, description="Port of the pod for listeners with HTTP.")
    ] = 8080
    gateway_https_port: Annotated[
        int, Meta(ge=1, le=65535, description="Port of the pod for listeners with HTTPS.")
    ] = 8443
    gateway_controller_port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="Port of the controller's own `/healthz`, `/metrics`, `/traffic` and the like.",
        ),
    ] = 8081
    config: Annotated[
        str, Meta(description="`spec.config` of the AIService as JSON; its fields are the engine's own.")
    ] = "{}"

    def here(self) -> Here:
        """This gateway and its pod."""
        return Here(
            namespace=self.namespace,
            service=self.service,
            pod=self.pod,
            address=self.pod_address,
            class_name=self.gateway_class,
            public_service=self.gateway_service,
            issuer=self.jwt_issuer,
            audience=self.jwt_audience,
            http_port=self.gateway_http_port,
            https_port=self.gateway_https_port,
        )

    def all_namespaces(self) -> list[str]:
        """The namespaces that are watched; never none."""
        return sorted(set(self.namespaces.replace(",", " ").split())) or [self.namespace]

    def folder(self) -> Path:
        """The folder that the containers share."""
        return Path(self.gateway_folder)


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`spec.config` of the AIService.

    `max_connections` of callers at once, and how many seconds streams may go on in a worker that a reload replaced.
    Where it is written, the operator gives a pod that ends so long as well; else a pod has 50 seconds, since a stream
    of events can be taken up again at another one, and a rollout waits for the pod.
    `threads` is how many processors HAProxy may use at a time, None for half of the machine's and at least two: what
    stands behind it uses more of them for a request than it does.
    """

    max_connections: Annotated[int, Meta(ge=100, le=1_000_000)] = 10_000
    hard_stop_seconds: Annotated[int, Meta(ge=1, le=3600)] = 600
    threads: Annotated[int, Meta(ge=1, le=64)] | None = None

    def threads_of(self, processors: int) -> int:
        """HAProxy's threads on a machine of so many processors."""
        return self.threads or max(2, processors // 2)
