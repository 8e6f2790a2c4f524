"""How much of what its pods may use a revision uses: the limits, and what is asked of Prometheus. Pure.

| resource | of which the share is        | is read from                                                        |
| -------- | ---------------------------- | ------------------------------------------------------------------- |
| cpu      | the limit, else the request  | looma_container_cpu_seconds_total, else process_cpu_seconds_total   |
| memory   | the limit                    | looma_container_memory_bytes, else process_resident_memory_bytes    |

The fullest pod counts: a mean hides the one that is ended next. An engine of one's own that tells nothing of its
container is judged by its process.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..names import CONTAINER
from ..render.overlay import merge
from ..resources import AIServiceSpec, Json
from .drift import parse_quantity

CPU, MEMORY, REQUESTS = "cpu", "memory", "requests"
RESOURCE = "resource"
"""Label that says what a value is of."""
CPU_SERIES = ("looma_container_cpu_seconds_total", "process_cpu_seconds_total")
MEMORY_SERIES = ("looma_container_memory_bytes", "process_resident_memory_bytes")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a pod's engine may use: cores and bytes; None where nothing is said."""

    cpu: float | None = None
    memory: float | None = None


def limits_of(spec: AIServiceSpec) -> Limits:
    """The limits of the engine's container, with those that the pod template lays over them.

    | limits.cpu | requests.cpu | cpu     |
    | ---------- | ------------ | ------- |
    | 2          | 500m         | 2       |
    | none       | 500m         | 0.5     |
    | none       | none         | None    |
    """
    containers = (spec.pod_template.get("spec") or {}).get("containers") or []
    theirs = next((one.get("resources") or {} for one in containers if one.get("name") == CONTAINER), {})
    resources: Json = merge(spec.resources, theirs)
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    return Limits(cpu=_positive(limits.get(CPU) or requests.get(CPU)), memory=_positive(limits.get(MEMORY)))


def _positive(quantity: str | int | None) -> float | None:
    try:
        value = float(parse_quantity(quantity)) if quantity is not None else 0.0
    except ValueError:
        return None
    return value if value > 0 else None


def saturation_query(limits: Limits, *, labels: str, requests: str, window: int) -> str:
    """PromQL for the percent of each resource that the fullest pod used, and how many requests that was with.

    Args:
        limits: what a pod may use.
        labels: those of the revision's series, as PromQL has them.
        requests: PromQL of the number of its requests.
        window: in seconds.
    """
    used = {
        CPU: (limits.cpu, [f"rate({name}{{{labels}}}[{window}s])" for name in CPU_SERIES]),
        MEMORY: (limits.memory, [f"max_over_time({name}{{{labels}}}[{window}s])" for name in MEMORY_SERIES]),
    }
    parts = [
        _named(f"100 / {limit!r} * ({' or '.join(f'max by (revision) ({one})' for one in series)})", resource)
        for resource, (limit, series) in used.items()
        if limit is not None
    ]
    return " or ".join([*parts, _named(f"sum by (revision) ({requests})", REQUESTS)])


def _named(query: str, resource: str) -> str:
    return f'label_replace({query}, "{RESOURCE}", "{resource}", "", "")'
