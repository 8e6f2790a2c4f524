"""Reading from an OCI registry: a manifest by its digest, and a blob from any byte on.

The API is the OCI Distribution Specification 1.1, "Pulling manifests" and "Pulling blobs". A registry that asks who
reads gets the login, or a token that is asked for with it, or without one where readers may be anonymous.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
MANIFEST_BYTES = 4 * 1024 * 1024  # As much as registries take.
_URI = re.compile(r"^oci://(?P<host>[^/]+)/(?P<name>.+)@(?P<digest>sha256:[0-9a-f]{64})$")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class FetchError(RuntimeError):
    """The artifact was not fetched; `reason` is one of `looma_core.api.models`."""

    def __init__(self, reason: str, message: str) -> None:
        """Why, in one word and in a sentence."""
        super().__init__(message)
        self.reason = reason


class InterruptedFetchError(RuntimeError):
    """The registry was not reached, broke off or was busy: worth another try."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Where an artifact is: registry, repository and the digest of its manifest."""

    host: str
    name: str
    digest: str


class _Layer(msgspec.Struct, frozen=True):
    digest: str
    size: int


class _Manifest(msgspec.Struct, frozen=True):
    layers: list[_Layer]


class _Login(msgspec.Struct, frozen=True):
    auth: str = ""
    username: str = ""
    password: str = ""


class _Logins(msgspec.Struct, frozen=True):
    auths: dict[str, _Login] = {}


@dataclass(frozen=True, kw_only=True)
class Blob:
    """The one file of an artifact; `size` in bytes."""

    digest: str
    size: int


def parse_uri(uri: str) -> Reference:
    """The parts of oci://HOST/NAME@sha256:….

    Raises:
        FetchError: if it is none.
    """
    found = _URI.match(uri)
    if found is None:
        raise FetchError("ArtifactMissing", f"{uri} is no address of an artifact with its digest")
    return Reference(**found.groupdict())


def read_login(path: Path, host: str) -> str:
    """The login for a registry from a file as `docker login` writes it: user and password, in base64; empty for none.

    Raises:
        FetchError: if the file is something else.
    """
    if not path.is_file():
        return ""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Logins).auths.get(host)
    except msgspec.DecodeError as error:
        raise FetchError("FetchFailed", f"the Secret with the registry's login is wrong: {error}") from None
    if found is None:
        return ""
    return found.auth or base64.b64encode(f"{found.username}:{found.password}".encode()).decode()


class Registry:
    """One repository of a registry, for one reference."""

    def __init__(
        self, client: httpx.Client, reference: Reference, *, plain_http: bool, login: str = ""
    ) -> None:
        """`plain_http` for a registry in the cluster that has no certificate; `login` is what `read_login` gives."""
        self._client = client
        self._reference = reference
        self._base = f"{'http' if plain_http else 'https'}://{reference.host}/v2/{reference.name}"
        self._login = f"Basic {login}" if login else ""
        self._authorization = ""

    def blob(self) -> Blob:
        """The one file of the artifact, from its manifest, whose digest is checked.

        Raises:
            FetchError: if there is no such artifact, or it is another one, or has not just one file.
            InterruptedFetchError: if the registry did not answer.
        """
        digest = self._reference.digest
        with self._get(f"manifests/{digest}", {"Accept": MANIFEST_TYPES}) as answer:
            body = b""
            for part in answer.iter_raw():
                body += part
                if len(body) > MANIFEST_BYTES:
                    raise FetchError("UnreadableFormat", f"the manifest {digest} is too large to be one")
        found = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if found != digest:
            raise FetchError("DigestMismatch", f"the registry's manifest has {found}, not {digest}")
        try:
            layers = msgspec.json.decode(body, type=_Manifest).layers
        except msgspec.DecodeError as error:
            raise FetchError("UnreadableFormat", f"{digest} is no manifest of an artifact: {error}") from None
        if len(layers) != 1:
            raise FetchError("UnreadableFormat", f"the artifact has {len(layers)} files; a model's has one")
        return Blob(digest=layers[0].digest, size=layers[0].size)

    @contextmanager
    def read(self, blob: Blob, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The blob's bytes from `start` on; with them the byte at which they really begin.

        Raises:
            FetchError: if there is no such blob.
            InterruptedFetchError: if the registry did not answer, or broke off.
        """
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        with self._get(f"blobs/{blob.digest}", headers) as answer:
            ranged = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            begins = int(ranged[1]) if answer.status_code == 206 and ranged else 0
            yield begins, answer.iter_raw()

    @contextmanager
    def _get(self, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        url = f"{self._base}/{path}"
        try:
            for is_last in (False, True):
                known = {"Authorization": self._authorization} if self._authorization else {}
                with self._client.stream("GET", url, headers={**headers, **known}) as answer:
                    if is_last or answer.status_code != 401:
                        self._raise_for(answer, path)
                        yield answer
                        return
                    challenge = answer.headers.get("WWW-Authenticate", "")
                # A token may just have run out.
                self._authorization = self._answer_to(challenge)
        except httpx.TransportError as error:
            raise InterruptedFetchError(f"{self._reference.host}: {error or type(error).__name__}") from error

    def _raise_for(self, answer: httpx.Response, path: str) -> None:
        code, host = answer.status_code, self._reference.host
        if code == 404:
            raise FetchError("ArtifactMissing", f"{host} has no {path} in {self._reference.name}")
        if code == 429 or code >= 500:
            raise InterruptedFetchError(f"{host} answered {code}")
        if code not in (200, 206):
            raise FetchError("FetchFailed", f"{host} answered {code} for {path}")

    def _answer_to(self, challenge: str) -> str:
        """What a registry wants to hear that asked who reads: the login, or a token for it or for anybody."""
        scheme, _, asked = challenge.partition(" ")
        if scheme.lower() == "basic" and self._login:
            return self._login
        parameters = dict(_CHALLENGE.findall(asked))
        realm = parameters.pop("realm", "")
        if scheme.lower() != "bearer" or not realm.startswith("https://"):
            raise FetchError("FetchFailed", f"{self._reference.host} wants a login")
        headers = {"Authorization": self._login} if self._login else {}
        answer = self._client.get(realm, params=parameters, headers=headers)
        if answer.status_code != 200:
            raise FetchError(
                "FetchFailed", f"{self._reference.host} gives no token, but {answer.status_code}"
            )
        try:
            told = msgspec.json.decode(answer.content, type=dict[str, object])
        except msgspec.DecodeError:
            told = {}
        return f"Bearer {told.get('token') or told.get('access_token') or ''}"
