"""The client of talent-sync: creates the talent of a résumé, through the one address, as the caller.

Creating is idempotent by `source`, so a call whose answer was lost may be made again.
"""

from __future__ import annotations

from uuid import UUID

import httpx
import msgspec
from tenacity import (
    AsyncRetrying,
    RetryError,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from looma_core import logging
from looma_core.api.talent import TalentDraft
from looma_core.http import outgoing_headers
from looma_engines.resume.draft import as_json

ATTEMPTS = 3
"""With the pauses below at most two seconds: the person at the console waits for the answer."""

TIMEOUT = httpx.Timeout(10.0, connect=2.0)
_PASSING = frozenset({429, 502, 503, 504})

log = logging.get(__name__)


class TalentsUnreachable(Exception):
    """The talent was not created now; the message says why, in words for the caller."""


class _TryAgain(Exception):
    """An answer that another attempt may change."""


class _Created(msgspec.Struct):
    id: UUID


class TalentClient:
    """Calls talent-sync.

    Args:
        api_url: the one address of the API.
        transport: for tests.
        pause: longest pause before the second attempt, in seconds.
    """

    def __init__(
        self, api_url: str, *, transport: httpx.AsyncBaseTransport | None = None, pause: float = 0.3
    ) -> None:
        self._client = httpx.AsyncClient(base_url=api_url, timeout=TIMEOUT, transport=transport)
        self._pause = pause

    async def create(self, draft: TalentDraft) -> UUID:
        """Create the talent, or find the one that this source made before.

        Raises:
            TalentsUnreachable: no answer, or a refusal.
        """
        headers = {**outgoing_headers(), "Content-Type": "application/json"}
        body = as_json(draft)
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(ATTEMPTS),
                wait=wait_exponential_jitter(initial=self._pause, max=1.0, jitter=self._pause),
                retry=retry_if_exception_type((httpx.TransportError, _TryAgain)),
            ):
                with attempt:
                    answer = await self._client.post("/api/v1/talents", content=body, headers=headers)
                    if answer.status_code in _PASSING:
                        raise _TryAgain(str(answer.status_code))
        except RetryError as error:
            cause = error.last_attempt.exception()
            log.warning("talent not created", error=type(cause).__name__, attempts=ATTEMPTS)
            raise TalentsUnreachable("the service for talents does not answer") from error
        if answer.status_code not in (httpx.codes.OK, httpx.codes.CREATED):
            log.warning("talent refused", code=answer.status_code)
            raise TalentsUnreachable(f"the service for talents refused it with status {answer.status_code}")
        try:
            return msgspec.json.decode(answer.content, type=_Created).id
        except msgspec.MsgspecError as error:
            raise TalentsUnreachable("the service for talents gave an answer that cannot be read") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
