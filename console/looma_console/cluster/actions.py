"""What people do to the cluster through the console, each request in their name.

The console's own service account may read Looma's resources and their events, and impersonate. Everything here but
reading these is asked in the person's name, so that the cluster's RBAC decides by the person's roles. The admission
webhook records the person from the extra `person`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from looma_console.cluster.api import KubeApi, KubernetesError, Person
from looma_core.api import syncjob
from looma_core.api.aiservice import (
    CHANGE_REASON,
    GROUP,
    PLURAL,
    VERSION,
    annotation_patch,
    controller_revision_name,
    request_patch,
    roll_back,
    spec_with_content,
)

# Asked for the buttons of every open page; RBAC seldom changes, and the server decides again when one is pressed.
VERDICT_SECONDS = 30.0
HTTP_NOT_FOUND = 404
PAGE = "500"
# A page about one model looks at no more than so many times 500 revisions.
MOST_PAGES = 10


@dataclass(frozen=True)
class Verdict:
    """Whether a person may do something, and if not, why."""

    allowed: bool
    reason: str = ""


class UnknownRevision(Exception):
    """The revision is not kept any more, or never was."""


class ClusterActions:
    """Acts on the AIServices and SyncJobs of one namespace for a person."""

    def __init__(self, api: KubeApi, *, namespace: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Act in `namespace`."""
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._verdicts: dict[tuple[str, tuple[str, ...], str, str], tuple[float, Verdict]] = {}

    def may_change(self, person: Person, name: str, *, plural: str = PLURAL) -> Verdict:
        """Whether the cluster lets `person` change that AIService (or what `plural` names); kept for a while."""
        key = (person.login, tuple(person.roles), plural, name)
        now = self._clock()
        kept = self._verdicts.get(key)
        if kept is not None and now - kept[0] < VERDICT_SECONDS:
            return kept[1]
        verdict = self._review(person, plural, name)
        if len(self._verdicts) > 1000:
            self._verdicts.clear()
        self._verdicts[key] = (now, verdict)
        return verdict

    def rollback(self, person: Person, *, service: str, revision: str, reason: str) -> bool:
        """Write the earlier revision's content back into the AIService; answer whether that changed anything.

        Raises:
            UnknownRevision: the revision is not kept.
            KubernetesError: the API server refused; `Forbidden`, `Conflict`, or what admission says.
        """
        document = self._api.request("GET", self._path(PLURAL, service))
        content = self.content(person, service=service, revision=revision)
        if spec_with_content(spec=document["spec"], content=content) == document["spec"]:
            return False
        roll_back(
            document,
            content=content,
            reason=reason,
            send=lambda patch: self._patch(person, service, patch),
            read=lambda: self._api.request("GET", self._path(PLURAL, service)),
            is_conflict=lambda error: isinstance(error, KubernetesError) and error.reason == "Conflict",
        )
        return True

    def ask(self, person: Person, *, service: str, action: str, reason: str) -> None:
        """Ask the operator for an action (see its requests); what came of it is in `status.requests`.

        Raises:
            KubernetesError: the API server refused; `Forbidden`, or what admission says.
        """
        document = self._api.request("GET", self._path(PLURAL, service))
        _, patch = request_patch(document, action=action, reason=reason)
        self._patch(person, service, patch)

    def revisions(self, person: Person) -> tuple[list[dict[str, Any]], bool]:
        """The kept revisions of all services, and whether these are all: at most `MOST_PAGES` pages are read.

        Raises:
            KubernetesError: the API server refused.
        """
        path = f"/apis/apps/v1/namespaces/{self._namespace}/controllerrevisions"
        query = {"labelSelector": "app.kubernetes.io/part-of=looma,looma.dev/revision", "limit": PAGE}
        found: list[dict[str, Any]] = []
        for _ in range(MOST_PAGES):
            answer = self._api.request("GET", path, query=query, person=person)
            found += answer["items"]
            more = answer["metadata"].get("continue")
            if not more:
                return found, True
            query["continue"] = more
        return found, False

    def ask_sync(self, person: Person, *, job: str, action: str, reason: str) -> None:
        """Ask for a run of a SyncJob or for the end of one, or set `spec.suspend`.

        | action          | what is written                                                        |
        | --------------- | ---------------------------------------------------------------------- |
        | run, cancel     | a request to the operator; what came of it is in `status.requests`     |
        | suspend, resume | `spec.suspend`, and why as the annotation of a change's reason         |

        Raises:
            KubernetesError: the API server refused; `Forbidden`, or what admission says.
        """
        document = self._api.request("GET", self._path(syncjob.PLURAL, job))
        if action in {"suspend", "resume"}:
            # Without the resource version: workers report every few seconds, and the value does not depend on theirs.
            patch = annotation_patch(metadata=document["metadata"], values={CHANGE_REASON: reason})
            patch.append({"op": "add", "path": "/spec/suspend", "value": action == "suspend"})
        else:
            _, patch = request_patch(document, action=action, reason=reason)
        self._patch(person, job, patch, plural=syncjob.PLURAL)

    def _patch(
        self, person: Person, name: str, patch: list[dict[str, Any]], *, plural: str = PLURAL
    ) -> object:
        return self._api.request(
            "PATCH",
            self._path(plural, name),
            query={"fieldManager": "looma-console"},
            body=patch,
            content_type="application/json-patch+json",
            person=person,
        )

    def content(self, person: Person, *, service: str, revision: str) -> dict[str, Any]:
        """What a revision that is kept runs: engine, image, resources, config, models and podTemplate.

        Raises:
            UnknownRevision: the revision is not kept.
            KubernetesError: the API server refused.
        """
        name = controller_revision_name(service, revision)
        path = f"/apis/apps/v1/namespaces/{self._namespace}/controllerrevisions/{name}"
        try:
            found: dict[str, Any] = self._api.request("GET", path, person=person)["data"]
        except KubernetesError as error:
            if error.status == HTTP_NOT_FOUND:
                raise UnknownRevision(revision) from error
            raise
        return found

    def _review(self, person: Person, plural: str, name: str) -> Verdict:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "group": GROUP,
                    "resource": plural,
                    "verb": "patch",
                    "namespace": self._namespace,
                    "name": name,
                }
            },
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        try:
            status = self._api.request("POST", path, body=review, person=person)["status"]
        except KubernetesError as error:
            return Verdict(allowed=False, reason=error.message)
        return Verdict(allowed=bool(status.get("allowed")), reason=str(status.get("reason") or ""))

    def _path(self, plural: str, name: str) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self._namespace}/{plural}/{name}"
