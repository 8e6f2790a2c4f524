"""A console for tests: real PostgreSQL, real HTTP to a fake engine, a cluster of plain documents.

Only the edges are fake: `FakeEngine` answers HTTP on a port of its own, `FakeCluster` stands for what the
Kubernetes API would decide. Everything between is the console itself.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from looma_console.app import assemble
from looma_console.auth.passwords import Passwords
from looma_console.cluster.actions import Verdict
from looma_console.cluster.api import KubernetesError, Person
from looma_console.cluster.listwatch import ListWatch
from looma_console.config import ConsoleSettings
from looma_console.web.parts import Parts
from support.tokens import private_key

Json = dict[str, Any]
PASSWORD = "correct horse battery"


class NoSource:
    """A watch that nobody starts; tests give its objects by `replace`."""

    def list(self) -> tuple[list[Json], str]:
        raise AssertionError("not started in tests")

    def watch(self, resource_version: str, stop: threading.Event) -> Iterator[tuple[str, Json]]:
        raise AssertionError("not started in tests")


@dataclass
class FakeCluster:
    """Stands for `ClusterActions`: answers as told, and remembers what was asked."""

    verdict: Verdict = field(default_factory=lambda: Verdict(allowed=True))
    error: KubernetesError | Exception | None = None
    asked: list[tuple[Person, str, str, str]] = field(default_factory=list)
    contents: dict[str, Json] = field(default_factory=dict)
    kept: list[Json] = field(default_factory=list)
    complete: bool = True
    read: list[tuple[Person, str, str]] = field(default_factory=list)

    def may_change(self, person: Person, name: str, *, plural: str = "aiservices") -> Verdict:
        del person, name, plural
        return self.verdict

    def rollback(self, person: Person, *, service: str, revision: str, reason: str) -> bool:
        self.asked.append((person, service, revision, reason))
        if self.error:
            raise self.error
        return True

    def content(self, person: Person, *, service: str, revision: str) -> Json:
        self.read.append((person, service, revision))
        if self.error:
            raise self.error
        return self.contents[revision]

    def revisions(self, person: Person) -> tuple[list[Json], bool]:
        self.read.append((person, "", ""))
        if self.error:
            raise self.error
        return self.kept, self.complete

    def ask_sync(self, person: Person, *, job: str, action: str, reason: str) -> None:
        self.ask(person, service=job, action=action, reason=reason)

    def ask(self, person: Person, *, service: str, action: str, reason: str) -> None:
        self.asked.append((person, service, action, reason))
        if self.error:
            raise self.error


class FakeEngine:
    """An engine on a port of its own; `on` sets what a path answers, `seen` has what came."""

    def __init__(self) -> None:
        self.seen: list[tuple[Request, bytes]] = []
        # Set where a rule reads the body itself, as it comes.
        self.stream_bodies = False
        self._answers: list[tuple[str, re.Pattern[str], Callable[[Request], Response]]] = []
        self._server = make_server("127.0.0.1", 0, self._handle, threaded=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def on(
        self, method: str, path: str, answer: Callable[[Request], Response] | Json, status: int = 200
    ) -> None:
        """Answer `method` on paths that fit the pattern with JSON or by a function; the latest rule wins."""

        def fixed(_request: Request) -> Response:
            return Response(json.dumps(answer), status=status, content_type="application/json")

        rule = answer if callable(answer) else fixed
        self._answers.insert(0, (method, re.compile(path), rule))

    def problem(self, method: str, path: str, name: str, status: int, **more: Any) -> None:
        """Answer with problem details."""
        body = {"type": f"urn:looma:problem:{name}", "title": name, "status": status, **more}
        self.on(method, path, body, status)

    @contextmanager
    def running(self) -> Iterator[FakeEngine]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _handle(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.seen.append((request, b"" if self.stream_bodies else request.get_data()))
        for method, path, rule in self._answers:
            if method in {request.method, "*"} and path.fullmatch(request.path):
                return rule(request)(environ, start_response)
        return Response("nothing here", status=404)(environ, start_response)


def service_document(name: str = "resume", **changes: Any) -> Json:
    """An AIService as the API server would send it; `changes` go into status, `spec` into spec."""
    spec = {
        "engine": name,
        "image": f"localhost/looma-engine:{name}",
        "replicas": 2,
        "route": {"pathPrefixes": ["/api/v1/resumes"], "timeoutSeconds": 5},
        **changes.pop("spec", {}),
    }
    status = {
        "phase": "Ready",
        "observedGeneration": 1,
        "stableRevision": "r2",
        "targetRevision": "r2",
        "readyReplicas": 2,
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Available", "message": "2 of 2 pods answer"},
            {"type": "Degraded", "status": "False", "reason": "AsExpected", "message": ""},
        ],
        "revisions": [
            {
                "name": "r2",
                "image": "localhost/looma-engine:two",
                "activatedAt": "2026-11-20T10:00:00Z",
                "changedBy": "admin",
                "reason": "",
                "replicas": 2,
                "availableReplicas": 2,
                "state": "Stable",
            },
            {
                "name": "r1",
                "image": "localhost/looma-engine:one",
                "activatedAt": "2026-11-19T10:00:00Z",
                "changedBy": "kubernetes-admin",
                "reason": "first",
                "replicas": 0,
                "availableReplicas": 0,
                "state": "Kept",
            },
        ],
        **changes,
    }
    metadata = {"name": name, "namespace": "looma", "generation": 1, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": spec, "status": status}


def model_document(name: str = "ner-1.0.0", **changes: Any) -> Json:
    """A ModelVersion as the API server would send it; `changes` go into spec, but for `status` and `labels`."""
    labels, status = changes.pop("labels", {}), changes.pop("status", {})
    model, _, version = name.partition("-")
    spec = {
        "model": model,
        "version": version,
        "artifact": {"uri": f"oci://registry/models/{model}@sha256:" + "a" * 64, "sizeBytes": 1234},
        "format": "json",
        **changes,
    }
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}


def sync_document(name: str = "people", **changes: Any) -> Json:
    """A SyncJob as the API server would send it, its third run at work; `changes` go into status, `spec` into spec."""
    spec = {
        "source": {"type": "csv", "path": "imports/people.csv"},
        "parallelism": 2,
        "schedule": {"cron": "0 3 * * *", "timeZone": "Asia/Shanghai"},
        **changes.pop("spec", {}),
    }
    ended = {
        "epoch": 2,
        "job": f"{name}-2",
        "trigger": "Schedule",
        "startedAt": "2026-11-20T10:00:00Z",
        "endedAt": "2026-11-20T10:02:05Z",
        "result": "Failed",
        "worker": "counting",
        "message": "shard 1 read bad input",
        "progress": {"total": 1000, "read": 400, "failed": 7},
    }
    active = {
        "epoch": 3,
        "job": f"{name}-3",
        "trigger": "Request",
        "requestedBy": "mei",
        "reason": "the file was repaired",
        "startedAt": "2026-11-20T11:00:00Z",
        "result": "Running",
    }
    status = {
        "phase": "Running",
        "epoch": 3,
        "activeJob": f"{name}-3",
        "nextRunTime": "2026-11-21T19:00:00Z",
        "shards": [
            {"shard": 1, "epoch": 2, "state": "Failed", "read": 77, "message": "of the run before"},
            {
                "shard": 0,
                "epoch": 3,
                "state": "Running",
                "total": 500,
                "read": 120,
                "created": 118,
                "failed": 2,
            },
        ],
        "runs": [ended, active],
        "requests": [
            {"id": "a", "action": "run", "requestedBy": "mei", "result": "Done", "message": "a run begins"}
        ],
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "AsExpected", "message": "Runs can be made"},
            {"type": "Running", "status": "True", "reason": "RunActive", "message": "Run 3 goes on"},
            {
                "type": "Succeeded",
                "status": "False",
                "reason": "RunFailed",
                "message": "Run 2: shard 1 read bad input",
            },
        ],
        **changes,
    }
    return {"metadata": {"name": name, "namespace": "looma", "generation": 1}, "spec": spec, "status": status}


def event_document(name: str = "e1", service: str = "resume", **changes: Any) -> Json:
    """A Kubernetes event about an AIService."""
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-11-20T10:00:00Z"},
        "involvedObject": {"kind": "AIService", "name": service},
        "type": "Normal",
        "reason": "RolloutCompleted",
        "message": "r2 serves with 2 pods",
        "lastTimestamp": "2026-11-20T10:00:05Z",
        "count": 1,
        **changes,
    }


def make_parts(
    *,
    database_url: str,
    tenant: str,
    folder: Path,
    engine_address: str = "http://127.0.0.1:9",
    **settings: Any,
) -> Parts:
    """Parts around a real database and a fake cluster."""
    key_file = folder / "issuer.pem"
    key_file.write_bytes(private_key())
    console = ConsoleSettings(
        database_url=database_url,
        tenant=tenant,
        session_key=secrets.token_hex(32),
        issuer_key_file=str(key_file),
        engine_address=engine_address,
        **settings,
    )
    return assemble(
        console,
        service_watch=ListWatch("aiservices", NoSource()),
        event_watch=ListWatch("events", NoSource()),
        model_watch=ListWatch("modelversions", NoSource()),
        sync_watch=ListWatch("syncjobs", NoSource()),
        sync_event_watch=ListWatch("events of syncjobs", NoSource()),
        cluster=FakeCluster(),  # type: ignore[arg-type]  # stands for ClusterActions
        # Argon2 at its cheapest: the tests are about the console, not about the hash.
        passwords=Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)),
    )
