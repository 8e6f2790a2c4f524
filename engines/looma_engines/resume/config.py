"""``spec.config`` of an AIService with this engine: limits that an operator may set."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from looma_engines.resume.documents.model import Limits


class ResumeConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Limits of the résumé engine; ``docs/resume.md`` has the same table."""

    max_bytes: Annotated[int, Meta(ge=1024, le=100 * 2**20, description="Largest file, in bytes.")] = (
        msgspec.field(default=10 * 2**20, name="maxFileBytes")
    )
    max_pages: Annotated[int, Meta(ge=1, le=500, description="Most pages of a PDF.")] = 30
    timeout_seconds: Annotated[
        float, Meta(gt=0, le=300, description="Longest time for one document; then its worker is replaced.")
    ] = msgspec.field(default=20.0, name="parseSeconds")
    wait_seconds: Annotated[
        float, Meta(gt=0, le=300, description="Longest wait for a free worker; then the answer is 503.")
    ] = 10.0
    workers: Annotated[
        int, Meta(ge=1, le=16, description="Worker processes, one document each at a time.")
    ] = 2
    memory_mib: Annotated[
        int, Meta(ge=64, le=8192, description="Memory that one document may take in its worker, in MiB.")
    ] = 512

    @property
    def limits(self) -> Limits:
        """The part of it that the readers know."""
        return Limits(max_bytes=self.max_bytes, max_pages=self.max_pages)
