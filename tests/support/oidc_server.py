"""A certified OpenID Connect server, npm's `oidc-provider`, for tests of what is done with its tokens.

Its packages are installed once into the cache, by the hashes of `oidc/package-lock.json`. `serve` runs it with keys of
the test's own, which can be rotated while it runs, as at a real issuer: the first signs, all are published.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from filelock import FileLock
from joserfc.jwk import RSAKey

from looma_cluster import paths
from support.haproxy import free_ports
from support.tokens import private_key

SOURCE = Path(__file__).parent / "oidc"
FILES = ("package.json", "package-lock.json", "server.js")
SECRET = "a secret that is for tests alone"
END_SECONDS = 10.0


def installed() -> Path:
    """Folder with the server and its packages, made if it is not there.

    Raises:
        RuntimeError: if there is no Node.js, or npm cannot install.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        message = "this test needs Node.js and npm, as the console's build does (Debian: nodejs and npm)"
        raise RuntimeError(message)
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((SOURCE / name).read_bytes())
    # Compiled code is none of it, but npm may choose packages by Node's version.
    digest.update(subprocess.run([node, "--version"], check=True, capture_output=True).stdout)
    cache = paths.cache()
    if not os.access(cache, os.W_OK):
        # Made by sudo: this person has a folder of their own.
        cache = Path(tempfile.gettempdir()) / f"looma-tests-{os.getuid()}"
    cache = cache / "test-oidc"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / digest.hexdigest()[:12]
    with FileLock(cache / "lock"):
        if not folder.is_dir():
            partial = Path(tempfile.mkdtemp(dir=cache, prefix="partial-"))
            for name in FILES:
                shutil.copyfile(SOURCE / name, partial / name)
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=partial,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            if done.returncode:
                message = f"npm could not install the OpenID Connect server:\n{done.stdout.decode()}"
                raise RuntimeError(message)
            partial.rename(folder)
    return folder


def private_jwk(name: str) -> dict[str, Any]:
    """A private key as the server takes it; another name gives another key, and is its id."""
    return dict(RSAKey.import_key(private_key(name)).as_dict(private=True)) | {
        "kid": name,
        "alg": "RS256",
        "use": "sig",
    }


@dataclass
class OidcServer:
    """One server. `clients` are those that may ask for tokens, each with the claims that its tokens get."""

    folder: Path
    clients: Mapping[str, Mapping[str, Any]]
    audience: str
    port: int
    process: subprocess.Popen[str] | None = None

    @property
    def issuer(self) -> str:
        """`iss` of its tokens, and its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *keys: str) -> None:
        """Begin with these keys, of which the first signs."""
        self._write(keys)
        with (self.folder / "errors").open("w") as errors:
            self.process = subprocess.Popen(
                ["node", "server.js", str(self.folder / "settings.json"), str(self.port)],
                cwd=installed(),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._hear("listening")

    def rotate(self, *keys: str) -> None:
        """Go on with these keys, of which the first signs; those that are left out are gone."""
        assert self.process is not None
        self._write(keys)
        self.process.send_signal(signal.SIGHUP)
        self._hear("read anew")

    def stop(self) -> None:
        """End it, as at an outage: its port answers nobody."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None

    def discovered(self, name: str) -> str:
        """A field of its discovery document."""
        answer = httpx.get(f"{self.issuer}/.well-known/openid-configuration")
        return str(answer.raise_for_status().json()[name])

    def token(self, client: str) -> str:
        """An access token for this client, as it would get it."""
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": SECRET}
        answer = httpx.post(self.discovered("token_endpoint"), data=form)
        assert answer.status_code == 200, f"{answer.text}\n{(self.folder / 'errors').read_text()}"
        return str(answer.json()["access_token"])

    def _write(self, keys: Sequence[str]) -> None:
        settings = {
            "keys": [private_jwk(name) for name in keys],
            "audience": self.audience,
            "secret": SECRET,
            "clients": self.clients,
        }
        (self.folder / "settings.json").write_text(json.dumps(settings))

    def _hear(self, line: str) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for said in self.process.stdout:
            if said.strip() == line:
                return
        raise AssertionError(f"the server ended:\n{(self.folder / 'errors').read_text()}")


@contextlib.contextmanager
def serve(
    folder: Path, clients: Mapping[str, Mapping[str, Any]], *keys: str, audience: str
) -> Iterator[OidcServer]:
    """A server that runs with these keys, for as long as it is asked for; its files are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    server = OidcServer(folder=folder, clients=clients, audience=audience, port=free_ports(1)[0])
    try:
        server.start(*keys)
        yield server
    finally:
        server.stop()
