"""Speaks to the API for `looma-demo`: waits for it, puts people in, takes them out. Everything can be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import msgspec
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from looma_core import logging
from looma_core.api.page import Page
from looma_core.api.resume import DEMO_SOURCE, ResumeSummary
from looma_core.api.source import Source
from looma_core.api.talent import Talent
from looma_core.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from looma_core.api.company import CompanyDraft
    from looma_core.api.job import JobDraft
    from looma_core.api.relation import RelationDraft
    from looma_engines.demo.documents import ResumeFile

RESUMES = "/api/v1/resumes"
TALENTS = "/api/v1/talents"
COMPANIES = "/api/v1/companies"
JOBS = "/api/v1/jobs"
RELATIONS = "/api/v1/relations"
PAGE = 200
REQUEST_SECONDS = 60.0
"""Parsing on a busy small machine may take a while."""

# What an address answers while its services are still starting: no route yet, no ready pod, keys not read yet.
STARTING = frozenset({401, 404, 502, 503, 504})
PASSING = frozenset({429, 502, 503, 504})

log = logging.get(__name__)


class ApiError(Exception):
    """The API refused, or did not answer in time; the message is for the person who ran the command."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class _Identified(msgspec.Struct):
    id: UUID


class _Sourced(_Identified):
    source: Source


class DemoClient:
    """The API as the demonstration data needs it.

    Args:
        client: httpx client with the API's address.
        token: makes a fresh token; a load may outlast one.
        wait_seconds: how long to wait for the API to be ready, and for one request to pass.
        pause_seconds: pause before the second attempt; it doubles up to 5 s.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        token: Callable[[], str],
        wait_seconds: float,
        pause_seconds: float = 0.5,
    ) -> None:
        self._client = client
        self._token = token
        self._wait_seconds = wait_seconds
        self._pause_seconds = pause_seconds

    def wait_until_ready(self) -> None:
        """Return when both engines answer.

        Raises:
            ApiError: they did not in time; the message holds the last answer.
        """
        for path in (RESUMES, TALENTS):
            self._patiently(STARTING, "GET", path, params={"limit": 1})

    def loaded(self) -> set[str]:
        """File names of the demonstration résumés whose people are there."""
        return set(self.people())

    def people(self) -> dict[str, UUID]:
        """Id of each demonstration talent that is there, by the file name of the résumé."""
        people = {talent.id for talent in self.talents()}
        return {
            resume.file_name: resume.talent_id
            for resume in self.resumes()
            if resume.talent_id is not None and resume.talent_id in people
        }

    def talents(self) -> Iterator[Talent]:
        """Every demonstration talent."""
        yield from self._pages(TALENTS, Page[Talent], {"source": DEMO_SOURCE})

    def resumes(self) -> Iterator[ResumeSummary]:
        """Every demonstration résumé."""
        for resume in self._pages(RESUMES, Page[ResumeSummary], {}):
            if resume.source == DEMO_SOURCE:
                yield resume

    def upload(self, file: ResumeFile) -> bool:
        """Send one résumé; returns whether it is new.

        Raises:
            ApiError: it was refused.
        """
        answer = self._patiently(
            PASSING,
            "POST",
            RESUMES,
            files={"file": (file.name, file.data, file.media_type)},
            data={"source": DEMO_SOURCE},
        )
        return answer.status_code == httpx.codes.CREATED

    def put_record(self, path: str, draft: CompanyDraft | JobDraft | RelationDraft) -> tuple[UUID, bool]:
        """Create a record, unless one of its source is there; answers its id and whether it is new.

        Raises:
            ApiError: it was refused.
        """
        answer = self._patiently(
            # An earlier release may still answer while this one comes, and knows no such path.
            STARTING | PASSING,
            "POST",
            path,
            content=msgspec.json.encode(draft),
            headers={"Content-Type": "application/json"},
        )
        found = msgspec.json.decode(answer.content, type=_Identified)
        return found.id, answer.status_code == httpx.codes.CREATED

    def records(self, path: str) -> Iterator[UUID]:
        """Id of every demonstration company, or job."""
        for found in self._pages(path, Page[_Identified], {"source": DEMO_SOURCE}):
            yield found.id

    def by_reference(self, path: str) -> dict[str, UUID]:
        """Id of every demonstration company, or job, by the reference of its source."""
        found = self._pages(path, Page[_Sourced], {"source": DEMO_SOURCE})
        return {item.source.ref: item.id for item in found if item.source.ref is not None}

    def delete_record(self, path: str, record_id: UUID) -> None:
        """Delete a company or a job; one that is gone already is fine."""
        self._gone("DELETE", f"{path}/{record_id}", headers={"If-Match": "*"})

    def delete_resume(self, resume: ResumeSummary) -> None:
        """Take a résumé's record and file away; one that is gone already is fine."""
        self._gone("DELETE", f"{RESUMES}/{resume.id}")

    def delete_talent(self, talent: Talent) -> None:
        """Delete a talent; one that is gone already is fine."""
        self._gone("DELETE", f"{TALENTS}/{talent.id}", headers={"If-Match": "*"})

    def _gone(self, method: str, path: str, **kwargs: Any) -> None:
        try:
            self._patiently(PASSING, method, path, **kwargs)
        except ApiError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise

    def _pages(self, path: str, kind: type[Page[Any]], query: dict[str, Any]) -> Iterator[Any]:
        cursor: str | None = ""
        while cursor is not None:
            params = {**query, "limit": PAGE} | ({"cursor": cursor} if cursor else {})
            answer = self._patiently(PASSING, "GET", path, params=params)
            page = msgspec.json.decode(answer.content, type=kind)
            yield from page.items
            cursor = page.next_cursor

    def _patiently(self, passing: frozenset[int], method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Send a request, again while the answer is one that passes."""

        def may_pass(error: BaseException) -> bool:
            return isinstance(error, ApiError) and (error.status is None or error.status in passing)

        def tell(state: Any) -> None:  # noqa: ANN401 - tenacity's RetryCallState
            log.info("waiting for the API", why=str(state.outcome.exception()))

        for attempt in Retrying(
            retry=retry_if_exception(may_pass),
            wait=wait_exponential(multiplier=self._pause_seconds, max=5),
            stop=stop_after_delay(self._wait_seconds),
            before_sleep=tell,
            reraise=True,
        ):
            with attempt:
                return self._send(method, path, **kwargs)
        raise AssertionError  # tenacity returns or raises

    def _send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token()}", **kwargs.pop("headers", {})}
        try:
            answer = self._client.request(method, path, headers=headers, **kwargs)
        except httpx.TransportError as error:
            message = f"{self._client.base_url} does not answer: {type(error).__name__}"
            raise ApiError(message) from error
        if answer.is_error:
            raise ApiError(f"{method} {path}: {_told(answer)}", status=answer.status_code)
        if answer.status_code == httpx.codes.ACCEPTED:
            # The résumé is stored and its talent is not; the same file again goes on from there.
            raise ApiError(
                f"{method} {path}: talent-sync is not there yet", status=httpx.codes.SERVICE_UNAVAILABLE
            )
        return answer


def _told(answer: httpx.Response) -> str:
    """What an error answer says, in one line."""
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except msgspec.MsgspecError:
        return f"status {answer.status_code}"
    fields = "; ".join(f"{error.field} {error.message}" for error in problem.errors)
    return " ".join(part for part in (f"{problem.status} {problem.title}.", problem.detail, fields) if part)
