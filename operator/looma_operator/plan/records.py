"""The status of ModelVersions, which in this release are kept and checked, not carried out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..names import Reason
from ..resources import (
    AIService,
    ModelVersion,
    ModelVersionStatus,
    ServedBy,
)
from .conditions import timed


def decide_model_status(
    *, model: ModelVersion, services: Sequence[AIService], now: datetime
) -> ModelVersionStatus:
    """What a ModelVersion's status says.

    | retire | services refer to it | phase   |
    | ------ | -------------------- | ------- |
    | true   | any                  | Retired |
    | false  | some                 | Serving |
    | false  | none                 | Pending |
    """
    name, generation = model.metadata.name, model.metadata.generation
    served_by = tuple(
        ServedBy(name=service.metadata.name, revision=service.status.target_revision)
        for service in sorted(services, key=lambda service: service.metadata.name)
        if any(ref.name == name for ref in service.spec.model_refs)
    )
    verified = timed(
        before=model.status.conditions,
        kind="Verified",
        status="Unknown",
        reason=Reason.NOT_FETCHED,
        message="This release hands the artifact's address on to pods in LOOMA_MODELS and does not fetch it itself",
        generation=generation,
        now=now,
    )
    retired = timed(
        before=model.status.conditions,
        kind="Retired",
        status="True" if model.spec.retire else "False",
        reason=Reason.RETIRED if model.spec.retire else Reason.NOT_RETIRED,
        message="No new revision of a service may use it" if model.spec.retire else "",
        generation=generation,
        now=now,
    )
    phase = "Retired" if model.spec.retire else "Serving" if served_by else "Pending"
    return ModelVersionStatus(
        phase=phase, observed_generation=generation, conditions=(verified, retired), served_by=served_by
    )
