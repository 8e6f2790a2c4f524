"""The resources as typed values: what the API server stores, read into frozen Structs (SyncJob: `sync_resources`).

`crds/` is the schema and has the defaults; the defaults here only serve objects that were stored before a field had
one. Unknown fields are ignored, so an older operator can read objects of a newer definition.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from .resources_analysis import Analysis, MetricStatus
from .resources_notifications import Notification

Json = dict[str, Any]

CANARY = "Canary"
"""The strategy whose new revision gets its part of the requests in steps."""
BLUE_GREEN = "BlueGreen"
"""The strategy whose new revision has all of its pods before it gets all of the requests at once."""
BY_WEIGHT = (CANARY, BLUE_GREEN)
"""Strategies that move requests between revisions by weights."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Common shape: camelCase in the cluster, snake_case here."""


class Metadata(_Struct, frozen=True, kw_only=True):
    """The part of ObjectMeta that Looma reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}


class Condition(_Struct, frozen=True, kw_only=True):
    """One condition; `status` is True, False or Unknown."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_transition_time: datetime
    observed_generation: int = 0


class ModelRef(_Struct, frozen=True, kw_only=True):
    """Reference to a ModelVersion of the same namespace: by its name, or to the highest of a model's channel."""

    name: str = ""
    model: str = ""
    channel: str = ""


class RouteTarget(_Struct, frozen=True, kw_only=True):
    """Another AIService of the namespace, to which a route leads as well; none for a shadow that is the canary."""

    service: str = ""


class Route(_Struct, frozen=True, kw_only=True):
    """Where a service answers."""

    path_prefixes: tuple[str, ...] = ()
    timeout_seconds: int = 60
    fallback: RouteTarget | None = None
    shadow: RouteTarget | None = None


class Pause(_Struct, frozen=True, kw_only=True):
    """A step that waits: so many seconds, or until somebody promotes."""

    seconds: int | None = None


class RolloutStep(_Struct, frozen=True, kw_only=True):
    """One step of a canary: just one of its fields is set."""

    set_weight: int | None = None
    pause: Pause | None = None
    analysis: Analysis | None = None


class Preview(_Struct, frozen=True, kw_only=True):
    """Requests that have this header with the value `true` go to the new revision before it takes over."""

    header: str


class Rollout(_Struct, frozen=True, kw_only=True):
    """How a new revision takes over; `steps` are those of a canary, `analysis` goes on beside them."""

    strategy: str = "Rolling"
    steps: tuple[RolloutStep, ...] = ()
    auto_promote: bool = False
    preview: Preview | None = None
    analysis: Analysis | None = None
    pre_promotion_analysis: Analysis | None = None
    post_promotion_analysis: Analysis | None = None
    scale_down_delay_seconds: int | None = None
    progress_deadline_seconds: int = 600


class AIServiceSpec(_Struct, frozen=True, kw_only=True):
    """spec of an AIService; `resources`, `config` and `pod_template` stay as they were written."""

    engine: str
    image: str
    replicas: int = 1
    resources: Json = {}
    config: dict[str, int | str] = {}
    model_refs: tuple[ModelRef, ...] = ()
    route: Route = Route()
    rollout: Rollout = Rollout()
    revision_history_limit: int = 10
    rollback_window: int = 3
    paused: bool = False
    pod_template: Json = {}


class RolloutStatus(_Struct, frozen=True, kw_only=True):
    """A rollout that goes on, or was given up (`failed`; `aborted` where somebody asked for that).

    `analysis_failure` is why an analysis ended it.

    A canary's `step` is the number of the step that it is in, as many as there are when all are over; `weight` is the
    percent that its revision is to get. `traffic_off_at` is when all gateways were first seen to give it
    nothing, after it was given up. `paused` where somebody asked for that; a pause of the spec is the spec's.
    """

    revision: str
    from_: str = msgspec.field(name="from", default="")
    started_at: datetime
    progressed_at: datetime
    available: int = 0
    direct: bool = False
    failed: bool = False
    strategy: str = "Rolling"
    step: int = 0
    step_started_at: datetime | None = None
    weight: int = 0
    aborted: bool = False
    traffic_off_at: datetime | None = None
    analysis_failure: str = ""
    failure: str = ""
    paused: bool = False


class Retained(_Struct, frozen=True, kw_only=True):
    """A revision that keeps its pods for a while after another took over, so that going back takes no start."""

    revision: str
    until: datetime


class Rollback(_Struct, frozen=True, kw_only=True):
    """A return to an earlier revision."""

    from_: str = msgspec.field(name="from")
    to: str
    reason: str = ""
    requested_by: str = ""
    started_at: datetime
    completed_at: datetime | None = None


