"""The Kubernetes API over plain HTTP: address and credentials from the kubernetes package, documents as they are.

Not the generated clients, for two reasons: their header table is a dict, and impersonating somebody with two
roles takes `Impersonate-Group` twice; and every document that the console reads or writes is a custom resource
or shown as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0


class KubernetesError(Exception):
    """The API server refused or did not answer.

    Attributes:
        status: HTTP status, 0 if there was no answer.
        reason: The machine-readable reason of the Status document, such as `Forbidden` or `Conflict`.
        message: The sentence of the Status document.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Person:
    """Whom the console acts for: a login and its roles."""

    login: str
    roles: Sequence[str] = field(default=())


def impersonation(person: Person) -> urllib3.HTTPHeaderDict:
    """Headers that make the API server judge a request as `person`'s.

    The user is always `looma:console`: who may impersonate whom is fixed in the console's ClusterRole, so the
    login travels as the extra `person`, which the admission webhook records, and the roles as groups.
    """
    headers = urllib3.HTTPHeaderDict()
    headers.add("Impersonate-User", "looma:console")
    for role in person.roles:
        headers.add("Impersonate-Group", f"looma:{role}")
    headers.add("Impersonate-Extra-person", person.login)
    return headers


class KubeApi:
    """Requests to one API server."""

    def __init__(self, configuration: client.Configuration) -> None:
        """Use the server and credentials of `configuration`."""
        self._configuration = configuration
        self._pool = client.ApiClient(configuration).rest_client.pool_manager

    @classmethod
    def from_environment(cls, kubeconfig: str | None = None) -> KubeApi:
        """In a pod: its service account. Elsewhere: the kubeconfig that was named, never a default one."""
        configuration = client.Configuration()
        if kubeconfig:
            config.load_kube_config(kubeconfig, client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return cls(configuration)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        person: Person | None = None,
    ) -> Any:  # noqa: ANN401 - whatever JSON the server sends
        """Send one request, as `person` if given; answer the decoded document.

        Raises:
            KubernetesError: the answer was not a success, or there was none.
        """
        answer = self._send(
            method,
            path,
            query=query,
            body=body,
            content_type=content_type,
            person=person,
            read_seconds=READ_SECONDS,
            preload=True,
        )
        return json.loads(answer.data)

    def open(self, path: str, *, query: Mapping[str, str], read_seconds: float) -> urllib3.BaseHTTPResponse:
        """Open a stream for reading; the caller closes it. Raises `KubernetesError`."""
        return self._send(
            "GET",
            path,
            query=query,
            body=None,
            content_type="application/json",
            person=None,
            read_seconds=read_seconds,
            preload=False,
        )

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        body: object,
        content_type: str,
        person: Person | None,
        read_seconds: float,
        preload: bool,
    ) -> urllib3.BaseHTTPResponse:
        headers = impersonation(person) if person else urllib3.HTTPHeaderDict()
        headers["Accept"] = "application/json"
        headers["User-Agent"] = "looma-console"
        if token := self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization"):
            headers["Authorization"] = token
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            answer = self._pool.urlopen(
                method,
                self._configuration.host + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                preload_content=preload,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise KubernetesError(0, "Unreachable", str(error)) from error
        if answer.status >= 400:
            data = answer.data if preload else answer.read()
            answer.close()
            raise _error(answer.status, data)
        return answer


def _error(status: int, data: bytes) -> KubernetesError:
    try:
        document = json.loads(data)
        return KubernetesError(status, str(document["reason"]), str(document["message"]))
    except (ValueError, KeyError, TypeError):
        return KubernetesError(status, "Unknown", data[:300].decode(errors="replace"))
