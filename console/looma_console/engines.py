"""The engines' API as the console's own pages use it.

Every call carries a token for the person who is asking, signed here and good for a minute: the engine decides
by roles and tenant as it does for any client. Answers are decoded with the Structs of `looma_core.api`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec

from looma_console.api_forward.problems import EngineBroke, EngineTimeout, EngineUnreachable, NoRoute
from looma_console.api_forward.routing import Route, pick
from looma_core.api.database import DatabaseState, Statements
from looma_core.api.duplicates import Duplicate, DuplicateDetail, Merge
from looma_core.api.exchange import ImportReport
from looma_core.api.history import HistoryEntry
from looma_core.api.page import Count, Page
from looma_core.api.quality import Assessment
from looma_core.api.resume import ResumeRecord, ResumeSummary
from looma_core.api.rights import AuditEvent, Consent, Consents, Erasure
from looma_core.api.sync import (
    QuarantineEntry,
    QuarantineItem,
    Repair,
    SyncConflict,
    SyncReport,
    SyncRun,
    SyncWrite,
)
from looma_core.api.talent import Talent
from looma_core.auth import TokenIssuer
from looma_core.idempotency import HEADER
from looma_core.problems import Problem, ProblemError

TOKEN_SECONDS = 60
CONNECT_SECONDS = 3.0
CONNECT_TRIES = 3
CHUNK = 64 * 1024

AnswerT = TypeVar("AnswerT")


class EngineError(Exception):
    """An engine refused, or none answered; `problem` says why in a form that a page can explain."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}")
        self.problem = problem

    @property
    def name(self) -> str:
        """The problem's name, without the prefix all types share."""
        return self.problem.type.rsplit(":", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """For whom a call is made, and under which ids it is to be found in the logs."""

    login: str
    roles: tuple[str, ...]
    tenant: str
    request_id: str
    traceparent: str


@dataclass(frozen=True, kw_only=True)
class FileDownload:
    """A stored file on its way through: nothing is kept here."""

    media_type: str
    size: str | None
    chunks: Iterator[bytes]
    close: Callable[[], None]


class EngineClient:
    """Calls the engines behind the routes."""

    def __init__(
        self,
        *,
        http: httpx.Client,
        routes: Callable[[], Iterable[Route]],
        address_of: Callable[[str], str],
        issuer: TokenIssuer,
    ) -> None:
        """Use `http` for connections; `routes` is asked anew for each call."""
        self._http = http
        self._routes = routes
        self._address_of = address_of
        self._issuer = issuer

    def talents(
        self, caller: Caller, *, q: str = "", source: str = "", cursor: str = "", limit: int = 20
    ) -> Page[Talent]:
        """One page of people. Raises EngineError."""
        given = {"q": q, "source": source, "cursor": cursor, "limit": str(limit)}
        query = {name: value for name, value in given.items() if value}
        return _decode(self._call(caller, "GET", "/api/v1/talents", params=query), Page[Talent])

    def talent(self, caller: Caller, talent_id: UUID) -> Talent:
        """One person. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/talents/{talent_id}"), Talent)

    def quality(self, caller: Caller, record_id: UUID, *, kind: str = "talents") -> Assessment:
        """What the rules say of one person, job or company. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/{kind}/{record_id}/quality"), Assessment)

    def records(self, caller: Caller, kind: str, query: Mapping[str, str]) -> Page[dict[str, Any]]:
        """One page of jobs or companies, as plain documents. Raises EngineError."""
        return _decode(self._asked(caller, f"/api/v1/{kind}", query), Page[dict[str, Any]])

    def count(self, caller: Caller, kind: str, query: Mapping[str, str]) -> Count:
        """How many records a list has. Raises EngineError."""
        return _decode(self._asked(caller, f"/api/v1/{kind}/count", query), Count)

    def record(self, caller: Caller, kind: str, record_id: UUID) -> dict[str, Any]:
        """One job or company. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/{kind}/{record_id}"), dict[str, Any])

    def history(
        self, caller: Caller, kind: str, record_id: UUID, *, cursor: str = "", limit: int = 20
    ) -> Page[HistoryEntry]:
        """What was done to one person, job or company, the newest first. Raises EngineError."""
        query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        answer = self._call(caller, "GET", f"/api/v1/{kind}/{record_id}/history", params=query)
        return _decode(answer, Page[HistoryEntry])

    def create_record(
        self, caller: Caller, kind: str, document: Mapping[str, object], *, key: str
    ) -> dict[str, Any]:
        """Make a job or a company; the same `key` makes one. Raises EngineError."""
        headers = {"Content-Type": "application/json"} | ({HEADER: key} if key else {})
        body = msgspec.json.encode(document)
        answer = self._call(caller, "POST", f"/api/v1/{kind}", headers=headers, content=body)
        return _decode(answer, dict[str, Any])

    def change_record(
        self, caller: Caller, kind: str, record_id: UUID, *, version: int, patch: Mapping[str, object]
    ) -> dict[str, Any]:
        """Apply a merge patch to version `version`; raises EngineError (412 if it was changed meanwhile)."""
        headers = {"If-Match": f'"{version}"', "Content-Type": "application/merge-patch+json"}
        body = msgspec.json.encode(patch)
        answer = self._call(caller, "PATCH", f"/api/v1/{kind}/{record_id}", headers=headers, content=body)
        return _decode(answer, dict[str, Any])

    def delete_record(self, caller: Caller, kind: str, record_id: UUID, *, version: int) -> None:
        """Delete version `version`; raises EngineError (412 if it was changed meanwhile)."""
        self._call(caller, "DELETE", f"/api/v1/{kind}/{record_id}", headers={"If-Match": f'"{version}"'})

    def restore_record(
        self, caller: Caller, kind: str, record_id: UUID, *, version: int, key: str
    ) -> dict[str, Any]:
        """Bring back what was deleted at version `version`. Raises EngineError (412 if it is at another one)."""
        headers = {"If-Match": f'"{version}"'} | ({HEADER: key} if key else {})
        answer = self._call(caller, "POST", f"/api/v1/{kind}/{record_id}/restore", headers=headers)
        return _decode(answer, dict[str, Any])

    def change_talent(
        self, caller: Caller, talent_id: UUID, *, version: int, patch: Mapping[str, object]
    ) -> Talent:
        """Apply a merge patch to version `version`; raises EngineError (412 if it was changed meanwhile)."""
        headers = {"If-Match": f'"{version}"', "Content-Type": "application/merge-patch+json"}
        body = msgspec.json.encode(patch)
        return _decode(
            self._call(caller, "PATCH", f"/api/v1/talents/{talent_id}", headers=headers, content=body), Talent
        )

    def quarantine(self, caller: Caller, query: Mapping[str, str]) -> Page[QuarantineItem]:
        """One page of records that sync runs refused. Raises EngineError."""
        return _decode(self._asked(caller, "/api/v1/quarantine", query), Page[QuarantineItem])

    def quarantine_entry(self, caller: Caller, entry_id: UUID) -> QuarantineEntry:
        """One of them, with what the source had. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/quarantine/{entry_id}"), QuarantineEntry)

    def settle_entry(
        self, caller: Caller, entry_id: UUID, action: str, *, version: int, body: object = None
    ) -> QuarantineEntry:
        """Put version `version` right (`replay`) or throw it away (`discard`). Raises EngineError."""
        headers = {"If-Match": f'"{version}"', "Content-Type": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        path = f"/api/v1/quarantine/{entry_id}/{action}"
        answer = self._call(caller, "POST", path, headers=headers, content=content)
        return _decode(answer, QuarantineEntry)

    def sync_conflicts(self, caller: Caller, query: Mapping[str, str]) -> Page[SyncConflict]:
        """One page of conflicts. Raises EngineError."""
        return _decode(self._asked(caller, "/api/v1/sync-conflicts", query), Page[SyncConflict])

    def settle_conflict(self, caller: Caller, conflict_id: UUID, *, take: str) -> SyncConflict:
        """Say whose value stands, `source` or `target`. Raises EngineError."""
        headers = {"Content-Type": "application/json"}
        body = msgspec.json.encode({"take": take})
        path = f"/api/v1/sync-conflicts/{conflict_id}/settle"
        return _decode(self._call(caller, "POST", path, headers=headers, content=body), SyncConflict)

    def sync_writes(self, caller: Caller, query: Mapping[str, str]) -> Page[SyncWrite]:
        """One page of what was written to sources, or was to be. Raises EngineError."""
        return _decode(self._asked(caller, "/api/v1/sync-writes", query), Page[SyncWrite])

    def write_again(self, caller: Caller, write_id: UUID) -> SyncWrite:
        """Have the next run write what a source refused. Raises EngineError."""
        return _decode(self._call(caller, "POST", f"/api/v1/sync-writes/{write_id}/again"), SyncWrite)

    def sync_runs(self, caller: Caller, query: Mapping[str, str]) -> Page[SyncRun]:
        """One page of runs. Raises EngineError."""
        return _decode(self._asked(caller, "/api/v1/sync-runs", query), Page[SyncRun])

    def sync_report(self, caller: Caller, number: int) -> SyncReport:
        """The report of a run. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/sync-runs/{number}"), SyncReport)

    def sync_repairs(self, caller: Caller, number: int, query: Mapping[str, str]) -> Page[Repair]:
        """One page of what a run put right. Raises EngineError."""
        return _decode(self._asked(caller, f"/api/v1/sync-runs/{number}/repairs", query), Page[Repair])

    def duplicates(self, caller: Caller, query: Mapping[str, str]) -> Page[Duplicate]:
        """One page of people who may be there twice. Raises EngineError."""
        return _decode(self._asked(caller, "/api/v1/duplicates", query), Page[Duplicate])

    def duplicate(self, caller: Caller, pair_id: UUID) -> DuplicateDetail:
        """Two of them side by side. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/duplicates/{pair_id}"), DuplicateDetail)

    def look_for_duplicates(self, caller: Caller, talent_id: UUID) -> Page[Duplicate]:
        """Look for one person's at once. Raises EngineError."""
        answer = self._sent(caller, "/api/v1/duplicates/look", {"talent_id": str(talent_id)})
        return _decode(answer, Page[Duplicate])

    def dismiss_duplicate(self, caller: Caller, pair_id: UUID) -> Duplicate:
        """Say that they are two. Raises EngineError."""
        return _decode(self._call(caller, "POST", f"/api/v1/duplicates/{pair_id}/dismiss"), Duplicate)

    def merge_people(self, caller: Caller, pair_id: UUID, body: object) -> Merge:
        """Make one of two. Raises EngineError."""
        return _decode(self._sent(caller, f"/api/v1/duplicates/{pair_id}/merge", body), Merge)

    def merge(self, caller: Caller, merge_id: UUID) -> Merge:
        """What became of two who were merged. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/merges/{merge_id}"), Merge)

    def undo_merge(self, caller: Caller, merge_id: UUID, *, force: bool) -> Merge:
        """Make two of one again. Raises EngineError."""
        return _decode(self._sent(caller, f"/api/v1/merges/{merge_id}/undo", {"force": force}), Merge)

    def consents(self, caller: Caller, talent_id: UUID) -> Consents:
        """All bases on which a person's data may be used. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/talents/{talent_id}/consents"), Consents)

    def give_consent(
        self, caller: Caller, talent_id: UUID, document: Mapping[str, object], *, key: str
    ) -> Consent:
        """Keep a basis; the same `key` keeps one. Raises EngineError."""
        path = f"/api/v1/talents/{talent_id}/consents"
        return _decode(self._posted(caller, path, document, key=key), Consent)

    def withdraw_consent(self, caller: Caller, talent_id: UUID, consent_id: UUID) -> Consent:
        """End a basis. Raises EngineError."""
        path = f"/api/v1/talents/{talent_id}/consents/{consent_id}/withdraw"
        return _decode(self._call(caller, "POST", path), Consent)

    def export_person(self, caller: Caller, talent_id: UUID, form: str) -> FileDownload:
        """All that is held of a person, as a stream; the caller closes it. Raises EngineError."""
        return self._download(caller, f"/api/v1/talents/{talent_id}/export", params={"format": form})

    def erase(self, caller: Caller, talent_id: UUID, document: Mapping[str, object], *, key: str) -> Erasure:
        """Erase a person for good; the same `key` gets the same proof. Raises EngineError."""
        path = f"/api/v1/talents/{talent_id}/erasure"
        return _decode(self._posted(caller, path, document, key=key), Erasure)

    def erasures(self, caller: Caller, query: Mapping[str, str]) -> Page[Erasure]:
        """One page of the ledger. Raises EngineError."""
        return _decode(self._asked(caller, "/api/v1/erasures", query), Page[Erasure])

    def erasure(self, caller: Caller, erasure_id: UUID) -> Erasure:
        """One erasure with its proof. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/erasures/{erasure_id}"), Erasure)

    def lift_erasure(
        self, caller: Caller, erasure_id: UUID, document: Mapping[str, object], *, key: str
    ) -> Erasure:
        """Let syncs bring an erased person in again; the same `key` does so once. Raises EngineError."""
        return _decode(
            self._posted(caller, f"/api/v1/erasures/{erasure_id}/lift", document, key=key), Erasure
        )

    def audit_events(self, caller: Caller, query: Mapping[str, str]) -> Page[AuditEvent]:
        """One page of what was done with people's data. Raises EngineError."""
        return _decode(self._asked(caller, "/api/v1/audit-events", query), Page[AuditEvent])

    def database_state(self, caller: Caller) -> DatabaseState:
        """How the database does. Raises EngineError."""
        return _decode(self._call(caller, "GET", "/api/v1/database"), DatabaseState)

    def statements(self, caller: Caller, *, sort: str) -> Statements:
        """The statements that take most. Raises EngineError."""
        return _decode(
            self._call(caller, "GET", "/api/v1/database/statements", params={"sort": sort}), Statements
        )

    def resumes_of(self, caller: Caller, talent_id: UUID) -> list[ResumeSummary]:
        """A person's résumés, without their text. Raises EngineError."""
        answer = self._call(caller, "GET", "/api/v1/resumes", params={"talent_id": str(talent_id)})
        return _decode(answer, Page[ResumeSummary]).items

    def resume(self, caller: Caller, resume_id: UUID) -> ResumeRecord:
        """One résumé with what was found in it. Raises EngineError."""
        return _decode(self._call(caller, "GET", f"/api/v1/resumes/{resume_id}"), ResumeRecord)

    def upload(
        self, caller: Caller, *, file_name: str, media_type: str, file: IO[bytes], key: str
    ) -> tuple[ResumeRecord, bool]:
        """Have a file parsed and kept; answers the record and whether it is new. Raises EngineError.

        The same file with the same `key` is kept once, and gets its first answer again.
        """
        files = {"file": (file_name, file, media_type)}
        answer = self._call(caller, "POST", "/api/v1/resumes", files=files, headers={HEADER: key})
        return _decode(answer, ResumeRecord), answer.status_code == httpx.codes.CREATED

    def resume_file(self, caller: Caller, resume_id: UUID) -> FileDownload:
        """The file as it was uploaded, as a stream; the caller closes it. Raises EngineError."""
        return self._download(caller, f"/api/v1/resumes/{quote(str(resume_id))}/file")

    def import_records(
        self, caller: Caller, kind: str, *, file_name: str, file: IO[bytes], dry_run: bool, key: str
    ) -> ImportReport:
        """Have a file of records imported, or only tried; the same `key` imports once. Raises EngineError."""
        answer = self._call(
            caller,
            "POST",
            f"/api/v1/{kind}/import",
            files={"file": (file_name, file, "application/octet-stream")},
            data={"dry_run": "true" if dry_run else "false"},
            headers={HEADER: key} if key else {},
        )
        return _decode(answer, ImportReport)

    def export_records(self, caller: Caller, kind: str, query: Mapping[str, str]) -> FileDownload:
        """Records as a file, as a stream; the caller closes it. Raises EngineError."""
        return self._download(caller, f"/api/v1/{kind}/export", params=query)

    def ask(self, caller: Caller, method: str, path: str, kind: type[AnswerT], **given: Any) -> AnswerT:
        """What a path answers, as a room with calls of its own asks for it. Raises EngineError."""
        return _decode(self._call(caller, method, path, **given), kind)

    def tell(self, caller: Caller, method: str, path: str, **given: Any) -> None:
        """Have something done that answers nothing. Raises EngineError."""
        self._call(caller, method, path, **given)

    def download(self, caller: Caller, path: str) -> FileDownload:
        """A file, as a stream; the caller closes it. Raises EngineError."""
        return self._download(caller, path)

    def _download(self, caller: Caller, path: str, **given: Any) -> FileDownload:
        with _explained():
            response = self._send(caller, "GET", path, stream=True, **given)
        if response.status_code >= 400:
            with _explained():
                response.read()
            response.close()
            raise EngineError(_problem(response))
        return FileDownload(
            media_type=response.headers.get("content-type", "application/octet-stream"),
            size=response.headers.get("content-length"),
            chunks=response.iter_bytes(CHUNK),
            close=response.close,
        )

    def _posted(
        self, caller: Caller, path: str, document: Mapping[str, object], *, key: str
    ) -> httpx.Response:
        headers = {"Content-Type": "application/json"} | ({HEADER: key} if key else {})
        return self._call(caller, "POST", path, headers=headers, content=msgspec.json.encode(document))

    def _asked(self, caller: Caller, path: str, query: Mapping[str, str]) -> httpx.Response:
        return self._call(caller, "GET", path, params={name: value for name, value in query.items() if value})

    def _sent(self, caller: Caller, path: str, body: object) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        return self._call(caller, "POST", path, headers=headers, content=msgspec.json.encode(body))

    def _call(self, caller: Caller, method: str, path: str, **given: Any) -> httpx.Response:
        with _explained():
            response = self._send(caller, method, path, **given)
        if response.status_code >= 400:
            raise EngineError(_problem(response))
        return response

    def _send(
        self,
        caller: Caller,
        method: str,
        path: str,
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        **given: Any,
    ) -> httpx.Response:
        route = pick(path, self._routes())
        if route is None:
            raise NoRoute(f"No service is registered for {path}.")
        token = self._issuer.issue(
            subject=caller.login, tenant=caller.tenant, roles=caller.roles, seconds=TOKEN_SECONDS
        )
        request = self._http.build_request(
            method,
            self._address_of(route.service) + path,
            headers={
                "Accept": "application/json",
                "Authorization": f"Bearer {token}",
                "X-Request-Id": caller.request_id,
                "traceparent": caller.traceparent,
                **(headers or {}),
            },
            timeout=httpx.Timeout(route.timeout_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            **given,
        )
        for attempt in range(1, CONNECT_TRIES + 1):
            try:
                return self._http.send(request, stream=stream)
            except httpx.ConnectError:
                # Nothing was sent, so trying again repeats nothing.
                if attempt == CONNECT_TRIES:
                    raise
            except httpx.RemoteProtocolError:
                # A kept-alive connection that the pod had closed; only what does no harm twice may be asked again.
                if attempt == CONNECT_TRIES or (method != "GET" and HEADER not in request.headers):
                    raise
        raise AssertionError("unreachable: the last attempt answers or raises")


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what went wrong on the way into a problem, as the forwarder would have answered it."""
    try:
        yield
    except ProblemError as error:
        raise EngineError(error.problem()) from error
    except httpx.TimeoutException as error:
        raise EngineError(EngineTimeout().problem()) from error
    except httpx.ConnectError as error:
        raise EngineError(EngineUnreachable().problem()) from error
    except httpx.TransportError as error:
        raise EngineError(EngineBroke().problem()) from error


def _decode(response: httpx.Response, kind: type[AnswerT]) -> AnswerT:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.MsgspecError as error:
        raise EngineError(EngineBroke("The service answered something unexpected.").problem()) from error


def _problem(response: httpx.Response) -> Problem:
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError:
        return Problem(type="about:blank", title=response.reason_phrase, status=response.status_code)
