"""The API server's own record of requests: what a client did, as told by neither the client nor a proxy before it.

`policy` records, at the level of metadata, every request of users that are not administrators, once it is answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def write_policy(path: Path) -> Path:
    """Write the audit policy of test instances."""
    policy: dict[str, Any] = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "None", "userGroups": ["system:masters"]}, {"level": "Metadata"}],
    }
    path.write_text(yaml.safe_dump(policy))
    return path


class _User(msgspec.Struct):
    username: str = ""


class _Object(msgspec.Struct):
    resource: str = ""
    name: str = ""
    subresource: str = ""


class _Status(msgspec.Struct):
    code: int = 0


class _Line(msgspec.Struct, rename="camel"):
    verb: str
    request_received_timestamp: datetime
    user: _User = msgspec.field(default_factory=_User)
    object_ref: _Object = msgspec.field(default_factory=_Object)
    response_status: _Status = msgspec.field(default_factory=_Status)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One answered request."""

    user: str
    verb: str
    resource: str
    name: str
    subresource: str
    status: int

    @property
    def writes(self) -> bool:
        """Whether it could have changed something."""
        return self.verb in WRITES


@dataclass
class AuditLog:
    """The log at `path`, read from where `skip` was called last."""

    path: Path
    _from: int = 0
    _since: datetime | None = None
    _decoder: msgspec.json.Decoder[_Line] = field(
        default_factory=lambda: msgspec.json.Decoder(_Line), repr=False
    )

    def skip(self) -> None:
        """Leave out what was asked so far, also where its line is still to come: answers are out before their lines."""
        self._since = datetime.now(UTC)
        self._from = self.path.stat().st_size if self.path.exists() else 0

    def read(self) -> Iterator[Entry]:
        """The requests since then, in the order in which they were answered."""
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            lines.seek(self._from)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                found = self._decoder.decode(line)
                if self._since is not None and found.request_received_timestamp < self._since:
                    continue
                yield Entry(
                    user=found.user.username,
                    verb=found.verb,
                    resource=found.object_ref.resource,
                    name=found.object_ref.name,
                    subresource=found.object_ref.subresource,
                    status=found.response_status.code,
                )