class RevisionStatus(_Struct, frozen=True, kw_only=True):
    """One kept revision as `status.revisions` shows it."""

    name: str
    hash: str = ""
    image: str = ""
    created_at: datetime | None = None
    activated_at: datetime | None = None
    changed_by: str = ""
    reason: str = ""
    replicas: int = 0
    available_replicas: int = 0
    state: str = "Kept"


class RequestRecord(_Struct, frozen=True, kw_only=True):
    """What became of one request made by annotation."""

    id: str
    action: str
    revision: str = ""
    reason: str = ""
    requested_by: str = ""
    result: str
    message: str = ""
    at: datetime


class Traffic(_Struct, frozen=True, kw_only=True):
    """What one gateway pod gives a revision, in percent, as it read it back at `observed_at`. Gateways write it."""

    gateway: str
    revision: str
    weight: float = 0.0
    observed_at: datetime | None = None


class CanaryWeight(_Struct, frozen=True, kw_only=True):
    """Percent of the requests: asked for, and as the gateways give it; None while that is unknown."""

    requested: float
    achieved: float | None = None


class Canary(_Struct, frozen=True, kw_only=True):
    """The new revision's part of the requests in a rollout.

    `step` is the number of the step that it is in, `waits` for what it waits there; `message` says why what is achieved
    is unknown.
    """

    revision: str
    weight: CanaryWeight
    step: int | None = None
    waits: str = ""
    message: str = ""


class AIServiceStatus(_Struct, frozen=True, kw_only=True):
    """status of an AIService."""

    phase: str = ""
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    stable_revision: str = ""
    target_revision: str = ""
    rollout: RolloutStatus | None = None
    canary: Canary | None = None
    analysis: tuple[MetricStatus, ...] = ()
    retained: Retained | None = None
    revisions: tuple[RevisionStatus, ...] = ()
    last_rollback: Rollback | None = None
    requests: tuple[RequestRecord, ...] = ()
    notifications: tuple[Notification, ...] = ()
    replicas: int = 0
    ready_replicas: int = 0
    selector: str = ""
    url: str = ""
    traffic: tuple[Traffic, ...] = ()


class AIService(_Struct, frozen=True, kw_only=True):
    """An AIService as stored."""

    metadata: Metadata
    spec: AIServiceSpec
    status: AIServiceStatus = AIServiceStatus()


class Artifact(_Struct, frozen=True, kw_only=True):
    """Where a model's file is; `uri` ends in its digest."""

    uri: str
    size_bytes: int | None = None

    @property
    def digest(self) -> str:
        """The part after `@`: sha256 with 64 hexadecimal digits."""
        return self.uri.rpartition("@")[2]


class Evaluation(_Struct, frozen=True, kw_only=True):
    """How good a version is, as its author measured it."""

    dataset: str
    metric: str
    value: float


class Gates(_Struct, frozen=True, kw_only=True):
    """What a version must reach before a service may use it."""

    min_evaluation: float | None = None


class ModelVersionSpec(_Struct, frozen=True, kw_only=True):
    """spec of a ModelVersion."""

    model: str
    version: str
    artifact: Artifact
    format: str
    evaluation: Evaluation | None = None
    gates: Gates = Gates()
    retire: bool = False


class ServedBy(_Struct, frozen=True, kw_only=True):
    """A service whose pods have a model and answer."""

    name: str
    revision: str = ""


class ModelVersionStatus(_Struct, frozen=True, kw_only=True):
    """status of a ModelVersion."""

    phase: str = ""
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    served_by: tuple[ServedBy, ...] = ()
    notifications: tuple[Notification, ...] = ()


class ModelVersion(_Struct, frozen=True, kw_only=True):
    """A ModelVersion as stored."""

    metadata: Metadata
    spec: ModelVersionSpec
    status: ModelVersionStatus = ModelVersionStatus()


def _without_nothing(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        kept = {name: _without_nothing(part) for name, part in value.items()}
        return {name: part for name, part in kept.items() if part not in (None, "", [], {})}
    if isinstance(value, list | tuple):
        return [_without_nothing(item) for item in value]
    return value


def to_json(value: msgspec.Struct) -> Json:
    """The value as the API server takes it: camelCase, times as RFC 3339, what is empty left out, zeros kept."""
    built: Json = _without_nothing(msgspec.to_builtins(value))
    return built


def own_status(status: AIServiceStatus) -> Json:
    """The part of a status that the operator writes: what gateways say in `traffic` stays theirs."""
    return to_json(msgspec.structs.replace(status, traffic=()))


def parse_time(text: str | None) -> datetime | None:
    """The time that an RFC 3339 text names, or None for none or for text that is none."""
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
