"""Names that Looma writes into the cluster, in one place: group, labels, annotations, reasons.

Everything here is public API: users select by these labels and alert on these reasons, and
docs/operations.md lists them (a test compares).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

GROUP: Final = "looma.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
FIELD_MANAGER: Final = "looma"
CONTROLLER: Final = f"{GROUP}/operator"

LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
LABEL_PART_OF: Final = "app.kubernetes.io/part-of"
PART_OF: Final = "looma"
LABEL_REVISION: Final = f"{GROUP}/revision"
LABEL_HASH: Final = f"{GROUP}/hash"
# Written by people on ModelVersions: services refer to the highest version with it.
LABEL_CHANNEL: Final = f"{GROUP}/channel"

# Written by the webhook.
CHANGED_BY: Final = f"{GROUP}/changed-by"
CHANGED_DIGEST: Final = f"{GROUP}/changed-digest"
# Written by people, the CLI and the console.
CHANGE_REASON: Final = f"{GROUP}/change-reason"
REQUEST: Final = f"{GROUP}/request"
# Written by the webhook beside a request: who made it, and the request's id.
REQUESTED_BY: Final = f"{GROUP}/requested-by"
# Written by the operator on ControllerRevisions, children and pod templates.
ACTIVATED_AT: Final = f"{GROUP}/activated-at"
RENDERED: Final = f"{GROUP}/rendered"
RESTARTED_AT: Final = f"{GROUP}/restarted-at"
# On ControllerRevisions and Deployments: with what the pods of the revision fetch its models.
FETCH: Final = f"{GROUP}/fetch"
# Written by the operator on a Service: the revision that its requests are counted for, empty before the first.
SERVING_REVISION: Final = f"{GROUP}/revision"

CONTAINER: Final = "engine"
PORT_NAME: Final = "http"
PORT: Final = 8080

GATEWAY_ENGINE: Final = "gateway"
GATEWAY_GROUP: Final = "gateway.networking.k8s.io"
GATEWAY_API: Final = f"{GATEWAY_GROUP}/v1"


class ConditionType(StrEnum):
    """What a condition of an AIService judges."""

    READY = "Ready"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    PAUSED = "Paused"
    MODELS_READY = "ModelsReady"
    ROUTE_ACCEPTED = "RouteAccepted"
    ROUTE_TARGETS_FOUND = "RouteTargetsFound"
    ROUTE_PROGRAMMED = "RouteProgrammed"


class SyncConditionType(StrEnum):
    """What a condition of a SyncJob judges."""

    READY = "Ready"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"


class Reason(StrEnum):
    """Reasons of conditions, of all three resources."""

    AVAILABLE = "Available"
    REPLICAS_UNAVAILABLE = "ReplicasUnavailable"
    SCALED_TO_ZERO = "ScaledToZero"
    NO_REVISION = "NoRevision"
    ROLLING_OUT = "RollingOut"
    ROLLING_BACK = "RollingBack"
    ROLLED_OUT = "RolledOut"
    WAITING = "Waiting"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    ABORTED = "Aborted"
    ANALYSIS_FAILED = "AnalysisFailed"
    CHILD_REFUSED = "ChildRefused"
    NAME_TAKEN = "NameTaken"
    AS_EXPECTED = "AsExpected"
    REQUESTED = "Requested"
    NOT_PAUSED = "NotPaused"
    NO_MODELS = "NoModels"
    MODELS_FOUND = "ModelsFound"
    MODEL_MISSING = "ModelMissing"
    MODEL_RETIRED = "ModelRetired"
    MODEL_REJECTED = "ModelRejected"
    CHANNEL_EMPTY = "ChannelEmpty"
    NO_ROUTE = "NoRoute"
    ACCEPTED = "Accepted"
    PATH_CONFLICT = "PathConflict"
    NO_TARGETS = "NoTargets"
    TARGETS_FOUND = "TargetsFound"
    TARGET_MISSING = "TargetMissing"
    PROGRAMMED = "Programmed"
    NOT_ACCEPTED = "NotAccepted"
    REFS_NOT_RESOLVED = "RefsNotResolved"
    WAITING_FOR_GATEWAY = "WaitingForGateway"
    GATEWAY_API_MISSING = "GatewayApiMissing"
    NOT_FETCHED = "NotFetched"
    VERIFIED = "Verified"
    ARTIFACT_MISSING = "ArtifactMissing"
    DIGEST_MISMATCH = "DigestMismatch"
    UNREADABLE_FORMAT = "UnreadableFormat"
    FETCH_FAILED = "FetchFailed"
    NO_GATES = "NoGates"
    GATES_PASSED = "GatesPassed"
    EVALUATION_TOO_LOW = "EvaluationTooLow"
    RETIRED = "Retired"
    NOT_RETIRED = "NotRetired"
    NO_IMAGE = "NoImage"
    RUN_ACTIVE = "RunActive"
    SUSPENDED = "Suspended"
    NO_RUN = "NoRun"
    NEVER_RUN = "NeverRun"
    RUN_SUCCEEDED = "RunSucceeded"
    RUN_FAILED = "RunFailed"
    RUN_CANCELED = "RunCanceled"


class EventReason(StrEnum):
    """Reasons of the events that Looma posts about AIServices, ModelVersions and SyncJobs."""

    REVISION_CREATED = "RevisionCreated"
    ROLLOUT_STARTED = "RolloutStarted"
    ROLLOUT_COMPLETED = "RolloutCompleted"
    ROLLOUT_FAILED = "RolloutFailed"
    ROLLOUT_ABORTED = "RolloutAborted"
    ROLLOUT_STEP = "RolloutStep"
    ROLLOUT_WAITING = "RolloutWaiting"
    ANALYSIS_SUCCEEDED = "AnalysisSucceeded"
    ANALYSIS_FAILED = "AnalysisFailed"
    ANALYSIS_INCONCLUSIVE = "AnalysisInconclusive"
    ROLLBACK_STARTED = "RollbackStarted"
    ROLLBACK_COMPLETED = "RollbackCompleted"
    REVISION_DELETED = "RevisionDeleted"
    CHILD_REPAIRED = "ChildRepaired"
    CHILD_REFUSED = "ChildRefused"
    NAME_TAKEN = "NameTaken"
    MODEL_MISSING = "ModelMissing"
    MODEL_REJECTED = "ModelRejected"
    PATH_CONFLICT = "PathConflict"
    NO_ROOM = "NoRoom"
    REQUEST_DONE = "RequestDone"
    REQUEST_REFUSED = "RequestRefused"
    RUN_STARTED = "RunStarted"
    RUN_SUCCEEDED = "RunSucceeded"
    RUN_FAILED = "RunFailed"
    RUN_CANCELED = "RunCanceled"
    RUN_SKIPPED = "RunSkipped"


class Phase(StrEnum):
    """The state of an AIService in one word."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    ROLLING_BACK = "RollingBack"
    READY = "Ready"
    DEGRADED = "Degraded"
    PAUSED = "Paused"


class SyncPhase(StrEnum):
    """The state of a SyncJob in one word."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"
    SUSPENDED = "Suspended"


def revision_name(number: int) -> str:
    """Name of the revision with that number: r3 for 3."""
    return f"r{number}"


def revision_number(name: str) -> int:
    """Number of the revision with that name: 3 for r3, and for 3.

    Raises:
        ValueError: if `name` is neither.
    """
    return int(name.removeprefix("r"))
