"""What a plan is made from: the cluster as it was read, in the fewest values that the decisions need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..resources import AIService, Json, ModelVersion
from .metric import Measured
from .nodes import Node
from .room import Quota


@dataclass(frozen=True, kw_only=True)
class StoredRevision:
    """A revision as its ControllerRevision holds it; `content` is what `plan.content` hashed.

    `fetch` is how its pods fetch its models (`plan.models.note_fetching`), empty where they do not.
    """

    number: int
    hash: str
    content: Json
    created_at: datetime
    activated_at: datetime
    changed_by: str = ""
    reason: str = ""
    restarted_at: str = ""
    fetch: str = ""

    @property
    def name(self) -> str:
        """Name as people see it: r3."""
        return f"r{self.number}"


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Pods of one revision, from its Deployment.

    spec is how many are asked for, available how many of those answer, total how many exist or still end.
    """

    spec: int = 0
    available: int = 0
    ready: int = 0
    total: int = 0
    failure: str = ""

    @property
    def serving(self) -> int:
        """Available pods that stay: a status older than the last scaling must not count pods that are going."""
        return min(self.spec, self.available)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another AIService of the namespace, as far as routes need it."""

    name: str
    created_at: datetime
    path_prefixes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything that was read for one AIService.

    `children` has the objects it owns by (kind, name); `foreign` has names among those that Looma would use which
    belong to somebody else. `gateway_api` is false where the cluster does not serve HTTPRoutes.
    `peers` are the other services that it meets: by a path that both have, or as a target of its route.
    `gateways` counts the pods of Looma's gateways, None where they could not be read. `measured` is what analyses asked
    for and status does not have yet. `quotas` and `nodes` are read where a rollout may begin, nodes None where that
    is not allowed.
    """

    service: AIService
    revisions: tuple[StoredRevision, ...] = ()
    pods: Mapping[str, Pods] = field(default_factory=dict)
    children: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    foreign: frozenset[tuple[str, str]] = frozenset()
    models: Mapping[str, ModelVersion] = field(default_factory=dict)
    peers: tuple[Peer, ...] = ()
    gateway_api: bool = True
    gateways: int | None = None
    measured: tuple[Measured, ...] = ()
    quotas: tuple[Quota, ...] = ()
    nodes: tuple[Node, ...] | None = None
