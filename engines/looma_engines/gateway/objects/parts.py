"""What all objects of the Kubernetes API share."""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Common shape: a value whose fields are named as in the API."""


class Owner(Part, frozen=True, kw_only=True):
    """A reference to the object that another belongs to."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""


class Metadata(Part, frozen=True, kw_only=True):
    """What every object has."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[Owner] | None = None


class Reference(Part, frozen=True, kw_only=True):
    """A reference by group, kind, name and perhaps namespace; None where the field was left out."""

    name: str = ""
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None
