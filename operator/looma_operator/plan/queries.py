"""What is asked of Prometheus, and which address of an HTTP metric: with the names of the service filled in. Pure.

| built-in                                   | is read from                                                         |
| ------------------------------------------ | -------------------------------------------------------------------- |
| errorRate of a service with a path         | looma_gateway_attempts_total: each attempt, repeated ones among them |
| errorRate of a service without             | looma_http_request_seconds of the engine                             |
| latency of one of Looma's engines          | looma_http_request_seconds of the engine                             |
| latency of a custom engine                 | looma_gateway_first_byte_seconds of the gateway                      |
| saturation                                 | see `saturation`; its requests as those of errorRate                 |
| shadowDifference                           | looma_shadow_requests_total of the stable revision's engine          |

Both revisions are asked for at once, so that they are compared over the same time.

A counter that appears within the window is counted with all that it has: `increase` alone takes what a series begins
with for what was there before, and the first failures of a new revision are just that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..render.common import deployment_name
from ..resources_analysis import ERROR_RATE, SATURATION, SHADOW_DIFFERENCE, Metric
from .saturation import Limits, saturation_query

ENGINE_SECONDS = "looma_http_request_seconds"
GATEWAY_SECONDS = "looma_gateway_first_byte_seconds"
GATEWAY_ATTEMPTS = "looma_gateway_attempts_total"
SHADOW_REQUESTS = "looma_shadow_requests_total"
CUSTOM = "custom"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a query is about. `routed`: its requests come through a gateway. `window` is in seconds.

    `limits` are what each of the new revision's pods may use.
    """

    namespace: str
    service: str
    engine: str
    revision: str
    stable: str
    routed: bool
    window: int
    limits: Limits = field(default_factory=Limits)


def resolve(metric: Metric, scene: Scene) -> str:
    """The query that is sent to Prometheus, or the address that is asked; empty where there is none."""
    if metric.prometheus is not None:
        return fill_in(metric.prometheus.query, scene)
    if metric.http is not None:
        return fill_in(metric.http.url, scene)
    if metric.probes is not None:
        # Only a revision that requests are divided for by a gateway has a Service of its own.
        name = deployment_name(scene.service, scene.revision)
        return f"http://{name}.{scene.namespace}.svc" if scene.routed else ""
    # A Job's name says what is measured, and is made where the Job is.
    return _measured_by_looma(metric, scene) if metric.job is None else ""


def _measured_by_looma(metric: Metric, scene: Scene) -> str:
    """The query of what is built in or compared."""
    if metric.built_in == SATURATION:
        return saturation_query(
            scene.limits, labels=_of_engine(scene), requests=_requests(scene), window=scene.window
        )
    if metric.built_in == SHADOW_DIFFERENCE:
        copies = f"{SHADOW_REQUESTS}{{{_to_canary(scene)}}}"
        return f"sum by (outcome) ({_counted(copies, scene.window)})"
    if ERROR_RATE in (metric.built_in, metric.compare):
        return f"sum by (revision, code) ({_requests(scene)})"
    if scene.engine == CUSTOM:
        series = f"{GATEWAY_SECONDS}_bucket{{{_of_gateway(scene)}}}"
    else:
        series = f"{ENGINE_SECONDS}_bucket{{{_of_engine(scene)}}}"
    return f"sum by (revision, le) ({_counted(series, scene.window)})"


def fill_in(text: str, scene: Scene) -> str:
    """The text with $(NAMESPACE), $(SERVICE), $(REVISION), $(STABLE) and $(WINDOW) replaced; others stay."""
    names = {
        "NAMESPACE": scene.namespace,
        "SERVICE": scene.service,
        "REVISION": scene.revision,
        "STABLE": scene.stable,
        "WINDOW": f"{scene.window}s",
    }
    return re.sub(r"\$\(([A-Z]+)\)", lambda found: names.get(found[1], found[0]), text)


def _requests(scene: Scene) -> str:
    if scene.routed:
        return _counted(f"{GATEWAY_ATTEMPTS}{{{_of_gateway(scene)}}}", scene.window)
    return _counted(f"{ENGINE_SECONDS}_count{{{_of_engine(scene)}}}", scene.window)


def _counted(series: str, window: int) -> str:
    before = f"{series} offset {window}s"
    return f"(increase({series}[{window}s]) and {before}) or (max_over_time({series}[{window}s]) unless {before})"


def _of_gateway(scene: Scene) -> str:
    return f'service="{scene.namespace}/{scene.service}",revision=~"{scene.revision}|{scene.stable}"'


def _of_engine(scene: Scene) -> str:
    # A Prometheus that serves several namespaces has a label for each; one that serves a single may have none.
    revisions = f"{scene.revision}|{scene.stable}"
    return f'service="{scene.service}",revision=~"{revisions}",namespace=~"{scene.namespace}|"'


def _to_canary(scene: Scene) -> str:
    # Engines say to whom they sent copies, and not as which revision.
    target = f"{scene.service}/{scene.revision}"
    return f'service="{scene.service}",shadow="{target}",namespace=~"{scene.namespace}|"'
